//! Tensors to tract's and back: one copy in, none out.

use bytes::Bytes;
use kerf_tensor::{DType, Tensor};
use std::sync::Arc;
use tract_onnx::prelude::{DatumType, IntoArcTensor, TValue, Tensor as TractTensor};

/// tract's name of an element type; an error where it has none.
pub(crate) fn datum_type(dtype: DType) -> Result<DatumType, String> {
    Ok(match dtype {
        DType::F32 => DatumType::F32,
        DType::F64 => DatumType::F64,
        DType::F16 => DatumType::F16,
        DType::I8 => DatumType::I8,
        DType::I16 => DatumType::I16,
        DType::I32 => DatumType::I32,
        DType::I64 => DatumType::I64,
        DType::U8 => DatumType::U8,
        DType::U16 => DatumType::U16,
        DType::U32 => DatumType::U32,
        DType::U64 => DatumType::U64,
        DType::Bool => DatumType::Bool,
        DType::String => DatumType::String,
        DType::Bf16 => return Err("tract has no bf16".to_owned()),
    })
}

pub(crate) fn to_tract(tensor: &Tensor) -> Result<TractTensor, String> {
    if tensor.dtype() == DType::String {
        let strings = tensor.strings().map_err(|error| error.to_string())?;
        let strings: Result<Vec<String>, _> =
            strings.iter().map(|string| std::str::from_utf8(string).map(str::to_owned)).collect();
        let strings = strings.map_err(|_| "tract takes strings in UTF-8 only".to_owned())?;
        let flat = TractTensor::from(tract_onnx::prelude::tract_ndarray::Array1::from_vec(strings));
        return flat.into_shape(tensor.shape()).map_err(|error| format!("{error:#}"));
    }
    let dtype = datum_type(tensor.dtype())?;
    // SAFETY: `Tensor` holds exactly the bytes that its type and shape take; every bit pattern is
    // a value of the number types, and its bool bytes are 0 or 1.
    #[allow(unsafe_code, reason = "tract's only untyped constructor")]
    let made = unsafe { TractTensor::from_raw_dt(dtype, tensor.shape(), tensor.data()) };
    made.map_err(|error| format!("{error:#}"))
}

/// Takes an output as a tensor of `wanted`, sharing tract's buffer.
pub(crate) fn from_tract(value: TValue, wanted: DType) -> Result<Tensor, String> {
    let mut tensor = value.into_arc_tensor();
    // tract's own type for numbers that may become dimensions; here all of them are known.
    if tensor.datum_type() == DatumType::TDim {
        let cast = tensor.cast_to::<i64>().map_err(|error| format!("{error:#}"))?;
        tensor = Arc::new(cast.into_owned());
    }
    let expected = datum_type(wanted)?;
    if tensor.datum_type().unquantized() != expected {
        return Err(format!("tract gives {:?} where the model says {wanted}", tensor.datum_type()));
    }
    let shape = tensor.shape().to_vec();
    if wanted == DType::String {
        let view = tensor.to_plain_array_view::<String>().map_err(|error| format!("{error:#}"))?;
        let strings: Vec<&String> = view.iter().collect();
        return Tensor::from_strings(&shape, &strings).map_err(|error| error.to_string());
    }
    // Checks, and makes so where tract put it off, that the elements lie in plain memory.
    tensor.try_as_plain_ram().map_err(|error| format!("{error:#}"))?;
    Tensor::new(wanted, shape, Bytes::from_owner(Shared(tensor))).map_err(|error| error.to_string())
}

struct Shared(Arc<TractTensor>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::prelude::IntoTValue;

    #[test]
    fn there_and_back() {
        let tensors = [
            Tensor::from_vec(&[2, 2], vec![1.0f32, f32::NAN, -0.0, f32::INFINITY]).unwrap(),
            Tensor::from_vec(&[], vec![-7i64]).unwrap(),
            Tensor::from_vec(&[0, 3], Vec::<u8>::new()).unwrap(),
            Tensor::new(DType::Bool, vec![3], Bytes::from_static(&[0, 1, 1])).unwrap(),
            Tensor::from_strings(&[1, 2], &["", "å b"]).unwrap(),
        ];
        for tensor in tensors {
            let there = to_tract(&tensor).unwrap();
            assert_eq!(from_tract(there.into_tvalue(), tensor.dtype()).unwrap(), tensor);
        }
        assert!(to_tract(&Tensor::from_strings(&[1], &[[0xff]]).unwrap()).is_err());
    }
}
