//! Writes tiny ONNX models: just enough of protobuf, and of `onnx.proto`, to say them.
//!
//! Independent of the graph crate's messages on purpose: a mistake there should not cancel
//! itself out in a test.

use bytes::Bytes;
use kerf_graph::Segment;
use kerf_tensor::{DType, Dim, Tensor, TensorSpec};

/// A model, or the body of a control-flow operator, in the making. Meant for tests: it panics on
/// declarations that it cannot read.
#[derive(Clone, Debug, Default)]
pub struct ModelBuilder {
    name: String,
    opset: i64,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    constants: Vec<(String, Tensor)>,
    nodes: Vec<Op>,
}

/// A node in the making; its name is that of its first output.
#[derive(Clone, Debug)]
pub struct Op {
    kind: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Vec<(String, Attribute)>,
}

/// What an attribute can hold.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are ONNX's")]
pub enum Attribute {
    Int(i64),
    Float(f32),
    String(String),
    Tensor(Tensor),
    Graph(ModelBuilder),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
}

impl ModelBuilder {
    /// An empty model of opset 17.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), opset: 17, ..Self::default() }
    }

    /// Sets the opset.
    pub fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    /// Declares an input, written as a [`TensorSpec`] is printed: `x: f32[N, 3, 8, 8]`.
    pub fn input(mut self, spec: &str) -> Self {
        self.inputs.push(parse_spec(spec));
        self
    }

    /// Declares an output, written like an input.
    pub fn output(mut self, spec: &str) -> Self {
        self.outputs.push(parse_spec(spec));
        self
    }

    /// Adds an initializer.
    pub fn constant(mut self, name: &str, tensor: Tensor) -> Self {
        self.constants.push((name.to_owned(), tensor));
        self
    }

    /// Adds a node.
    pub fn node(mut self, op: Op) -> Self {
        self.nodes.push(op);
        self
    }

    /// The model as an ONNX file.
    pub fn build(&self) -> Bytes {
        let opset = Message::default().int(2, self.opset);
        let model = Message::default().int(1, 8).text(2, "kerf").message(7, self.graph()).message(8, opset);
        Bytes::from(model.0)
    }

    /// The model as the segment `0..1`.
    pub fn segment(&self) -> Segment {
        let (inputs, outputs) = (self.inputs.clone(), self.outputs.clone());
        Segment { from: 0, to: 1, onnx: self.build(), inputs, outputs }
    }

    fn graph(&self) -> Message {
        let mut graph = Message::default().text(2, &self.name);
        for node in &self.nodes {
            graph = graph.message(1, node.message());
        }
        for (name, tensor) in &self.constants {
            graph = graph.message(5, tensor_message(name, tensor));
        }
        for (field, specs) in [(11, &self.inputs), (12, &self.outputs)] {
            for spec in specs {
                graph = graph.message(field, spec_message(spec));
            }
        }
        graph
    }
}

impl Op {
    /// A node of operator `kind`; an empty input name is an optional input left out.
    pub fn new(kind: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self { kind: kind.to_owned(), inputs: owned(inputs), outputs: owned(outputs), attributes: Vec::new() }
    }

    /// Sets an attribute.
    pub fn with(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    fn message(&self) -> Message {
        let mut node = Message::default().text(4, &self.kind);
        if let Some(first) = self.outputs.first() {
            node = node.text(3, first);
        }
        for (field, names) in [(1, &self.inputs), (2, &self.outputs)] {
            for name in names {
                node = node.text(field, name);
            }
        }
        for (name, value) in &self.attributes {
            let attribute = Message::default().text(1, name);
            let attribute = match value {
                Attribute::Float(value) => attribute.float(2, *value).int(20, 1),
                Attribute::Int(value) => attribute.int(3, *value).int(20, 2),
                Attribute::String(value) => attribute.text(4, value).int(20, 3),
                Attribute::Tensor(value) => attribute.message(5, tensor_message("", value)).int(20, 4),
                Attribute::Graph(value) => attribute.message(6, value.graph()).int(20, 5),
                Attribute::Floats(values) => {
                    values.iter().fold(attribute, |message, value| message.float(7, *value)).int(20, 6)
                }
                Attribute::Ints(values) => {
                    values.iter().fold(attribute, |message, value| message.int(8, *value)).int(20, 7)
                }
            };
            node = node.message(5, attribute);
        }
        node
    }
}

macro_rules! attributes {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Attribute {
            fn from(value: $from) -> Self { Self::$variant(value.into()) }
        })*
    };
}
attributes! {
    i64 => Int, f32 => Float, &str => String, Tensor => Tensor, ModelBuilder => Graph, Vec<i64> => Ints,
    Vec<f32> => Floats,
}

impl<const N: usize> From<[i64; N]> for Attribute {
    fn from(values: [i64; N]) -> Self {
        Self::Ints(values.to_vec())
    }
}

/// `x: f32[N, 3]`; `[]` is a scalar, `[?]` of unknown rank.
#[allow(clippy::panic, reason = "test models are written by hand")]
fn parse_spec(text: &str) -> TensorSpec {
    let parts = text.split_once(": ").and_then(|(name, rest)| {
        let (dtype, dims) = rest.split_once('[')?;
        Some((name, DType::from_name(dtype)?, dims.strip_suffix(']')?))
    });
    let Some((name, dtype, dims)) = parts else { panic!("not of the form `x: f32[N, 3]`: {text}") };
    let dim = |dim: &str| dim.parse().map_or_else(|_| Dim::Symbol(dim.to_owned()), Dim::Fixed);
    let shape = match dims {
        "?" => None,
        "" => Some(Vec::new()),
        dims => Some(dims.split(", ").map(dim).collect()),
    };
    TensorSpec { name: name.to_owned(), dtype, shape }
}

fn spec_message(spec: &TensorSpec) -> Message {
    let mut tensor = Message::default().int(1, i64::from(spec.dtype.onnx_code()));
    if let Some(dims) = &spec.shape {
        let shape = dims.iter().fold(Message::default(), |shape, dim| {
            shape.message(
                1,
                match dim {
                    Dim::Fixed(size) => Message::default().int(1, *size as i64),
                    Dim::Symbol(name) => Message::default().text(2, name),
                },
            )
        });
        tensor = tensor.message(2, shape);
    }
    Message::default().text(1, &spec.name).message(2, Message::default().message(1, tensor))
}

fn tensor_message(name: &str, tensor: &Tensor) -> Message {
    let message = tensor.shape().iter().fold(Message::default(), |message, dim| message.int(1, *dim as i64));
    let message = message.int(2, i64::from(tensor.dtype().onnx_code())).text(8, name);
    match tensor.strings() {
        Ok(strings) => strings.iter().fold(message, |message, string| message.bytes(6, string)),
        Err(_) => message.bytes(9, tensor.data()),
    }
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_read_as_they_print() {
        for text in ["x: f32[N, 3, 224]", "a/b:0: i64[]", "y: string[?]"] {
            assert_eq!(parse_spec(text).to_string(), text);
        }
    }

    #[test]
    fn varints() {
        let message = Message::default().int(1, 300).int(20, -1);
        let minus_one = [&[0xa0, 0x01][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(message.0, [&[0x08, 0xac, 0x02][..], &minus_one].concat());
    }
}
