//! String elements: a little-endian `u32` length, then that many bytes.

use crate::TensorError;
use bytes::{BufMut, Bytes, BytesMut};

pub(crate) fn encode<S: AsRef<[u8]>>(values: &[S]) -> Bytes {
    let total = values.iter().map(|value| 4 + value.as_ref().len()).sum();
    let mut out = BytesMut::with_capacity(total);
    for value in values {
        out.put_u32_le(value.as_ref().len() as u32);
        out.put_slice(value.as_ref());
    }
    out.freeze()
}

pub(crate) fn check(shape: &[usize], elements: usize, data: &[u8]) -> Result<(), TensorError> {
    let wrong = |reason| TensorError::Strings { shape: shape.to_vec(), reason };
    let mut rest = data;
    let mut found = 0usize;
    while !rest.is_empty() {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Err(wrong("a length prefix is cut short"));
        };
        rest = after
            .get(u32::from_le_bytes(*length) as usize..)
            .ok_or_else(|| wrong("an element is longer than the data"))?;
        found += 1;
    }
    if found == elements { Ok(()) } else { Err(wrong("element count differs from the shape")) }
}

/// The elements of data that [`check`] accepted.
pub(crate) fn decode(data: &Bytes) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(length) = data.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let start = at + 4;
        at = (start + u32::from_le_bytes(*length) as usize).min(data.len());
        out.push(data.slice(start..at));
    }
    out
}
