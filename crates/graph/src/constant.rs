//! Tensors stored in a model, in one form: little-endian `raw_data` (or `string_data`) whose
//! length is what type and dimensions ask for. The file may spell them in a dozen ways, may
//! keep them in other files, and may lie.

use crate::load::{ExternalData, Fault};
use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::{DataLocation, DataType};
use bytes::{BufMut, Bytes, BytesMut};
use kerf_tensor::{DType, Tensor, element_count};

/// The tensor in the one form; what it says and what it holds agree.
pub(crate) fn normalise(proto: TensorProto, external: &dyn ExternalData) -> Result<TensorProto, Fault> {
    let tensor = proto.name().to_owned();
    let code = proto.data_type();
    let dtype = DType::from_onnx_code(code)
        .ok_or_else(|| Fault::TensorType { tensor: tensor.clone(), dtype: type_name(code) })?;
    let wrong = |reason: String| Fault::Tensor { tensor: tensor.clone(), reason };
    if proto.segment.is_some() {
        return Err(wrong("is stored in segments, which ONNX never defined".into()));
    }
    let shape = proto.dims.iter().map(|dim| usize::try_from(*dim)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| wrong(format!("has dimensions {:?}", proto.dims)))?;
    let elements = element_count(&shape).map_err(|error| wrong(error.to_string()))?;

    let mut plain = TensorProto {
        name: proto.name.clone(),
        data_type: Some(code),
        dims: proto.dims.clone(),
        ..TensorProto::default()
    };
    let Some(size) = dtype.size() else {
        if proto.string_data.len() != elements {
            return Err(wrong(format!("declares {elements} strings, holds {}", proto.string_data.len())));
        }
        plain.string_data = proto.string_data;
        return Ok(plain);
    };
    let expected = elements.checked_mul(size).ok_or_else(|| wrong(format!("has dimensions {shape:?}")))?;
    let data = if proto.data_location() == DataLocation::External {
        read_external(&proto, &tensor, expected, external)?
    } else {
        match &proto.raw_data {
            Some(raw) if !raw.is_empty() => raw.clone(),
            _ => typed(&proto, dtype),
        }
    };
    if data.len() != expected {
        return Err(wrong(format!("declares {expected} bytes ({dtype} {shape:?}), holds {}", data.len())));
    }
    plain.raw_data = Some(data);
    Ok(plain)
}

/// A value as the initializer `name`; `None` for strings.
pub(crate) fn from_tensor(name: &str, tensor: &Tensor) -> Option<TensorProto> {
    tensor.dtype().size()?;
    Some(TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(tensor.dtype().onnx_code()),
        dims: tensor.shape().iter().map(|dim| *dim as i64).collect(),
        raw_data: Some(tensor.data().clone()),
        ..TensorProto::default()
    })
}

/// Name of an element type as ONNX writes it: `FLOAT8E4M3FN`.
pub(crate) fn type_name(code: i32) -> String {
    DataType::try_from(code).map_or_else(|_| format!("type {code}"), |known| known.as_str_name().to_owned())
}

/// The element-typed fields as bytes. Types of fewer than 32 bits, and f16 and bf16 by their
/// bits, lie in `int32_data`.
fn typed(proto: &TensorProto, dtype: DType) -> Bytes {
    fn all<T: Copy>(values: &[T], put: impl Fn(&mut BytesMut, T)) -> Bytes {
        let mut out = BytesMut::with_capacity(size_of_val(values));
        values.iter().for_each(|value| put(&mut out, *value));
        out.freeze()
    }
    match dtype {
        DType::F32 => all(&proto.float_data, |out, v| out.put_f32_le(v)),
        DType::F64 => all(&proto.double_data, |out, v| out.put_f64_le(v)),
        DType::I64 => all(&proto.int64_data, |out, v| out.put_i64_le(v)),
        DType::U64 => all(&proto.uint64_data, |out, v| out.put_u64_le(v)),
        DType::U32 => all(&proto.uint64_data, |out, v| out.put_u32_le(v as u32)),
        DType::I32 => all(&proto.int32_data, |out, v| out.put_i32_le(v)),
        DType::F16 | DType::Bf16 | DType::I16 | DType::U16 => {
            all(&proto.int32_data, |out, v| out.put_u16_le(v as u16))
        }
        DType::I8 | DType::U8 | DType::Bool => all(&proto.int32_data, |out, v| out.put_u8(v as u8)),
        DType::String => Bytes::new(),
    }
}

fn read_external(
    proto: &TensorProto,
    tensor: &str,
    expected: usize,
    external: &dyn ExternalData,
) -> Result<Bytes, Fault> {
    let entry = |key: &str| {
        proto
            .external_data
            .iter()
            .find(|entry| entry.key() == key)
            .map(|entry| entry.value())
            .unwrap_or_default()
    };
    let location = entry("location");
    let wrong =
        |reason: String| Fault::External { tensor: tensor.to_owned(), location: location.to_owned(), reason };
    if let Some(reason) = fault_in_location(location) {
        return Err(wrong(reason.into()));
    }
    let number = |key: &'static str| match entry(key) {
        "" => Ok(None),
        text => text.parse::<u64>().map(Some).map_err(|_| wrong(format!("{key} {text:?} is no number"))),
    };
    let (offset, length) = (number("offset")?, number("length")?);
    if let Some(length) = length.filter(|length| *length != expected as u64) {
        return Err(wrong(format!("the tensor takes {expected} bytes, its length there is {length}")));
    }
    if expected == 0 {
        return Ok(Bytes::new());
    }
    external.read(location, offset.unwrap_or(0), Some(expected as u64)).map_err(wrong)
}

