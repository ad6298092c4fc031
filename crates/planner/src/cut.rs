//! Which nodes of a graph should run upstream (the edge) and which downstream (the cloud), if
//! every node and every byte has its price?
//!
//! A request starts on the edge and goes to the cloud at most once, so the edge's nodes are a
//! *down-closed* set: what feeds a node of it is in it. Such a set costs
//!
//! ```text
//!   Σ edge(v) over v in the set  +  Σ cloud(v) over the others
//! + up   · Σ bytes of tensors that the edge has and a node of the cloud reads, each once
//! + down · Σ bytes of outputs that the cloud makes
//! ```
//!
//! The cheapest is a minimum cut of a network with one more node for each tensor that several
//! nodes read (so that it is paid once), after Picard's closures (1976) and, for networks of
//! layers, Hu et al., "Dynamic adaptive DNN surgery" (2019).

mod network;
mod validate;

use fixedbitset::FixedBitSet;

/// No cost, size or price may be larger, so that sums of products stay finite.
const LARGEST: f64 = 1e100;

/// Where a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Upstream.
    Edge,
    /// Downstream.
    Cloud,
}

/// One operator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Node {
    /// Cost of running it on the edge: seconds, or MACs where no time is known.
    pub edge: f64,
    /// Cost of running it in the cloud, in the same unit; 0 where only the edge's work counts.
    pub cloud: f64,
    /// Where it must run, if that is given.
    pub pin: Option<Side>,
}

/// One value that nodes read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// The node that makes it; `None` for an input of the model, which the edge has.
    pub producer: Option<usize>,
    /// The nodes that read it.
    pub consumers: Vec<usize>,
    /// Its size on the wire.
    pub bytes: f64,
    /// Whether the edge wants it: made in the cloud, it is sent back.
    pub is_output: bool,
    /// Whether it may never leave the edge (a privacy floor). Made in the cloud, it is free.
    pub must_stay: bool,
}

/// A checked graph, ready to be cut at any price.
#[derive(Clone, Debug)]
pub struct Dag {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    /// What pins and private tensors leave no choice about.
    forced: Vec<Option<Side>>,
}

/// Why a graph cannot be cut.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DagError {
    /// A cost is negative, too large or no number.
    #[error("node {node}: {side:?} cost {cost} is not a number from 0 to 1e100")]
    Cost {
        /// Which node.
        node: usize,
        /// Which of its costs.
        side: Side,
        /// What it is.
        cost: f64,
    },
    /// A size is negative, too large or no number.
    #[error("tensor {tensor}: {bytes} bytes is not a number from 0 to 1e100")]
    Bytes {
        /// Which tensor.
        tensor: usize,
        /// What it has.
        bytes: f64,
    },
    /// A tensor names a node that is not there.
    #[error("tensor {tensor} names node {node}, there are {nodes} nodes")]
    NoSuchNode {
        /// Which tensor.
        tensor: usize,
        /// Which node.
        node: usize,
        /// How many there are.
        nodes: usize,
    },
    /// A node needs, by way of others, what it makes itself.
    #[error("node {node} lies on a cycle")]
    Cycle {
        /// One node of the cycle.
        node: usize,
    },
    /// Pins and private tensors demand both sides.
    #[error("node {node} must run on both sides: pins and tensors that must stay exclude each other")]
    Conflict {
        /// The first such node.
        node: usize,
    },
    /// Indices are 32 bits wide.
    #[error("{nodes} nodes and {tensors} tensors are more than a graph may have")]
    TooLarge {
        /// How many nodes.
        nodes: usize,
        /// How many tensors.
        tensors: usize,
    },
}

/// What a byte costs, in units of node cost: 0 to 1e100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// From the edge to the cloud.
    pub up: f64,
    /// From the cloud to the edge.
    pub down: f64,
}

/// A price that is negative, too large or no number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a byte cannot cost {up} up and {down} down")]
pub struct PriceError {
    /// From the edge to the cloud.
    pub up: f64,
    /// From the cloud to the edge.
    pub down: f64,
}

/// Which one, where several sets cost the same. Minimum cuts are closed under union and
/// intersection, so there is one smallest and one largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tie {
    /// The fewest nodes on the edge.
    #[default]
    Smallest,
    /// The most: a convolution keeps the free activation after it, which engines fuse.
    Largest,
}

