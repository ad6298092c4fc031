//! Models built in memory, loaded and cut.

mod bad;
mod branches;
mod cutting;
mod functions;
mod loading;
mod random;

use crate::load::{LoadError, NoExternalData, tensor_type};
use crate::model::Model;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use bytes::Bytes;
use kerf_tensor::{DType, Dim, TensorSpec};
use prost::Message;

/// A model file, built up call by call.
#[derive(Clone)]
struct File(ModelProto);

impl File {
    fn new(opset: i64) -> Self {
        Self(ModelProto {
            ir_version: Some(8),
            opset_import: vec![import("", opset)],
            graph: Some(GraphProto { name: Some("test".into()), ..GraphProto::default() }),
            ..ModelProto::default()
        })
    }

    fn graph(&mut self) -> &mut GraphProto {
        self.0.graph.get_or_insert_default()
    }

    /// `dims` as in `N 3 8`.
    fn input(mut self, name: &str, dims: &str) -> Self {
        self.graph().input.push(value(name, dims));
        self
    }

    fn output(mut self, name: &str, dims: &str) -> Self {
        self.graph().output.push(value(name, dims));
        self
    }

    fn floats(mut self, name: &str, dims: &[i64]) -> Self {
        let count = dims.iter().product::<i64>() as usize;
        self.graph().initializer.push(TensorProto {
            name: Some(name.into()),
            data_type: Some(DType::F32.onnx_code()),
            dims: dims.to_vec(),
            float_data: vec![0.5; count],
            ..TensorProto::default()
        });
        self
    }

    fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph().initializer.push(ints(name, values));
        self
    }

    fn node(self, text: &str) -> Self {
        self.node_with(text, Vec::new())
    }

    fn node_with(mut self, text: &str, attributes: Vec<AttributeProto>) -> Self {
        self.graph().node.push(node(text, attributes));
        self
    }

    fn bytes(&self) -> Bytes {
        self.0.encode_to_vec().into()
    }

    fn load(&self) -> Result<Model, LoadError> {
        Model::load(self.bytes(), &NoExternalData)
    }
}

impl std::fmt::Debug for File {
    /// Nodes as [`node`] takes them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let graph = self.0.graph.clone().unwrap_or_default();
        for node in &graph.node {
            writeln!(f, "{} = {} {}", node.output.join(", "), node.op_type(), node.input.join(" "))?;
        }
        f.debug_list().entries(graph.output.iter().map(|output| output.name())).finish()
    }
}

/// `text` as in `y, z = Split x sizes`, with `domain::Op` for other domains and `-` for an absent
/// input. The node has no name.
fn node(text: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    let (outputs, call) = text.split_once(" = ").unwrap();
    let mut words = call.split_whitespace();
    let op = words.next().unwrap();
    let (domain, op) = op.split_once("::").unwrap_or(("", op));
    NodeProto {
        op_type: Some(op.into()),
        domain: Some(domain.into()),
        input: words.map(|word| word.replace('-', "")).collect(),
        output: outputs.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        attribute: attributes,
        ..NodeProto::default()
    }
}

fn value(name: &str, dims: &str) -> ValueInfoProto {
    let dim = |dim: &str| dim.parse().map_or_else(|_| Dim::Symbol(dim.to_owned()), Dim::Fixed);
    let shape = Some(dims.split_whitespace().map(dim).collect());
    tensor_type(&TensorSpec { name: name.into(), dtype: DType::F32, shape })
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        data_type: Some(DType::I64.onnx_code()),
        dims: vec![values.len() as i64],
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn graph_attribute(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(5), g: Some(graph), ..AttributeProto::default() }
}

fn int_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(2), i: Some(value), ..AttributeProto::default() }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) }
}

fn ops(model: &Model) -> Vec<&str> {
    model.nodes().iter().map(|node| node.op.as_str()).collect()
}

fn names(specs: &[TensorSpec]) -> Vec<&str> {
    specs.iter().map(|spec| spec.name.as_str()).collect()
}
