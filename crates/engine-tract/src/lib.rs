//! tract as an engine: pure Rust, linked in, nothing to install.
//!
//! tract wants to know every shape before it optimises, and believes what a file claims about
//! shapes in between. So a program here is compiled once per combination of input sizes that it
//! meets, the last few of which stay, and claims about outputs and intermediates are ignored.
//! tract panics on some odd models: panics become errors.

#![allow(clippy::disallowed_methods, reason = "times of nodes are among this crate's results")]

mod load;
mod program;
mod tensors;

use kerf_engine::{CompileError, Engine, NodeTime, Program, RunError};
use kerf_graph::Segment;
use kerf_tensor::Tensor;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// The engine. It runs each request on the thread that asks, on that one alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tract;

const NAME: &str = "tract";

impl Tract {
    /// The engine; it holds no state.
    pub fn new() -> Self {
        Self
    }
}

impl Engine for Tract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        "tract 0.23".to_owned()
    }

    fn compile(&self, segment: &Segment) -> Result<Arc<dyn Program>, CompileError> {
        Ok(Arc::new(program::TractProgram::new(segment)?))
    }

    fn node_times(
        &self,
        segment: &Segment,
        inputs: &[Tensor],
        runs: NonZeroUsize,
    ) -> Result<Option<Vec<NodeTime>>, RunError> {
        program::TractProgram::new(segment)?.node_times(inputs, runs).map(Some)
    }
}
