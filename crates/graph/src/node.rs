use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// One operator of a graph, in the terms of the ONNX specification.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name, unique in its model and never empty.
    pub name: String,
    /// Operator, e.g. `Conv`.
    pub op: String,
    /// Domain of the operator; empty for the default domain `ai.onnx`.
    pub domain: String,
    /// Values read, by position; empty for an optional input that is absent.
    pub inputs: Vec<String>,
    /// Values produced, by position; empty for an optional output that nobody asked for.
    pub outputs: Vec<String>,
    /// Outer values that the sub-graphs of `If`, `Loop` and `Scan` read, sorted.
    pub captures: Vec<String>,
    pub(crate) attributes: Vec<AttributeProto>,
}

impl Node {
    /// The node of a message; captures are not computed here.
    pub(crate) fn from_proto(proto: NodeProto) -> Self {
        Self {
            name: proto.name.unwrap_or_default(),
            op: proto.op_type.unwrap_or_default(),
            domain: proto.domain.filter(|domain| domain != "ai.onnx").unwrap_or_default(),
            inputs: proto.input,
            outputs: proto.output,
            captures: Vec::new(),
            attributes: proto.attribute,
        }
    }

    pub(crate) fn to_proto(&self) -> NodeProto {
        NodeProto {
            name: Some(self.name.clone()),
            op_type: Some(self.op.clone()),
            domain: (!self.domain.is_empty()).then(|| self.domain.clone()),
            input: self.inputs.clone(),
            output: self.outputs.clone(),
            attribute: self.attributes.clone(),
            ..NodeProto::default()
        }
    }

    /// Whether this is operator `op` of the default domain.
    pub fn is(&self, op: &str) -> bool {
        self.domain.is_empty() && self.op == op
    }

    /// Every value that must exist before the node runs: present inputs, then captures.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().chain(&self.captures).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Every value that the node produces under a name.
    pub fn writes(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Name of input `index`, where it is present.
    pub fn input(&self, index: usize) -> Option<&str> {
        self.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    /// A list of integers; `None` where the attribute is absent.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        Some(&self.attribute(name)?.ints)
    }

    /// A number.
    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    /// A list of numbers; `None` where the attribute is absent.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        Some(&self.attribute(name)?.floats)
    }

    /// A string attribute that is UTF-8.
    pub fn string(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.attribute(name)?.s.as_ref()?).ok()
    }

    /// A tensor attribute.
    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    /// A sub-graph attribute.
    pub(crate) fn graph(&self, name: &str) -> Option<&GraphProto> {
        self.attribute(name)?.g.as_ref()
    }

    /// The attribute as it stands in the file.
    pub(crate) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }
}
