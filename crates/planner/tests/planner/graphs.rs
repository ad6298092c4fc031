//! Random graphs of up to 14 nodes, and all their closed sets.

use kerf_planner::FixedBitSet;
use kerf_planner::cut::{Dag, Measure, Node, Price, Side, Tensor};
use proptest::collection::vec;
use proptest::prelude::*;

/// Costs that tie often, and costs that never do.
fn amount() -> impl Strategy<Value = f64> {
    prop_oneof![2 => (0u8..4).prop_map(f64::from), 1 => 0.0..1e-3, 1 => 0.0..1e6]
}

fn node(with_cloud: bool) -> impl Strategy<Value = Node> {
    (amount(), amount()).prop_map(move |(edge, cloud)| Node {
        edge,
        cloud: if with_cloud { cloud } else { 0.0 },
        pin: None,
    })
}

/// A tensor of each node, inputs of the model, and second tensors of some nodes.
fn parts(with_cloud: bool) -> impl Strategy<Value = (Vec<Node>, Vec<Tensor>)> {
    (1usize..=14).prop_flat_map(move |count| {
        let tensor = (amount(), any::<u16>(), any::<u16>(), 0u8..10, 0u8..16);
        (vec(node(with_cloud), count), vec(tensor, count + 4)).prop_map(move |(nodes, raw)| {
            let tensor = |(index, (bytes, some, more, output, private)): (usize, (f64, u16, u16, u8, u8))| {
                // One of each node; of the four others two are inputs.
                let producer = match index.checked_sub(count) {
                    None => Some(index),
                    Some(0 | 1) => None,
                    Some(_) => Some(usize::from(some) % count),
                };
                let first = producer.map_or(0, |producer| producer + 1);
                let reads =
                    |node: &usize| (some & more | some >> 7 & more >> 3) >> node & 1 == 1 || *node == first;
                let consumers: Vec<_> = (first..count).filter(reads).collect();
                let is_output = output == 0 || consumers.is_empty();
                Tensor { producer, consumers, bytes, is_output, must_stay: private == 0 }
            };
            (nodes.clone(), raw.into_iter().enumerate().map(tensor).collect())
        })
    })
}

fn pins() -> impl Strategy<Value = Vec<(usize, Side)>> {
    let side = prop_oneof![Just(Side::Edge), Just(Side::Cloud)];
    prop_oneof![2 => Just(Vec::new()), 1 => vec((0usize..14, side), 1..3)]
}

/// Graphs that can be cut; those whose pins conflict are left out.
pub(crate) fn dag() -> impl Strategy<Value = Dag> {
    (any::<bool>().prop_flat_map(parts), pins()).prop_filter_map(
        "pins conflict",
        |((mut nodes, tensors), pins)| {
            for (node, side) in pins {
                let count = nodes.len();
                nodes[node % count].pin = Some(side);
            }
            Dag::new(nodes, tensors).ok()
        },
    )
}

/// Graphs without constraints.
pub(crate) fn free_dag() -> impl Strategy<Value = Dag> {
    any::<bool>().prop_flat_map(parts).prop_map(|(nodes, mut tensors)| {
        tensors.iter_mut().for_each(|tensor| tensor.must_stay = false);
        Dag::new(nodes, tensors).unwrap()
    })
}

pub(crate) fn price() -> impl Strategy<Value = Price> {
    let one = || prop_oneof![Just(0.0), Just(1.0), Just(0.5), 1e-6..1e3];
    (one(), one()).prop_map(|(up, down)| Price { up, down })
}

/// Every set that may run on the edge, as bits, with its measure: straight from the definition.
pub(crate) fn closed_sets(dag: &Dag) -> Vec<(u32, Measure)> {
    (0..1u32 << dag.nodes().len()).filter_map(|set| Some((set, measure(dag, set)?))).collect()
}

fn measure(dag: &Dag, set: u32) -> Option<Measure> {
    let has = |node: usize| set >> node & 1 == 1;
    let mut measure = Measure::default();
    for (node, it) in dag.nodes().iter().enumerate() {
        if matches!((it.pin, has(node)), (Some(Side::Edge), false) | (Some(Side::Cloud), true)) {
            return None;
        }
        measure.work += if has(node) { it.edge } else { it.cloud };
    }
    for tensor in dag.tensors() {
        let here = tensor.producer.is_none_or(has);
        let there = tensor.consumers.iter().any(|consumer| !has(*consumer));
        if !here && tensor.consumers.iter().any(|consumer| has(*consumer))
            || here && there && tensor.must_stay
        {
            return None;
        }
        measure.up += if here && there { tensor.bytes } else { 0.0 };
        measure.down += if !here && tensor.is_output { tensor.bytes } else { 0.0 };
    }
    Some(measure)
}

pub(crate) fn bits(set: &FixedBitSet) -> u32 {
    set.ones().map(|node| 1 << node).sum()
}
