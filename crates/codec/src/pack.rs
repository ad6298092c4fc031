//! Codes of 2, 3, 4, 6 or 8 bits in bytes, and back.
//!
//! The codes of a run are dealt to as many planes as fit a whole number of bytes: code `i` of
//! plane `p` lies in byte `i` of the packed planes, so that packing is shifts and ors of long
//! rows of bytes, which vectorise.

use crate::Bits;

/// Bytes that `count` codes take.
pub(crate) fn packed_len(bits: Bits, count: usize) -> usize {
    let (codes, bytes) = ratio(bits);
    count.div_ceil(codes) * bytes
}

/// Codes that share a group of bytes, and the bytes.
fn ratio(bits: Bits) -> (usize, usize) {
    match bits {
        Bits::B2 => (4, 1),
        Bits::B3 => (8, 3),
        Bits::B4 => (2, 1),
        Bits::B6 => (4, 3),
        Bits::B8 => (1, 1),
    }
}

/// Appends `codes`, each below `1 << bits`; the planes' last places are filled with zeros.
pub(crate) fn pack(bits: Bits, codes: &[u8], out: &mut Vec<u8>) {
    if bits == Bits::B8 {
        return out.extend_from_slice(codes);
    }
    let (planes, _) = ratio(bits);
    let len = codes.len().div_ceil(planes);
    let plane = |index: usize| &codes[(index * len).min(codes.len())..((index + 1) * len).min(codes.len())];
    let start = out.len();
    out.resize(start + packed_len(bits, codes.len()), 0);
    let mut rows = out[start..].chunks_exact_mut(len.max(1));
    for row in layout(bits) {
        let Some(bytes) = rows.next() else { return };
        for part in *row {
            for (byte, code) in bytes.iter_mut().zip(plane(part.plane)) {
                *byte |= (code >> part.from & part.mask) << part.to;
            }
        }
    }
}

/// Fills `codes` from what [`pack`] wrote; `packed` is [`packed_len`] bytes.
pub(crate) fn unpack(bits: Bits, packed: &[u8], codes: &mut [u8]) {
    if bits == Bits::B8 {
        return codes.copy_from_slice(packed);
    }
    let (planes, _) = ratio(bits);
    let (count, len) = (codes.len(), codes.len().div_ceil(planes));
    codes.fill(0);
    for (bytes, row) in packed.chunks_exact(len.max(1)).zip(layout(bits)) {
        for part in *row {
            let range = (part.plane * len).min(count)..((part.plane + 1) * len).min(count);
            for (code, byte) in codes[range].iter_mut().zip(bytes) {
                *code |= (byte >> part.to & part.mask) << part.from;
            }
        }
    }
}

/// Bits `from..` of a plane's codes, as many as `mask` has, at bit `to` of a byte.
struct Part {
    plane: usize,
    from: u32,
    mask: u8,
    to: u32,
}

const fn part(plane: usize, from: u32, mask: u8, to: u32) -> Part {
    Part { plane, from, mask, to }
}

/// What each byte of a group holds.
fn layout(bits: Bits) -> &'static [&'static [Part]] {
    match bits {
        Bits::B2 => const { &[&[part(0, 0, 3, 0), part(1, 0, 3, 2), part(2, 0, 3, 4), part(3, 0, 3, 6)]] },
        Bits::B3 => {
            const {
                &[
                    &[part(0, 0, 7, 0), part(1, 0, 7, 3), part(6, 0, 3, 6)],
                    &[part(2, 0, 7, 0), part(3, 0, 7, 3), part(7, 0, 3, 6)],
                    &[part(4, 0, 7, 0), part(5, 0, 7, 3), part(6, 2, 1, 6), part(7, 2, 1, 7)],
                ]
            }
        }
        Bits::B4 => const { &[&[part(0, 0, 15, 0), part(1, 0, 15, 4)]] },
        Bits::B6 => {
            const {
                &[
                    &[part(0, 0, 63, 0), part(3, 0, 3, 6)],
                    &[part(1, 0, 63, 0), part(3, 2, 3, 6)],
                    &[part(2, 0, 63, 0), part(3, 4, 3, 6)],
                ]
            }
        }
        Bits::B8 => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_at_every_place() {
        for bits in Bits::ALL {
            for count in (0..40).chain([1023, 1024]) {
                let codes: Vec<u8> = (0..count).map(|at| (at * 37 + at / 7) as u8 & bits.levels()).collect();
                let mut packed = vec![9];
                pack(bits, &codes, &mut packed);
                assert_eq!(packed.len(), 1 + packed_len(bits, count));
                let mut back = vec![0xaa; count];
                unpack(bits, &packed[1..], &mut back);
                assert_eq!(back, codes, "{bits:?}, {count} codes");
            }
        }
    }

    #[test]
    fn no_bit_is_wasted() {
        for (bits, count, bytes) in [(Bits::B2, 8, 2), (Bits::B3, 16, 6), (Bits::B4, 6, 3), (Bits::B6, 8, 6)]
        {
            assert_eq!(packed_len(bits, count), bytes);
        }
    }
}
