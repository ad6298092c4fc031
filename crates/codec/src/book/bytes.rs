//! The few shapes that a book's numbers come in.
//!
//! ```text
//! varint   LEB128, as short as possible
//! name     varint length, UTF-8
//! floats   0: f32 each; 1: f16 each, where all of them are exactly f16
//! list     2: one f32 for all, where all of at least 3 are equal; or floats
//! ```

use super::BookError;
use half::f16;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn finish(self) -> Result<(), BookError> {
        if self.rest.is_empty() { Ok(()) } else { Err(BookError::Trailing(self.rest.len())) }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], BookError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(BookError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, BookError> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn i16(&mut self) -> Result<i16, BookError> {
        let bytes = self.bytes(2)?;
        Ok(i16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn varint(&mut self) -> Result<u32, BookError> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(BookError::Malformed("a number is longer than it needs to be"));
                }
                return value.try_into().map_err(|_| BookError::Malformed("a number is beyond 32 bits"));
            }
        }
        Err(BookError::Malformed("a number is beyond 32 bits"))
    }

    /// A number of things that take a byte each, at least: no more than there are bytes.
    pub(super) fn count(&mut self) -> Result<usize, BookError> {
        let count = self.varint()? as usize;
        if count > self.rest.len() { Err(BookError::Truncated) } else { Ok(count) }
    }

    pub(super) fn name(&mut self) -> Result<String, BookError> {
        let length = self.count()?;
        let name = std::str::from_utf8(self.bytes(length)?);
        name.map(str::to_owned).map_err(|_| BookError::Malformed("a name is not UTF-8"))
    }

    /// As many floats as there are bytes for, at most.
    pub(super) fn floats(&mut self, count: usize) -> Result<Vec<f32>, BookError> {
        let form = self.u8()?;
        let values = self.form(form, count)?;
        shortest(form == precision(&values), values)
    }

    /// So many floats, of which few bytes may speak: the caller bounds `count`.
    pub(super) fn list(&mut self, count: usize) -> Result<Vec<f32>, BookError> {
        let form = self.u8()?;
        if form != SAME {
            let values = self.form(form, count)?;
            return shortest(form == precision(&values) && !all_same(&values), values);
        }
        let bytes = self.bytes(4)?;
        let value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let values = vec![value; count];
        shortest(all_same(&values), values)
    }

    fn form(&mut self, form: u8, count: usize) -> Result<Vec<f32>, BookError> {
        let sized = |size: usize| count.checked_mul(size).ok_or(BookError::Truncated);
        match form {
            F32 => {
                let (chunks, _) = self.bytes(sized(4)?)?.as_chunks();
                Ok(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
            }
            F16 => {
                let (chunks, _) = self.bytes(sized(2)?)?.as_chunks();
                Ok(chunks.iter().map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect())
            }
            _ => Err(BookError::Malformed("numbers of an unknown form")),
        }
    }
}

fn shortest(so: bool, values: Vec<f32>) -> Result<Vec<f32>, BookError> {
    if so { Ok(values) } else { Err(BookError::Malformed("numbers are not in their shortest form")) }
}

const F32: u8 = 0;
const F16: u8 = 1;
const SAME: u8 = 2;

fn precision(values: &[f32]) -> u8 {
    let half = |value: &f32| f16::from_f32(*value).to_f32().to_bits() == value.to_bits();
    if values.iter().all(half) { F16 } else { F32 }
}

fn all_same(values: &[f32]) -> bool {
    matches!(values, [first, _, _, ..] if values.iter().all(|value| value.to_bits() == first.to_bits()))
}

pub(super) fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Lengths and numbers of things: memory holds no more than 32 bits can count of them.
pub(super) fn count(value: usize, out: &mut Vec<u8>) {
    varint(u32::try_from(value).unwrap_or(u32::MAX), out);
}

pub(super) fn name(name: &str, out: &mut Vec<u8>) {
    count(name.len(), out);
    out.extend_from_slice(name.as_bytes());
}

pub(super) fn floats(values: &[f32], out: &mut Vec<u8>) {
    let form = precision(values);
    out.push(form);
    match form {
        F16 => out.extend(values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes())),
        _ => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
    }
}

pub(super) fn list(values: &[f32], out: &mut Vec<u8>) {
    if all_same(values) {
        out.push(SAME);
        out.extend_from_slice(&values[0].to_le_bytes());
    } else {
        floats(values, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX] {
            let mut out = Vec::new();
            varint(value, &mut out);
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
        for wrong in [&[0x80][..], &[0x80, 0], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0xff; 6]] {
            assert!(Reader::new(wrong).varint().is_err(), "{wrong:?}");
        }
        for (values, bytes) in [
            (&[][..], 1),
            (&[1.0, 0.1, 0.2], 13),
            (&[1.0, -0.0, 0.25], 7),
            (&[0.1; 3], 5),
            (&[0.25], 3),
            (&[f32::NAN, f32::INFINITY], 5),
        ] {
            let mut out = Vec::new();
            list(values, &mut out);
            assert_eq!(out.len(), bytes, "{values:?}");
            let back = Reader::new(&out).list(values.len()).unwrap();
            assert!(back.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()), "{values:?}");
        }
        let long = Err(BookError::Malformed("numbers are not in their shortest form"));
        assert_eq!(Reader::new(&[F32, 0, 0, 0x80, 0x3f]).floats(1), long);
        assert_eq!(Reader::new(&[F16, 0, 0, 0, 0, 0, 0]).list(3), long);
        assert_eq!(Reader::new(&[SAME, 0, 0, 0, 0]).list(2), long);
        assert!(Reader::new(&[SAME, 0, 0, 0, 0]).floats(3).is_err());
    }
}
