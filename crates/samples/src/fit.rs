//! An array as it was saved to a tensor that a model takes.

use kerf_tensor::{DType, Tensor, TensorError, TensorSpec};

/// Why an array is no input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Another shape, with or without a leading 1.
    #[error("{found} of shape {shape:?}, where the model takes {wanted}")]
    Shape {
        /// The array's type.
        found: DType,
        /// The array's shape.
        shape: Vec<usize>,
        /// The input.
        wanted: String,
    },
    /// A type whose values mean something else.
    #[error("{found}, where the model takes {wanted}; {advice}")]
    Type {
        /// The array's type.
        found: DType,
        /// The input.
        wanted: String,
        /// What to do.
        advice: &'static str,
    },
    /// A value beyond the input's type.
    #[error("the value {value} is not one of {wanted}")]
    Range {
        /// As saved.
        value: String,
        /// The input's type.
        wanted: DType,
    },
    /// A tensor that cannot be made.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// The array with the input's type, and with or without a leading axis of 1 as the input has it.
///
/// NumPy saves float64 and int64 unless it is told otherwise, so floats become the input's floats,
/// rounded, and integers its integers where they are within its range. Integers do not become floats:
/// whether 0 to 255 was to be scaled only the user knows.
pub(crate) fn fit(array: Tensor, spec: &TensorSpec) -> Result<Tensor, Misfit> {
    let array = cast(array, spec)?;
    if spec.accepts(&array) {
        return Ok(array);
    }
    let with: Vec<usize> = std::iter::once(1).chain(array.shape().iter().copied()).collect();
    let without = array.shape().strip_prefix(&[1]).map(<[usize]>::to_vec);
    for shape in [Some(with), without].into_iter().flatten() {
        let turned = array.clone().reshape(shape)?;
        if spec.accepts(&turned) {
            return Ok(turned);
        }
    }
    Err(Misfit::Shape { found: array.dtype(), shape: array.shape().to_vec(), wanted: spec.to_string() })
}

fn cast(array: Tensor, spec: &TensorSpec) -> Result<Tensor, Misfit> {
    let (from, to) = (array.dtype(), spec.dtype);
    if from == to {
        return Ok(array);
    }
    let size = to.size().unwrap_or(0);
    let mut data = Vec::with_capacity(array.len().saturating_mul(size));
    match (kind(from), kind(to)) {
        (Kind::Float, Kind::Float) => {
            for value in array.to_f64()? {
                push_float(&mut data, to, value)?;
            }
        }
        (Kind::Integer, Kind::Integer) => {
            let width = from.size().unwrap_or(1);
            for element in array.data().chunks_exact(width) {
                push_integer(&mut data, to, widened(from, element))?;
            }
        }
        (Kind::Integer, Kind::Float) => return Err(mistyped(from, spec, "scale it and save it as floats")),
        _ => return Err(mistyped(from, spec, "save it as that")),
    }
    Ok(Tensor::new(to, array.shape().to_vec(), data.into())?)
}

#[derive(PartialEq)]
enum Kind {
    Float,
    /// Truth values are 0 and 1.
    Integer,
    Text,
}

fn kind(dtype: DType) -> Kind {
    match dtype {
        DType::String => Kind::Text,
        dtype if dtype.is_float() => Kind::Float,
        _ => Kind::Integer,
    }
}

fn mistyped(found: DType, spec: &TensorSpec, advice: &'static str) -> Misfit {
    Misfit::Type { found, wanted: spec.to_string(), advice }
}

fn push_float(out: &mut Vec<u8>, dtype: DType, value: f64) -> Result<(), Misfit> {
    let becomes = match dtype {
        DType::F16 => half::f16::from_f64(value).into(),
        DType::Bf16 => half::bf16::from_f64(value).into(),
        DType::F32 => f64::from(value as f32),
        _ => value,
    };
    if value.is_finite() && !becomes.is_finite() {
        return Err(Misfit::Range { value: format!("{value:e}"), wanted: dtype });
    }
    match dtype {
        DType::F16 => out.extend(half::f16::from_f64(value).to_le_bytes()),
        DType::Bf16 => out.extend(half::bf16::from_f64(value).to_le_bytes()),
        DType::F32 => out.extend((value as f32).to_le_bytes()),
        _ => out.extend(value.to_le_bytes()),
    }
    Ok(())
}

