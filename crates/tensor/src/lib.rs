//! Tensors as every part of Kerf passes them on: an element type, a shape, and
//! little-endian bytes that are shared rather than copied.
//!
//! An activation crosses an engine, a codec, a QUIC stream and another engine.
//! One representation that all of them accept keeps the copies to those that
//! an engine itself insists on.

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian bytes; a big-endian host would need a swap at every engine");

mod compare;
mod dtype;
mod spec;
mod strings;

pub use compare::{Difference, compare, top1};
pub use dtype::{DType, Element};
pub use spec::{Dim, TensorSpec};

use bytes::Bytes;
use std::borrow::Cow;

/// An n-dimensional array: row-major, little-endian, immutable, cheap to clone.
///
/// [`DType::String`] elements are each a `u32` length and that many bytes, as in
/// the Open Inference Protocol's binary extension.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Bytes,
}

/// A tensor and the name that the graph, or the protocol, gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTensor {
    /// Name of the value.
    pub name: String,
    /// The value.
    pub tensor: Tensor,
}

/// Why bytes are not a tensor of the stated type and shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The shape's product does not fit a `usize`.
    #[error("shape {shape:?} has more elements than memory can address")]
    ShapeOverflow {
        /// The shape as stated.
        shape: Vec<usize>,
    },
    /// Data and shape disagree.
    #[error("{dtype} tensor of shape {shape:?} takes {expected} bytes, got {actual}")]
    ByteLength {
        /// Element type.
        dtype: DType,
        /// Shape.
        shape: Vec<usize>,
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// The length-prefixed elements of a string tensor do not add up.
    #[error("string tensor of shape {shape:?}: {reason}")]
    Strings {
        /// Shape.
        shape: Vec<usize>,
        /// What is wrong.
        reason: &'static str,
    },
    /// A `bool` byte other than 0 or 1.
    #[error("bool tensor holds byte {0}, expected 0 or 1")]
    Bool(u8),
    /// A typed view of another type was asked for.
    #[error("tensor holds {actual}, {wanted} was asked for")]
    WrongType {
        /// What the caller wanted.
        wanted: DType,
        /// What the tensor holds.
        actual: DType,
    },
}

impl Tensor {
    /// Takes bytes as a tensor, checking that they are exactly what `dtype` and `shape` need.
    pub fn new(dtype: DType, shape: Vec<usize>, data: Bytes) -> Result<Self, TensorError> {
        let elements = element_count(&shape)?;
        match dtype.size() {
            Some(size) => {
                let expected = elements
                    .checked_mul(size)
                    .ok_or_else(|| TensorError::ShapeOverflow { shape: shape.clone() })?;
                if expected != data.len() {
                    return Err(TensorError::ByteLength { dtype, shape, expected, actual: data.len() });
                }
            }
            None => strings::check(&shape, elements, &data)?,
        }
        if dtype == DType::Bool
            && let Some(byte) = data.iter().find(|byte| **byte > 1)
        {
            return Err(TensorError::Bool(*byte));
        }
        Ok(Self { dtype, shape, data })
    }

    /// Takes ownership of typed elements without copying them.
    pub fn from_vec<T: Element>(shape: &[usize], values: Vec<T>) -> Result<Self, TensorError> {
        let data = Bytes::from_owner(Owned(values));
        Self::new(T::DTYPE, shape.to_vec(), data)
    }

    /// A string tensor: each element is a run of bytes, UTF-8 or not.
    pub fn from_strings<S: AsRef<[u8]>>(shape: &[usize], values: &[S]) -> Result<Self, TensorError> {
        Self::new(DType::String, shape.to_vec(), strings::encode(values))
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions, outermost first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether some dimension is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The raw bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The same bytes under another shape of equal element count.
    pub fn reshape(self, shape: Vec<usize>) -> Result<Self, TensorError> {
        Self::new(self.dtype, shape, self.data)
    }

    /// The elements; borrowed where the bytes are aligned for `T`, copied where they are not.
    pub fn elements<T: Element>(&self) -> Result<Cow<'_, [T]>, TensorError> {
        if T::DTYPE != self.dtype {
            return Err(TensorError::WrongType { wanted: T::DTYPE, actual: self.dtype });
        }
        Ok(match bytemuck::try_cast_slice(&self.data) {
            Ok(view) => Cow::Borrowed(view),
            Err(_) => Cow::Owned(bytemuck::allocation::pod_collect_to_vec(&self.data)),
        })
    }

    /// The elements of a string tensor, in order.
    pub fn strings(&self) -> Result<Vec<Bytes>, TensorError> {
        if self.dtype != DType::String {
            return Err(TensorError::WrongType { wanted: DType::String, actual: self.dtype });
        }
        Ok(strings::decode(&self.data))
    }

    /// Every numeric element as `f64`, for comparisons and printing; strings have none.
    pub fn to_f64(&self) -> Result<Vec<f64>, TensorError> {
        dtype::widen(self)
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({}{:?}, {} B)", self.dtype, self.shape, self.data.len())
    }
}

/// Product of `shape`, or an error where it overflows.
pub fn element_count(shape: &[usize]) -> Result<usize, TensorError> {
    shape
        .iter()
        .try_fold(1usize, |product, dim| product.checked_mul(*dim))
        .ok_or_else(|| TensorError::ShapeOverflow { shape: shape.to_vec() })
}

struct Owned<T>(Vec<T>);

impl<T: Element> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_must_match_the_shape() {
        let cases: &[(DType, &[usize], usize, bool)] = &[
            (DType::F32, &[2, 3], 24, true),
            (DType::F32, &[2, 3], 23, false),
            (DType::F16, &[], 2, true),
            (DType::I64, &[0, 7], 0, true),
            (DType::U8, &[usize::MAX, 2], 0, false),
            (DType::F64, &[usize::MAX / 4], 0, false),
        ];
        for (dtype, shape, bytes, valid) in cases {
            let made = Tensor::new(*dtype, shape.to_vec(), Bytes::from(vec![0; *bytes]));
            assert_eq!(made.is_ok(), *valid, "{dtype}{shape:?} from {bytes} bytes: {made:?}");
        }
    }

    #[test]
    fn misaligned_bytes_still_read() {
        let mut raw = vec![0u8];
        raw.extend(1.5f32.to_le_bytes());
        raw.extend((-2.0f32).to_le_bytes());
        let tensor = Tensor::new(DType::F32, vec![2], Bytes::from(raw).slice(1..)).unwrap();
        assert_eq!(tensor.elements::<f32>().unwrap().as_ref(), [1.5, -2.0]);
        assert!(tensor.elements::<i32>().is_err());
    }

    #[test]
    fn strings_round_trip_and_lying_lengths_fail() {
        let tensor = Tensor::from_strings(&[2], &["a", "kerf"]).unwrap();
        assert_eq!(tensor.strings().unwrap(), [Bytes::from("a"), Bytes::from("kerf")]);
        for (shape, raw) in [
            (vec![1], &b"\xff\xff\xff\xffab"[..]),
            (vec![1], b"\x01\0\0\0ab"),
            (vec![2], b"\x01\0\0\0a"),
            (vec![1], b"\x01\0"),
        ] {
            assert!(Tensor::new(DType::String, shape, Bytes::from_static(raw)).is_err());
        }
    }

    #[test]
    fn bool_bytes_are_zero_or_one() {
        assert!(Tensor::new(DType::Bool, vec![2], Bytes::from_static(&[0, 1])).is_ok());
        assert_eq!(Tensor::new(DType::Bool, vec![2], Bytes::from_static(&[0, 7])), Err(TensorError::Bool(7)));
    }
}
