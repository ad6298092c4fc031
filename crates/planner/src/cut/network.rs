//! The network whose minimum cut is the cheapest set. Nodes that have no choice are left out, so
//! that no infinite capacity leads to a terminal.

use super::{Dag, Price, Side, Tensor, Tie};
use crate::flow::{Arc, Network, UNCUTTABLE};
use fixedbitset::FixedBitSet;

/// Exponent of what all finite capacities may sum up to.
const SUM_BITS: i32 = 58;

pub(super) fn solve(dag: &Dag, price: &Price, tie: Tie) -> FixedBitSet {
    let mut builder = Builder::new(dag, price);
    for (node, it) in dag.nodes.iter().enumerate() {
        builder.node(node, it.edge, it.cloud);
    }
    for tensor in &dag.tensors {
        builder.tensor(tensor, price);
    }
    let Builder { index, network, .. } = builder;
    let side = match tie {
        Tie::Largest => network.largest_source_side(),
        Tie::Smallest => network.reversed().largest_source_side().iter().map(|side| !side).collect(),
    };
    let mut edge = FixedBitSet::with_capacity(dag.nodes.len());
    for (node, place) in index.iter().enumerate() {
        edge.set(node, place.map_or(dag.forced[node] == Some(Side::Edge), |at| side[at as usize]));
    }
    edge
}

struct Builder<'a> {
    forced: &'a [Option<Side>],
    /// Where in the network a node is, if it has a choice.
    index: Vec<Option<u32>>,
    network: Network,
    /// A power of two.
    scale: f64,
}

impl<'a> Builder<'a> {
    fn new(dag: &'a Dag, price: &Price) -> Self {
        let mut next = 0;
        let index = dag.forced.iter().map(|forced| match forced {
            Some(_) => None,
            None => {
                next += 1;
                Some(next - 1)
            }
        });
        let index = index.collect();
        let work: f64 = dag.nodes.iter().map(|node| node.edge + node.cloud).sum();
        let bytes = dag
            .tensors
            .iter()
            .map(|tensor| tensor.bytes * (price.up + if tensor.is_output { price.down } else { 0.0 }));
        let sum = (work + bytes.sum::<f64>()).clamp(f64::MIN_POSITIVE, f64::MAX);
        // Capped so that the scale itself is finite where all costs are next to nothing.
        let exponent = (SUM_BITS - 1 - sum.log2().floor() as i32).min(1000);
        Self {
            forced: &dag.forced,
            index,
            network: Network {
                terminal: vec![0; next as usize],
                arcs: Vec::with_capacity(dag.tensors.len() * 3),
            },
            scale: 2f64.powi(exponent),
        }
    }

    fn integer(&self, cost: f64) -> i64 {
        (cost * self.scale).round() as i64
    }

    /// The edge pays `edge` where the node is on its side, the cloud `cloud`.
    fn node(&mut self, node: usize, edge: f64, cloud: f64) {
        if let Some(at) = self.index[node] {
            self.network.terminal[at as usize] += self.integer(cloud) - self.integer(edge);
        }
    }

    fn tensor(&mut self, tensor: &Tensor, price: &Price) {
        if let (Some(producer), true) = (tensor.producer, tensor.is_output) {
            self.node(producer, 0.0, tensor.bytes * price.down);
        }
        let up = if tensor.must_stay { UNCUTTABLE } else { self.integer(tensor.bytes * price.up) };
        let has = |node: &usize, side: Side| self.forced[*node] == Some(side);
        if tensor.producer.is_some_and(|producer| has(&producer, Side::Cloud)) {
            return;
        }
        let is_sent_if_here = tensor.consumers.iter().any(|consumer| has(consumer, Side::Cloud));
        let free: Vec<u32> = tensor.consumers.iter().filter_map(|consumer| self.index[*consumer]).collect();
        match tensor.producer.and_then(|producer| self.index[producer]) {
            Some(producer) if is_sent_if_here => {
                self.network.terminal[producer as usize] -= up;
                self.close(producer, &free);
            }
            Some(producer) => match free[..] {
                [] => {}
                [only] => self.arc(producer, only, up, UNCUTTABLE),
                _ => {
                    let tensor = self.add(0);
                    self.arc(producer, tensor, up, UNCUTTABLE);
                    self.fan_out(tensor, &free);
                    self.close(producer, &free);
                }
            },
            // The edge has it whatever happens.
            None if is_sent_if_here => {}
            None => match free[..] {
                [] => {}
                [only] => self.network.terminal[only as usize] += up,
                _ => {
                    let tensor = self.add(up);
                    self.fan_out(tensor, &free);
                }
            },
        }
    }

    fn add(&mut self, terminal: i64) -> u32 {
        self.network.terminal.push(terminal);
        self.network.terminal.len() as u32 - 1
    }

    fn arc(&mut self, from: u32, to: u32, forward: i64, backward: i64) {
        self.network.arcs.push(Arc { from, to, forward, backward });
    }

    /// A tensor that was not sent has no reader in the cloud.
    fn fan_out(&mut self, tensor: u32, readers: &[u32]) {
        for reader in readers {
            self.arc(tensor, *reader, UNCUTTABLE, 0);
        }
    }

    /// Readers on the edge need their producer there.
    fn close(&mut self, producer: u32, readers: &[u32]) {
        for reader in readers {
            self.arc(*reader, producer, UNCUTTABLE, 0);
        }
    }
}
