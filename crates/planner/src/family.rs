//! Which few nested cuts serve a graph at any price of a byte?
//!
//! A model's boundaries are fixed when it is packed, while the price of a byte (time per byte
//! over time per operation) is known only when it runs. [`sweep`] finds every cut that is the
//! cheapest at some price of a range. These need not be nested, and boundaries must be: [`nest`]
//! chooses a chain among them, their unions and their intersections (closed sets again), and
//! says what it costs to have no more than the chain. [`order`] makes every set of the chain a
//! prefix.

mod nest;
mod sweep;

pub use nest::{Aim, Family, NestError, Nesting, Regret, nest, regret};
pub use sweep::{Proposal, Proposals, Range, RangeError, sweep};

use fixedbitset::FixedBitSet;

/// The nodes in an order in which every set of a chain is a prefix, and which is topological
/// if `topological` is and the sets are closed: nodes of the first set first, then what the
/// second adds, ... each in the order given. A node of no set is last.
///
/// `chain` grows from set to set.
pub fn order(chain: &[FixedBitSet], topological: &[usize]) -> Vec<usize> {
    let mut order = topological.to_vec();
    order.sort_by_key(|node| chain.partition_point(|set| !set.contains(*node)));
    order
}
