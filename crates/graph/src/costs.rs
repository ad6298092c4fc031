//! What each node of a graph costs to run and to ship.
//!
//! Work is counted in multiply-accumulates, as papers do: contractions have them, and all
//! that happens once per element (activations, normalisation, pooling, copying) counts as none.

use crate::analysis::{Fact, Facts, InferInput, NodeCost};
use crate::infer::{Equation, macs_of_bodies};
use crate::node::Node;
use crate::onnx::{GraphProto, NodeProto, TensorProto};
use kerf_tensor::{DType, Dim};
use std::collections::{BTreeMap, HashSet};

/// Costs of `input.nodes`, in their order, under facts that [`crate::infer::infer`] found for the
/// same input. A constant that several nodes read counts for the first of them.
pub(crate) fn costs(input: &InferInput<'_>, facts: &Facts) -> Vec<NodeCost> {
    let fixed = |name: &str| sizes(facts.get(name)?);
    let mut counted = HashSet::new();
    let cost = |node: &Node| {
        let mut weights = Weights::default();
        for name in node.reads() {
            if let Some(tensor) = input.constants.get(name).filter(|_| counted.insert(name.to_owned())) {
                weights.add(tensor);
            }
        }
        if let Some(tensor) = node.tensor("value").filter(|_| node.is("Constant")) {
            weights.add(tensor);
        }
        let mut work = macs(node, &fixed);
        let bodies = node.attributes.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        for body in bodies.clone() {
            weights.add_body(body);
        }
        if bodies.count() > 0 {
            work = work.saturating_add(macs_of_bodies(node, facts, input.opsets));
        }
        let output_bytes =
            node.writes().try_fold(0u64, |sum, name| Some(sum.saturating_add(facts.get(name)?.bytes()?)));
        NodeCost { macs: work, params: weights.elements, weight_bytes: weights.bytes, output_bytes }
    };
    input.nodes.iter().map(cost).collect()
}

/// Multiply-accumulates of one node, without its sub-graphs; 0 where a shape that decides them is
/// not known. `shape` gives the sizes of a value.
pub(crate) fn macs(node: &Node, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> u64 {
    if !node.domain.is_empty() {
        return 0;
    }
    let input = |index: usize| shape(node.input(index)?);
    let output = || shape(node.outputs.first()?);
    let count =
        |sizes: &[usize]| sizes.iter().fold(1u64, |product, size| product.saturating_mul(*size as u64));
    let contraction = |inner: Option<usize>| Some(count(&output()?).saturating_mul(inner? as u64));
    let kernel = |index: usize| input(index)?.get(1..).map(count);
    let macs = match node.op.as_str() {
        "Conv" | "ConvInteger" | "DeformConv" => {
            output().zip(kernel(1)).map(|(y, w)| count(&y).saturating_mul(w))
        }
        "QLinearConv" => output().zip(kernel(3)).map(|(y, w)| count(&y).saturating_mul(w)),
        "ConvTranspose" => input(0).zip(kernel(1)).map(|(x, w)| count(&x).saturating_mul(w)),
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => contraction(input(0).and_then(|a| a.last().copied())),
        "Gemm" => {
            let inner = usize::from(node.int("transA").unwrap_or(0) == 0);
            contraction(input(0).and_then(|a| a.get(inner).copied()))
        }
        "Einsum" => einsum(node, &input),
        // Every step multiplies input and state with all their weights.
        "RNN" | "GRU" | "LSTM" => input(0).zip(input(1)).zip(input(2)).and_then(|((x, w), r)| {
            let places = count(x.get(..2)?);
            Some(places.saturating_mul(count(&w).saturating_add(count(&r))))
        }),
        "Attention" => attention(&input, &output),
        _ => Some(0),
    };
    macs.unwrap_or(0)
}

/// As if computed at once: every combination of labels, times one product less than operands.
fn einsum(node: &Node, input: &dyn Fn(usize) -> Option<Vec<usize>>) -> Option<u64> {
    let equation = Equation::parse(node.string("equation")?)?;
    let mut sizes: BTreeMap<char, usize> = BTreeMap::new();
    for index in 0..node.inputs.len() {
        for (label, size) in equation.labels(index)?.iter().zip(input(index)?) {
            let known = sizes.entry(*label).or_insert(size);
            *known = (*known).max(size);
        }
    }
    let all = sizes.values().fold(1u64, |product, size| product.saturating_mul(*size as u64));
    Some(all.saturating_mul(node.inputs.len().saturating_sub(1) as u64))
}

/// Scores of each query with each key, and as many sums of values.
fn attention(
    input: &dyn Fn(usize) -> Option<Vec<usize>>,
    output: &dyn Fn() -> Option<Vec<usize>>,
) -> Option<u64> {
    let elements =
        |sizes: Vec<usize>| sizes.iter().fold(1u64, |product, size| product.saturating_mul(*size as u64));
    let length = |sizes: &[usize]| sizes.get(sizes.len().checked_sub(2)?).map(|size| *size as u64);
    let past = input(4).and_then(|past| length(&past)).unwrap_or(0);
    let keys = length(&input(1)?)?.saturating_add(past);
    Some(elements(input(0)?).saturating_add(elements(output()?)).saturating_mul(keys))
}

/// The shape, where no size in it is symbolic.
fn sizes(fact: &Fact) -> Option<Vec<usize>> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Symbol(_) => None,
    };
    fact.shape.as_ref()?.iter().map(size).collect()
}

#[derive(Default)]
struct Weights {
    elements: u64,
    bytes: u64,
}

impl Weights {
    fn add(&mut self, tensor: &TensorProto) {
        let elements =
            tensor.dims.iter().try_fold(1u64, |product, dim| product.checked_mul(u64::try_from(*dim).ok()?));
        let size = tensor.data_type.and_then(DType::from_onnx_code).and_then(DType::size).unwrap_or(0);
        self.elements = self.elements.saturating_add(elements.unwrap_or(0));
        self.bytes = self.bytes.saturating_add(elements.unwrap_or(0).saturating_mul(size as u64));
    }

    /// Everything constant in a sub-graph and in those within it, all of whose branches must be held.
    fn add_body(&mut self, body: &GraphProto) {
        let mut bodies = vec![body];
        while let Some(body) = bodies.pop() {
            body.initializer.iter().for_each(|tensor| self.add(tensor));
            let is_constant = |node: &&NodeProto| node.op_type.as_deref() == Some("Constant");
            let constants = body.node.iter().filter(is_constant);
            constants
                .flat_map(|node| node.attribute.iter().filter_map(|a| a.t.as_ref()))
                .for_each(|tensor| self.add(tensor));
            bodies.extend(
                body.node
                    .iter()
                    .flat_map(|node| node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs))),
            );
        }
    }
}
