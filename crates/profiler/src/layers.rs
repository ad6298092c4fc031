//! Whose time is it? Engines rename, fuse and add nodes; a person knows the model's names.

use crate::Subject;
use kerf_engine::{CompileError, NodeTime, RunError, SegmentId};
use kerf_graph::Model;
use kerf_profile::{LayerTime, Layers};
use kerf_tensor::Tensor;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// Times of the model's nodes over `runs` runs of the whole, by the engine's own profiler; `None`
/// where it has none.
pub fn layers(subject: &Subject<'_>, runs: NonZeroUsize) -> Result<Option<Layers>, RunError> {
    let model = subject.model;
    let segment = SegmentId { from: 0, to: model.last() };
    let cut = |reason: String| RunError::Compile(CompileError::Cut { segment, reason });
    let whole = model.segment(0, model.last()).map_err(|error| cut(error.to_string()))?;
    let request = (subject.inputs)(1).map_err(cut)?;
    let find =
        |name: &String| request.iter().find(|given| given.name == *name).map(|given| given.tensor.clone());
    let missing = |name: &String| RunError::Missing { segment, name: name.clone() };
    let inputs: Result<Vec<Tensor>, RunError> =
        whole.inputs.iter().map(|spec| find(&spec.name).ok_or_else(|| missing(&spec.name))).collect();
    let Some(engine) = subject.engines.first() else { return Ok(None) };
    let times = engine.node_times(&whole, &inputs?, runs)?;
    Ok(times.map(|times| attribute(model.model(), &times, runs.get())))
}

/// Adds up times by the model's nodes, in schedule order.
fn attribute(model: &Model, times: &[NodeTime], runs: usize) -> Layers {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in model.nodes().iter().enumerate() {
        node.writes().for_each(|value| {
            known.insert(value, index);
        });
    }
    // Where a node and a value share a name, the node has it.
    known.extend(model.nodes().iter().enumerate().map(|(index, node)| (node.name.as_str(), index)));
    let mut sums = BTreeMap::new();
    let mut unattributed = 0.0;
    for time in times {
        match trace(&time.name, &known) {
            Some(node) => *sums.entry(node).or_insert(0.0) += time.seconds,
            None => unattributed += time.seconds,
        }
    }
    let layer = |(node, seconds): (usize, f64)| LayerTime { node: model.nodes()[node].name.clone(), seconds };
    Layers { runs, nodes: sums.into_iter().map(layer).collect(), unattributed }
}

/// The node that an engine's name comes from: the longest beginning of it that is the name of a node,
/// or of a value that one makes, and after which no word goes on. Engines add to names
/// (`conv1_nchwc`, `Mul_3/LayerNormFusion/`, `conv1.low`) rather than change them.
fn trace(name: &str, known: &BTreeMap<&str, usize>) -> Option<usize> {
    let ends = name.char_indices().filter(|(_, c)| !c.is_alphanumeric()).map(|(at, _)| at);
    let mut ends: Vec<usize> = ends.chain([name.len()]).collect();
    ends.reverse();
    ends.into_iter().find_map(|end| known.get(&name[..end]).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_traced_to_nodes() {
        let names = ["Conv_1", "Conv_10", "1177", "Mul_3", "a/b"];
        let known: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
        for (name, node) in [
            ("Conv_1", Some(0)),
            ("Conv_10", Some(1)),
            ("Conv_1_nchwc", Some(0)),
            ("Conv_11", None),
            ("1177_nchwc", Some(2)),
            ("Mul_3/LayerNormFusion/", Some(3)),
            ("a/b.low", Some(4)),
            ("ReorderOutput_token_363", None),
            ("", None),
        ] {
            assert_eq!(trace(name, &known), node, "{name}");
        }
    }
}
