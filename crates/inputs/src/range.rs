//! Which values an input may have, as far as the graph tells.

use kerf_graph::{Bindings, Model, Node};
use kerf_tensor::{DType, Dim, TensorSpec};
use std::collections::BTreeSet;

/// Values that make sense for one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// Any number, around 0.
    Reals,
    /// 0 to 255.
    Levels,
    /// 0 to this, excluded.
    Integers(u64),
    /// This one.
    Always(i64),
}

/// The range of a graph input.
pub(super) fn of(model: &Model, spec: &TensorSpec) -> Range {
    let is_scalar = spec.shape.as_ref().is_some_and(|dims| dims.is_empty());
    match spec.dtype {
        dtype if dtype.is_float() => Range::Reals,
        DType::Bool => Range::Integers(2),
        _ => match bound(model, &spec.name) {
            Some(bound) => Range::Integers(bound),
            None if spec.dtype == DType::U8 && !is_scalar => Range::Levels,
            // Audio models switch on a rate of samples, and reject others.
            None if is_scalar && is_rate(&spec.name) => Range::Always(16_000),
            None if is_scalar => Range::Always(1),
            // A mask, most likely.
            None => Range::Integers(2),
        },
    }
}

fn is_rate(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "sr" || name.contains("rate")
}

/// How many values an integer input may take: it indexes a table of that many rows, or is
/// compared with that many constants (a one-hot encoding). The smallest, where there are several.
fn bound(model: &Model, input: &str) -> Option<u64> {
    let analysis = model.analyse(&Bindings::ones());
    let shape = |value: &str| -> Option<Vec<u64>> {
        let dims = analysis.spec(value)?.shape?;
        dims.iter().map(|dim| if let Dim::Fixed(size) = dim { Some(*size as u64) } else { None }).collect()
    };
    let mut same: BTreeSet<&str> = BTreeSet::from([input]);
    let mut bounds = Vec::new();
    for node in model.nodes() {
        let is_same = |index: usize| node.input(index).is_some_and(|name| same.contains(name));
        if node.is("Gather") && is_same(1) {
            let rows = node.input(0).and_then(shape).and_then(|dims| {
                let axis = node.int("axis").unwrap_or(0);
                let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
                dims.get(usize::try_from(axis).ok()?).copied()
            });
            bounds.extend(rows);
        } else if node.is("Equal") && (is_same(0) || is_same(1)) {
            let other = node.input(usize::from(is_same(0))).and_then(shape);
            bounds.extend(other.map(|dims| dims.iter().product::<u64>()).filter(|count| *count > 2));
        } else if keeps_values(node) && node.reads().any(|name| same.contains(name)) && is_first(node, &same)
        {
            same.extend(node.writes());
        }
    }
    bounds.into_iter().filter(|bound| *bound > 0).min()
}

/// Operators whose first output holds elements of their first input and no others.
fn keeps_values(node: &Node) -> bool {
    const OPS: [&str; 10] = [
        "Identity",
        "Cast",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "Expand",
        "Tile",
        "Slice",
    ];
    OPS.iter().any(|op| node.is(op))
}

fn is_first(node: &Node, same: &BTreeSet<&str>) -> bool {
    node.input(0).is_some_and(|name| same.contains(name))
}