/// Why a location may lead out of the model's folder. Both separators count: a model written
/// on one system is read on another.
fn fault_in_location(location: &str) -> Option<&'static str> {
    let is_drive = location.as_bytes().get(1) == Some(&b':');
    if location.is_empty() {
        Some("the location is empty")
    } else if location.contains('\0') {
        Some("the location holds a NUL")
    } else if location.starts_with(['/', '\\']) || is_drive {
        Some("the location is absolute")
    } else if location.split(['/', '\\']).any(|part| part == "..") {
        Some("the location leaves the model's folder")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::NoExternalData;
    use crate::onnx::StringStringEntryProto;

    fn proto(dtype: DType, dims: &[i64]) -> TensorProto {
        TensorProto {
            name: Some("w".into()),
            data_type: Some(dtype.onnx_code()),
            dims: dims.to_vec(),
            ..TensorProto::default()
        }
    }

    struct Echo;

    impl ExternalData for Echo {
        fn read(&self, location: &str, offset: u64, length: Option<u64>) -> Result<Bytes, String> {
            assert_eq!((location, offset), ("weights/a.bin", 4));
            Ok(vec![7; length.unwrap_or(0) as usize].into())
        }
    }

    fn external(entries: &[(&str, &str)]) -> TensorProto {
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some((*key).into()),
            value: Some((*value).into()),
        };
        TensorProto {
            data_location: Some(DataLocation::External as i32),
            external_data: entries.iter().map(entry).collect(),
            ..proto(DType::U8, &[3])
        }
    }

    #[test]
    fn every_spelling_becomes_raw() {
        for (tensor, wanted) in [
            (TensorProto { float_data: vec![1.0], ..proto(DType::F32, &[1]) }, &1f32.to_le_bytes()[..]),
            (TensorProto { int32_data: vec![0x3c00], ..proto(DType::F16, &[1]) }, &[0x00, 0x3c]),
            (TensorProto { int32_data: vec![-2, 3], ..proto(DType::I8, &[2]) }, &[0xfe, 3]),
            (TensorProto { int32_data: vec![-2], ..proto(DType::I16, &[1]) }, &[0xfe, 0xff]),
            (TensorProto { int64_data: vec![-1], ..proto(DType::I64, &[]) }, &[0xff; 8]),
            (TensorProto { uint64_data: vec![5], ..proto(DType::U32, &[]) }, &[5, 0, 0, 0]),
            (TensorProto { raw_data: Some(Bytes::from_static(&[9])), ..proto(DType::U8, &[1]) }, &[9]),
            (proto(DType::F32, &[0, 4]), &[]),
        ] {
            let plain = normalise(tensor.clone(), &NoExternalData).unwrap();
            assert_eq!(plain.raw_data.as_deref(), Some(wanted), "{tensor:?}");
        }
    }

    #[test]
    fn lies_are_refused() {
        let huge = [10 << 30, 1, 1];
        for (tensor, wanted) in [
            (proto(DType::F32, &huge), "declares 42949672960 bytes"),
            (proto(DType::F32, &[i64::MAX, i64::MAX]), "more elements than memory"),
            (proto(DType::F32, &[-1]), "dimensions [-1]"),
            (proto(DType::String, &[2]), "declares 2 strings, holds 0"),
            (TensorProto { data_type: Some(17), ..proto(DType::F32, &[1]) }, "FLOAT8E4M3FN"),
            (TensorProto { float_data: vec![1.0; 3], ..proto(DType::F32, &[2]) }, "declares 8 bytes"),
        ] {
            let error = normalise(tensor, &NoExternalData).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("`w`"), "{error}");
        }
    }

    #[test]
    fn external_data_stays_in_its_folder() {
        let good = [("location", "weights/a.bin"), ("offset", "4"), ("length", "3")];
        assert_eq!(normalise(external(&good), &Echo).unwrap().raw_data.unwrap(), &[7, 7, 7][..]);
        for (entries, wanted) in [
            (&[("location", "../a.bin")][..], "leaves the model's folder"),
            (&[("location", "a\\..\\..\\b")], "leaves the model's folder"),
            (&[("location", "/etc/passwd")], "absolute"),
            (&[("location", "C:\\a")], "absolute"),
            (&[("location", "a\0b")], "NUL"),
            (&[], "empty"),
            (&[("location", "a"), ("offset", "-1")], "no number"),
            (&[("location", "a"), ("length", "4")], "takes 3 bytes"),
            (&[("location", "a")], "other files"),
        ] {
            let error = normalise(external(entries), &NoExternalData).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
