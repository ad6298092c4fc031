//! Models that Kerf makes itself, such as early-exit heads: written node by node, then loaded like
//! any other, so that what is wrong with one is told in the same words.

use crate::constant::from_tensor;
use crate::load::{LoadError, NoExternalData, tensor_type};
use crate::model::Model;
use crate::onnx::attribute_proto::AttributeType;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::ops;
use kerf_tensor::{Tensor, TensorSpec};
use prost::Message;

/// A model in the making.
///
/// Nodes may come in any order, and inputs that no node reads stay inputs. Nothing is checked
/// before [`build`](Self::build).
#[derive(Clone, Debug)]
pub struct Builder {
    opset: i64,
    graph: GraphProto,
    strings: Option<String>,
}

/// A node in the making; its name is that of its first output.
#[derive(Clone, Debug)]
pub struct Op {
    proto: NodeProto,
}

/// Why what was written is not a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Constants are numbers.
    #[error("constant `{0}` holds strings")]
    Strings(String),
    /// The model does not hold together.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Builder {
    /// An empty model of a version of ONNX's default operator set.
    pub fn new(name: &str, opset: i64) -> Self {
        let graph = GraphProto { name: Some(name.to_owned()), ..GraphProto::default() };
        Self { opset, graph, strings: None }
    }

    /// Declares an input.
    pub fn input(&mut self, spec: &TensorSpec) -> &mut Self {
        self.graph.input.push(tensor_type(spec));
        self
    }

    /// Declares an output: a value that some node makes.
    pub fn output(&mut self, spec: &TensorSpec) -> &mut Self {
        self.graph.output.push(tensor_type(spec));
        self
    }

    /// Adds a constant.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> &mut Self {
        match from_tensor(name, tensor) {
            Some(constant) => self.graph.initializer.push(constant),
            None => drop(self.strings.get_or_insert_with(|| name.to_owned())),
        }
        self
    }

    /// Adds a node.
    pub fn node(&mut self, op: Op) -> &mut Self {
        self.graph.node.push(op.proto);
        self
    }

    /// The model, checked as one from a file is.
    pub fn build(&self) -> Result<Model, BuildError> {
        if let Some(name) = &self.strings {
            return Err(BuildError::Strings(name.clone()));
        }
        let model = ModelProto {
            ir_version: Some(ops::ir_version(self.opset)),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(self.opset) }],
            graph: Some(self.graph.clone()),
            ..ModelProto::default()
        };
        Ok(Model::load(model.encode_to_vec().into(), &NoExternalData)?)
    }
}

impl Op {
    /// A node of an operator of the default domain. The name of an optional input that is left out
    /// is empty.
    pub fn new(op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let name = outputs.first().map(|name| (*name).to_owned());
        let proto = NodeProto {
            op_type: Some(op.to_owned()),
            name,
            input: owned(inputs),
            output: owned(outputs),
            ..NodeProto::default()
        };
        Self { proto }
    }

    /// Sets an integer.
    #[must_use]
    pub fn int(self, name: &str, value: i64) -> Self {
        self.with(name, AttributeType::Int, |attribute| attribute.i = Some(value))
    }

    /// Sets a number.
    #[must_use]
    pub fn float(self, name: &str, value: f32) -> Self {
        self.with(name, AttributeType::Float, |attribute| attribute.f = Some(value))
    }

    /// Sets a list of integers.
    #[must_use]
    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.with(name, AttributeType::Ints, |attribute| attribute.ints = values.to_vec())
    }

    fn with(mut self, name: &str, of: AttributeType, set: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute = AttributeProto {
            name: Some(name.to_owned()),
            r#type: Some(of as i32),
            ..AttributeProto::default()
        };
        set(&mut attribute);
        self.proto.attribute.push(attribute);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Bindings;
    use crate::load::Fault;
    use kerf_tensor::{DType, Dim};

    fn spec(name: &str, dims: &[usize]) -> TensorSpec {
        let batch = std::iter::once(Dim::Symbol("N".to_owned()));
        let shape = Some(batch.chain(dims.iter().map(|dim| Dim::Fixed(*dim))).collect());
        TensorSpec { name: name.to_owned(), dtype: DType::F32, shape }
    }

    fn weights(dims: &[usize]) -> Tensor {
        Tensor::from_vec(dims, vec![0.5f32; dims.iter().product()]).unwrap()
    }

    /// A convolution over `x`, then pooling; and one more node.
    fn pooled(further: Option<Op>) -> Builder {
        let mut builder = Builder::new("pooled", 13);
        builder
            .input(&spec("x", &[3, 8, 8]))
            .output(&spec("y", &[4, 1, 1]))
            .constant("w", &weights(&[4, 3, 3, 3]))
            .node(Op::new("GlobalAveragePool", &["map"], &["y"]))
            .node(
                Op::new("Conv", &["x", "w"], &["map"]).ints("strides", &[2, 2]).ints("pads", &[1, 1, 1, 1]),
            );
        further.map(|op| builder.node(op));
        builder
    }

    #[test]
    fn what_was_written_is_what_is_loaded() {
        let model = pooled(None).build().unwrap();
        let ops: Vec<&str> = model.nodes().iter().map(|node| node.op.as_str()).collect();
        assert_eq!(ops, ["Conv", "GlobalAveragePool"]);
        assert_eq!(model.inputs(), [spec("x", &[3, 8, 8])]);
        assert_eq!(model.outputs(), [spec("y", &[4, 1, 1])]);
        assert_eq!(model.opset(), 13);
        assert_eq!(model.analyse(&Bindings::ones()).total().macs, 4 * 16 * 27);
        let again = Model::load(model.to_onnx().unwrap(), &NoExternalData).unwrap();
        assert_eq!(again.nodes(), model.nodes());
    }

    #[test]
    fn mistakes_are_named() {
        for (op, wanted) in [
            (Op::new("Relu", &["nothing"], &["z"]), Fault::Missing { value: "nothing".to_owned() }),
            (Op::new("Relu", &["x"], &["map"]), Fault::ProducedTwice { value: "map".to_owned() }),
            (
                Op::new("Rleu", &["x"], &["z"]).float("alpha", 0.1).int("axis", 1),
                Fault::UnknownOp { op: "Rleu".to_owned() },
            ),
        ] {
            match pooled(Some(op)).build().unwrap_err() {
                BuildError::Load(error) => assert_eq!(error.problems[0].fault, wanted),
                BuildError::Strings(name) => panic!("constant {name}"),
            }
        }
        let words = Tensor::from_strings(&[1], &["word"]).unwrap();
        let strings = pooled(None).constant("words", &words).build().unwrap_err();
        assert_eq!(strings, BuildError::Strings("words".to_owned()));
    }
}
