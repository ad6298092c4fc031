//! The model as the report draws it: boundaries, nodes, and what flows between them.

use super::report::{Crossing, Graph, Node, Place, Wire};
use kerf_graph::{Analysis, CutModel};
use kerf_tensor::{Dim, TensorSpec};
use std::collections::HashMap;

/// Boundaries with their tensors; sizes are those under the analysis' bindings.
pub(super) fn places(model: &CutModel, analysis: &Analysis) -> Vec<Place> {
    let total = model.boundaries().last().map_or(0, |last| last.macs_before).max(1) as f64;
    let crossing = |spec: &TensorSpec| Crossing {
        name: spec.name.clone(),
        form: form(&analysis.spec(&spec.name).unwrap_or_else(|| spec.clone())),
        bytes: analysis.bytes(&spec.name),
    };
    let place = |boundary: &kerf_graph::Boundary| {
        let tensors: Vec<Crossing> = boundary.tensors.iter().map(crossing).collect();
        Place {
            after: boundary.after.clone(),
            nodes: boundary.nodes,
            work: boundary.macs_before as f64 / total,
            bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
            tensors,
        }
    };
    model.boundaries().iter().map(place).collect()
}

/// The nodes in schedule order and a wire for each tensor to each of its readers.
pub(super) fn graph(model: &CutModel, analysis: &Analysis) -> Graph {
    let nodes = model.model().nodes();
    let mut makers: HashMap<&str, Option<usize>> =
        model.model().inputs().iter().map(|input| (input.name.as_str(), None)).collect();
    let mut graph = Graph::default();
    for (index, node) in nodes.iter().enumerate() {
        let mut seen = Vec::new();
        for value in node.reads() {
            // Constants are nobody's.
            let Some(from) = makers.get(value).copied().filter(|_| !seen.contains(&value)) else { continue };
            seen.push(value);
            graph.wires.push(Wire {
                from,
                to: index,
                tensor: value.to_owned(),
                bytes: analysis.bytes(value),
            });
        }
        let first = node.writes().next();
        graph.nodes.push(Node {
            name: node.name.clone(),
            op: if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) },
            form: first.and_then(|value| analysis.spec(value)).map_or_else(|| "?".into(), |spec| form(&spec)),
            bytes: node.writes().map(|value| analysis.bytes(value)).sum(),
        });
        makers.extend(node.writes().map(|value| (value, Some(index))));
    }
    graph
}

/// `f32[1, 96, 14, 14]`.
fn form(spec: &TensorSpec) -> String {
    let Some(dims) = &spec.shape else { return format!("{}[?]", spec.dtype) };
    let dims: Vec<String> = dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => size.to_string(),
            Dim::Symbol(name) => crate::print::elide(name, 16),
        })
        .collect();
    format!("{}[{}]", spec.dtype, dims.join(", "))
}
