//! Where should a neural network be cut between the machines at hand?
//!
//! [`cut`] and [`family`] *propose*: costs are taken to be additive over nodes, so that an exact
//! minimum cut of the graph answers for any price of a byte, and a nested family of such cuts
//! makes the boundaries of a model.
//!
//! The crate takes plain numbers: seconds, bytes, seconds per byte, joules, watts, units of
//! currency. It knows no file, no clock, and no model format.

pub mod cut;
pub mod family;
mod flow;

pub use fixedbitset::FixedBitSet;