/// A down-closed set that costs least.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The nodes on the edge.
    pub edge: FixedBitSet,
    /// What it costs at the price that was asked for.
    pub cost: f64,
}

/// What a set of nodes on the edge amounts to, whatever a byte costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measure {
    /// Edge costs of the set and cloud costs of the others.
    pub work: f64,
    /// Bytes to the cloud.
    pub up: f64,
    /// Bytes back.
    pub down: f64,
}

impl Measure {
    /// The cost at a price.
    pub fn cost(&self, price: &Price) -> f64 {
        self.work + price.up * self.up + price.down * self.down
    }
}

impl Price {
    fn check(&self) -> Result<(), PriceError> {
        let is_price = |price: f64| (0.0..=LARGEST).contains(&price);
        let ok = is_price(self.up) && is_price(self.down);
        if ok { Ok(()) } else { Err(PriceError { up: self.up, down: self.down }) }
    }
}

impl Dag {
    /// Checks a graph and finds what its pins and private tensors force.
    ///
    /// # Errors
    /// The first thing that is wrong, by node or tensor.
    pub fn new(nodes: Vec<Node>, mut tensors: Vec<Tensor>) -> Result<Self, DagError> {
        validate::numbers(&nodes, &tensors)?;
        for tensor in &mut tensors {
            tensor.consumers.sort_unstable();
            tensor.consumers.dedup();
        }
        validate::acyclic(nodes.len(), &tensors)?;
        let forced = validate::forced(&nodes, &tensors)?;
        Ok(Self { nodes, tensors, forced })
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The tensors; consumers are sorted, each once.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The cheapest set at a price, of several the smallest.
    ///
    /// Costs are rounded to integers: to a power of two that is at most 2⁻⁵⁷ of the sum of all
    /// costs and priced bytes. Where all terms are multiples of one such unit (integers whose sum
    /// is below 2⁵³, say) the answer is exact; else its cost is within 2⁻⁵⁷ of that sum per term,
    /// finer than `f64` adds up.
    ///
    /// # Errors
    /// A price that is none.
    pub fn min_cut(&self, price: &Price) -> Result<Cut, PriceError> {
        self.min_cut_with(price, Tie::Smallest)
    }

    /// As [`min_cut`](Self::min_cut), with a choice between equals.
    ///
    /// # Errors
    /// A price that is none.
    pub fn min_cut_with(&self, price: &Price, tie: Tie) -> Result<Cut, PriceError> {
        price.check()?;
        let edge = network::solve(self, price, tie);
        let cost = self.measure_unchecked(&edge).cost(price);
        Ok(Cut { edge, cost })
    }

    /// Whether a set may run on the edge: down-closed, as pinned, and no private tensor crosses.
    pub fn permits(&self, edge: &FixedBitSet) -> bool {
        let has = |node: usize| edge.contains(node);
        let pinned = self.nodes.iter().enumerate().all(|(node, it)| match it.pin {
            Some(Side::Edge) => has(node),
            Some(Side::Cloud) => !has(node),
            None => true,
        });
        pinned
            && self.tensors.iter().all(|tensor| {
                let here = tensor.producer.is_none_or(has);
                let mut readers = tensor.consumers.iter().map(|consumer| has(*consumer));
                if here { !tensor.must_stay || readers.all(|has| has) } else { !readers.any(|has| has) }
            })
    }

    /// Work and bytes of a set, or `None` where it may not run on the edge.
    pub fn measure(&self, edge: &FixedBitSet) -> Option<Measure> {
        self.permits(edge).then(|| self.measure_unchecked(edge))
    }

    fn measure_unchecked(&self, edge: &FixedBitSet) -> Measure {
        let work = self.nodes.iter().enumerate();
        let work = work.map(|(node, it)| if edge.contains(node) { it.edge } else { it.cloud }).sum();
        let mut measure = Measure { work, ..Measure::default() };
        for tensor in &self.tensors {
            if tensor.producer.is_none_or(|producer| edge.contains(producer)) {
                if tensor.consumers.iter().any(|consumer| !edge.contains(*consumer)) {
                    measure.up += tensor.bytes;
                }
            } else if tensor.is_output {
                measure.down += tensor.bytes;
            }
        }
        measure
    }
}
