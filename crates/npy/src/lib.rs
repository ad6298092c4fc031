//! What Python saved, as tensors.
//!
//! The tensors that people have for a model lie on disk as NumPy wrote them. `.npy` is one array: a
//! magic number, a header that is a Python dictionary in text, and the elements in either byte
//! order and either memory order (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//! `.npz` is a ZIP file of those. An array in C order and little endian, as almost all are, becomes a
//! [`Tensor`](kerf_tensor::Tensor) without a copy.
//!
//! A file may come from anywhere: sizes are checked before anything is allocated for them, pickled
//! objects are refused and never looked into, and a compressed file may not grow without limit.

mod array;
mod header;
mod npz;

pub use array::{NpyError, npy};
pub use npz::{NpzError, npz};

/// What one file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Arrays in an `.npz` file.
    pub arrays: usize,
    /// Bytes of all of them once they are decompressed.
    pub bytes: u64,
}

impl Default for Limits {
    /// 256 arrays, 4 GiB.
    fn default() -> Self {
        Self { arrays: 256, bytes: 4 << 30 }
    }
}
