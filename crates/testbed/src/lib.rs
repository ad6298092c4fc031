//! What tests and the demo need: tiny models, emulated devices; never linked by the nodes.

pub mod models;
