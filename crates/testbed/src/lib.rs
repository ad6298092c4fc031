//! What tests and the demo need: tiny models, inputs for any model, what lies outside the
//! repository; never linked by the nodes.

pub mod models;
pub mod outside;
