//! What tests and the demo need: tiny models, inputs for any model, an emulated link, what lies
//! outside the repository, recorded networks and what policies make of them, an emulated slow device;
//! never linked by the nodes.

pub mod link;
pub mod models;
pub mod outside;
pub mod replay;
pub mod slow;
pub mod trace;
