//! Where can a neural network be cut in two, and what is each part as a model of its own?
//!
//! [`Model::load`] takes any ONNX file from opset 7 on and makes one normal form of it:
//! functions inlined, weights in the model, nodes in one fixed *schedule order*, everything
//! that Kerf cannot carry refused by name and all at once. [`boundaries`] finds the places
//! where the schedule can be cut, and [`CutModel::segment`] makes the part between two of
//! them a valid ONNX model. Of a model with several outputs [`Model::only`] keeps some, and
//! [`CutModel::branch`] makes one of the others a model that starts at a boundary.
//!
//! The crate opens no files: tensor data that lies beside the model comes through
//! [`ExternalData`].

mod analysis;
mod boundaries;
mod branch;
mod build;
mod constant;
mod costs;
mod cut;
mod encode;
mod excerpt;
mod flow;
mod infer;
mod load;
mod model;
mod network;
mod node;
mod onnx;
mod ops;
mod schedule;
mod segment;
mod sized;

pub use analysis::{Analysis, Bindings, NodeCost};
pub use boundaries::{Boundary, MAX_BOUNDARIES, boundaries};
pub use branch::{Branch, BranchError};
pub use build::{BuildError, Builder, Op};
pub use cut::{CutError, CutModel};
pub use encode::EncodeError;
pub use load::{ExternalData, Fault, LoadError, NoExternalData, Problem};
pub use model::Model;
pub use network::{Network, NetworkValue, OrderError};
pub use node::Node;
pub use segment::Segment;

#[cfg(test)]
mod tests;
