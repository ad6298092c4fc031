use super::Fault;
use crate::constant::type_name;
use crate::onnx::tensor_shape_proto::Dimension;
use crate::onnx::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::type_proto::{Tensor, Value};
use crate::onnx::{TensorShapeProto, TypeProto, ValueInfoProto};
use kerf_tensor::{DType, Dim, TensorSpec};

/// What a declaration says: element type, where it has one, and dimensions, where it has them;
/// a dimension without a size or a name is `None`.
pub(super) type Declared = (Option<DType>, Option<Vec<Option<Dim>>>);

/// Type and shape of a declared value. No input is empty, so a size of 0 there, which some
/// exporters write for a batch they do not know, is one that is not known.
pub(super) fn declared(info: &ValueInfoProto) -> Result<Declared, Fault> {
    let not_a_tensor = |kind| Err(Fault::NotATensor { value: info.name().to_owned(), kind });
    let tensor = match info.r#type.as_ref().and_then(|of| of.value.as_ref()) {
        None => return Ok((None, None)),
        Some(Value::TensorType(tensor)) => tensor,
        Some(Value::SequenceType(_)) => return not_a_tensor("sequence"),
        Some(Value::MapType(_)) => return not_a_tensor("map"),
        Some(Value::OptionalType(_)) => return not_a_tensor("optional"),
        Some(Value::SparseTensorType(_)) => return not_a_tensor("sparse tensor"),
        Some(Value::OpaqueType(_)) => return not_a_tensor("value of an opaque type"),
    };
    let dtype = match tensor.elem_type() {
        0 => None,
        code => Some(
            DType::from_onnx_code(code)
                .ok_or_else(|| Fault::ValueType { value: info.name().to_owned(), dtype: type_name(code) })?,
        ),
    };
    let shape = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(dim).collect());
    Ok((dtype, shape))
}

fn dim(dim: &Dimension) -> Option<Dim> {
    match dim.value.as_ref()? {
        DimValue::DimValue(size) => usize::try_from(*size).ok().filter(|size| *size > 0).map(Dim::Fixed),
        DimValue::DimParam(name) => (!name.is_empty()).then(|| Dim::Symbol(name.clone())),
    }
}

/// Whether a symbol is a plain name. Files also hold expressions, and inference makes symbols out
/// of value names; engines that parse symbols stumble over both.
pub(crate) fn is_identifier(symbol: &str) -> bool {
    symbol.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && symbol.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// The declaration of a value, as a graph's input or output.
pub(crate) fn tensor_type(spec: &TensorSpec) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(size) => Some(DimValue::DimValue(*size as i64)),
            Dim::Symbol(name) => is_identifier(name).then(|| DimValue::DimParam(name.clone())),
        },
        ..Dimension::default()
    };
    let shape = spec.shape.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = Tensor { elem_type: Some(spec.dtype.onnx_code()), shape };
    ValueInfoProto {
        name: Some(spec.name.clone()),
        r#type: Some(TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
