//! Which places to cut, before any device was measured?
//!
//! With work counted in MACs, a set of nodes for the edge costs its MACs and what a byte is worth
//! times the bytes that leave it. What a byte is worth nobody knows yet, so the minimum cuts for
//! *every* price are found, over all sets that can run first and not only over prefixes of the
//! order in the file. The nodes are then put into an order in which the best nested family of these
//! is made of prefixes, where boundaries are looked for.

use kerf_graph::{Boundary, Model, Network, OrderError};
use kerf_planner::FixedBitSet;
use kerf_planner::cut::{Dag, DagError, Node, Tensor, Tie};
use kerf_planner::family::{
    Aim, NestError, Nesting, Proposals, Range, RangeError, Regret, nest, order, regret, sweep,
};

/// A byte back costs what a byte up does: nobody knows the link yet.
const DOWN: f64 = 1.0;

/// A model in an order that suits its minimum cuts.
pub struct Arranged {
    model: Model,
    dag: Dag,
    proposals: Proposals,
}

/// Why a model's cuts cannot be found; none of these is known to happen to a model that loads.
#[derive(Debug, thiserror::Error)]
pub enum ArrangeError {
    /// The graph.
    #[error("the model's graph cannot be cut: {0}")]
    Dag(#[from] DagError),
    /// The prices.
    #[error("the model's cuts have no range of prices: {0}")]
    Range(#[from] RangeError),
    /// The family.
    #[error("the model's cuts do not nest: {0}")]
    Nest(#[from] NestError),
    /// The order.
    #[error("the model does not run in the order of its cuts: {0}")]
    Order(#[from] OrderError),
}

impl Arranged {
    /// Finds the cuts, and an order that has the best `boundaries` of them as prefixes.
    pub fn new(model: &Model, boundaries: usize) -> Result<Self, ArrangeError> {
        let (dag, proposals) = cuts(model)?;
        let family = nest(&dag, &proposals, Nesting { max: boundaries.max(1), aim: Aim::Worst })?;
        let present: Vec<usize> = (0..model.nodes().len()).collect();
        let model = model.reordered(&order(&family.chain, &present))?;
        let (dag, proposals) = cuts(&model)?;
        Ok(Self { model, dag, proposals })
    }

    /// The model with its nodes in the new order.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Minimum cuts over all prices of a byte.
    pub fn cuts(&self) -> usize {
        self.proposals.all.len()
    }

    /// How much dearer than the cheapest cut the best of the model's `boundaries` is.
    pub fn regret(&self, boundaries: &[Boundary]) -> Regret {
        let nodes = self.model.nodes().len();
        let prefix = |boundary: &Boundary| {
            let mut set = FixedBitSet::with_capacity(nodes);
            set.insert_range(..boundary.nodes);
            self.dag.measure(&set)
        };
        regret(&self.proposals, &boundaries.iter().filter_map(prefix).collect::<Vec<_>>())
    }
}

fn cuts(model: &Model) -> Result<(Dag, Proposals), ArrangeError> {
    let dag = dag(&model.network())?;
    // An activation without MACs stays with the convolution before it, which engines fuse.
    let range = Range { tie: Tie::Largest, ..Range::whole(&dag, DOWN) };
    let proposals = sweep(&dag, range)?;
    Ok((dag, proposals))
}

fn dag(network: &Network) -> Result<Dag, DagError> {
    let has_macs = network.macs.iter().any(|macs| *macs > 0);
    let work = |macs: &u64| if has_macs { *macs as f64 } else { 1.0 };
    let nodes = network.macs.iter().map(|macs| Node { edge: work(macs), ..Node::default() });
    // A value of unknown size is better not sent.
    let largest = network.values.iter().filter_map(|value| value.bytes).max().unwrap_or(1);
    let tensors = network.values.iter().map(|value| Tensor {
        producer: value.producer,
        consumers: value.consumers.clone(),
        bytes: value.bytes.unwrap_or(largest) as f64,
        is_output: value.is_output,
        must_stay: !value.may_cross,
    });
    Dag::new(nodes.collect(), tensors.collect())
}
