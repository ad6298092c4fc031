//! Decoding a hostile file. An empty message takes two bytes in the file and up to two
//! kilobytes in memory, so the structure is measured before it is built.

use super::{Fault, LoadError};
use crate::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
    StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto,
};
use bytes::Bytes;
use prost::Message;

/// Memory that any structure may take, and how much more for each byte of the file. Real
/// models take about 40 bytes for each byte that is not weights.
const BASE: usize = 64 << 20;
const PER_BYTE: usize = 64;
/// As many as prost follows.
const DEPTH: usize = 100;

/// The messages of `onnx.proto` that hold other messages; `Leaf` stands for the others.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Placement,
    Sharding,
    ShardedDim,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    TypeOf,
    TensorType,
    Shape,
    Annotation,
    Leaf,
}

/// The model of a file, with weights as slices of it.
pub(super) fn model(onnx: Bytes) -> Result<ModelProto, LoadError> {
    let limit = onnx.len().saturating_mul(PER_BYTE).saturating_add(BASE);
    let mut budget = limit;
    measure(&onnx, Kind::Model, DEPTH, &mut budget).map_err(|stop| match stop {
        Stop::Damaged(why) => Fault::NotOnnx(why.into()),
        Stop::Budget => Fault::TooComplex { limit },
    })?;
    let model = ModelProto::decode(onnx).map_err(|error| Fault::NotOnnx(error.to_string()))?;
    if model.graph.is_none() {
        return Err(Fault::NotOnnx("it holds no graph".into()).into());
    }
    if model.ir_version() < 1 {
        return Err(Fault::NotOnnx("it has no IR version".into()).into());
    }
    Ok(model)
}

enum Stop {
    Damaged(&'static str),
    Budget,
}

fn measure(mut rest: &[u8], kind: Kind, depth: usize, budget: &mut usize) -> Result<(), Stop> {
    if depth == 0 {
        return Err(Stop::Damaged("messages are nested too deeply"));
    }
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let skipped = match key & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(varint(&mut rest)?).map_err(|_| Stop::Damaged("a length overflows"))?,
            _ => return Err(Stop::Damaged("a field has no valid wire type")),
        };
        let (field, after) = rest.split_at_checked(skipped).ok_or(Stop::Damaged("the file is cut short"))?;
        rest = after;
        if key & 7 == 2
            && let Some(child) = kind.child(key >> 3)
        {
            *budget = budget.checked_sub(child.size()).ok_or(Stop::Budget)?;
            measure(field, child, depth - 1, budget)?;
        }
    }
    Ok(())
}

impl Kind {
    /// What a length-delimited field holds, where that is a message.
    fn child(self, tag: u64) -> Option<Self> {
        Some(match (self, tag) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::Value,
            (Self::Graph, 14) => Self::Annotation,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Node, 10) => Self::Placement,
            (Self::Placement, 2) => Self::Sharding,
            (Self::Sharding, 4) => Self::ShardedDim,
            (Self::Attribute, 14 | 15) | (Self::Value, 2) | (Self::TypeOf, 1 | 2) => Self::Type,
            (Self::Type, 4 | 5 | 9) => Self::TypeOf,
            (Self::Type, 1 | 8) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Model, 8 | 14 | 26)
            | (Self::Training, 3 | 4)
            | (Self::Function, 9 | 14)
            | (Self::Graph | Self::Tensor, 16)
            | (Self::Node, 9)
            | (Self::Sharding, 3)
            | (Self::ShardedDim, 2)
            | (Self::Shape, 1)
            | (Self::Tensor, 3 | 13)
            | (Self::Value, 4)
            | (Self::Type, 7)
            | (Self::Annotation, 2) => Self::Leaf,
            _ => return None,
        })
    }

    /// Bytes that one such message takes in memory, before what it points to.
    fn size(self) -> usize {
        match self {
            Self::Model => size_of::<ModelProto>(),
            Self::Function => size_of::<FunctionProto>(),
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::Sparse => size_of::<SparseTensorProto>(),
            Self::Value => size_of::<ValueInfoProto>(),
            Self::Type | Self::TypeOf | Self::TensorType => size_of::<TypeProto>(),
            Self::Training
            | Self::Placement
            | Self::Sharding
            | Self::ShardedDim
            | Self::Shape
            | Self::Annotation
            | Self::Leaf => 2 * size_of::<StringStringEntryProto>(),
        }
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, Stop> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Stop::Damaged("the file is cut short"))?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Stop::Damaged("a number has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model() {
        for (bytes, wanted) in [
            (&b""[..], "no graph"),
            (b"{\"format\": \"json\"}", "not an ONNX model"),
            (b"\x89PNG\r\n\x1a\n", "not an ONNX model"),
            (b"\x08\x07\x3a\x7f", "cut short"),
            (b"\x3a\x00", "no IR version"),
        ] {
            let error = model(Bytes::from_static(bytes)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn structure_is_bounded_by_the_file() {
        // A graph of one node with a million empty attributes: 2 MB that would take 2 GB.
        fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
            let mut out = vec![tag << 3 | 2];
            prost::encode_length_delimiter(body.len(), &mut out).unwrap();
            out.extend_from_slice(body);
            out
        }
        let attributes = [5 << 3 | 2, 0].repeat(1 << 20);
        let file = framed(7, &framed(1, &attributes));
        let error = model(file.into()).unwrap_err().to_string();
        assert!(error.contains("more than its size can justify"), "{error}");
    }
}
