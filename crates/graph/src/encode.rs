use crate::load::{SCHEDULE_KEY, tensor_type};
use crate::node::Node;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};
use crate::ops;
use bytes::Bytes;
use kerf_tensor::TensorSpec;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

/// Why a graph cannot be written as an ONNX file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Protobuf, and every reader of ONNX, stops at 2 GiB.
    #[error("graph {graph} takes {bytes} bytes, an ONNX file without external data holds at most {LIMIT}")]
    TooLarge {
        /// What was to be written.
        graph: String,
        /// Its size.
        bytes: usize,
    },
}

const LIMIT: usize = i32::MAX as usize;

/// What goes into a file.
pub(crate) struct Parts<'a> {
    pub(crate) name: String,
    pub(crate) inputs: &'a [TensorSpec],
    pub(crate) outputs: &'a [TensorSpec],
    /// In schedule order.
    pub(crate) nodes: Vec<&'a Node>,
    pub(crate) constants: Vec<TensorProto>,
    pub(crate) opsets: &'a BTreeMap<String, i64>,
}

/// A valid ONNX model. It holds no shapes of intermediate values: engines disagree on what to
/// do with stale ones, and infer fresh ones.
pub(crate) fn encode(parts: Parts<'_>) -> Result<Bytes, EncodeError> {
    let opsets = used_opsets(&parts.nodes, parts.opsets);
    let opset = opsets.get("").copied().unwrap_or(ops::OLDEST);
    let model = ModelProto {
        ir_version: Some(ops::ir_version(opset)),
        producer_name: Some("kerf".into()),
        opset_import: opsets
            .into_iter()
            .map(|(domain, version)| OperatorSetIdProto { domain: Some(domain), version: Some(version) })
            .collect(),
        metadata_props: vec![StringStringEntryProto {
            key: Some(SCHEDULE_KEY.into()),
            value: Some("1".into()),
        }],
        graph: Some(GraphProto {
            name: Some(parts.name.clone()),
            input: parts.inputs.iter().map(tensor_type).collect(),
            output: parts.outputs.iter().map(tensor_type).collect(),
            node: parts.nodes.iter().map(|node| node.to_proto()).collect(),
            initializer: parts.constants,
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    let bytes = model.encoded_len();
    if bytes > LIMIT {
        return Err(EncodeError::TooLarge { graph: parts.name, bytes });
    }
    Ok(model.encode_to_vec().into())
}

/// The default domain, and those that the nodes use.
fn used_opsets(nodes: &[&Node], opsets: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    fn collect<'a>(attributes: &'a [AttributeProto], used: &mut BTreeSet<&'a str>) {
        let graphs = attributes.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        let nodes: Vec<&NodeProto> = graphs.flat_map(|graph| &graph.node).collect();
        for node in nodes {
            used.insert(node.domain());
            collect(&node.attribute, used);
        }
    }
    let mut used = BTreeSet::from([""]);
    for node in nodes {
        used.insert(&node.domain);
        collect(&node.attributes, &mut used);
    }
    opsets
        .iter()
        .filter(|(domain, _)| used.contains(domain.as_str()))
        .map(|(domain, version)| (domain.clone(), *version))
        .collect()
}
