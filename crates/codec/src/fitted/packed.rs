//! Symbols as numbers of as many bits as a component's range needs, component by component.

use crate::{DecodeError, Quantiser};

fn width(quantiser: &Quantiser) -> u32 {
    let range = i32::from(quantiser.max) - i32::from(quantiser.min);
    range.unsigned_abs().checked_ilog2().map_or(0, |bits| bits + 1)
}

/// Bytes of `positions` symbols of each component.
pub(super) fn len(quantisers: &[Quantiser], positions: usize) -> usize {
    let bits: usize = quantisers.iter().map(|quantiser| width(quantiser) as usize).sum();
    (bits * positions).div_ceil(8)
}

/// Appends `symbols`, rows of one component each.
pub(super) fn encode(quantisers: &[Quantiser], symbols: &[i16], out: &mut Vec<u8>) {
    let positions = symbols.len() / quantisers.len().max(1);
    let (mut bits, mut held) = (0u64, 0);
    for (quantiser, row) in quantisers.iter().zip(symbols.chunks_exact(positions.max(1))) {
        let width = width(quantiser);
        for symbol in row {
            let code = (i32::from(*symbol) - i32::from(quantiser.min)) as u64;
            bits |= code << held;
            held += width;
            if held >= 32 {
                out.extend_from_slice(&(bits as u32).to_le_bytes());
                bits >>= 32;
                held -= 32;
            }
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Fills `symbols`, rows of one component each.
pub(super) fn decode(
    quantisers: &[Quantiser],
    packed: &[u8],
    symbols: &mut [i16],
) -> Result<(), DecodeError> {
    let positions = symbols.len() / quantisers.len().max(1);
    let expected = len(quantisers, positions);
    if packed.len() != expected {
        return Err(match packed.len().checked_sub(expected) {
            Some(bytes) => DecodeError::Trailing { bytes },
            None => DecodeError::Truncated,
        });
    }
    let (mut bits, mut held) = (0u64, 0);
    let mut rest = packed.iter();
    for (quantiser, row) in quantisers.iter().zip(symbols.chunks_exact_mut(positions.max(1))) {
        let width = width(quantiser);
        let range = i32::from(quantiser.max) - i32::from(quantiser.min);
        for symbol in row {
            while held < width {
                bits |= u64::from(*rest.next().ok_or(DecodeError::Truncated)?) << held;
                held += 8;
            }
            let code = (bits & ((1 << width) - 1)) as i32;
            bits >>= width;
            held -= width;
            if code > range {
                return Err(DecodeError::Malformed("a symbol is beyond its component's range"));
            }
            *symbol = (i32::from(quantiser.min) + code) as i16;
        }
    }
    if bits != 0 {
        return Err(DecodeError::Malformed("bits are set after the last symbol"));
    }
    Ok(())
}
