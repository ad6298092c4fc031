//! The bodies of `If`, `Loop` and `Scan`: opaque to Kerf but for the outer values that they
//! read, and for everything in them that an engine would choke on.

use crate::onnx::{AttributeProto, GraphProto, NodeProto};
use std::collections::BTreeSet;

/// The sub-graphs of a node.
pub(super) fn of(attributes: &[AttributeProto]) -> impl Iterator<Item = &GraphProto> {
    attributes.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The sub-graphs of a node, to be changed.
pub(super) fn of_mut(attributes: &mut [AttributeProto]) -> impl Iterator<Item = &mut GraphProto> {
    attributes.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// Every node of the sub-graphs, at any depth.
pub(super) fn nodes<'a>(attributes: &'a [AttributeProto], visit: &mut dyn FnMut(&'a NodeProto)) {
    for node in of(attributes).flat_map(|graph| &graph.node) {
        visit(node);
        nodes(&node.attribute, visit);
    }
}

/// Outer values that the sub-graphs of a node read.
pub(super) fn captures(attributes: &[AttributeProto]) -> Vec<String> {
    let mut free = BTreeSet::new();
    of(attributes).for_each(|graph| collect_free(graph, &mut free));
    free.into_iter().map(str::to_owned).collect()
}

fn collect_free<'a>(graph: &'a GraphProto, free: &mut BTreeSet<&'a str>) {
    let mut bound = graph
        .input
        .iter()
        .map(|input| input.name())
        .chain(graph.initializer.iter().map(|tensor| tensor.name()))
        .chain(graph.node.iter().flat_map(|node| &node.output).map(String::as_str))
        .collect::<BTreeSet<_>>();
    bound.insert("");
    let mut inner = BTreeSet::new();
    for node in &graph.node {
        inner.extend(node.input.iter().map(String::as_str));
        of(&node.attribute).for_each(|graph| collect_free(graph, &mut inner));
    }
    inner.extend(graph.output.iter().map(|output| output.name()));
    free.extend(inner.difference(&bound));
}