fn widened(dtype: DType, element: &[u8]) -> i128 {
    let mut bytes = [0; 16];
    let is_negative = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64)
        && element.last().is_some_and(|byte| byte & 0x80 != 0);
    if is_negative {
        bytes = [0xff; 16];
    }
    bytes[..element.len()].copy_from_slice(element);
    i128::from_le_bytes(bytes)
}

fn push_integer(out: &mut Vec<u8>, dtype: DType, value: i128) -> Result<(), Misfit> {
    let (low, high): (i128, i128) = match dtype {
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::I64 => (i64::MIN.into(), i64::MAX.into()),
        DType::U8 => (0, u8::MAX.into()),
        DType::U16 => (0, u16::MAX.into()),
        DType::U32 => (0, u32::MAX.into()),
        DType::U64 => (0, u64::MAX.into()),
        _ => (0, 1),
    };
    if !(low..=high).contains(&value) {
        return Err(Misfit::Range { value: value.to_string(), wanted: dtype });
    }
    let size = dtype.size().unwrap_or(1);
    out.extend_from_slice(&value.to_le_bytes()[..size]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::Dim;

    fn spec(dtype: DType, dims: &[i64]) -> TensorSpec {
        let dim = |dim: &i64| usize::try_from(*dim).map_or_else(|_| Dim::Symbol("N".into()), Dim::Fixed);
        TensorSpec { name: "x".into(), dtype, shape: Some(dims.iter().map(dim).collect()) }
    }

    #[test]
    fn a_leading_one_comes_and_goes() {
        let array = |shape: &[usize]| Tensor::from_vec(shape, vec![0f32; shape.iter().product()]).unwrap();
        for (shape, dims, fitted) in [
            (&[3, 4][..], &[3, 4][..], Some(&[3, 4][..])),
            (&[3, 4], &[-1, 3, 4], Some(&[1, 3, 4])),
            (&[1, 3, 4], &[3, 4], Some(&[3, 4])),
            (&[2, 3, 4], &[-1, 3, 4], Some(&[2, 3, 4])),
            (&[1], &[], Some(&[])),
            (&[], &[-1], Some(&[1])),
            (&[2, 3, 4], &[1, 3, 4], None),
            (&[4, 3], &[-1, 3, 4], None),
        ] {
            let found = fit(array(shape), &spec(DType::F32, dims)).ok();
            assert_eq!(found.as_ref().map(Tensor::shape), fitted, "{shape:?} as {dims:?}");
        }
    }

    #[test]
    fn values_keep_their_meaning() {
        let f64s = Tensor::from_vec(&[3], vec![0.1f64, -2.0, f64::NAN]).unwrap();
        for dtype in [DType::F32, DType::F16, DType::Bf16] {
            let found = fit(f64s.clone(), &spec(dtype, &[3])).unwrap().to_f64().unwrap();
            assert!((found[0] - 0.1).abs() < 1e-3 && found[1] == -2.0 && found[2].is_nan(), "{dtype}");
        }
        let wide = Tensor::from_vec(&[4], vec![-1i64, 0, i64::from(i32::MIN), i64::from(i32::MAX)]).unwrap();
        let found = fit(wide.clone(), &spec(DType::I32, &[4])).unwrap();
        assert_eq!(found.elements::<i32>().unwrap().as_ref(), [-1, 0, i32::MIN, i32::MAX]);
        let large = Tensor::from_vec(&[1], vec![u64::MAX]).unwrap();
        let truth = Tensor::from_vec(&[2], vec![0u8, 1]).unwrap();
        assert_eq!(fit(truth, &spec(DType::Bool, &[2])).unwrap().dtype(), DType::Bool);
        for (array, dtype, message) in [
            (wide.clone(), DType::U8, "the value -1 is not one of u8"),
            (large, DType::I64, "the value 18446744073709551615 is not one of i64"),
            (Tensor::from_vec(&[1], vec![1e39f64]).unwrap(), DType::F32, "the value 1e39 is not one of f32"),
            (wide, DType::F32, "i64, where the model takes x: f32[1]; scale it and save it as floats"),
            (f64s, DType::I64, "f64, where the model takes x: i64[1]; save it as that"),
        ] {
            assert_eq!(fit(array, &spec(dtype, &[1])).unwrap_err().to_string(), message);
        }
    }
}
