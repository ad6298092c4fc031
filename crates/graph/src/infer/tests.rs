//! Rules against tables of cases, and the whole of inference against random graphs.

mod hostile;
mod naive;
mod rules;
mod work;

use super::infer;
use crate::analysis::{Bindings, Facts, InferInput};
use crate::node::Node;
use crate::onnx::{AttributeProto, TensorProto};
use kerf_tensor::{DType, Dim, TensorSpec};
use std::collections::BTreeMap;

/// A graph to infer, built up call by call.
#[derive(Debug, Default)]
struct Graph {
    nodes: Vec<Node>,
    inputs: Vec<TensorSpec>,
    constants: BTreeMap<String, TensorProto>,
}

impl Graph {
    /// `dims` as in `N 3 H`; sizes are numbers.
    fn input(mut self, name: &str, dtype: DType, dims: &str) -> Self {
        let shape = dims.split_whitespace().map(|dim| match dim.parse() {
            Ok(size) => Dim::Fixed(size),
            Err(_) => Dim::Symbol(dim.into()),
        });
        self.inputs.push(TensorSpec { name: name.into(), dtype, shape: Some(shape.collect()) });
        self
    }

    fn ints(self, name: &str, ints: &[i64]) -> Self {
        let dims = vec![ints.len() as i64];
        let data = ints.to_vec();
        self.constant(name, TensorProto { data_type: Some(7), dims, int64_data: data, ..Default::default() })
    }

    fn floats(self, name: &str, floats: &[f32]) -> Self {
        let dims = vec![floats.len() as i64];
        let data = floats.to_vec();
        self.constant(name, TensorProto { data_type: Some(1), dims, float_data: data, ..Default::default() })
    }

    fn constant(mut self, name: &str, tensor: TensorProto) -> Self {
        self.constants.insert(name.into(), tensor);
        self
    }

    /// `text` as in `y, z = Split x sizes`; `-` is an absent input.
    fn node(mut self, text: &str, attributes: Vec<AttributeProto>) -> Self {
        let (outputs, call) = text.split_once(" = ").unwrap();
        let mut words = call.split_whitespace();
        self.nodes.push(Node {
            name: outputs.into(),
            op: words.next().unwrap().into(),
            domain: String::new(),
            inputs: words.map(|word| word.replace('-', "")).collect(),
            outputs: outputs.split(", ").map(str::to_owned).collect(),
            captures: Vec::new(),
            attributes,
        });
        self
    }

    fn facts(&self, opset: i64, bindings: &Bindings) -> Facts {
        infer(&InferInput {
            nodes: &self.nodes,
            inputs: &self.inputs,
            constants: &self.constants,
            opsets: &BTreeMap::from([(String::new(), opset)]),
            declared: &Facts::new(),
            bindings,
        })
    }

    /// `f32[N, 3]` of a value, `?` for what is not known.
    fn show(&self, opset: i64, value: &str) -> String {
        let facts = self.facts(opset, &Bindings::default());
        let fact = &facts[value];
        let dtype = fact.dtype.map_or("?".into(), |dtype| dtype.to_string());
        let dims =
            fact.shape.as_ref().map(|dims| dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "));
        format!("{dtype}[{}]", dims.unwrap_or("?".into()))
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(7), ints: ints.to_vec(), ..Default::default() }
}

fn int(name: &str, int: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(2), i: Some(int), ..Default::default() }
}

fn text(name: &str, text: &str) -> AttributeProto {
    let s = Some(text.as_bytes().to_vec().into());
    AttributeProto { name: Some(name.into()), r#type: Some(3), s, ..Default::default() }
}

fn graph(name: &str, graph: crate::onnx::GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(5), g: Some(graph), ..Default::default() }
}
