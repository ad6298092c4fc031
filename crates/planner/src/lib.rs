//! Where should a neural network be cut between the machines at hand?
//!
//! Two questions, two methods. [`cut`] and [`family`] *propose*: costs are taken to be additive
//! over nodes, so that an exact minimum cut of the graph answers for any price of a byte, and a
//! nested family of such cuts makes the boundaries of a model. [`tiers`] *decides*: among those
//! boundaries, with ranges as they were measured (fusion makes them no sum), by exact dynamic
//! programming over any chain of machines. [`online`] decides again for each request, with what
//! is known of the links and the load at that moment, and allocates nothing.
//!
//! All of them take plain numbers: seconds, bytes, seconds per byte, joules, watts, units of
//! currency; no file, no clock, no model format. [`assemble()`] makes such a problem of the profiles
//! that devices wrote about themselves.

mod assemble;
pub mod cut;
pub mod family;
mod flow;
pub mod online;
pub mod tiers;

pub use assemble::{
    AssembleError, Coded, HANDLING, HTTP, HTTP_BYTE, MESSAGE, Machine, PACKETS, Shapes, Traffic, Way,
    assemble, times,
};
pub use fixedbitset::FixedBitSet;
