//! A topological order that keeps to the file's where it can, and the faults that stand
//! against one: values that nothing produces, values produced twice, cycles.

use super::Fault;
use super::draft::Draft;
use super::problem::Problems;
use crate::node::Node;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Cycles told before giving up.
const CYCLES: usize = 16;

/// Sorts the nodes of `draft`.
pub(super) fn sort(draft: &mut Draft, problems: &mut Problems) {
    let order = {
        let parts = draft.parts();
        let nodes = &parts.nodes;
        let given = parts.inputs.iter().map(|input| &input.name).chain(parts.constants.keys());
        let given = given.map(String::as_str).collect::<HashSet<_>>();
        let producers = producers(nodes, &given, problems);
        for node in nodes {
            for value in node.reads().filter(|value| !draft.is_value(value)) {
                problems.add(Some(&node.name), Fault::Missing { value: value.to_owned() });
            }
        }
        topological(nodes, &producers, problems)
    };
    permute(draft.nodes_mut(), &order);
}

/// Puts `items[order[i]]` at `i`; items that `order` does not name are dropped.
pub(crate) fn permute<T>(items: &mut Vec<T>, order: &[usize]) {
    let mut old = std::mem::take(items).into_iter().map(Some).collect::<Vec<_>>();
    items.extend(order.iter().filter_map(|index| old.get_mut(*index)?.take()));
}

fn producers<'a>(
    nodes: &'a [Node],
    given: &HashSet<&str>,
    problems: &mut Problems,
) -> HashMap<&'a str, usize> {
    let mut producers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for value in node.writes() {
            if given.contains(value) || producers.insert(value, index).is_some() {
                problems.add(Some(&node.name), Fault::ProducedTwice { value: value.to_owned() });
            }
        }
    }
    producers
}

/// Of the nodes that are ready, always the first in the file.
fn topological(nodes: &[Node], producers: &HashMap<&str, usize>, problems: &mut Problems) -> Vec<usize> {
    let sources = |node: &Node| {
        let mut sources = node.reads().filter_map(|value| producers.get(value).copied()).collect::<Vec<_>>();
        sources.sort_unstable();
        sources.dedup();
        sources
    };
    let sources = nodes.iter().map(sources).collect::<Vec<_>>();
    let mut readers = vec![Vec::new(); nodes.len()];
    let mut waiting = sources.iter().map(Vec::len).collect::<Vec<_>>();
    for (index, sources) in sources.iter().enumerate() {
        sources.iter().for_each(|source| readers[*source].push(index));
    }
    let mut ready = BinaryHeap::new();
    ready.extend((0..nodes.len()).filter(|index| waiting[*index] == 0).map(Reverse));
    let mut done = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    for _ in 0..=CYCLES {
        while let Some(Reverse(index)) = ready.pop() {
            if std::mem::replace(&mut done[index], true) {
                continue;
            }
            order.push(index);
            for reader in &readers[index] {
                waiting[*reader] -= 1;
                if waiting[*reader] == 0 {
                    ready.push(Reverse(*reader));
                }
            }
        }
        let Some(cycle) = cycle(&sources, &done) else { break };
        let mut names = cycle.iter().map(|index| nodes[*index].name.clone()).collect::<Vec<_>>();
        names.extend(names.first().cloned());
        problems.add(None, Fault::Cycle { nodes: names });
        // Break it, to find the next one.
        ready.extend(cycle.first().copied().map(Reverse));
    }
    order
}

/// Nodes of one cycle among those not done, each feeding the next, from the first in the file.
fn cycle(sources: &[Vec<usize>], done: &[bool]) -> Option<Vec<usize>> {
    let mut at = done.iter().position(|done| !done)?;
    let mut seen = HashSet::new();
    let mut path = Vec::new();
    while seen.insert(at) {
        path.push(at);
        // What is not done waits for something that is not done.
        at = *sources[at].iter().find(|source| !done[**source])?;
    }
    let start = path.iter().position(|index| *index == at)?;
    let mut cycle = path.split_off(start);
    cycle.reverse();
    let first = cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
    cycle.rotate_left(first);
    Some(cycle)
}
