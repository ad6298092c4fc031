//! One array.

use crate::header;
use bytes::Bytes;
use kerf_tensor::{DType, Tensor, TensorError, element_count};

/// Why bytes are no array that a tensor can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// Something else.
    #[error("no .npy file: it does not begin as one")]
    Magic,
    /// A format to come.
    #[error("format {0}.{1}; 1.0, 2.0 and 3.0 are known")]
    Version(u8, u8),
    /// Less than a header.
    #[error("cut short within its header")]
    Truncated,
    /// A header that NumPy would not read either.
    #[error("a header of {0} bytes; 10000 are allowed")]
    HeaderLength(usize),
    /// A header that is not as documented.
    #[error("its header is not NumPy's: {0}")]
    Header(&'static str),
    /// Elements that no tensor has.
    #[error("holds {what} ({descr})")]
    Type {
        /// As the header has it.
        descr: String,
        /// In words.
        what: &'static str,
    },
    /// Fewer or more elements than the shape says.
    #[error("{dtype} of shape {shape:?} takes {expected} bytes, {actual} follow its header")]
    Length {
        /// Element type.
        dtype: DType,
        /// Shape.
        shape: Vec<usize>,
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes that there are.
        actual: usize,
    },
    /// A shape beyond memory, or truth values that are neither.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// An `.npy` file as a tensor; shares the bytes where they lie as a tensor's do.
///
/// # Errors
/// Bytes that are no array of numbers or truth values, or not as many as the header says. Nothing is
/// allocated before that is checked.
pub fn npy(file: &Bytes) -> Result<Tensor, NpyError> {
    let (header, start) = header::read(file)?;
    let data = file.slice(start..);
    let (dtype, shape) = (header.dtype, header.shape);
    let size = dtype.size().unwrap_or(1);
    let overflow = || TensorError::ShapeOverflow { shape: shape.clone() };
    let expected = element_count(&shape)?.checked_mul(size).ok_or_else(overflow)?;
    if data.len() != expected {
        return Err(NpyError::Length { dtype, shape, expected, actual: data.len() });
    }
    let data = if header.big_endian && size > 1 { swapped(&data, size) } else { data };
    let data = if header.fortran { row_major(&data, &shape, size) } else { data };
    Ok(Tensor::new(dtype, shape, data)?)
}

fn swapped(data: &[u8], size: usize) -> Bytes {
    let mut out = data.to_vec();
    out.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    out.into()
}

/// Elements whose first index runs fastest, in the order in which the last one does.
fn row_major(data: &Bytes, shape: &[usize], size: usize) -> Bytes {
    if data.is_empty() || shape.iter().filter(|dim| **dim > 1).count() < 2 {
        return data.clone();
    }
    let mut steps = Vec::with_capacity(shape.len());
    let mut step = size;
    for dim in shape {
        steps.push(step);
        step *= dim;
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0usize; shape.len()];
    let mut from = 0;
    loop {
        out.extend_from_slice(&data[from..from + size]);
        // Counts up, the last index first; an index at its end goes back to 0 and carries.
        let mut axis = shape.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return out.into() };
            axis = next;
            index[axis] += 1;
            from += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= steps[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Bytes {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        out.extend(header.bytes());
        out.extend(data);
        out.into()
    }

    #[test]
    fn orders_of_bytes_and_of_axes() {
        let big = [0u8, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6];
        let tensor = npy(&file(">u2", "True", "(2, 3)", &big)).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (DType::U16, &[2, 3][..]));
        assert_eq!(tensor.elements::<u16>().unwrap().as_ref(), [1, 3, 5, 2, 4, 6]);
        let plain = file("|u1", "False", "(2, 3)", &[1, 2, 3, 4, 5, 6]);
        let tensor = npy(&plain).unwrap();
        let start = plain.len() - 6;
        assert_eq!(tensor.data().as_ptr(), plain[start..].as_ptr(), "shared, not copied");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = file("<f4", "False", "(2,)", &[0; 8]);
        let max = usize::MAX;
        for (bytes, message) in [
            (Bytes::from_static(b"PK\x03\x04"), "no .npy file"),
            (good.slice(..7), "cut short within its header"),
            (good.slice(..9), "cut short within its header"),
            (good.slice(..30), "cut short within its header"),
            (good.slice(..good.len() - 1), "f32 of shape [2] takes 8 bytes, 7 follow its header"),
            (file("<f4", "False", "(2,)", &[0; 9]), "takes 8 bytes, 9 follow"),
            (file("<f4", "False", "(0, 5)", &[0; 4]), "takes 0 bytes, 4 follow"),
            (file("<f8", "False", &format!("({max},)"), &[0; 8]), "more elements than memory can address"),
            (file("<f8", "False", &format!("({max}, 0)"), &[0; 8]), "takes 0 bytes, 8 follow"),
            (file("|b1", "False", "(1,)", &[2]), "bool tensor holds byte 2"),
            (Bytes::from_static(b"\x93NUMPY\x04\x00"), "format 4.0; 1.0"),
            (Bytes::from_static(b"\x93NUMPY\x02\x00\xff\xff\xff\xff"), "a header of 4294967295 bytes"),
        ] {
            let error = npy(&bytes).unwrap_err().to_string();
            assert!(error.contains(message), "{error}, wanted {message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn fortran_order_is_the_transposed_order(shape in prop::collection::vec(0usize..5, 0..5)) {
            let count: usize = shape.iter().product();
            let values: Vec<u8> = (0..count).map(|value| value as u8).collect();
            let text = format!("({})", shape.iter().map(|dim| format!("{dim},")).collect::<String>());
            let tensor = npy(&file("|u1", "True", &text, &values)).unwrap();
            for (at, value) in tensor.data().iter().enumerate() {
                // The place in memory of the element at `at`, by the definition of the order.
                let (mut rest, mut place, mut step) = (at, 0, count);
                for dim in shape.iter().rev() {
                    step /= dim;
                    place += rest % dim * step;
                    rest /= dim;
                }
                prop_assert_eq!(usize::from(*value), place % 256);
            }
        }

        #[test]
        fn any_bytes_are_an_array_or_an_error(at in 0usize..100, byte: u8, cut in 0usize..120) {
            let mut bytes = file("<i4", "True", "(3, 2)", &[7; 24]).to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut.max(1));
            if let Ok(tensor) = npy(&bytes.into()) {
                prop_assert!(tensor.data().len() <= 24);
            }
        }
    }
}
