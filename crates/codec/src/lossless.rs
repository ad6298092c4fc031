//! Any element type, exactly: byte planes, then zstd.
//!
//! Exponents of neighbouring floats, and high bytes of neighbouring integers, are alike while
//! low bytes are noise; apart from each other each compresses as well as it can.
//!
//! ```text
//! block   a zstd frame without its magic number, shorter than the block's bytes,
//!         or else the block's bytes as they are
//! ```
//! The payload of a string tensor starts with its number of bytes (u64).

use crate::squeeze::Squeeze;
use crate::{DecodeError, EncodeError};
use kerf_tensor::DType;

/// Appends one block.
pub(crate) fn encode(
    data: &[u8],
    dtype: DType,
    squeeze: &mut Squeeze,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let compressed = match dtype.size() {
        None | Some(1) => squeeze.compress(data, data.len(), out)?,
        Some(size) => squeeze.compress(&apart(data, size), data.len(), out)?,
    };
    if !compressed {
        out.extend_from_slice(data);
    }
    Ok(())
}

/// Appends the `raw` bytes of one block to `out`.
pub(crate) fn decode(
    block: &[u8],
    dtype: DType,
    raw: usize,
    squeeze: &mut Squeeze,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    if block.len() == raw {
        out.extend_from_slice(block);
        return Ok(());
    }
    let mut planes = vec![0; raw];
    squeeze.decompress(block, &mut planes)?;
    match dtype.size() {
        None | Some(1) => out.extend_from_slice(&planes),
        Some(size) => together(&planes, size, out),
    }
    Ok(())
}

/// First bytes of all elements, then second bytes, ...
fn apart(data: &[u8], size: usize) -> Vec<u8> {
    let mut planes = vec![0; data.len()];
    let len = (data.len() / size).max(1);
    for (at, plane) in planes.chunks_exact_mut(len).enumerate() {
        for (byte, element) in plane.iter_mut().zip(data.chunks_exact(size)) {
            *byte = element[at];
        }
    }
    planes
}

fn together(planes: &[u8], size: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + planes.len(), 0);
    let len = (planes.len() / size).max(1);
    for (at, plane) in planes.chunks_exact(len).enumerate() {
        for (element, byte) in out[start..].chunks_exact_mut(size).zip(plane) {
            element[at] = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes() {
        let data: Vec<u8> = (0..24).collect();
        assert_eq!(apart(&data, 4)[..7], [0, 4, 8, 12, 16, 20, 1]);
        for size in [1, 2, 4, 8] {
            let mut back = vec![7];
            together(&apart(&data, size), size, &mut back);
            assert_eq!(back[1..], data);
        }
    }
}
