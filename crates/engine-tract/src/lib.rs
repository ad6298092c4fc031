//! tract as an engine: pure Rust, linked in, nothing to install.
//!
//! tract wants to know every shape before it optimises, and believes what a file claims about
//! shapes in between. So a program here is compiled once per combination of input sizes that it
//! meets, the last few of which stay, and claims about outputs and intermediates are ignored.
//! tract panics on some odd models: panics become errors.

mod load;
mod program;
mod tensors;

use kerf_engine::{CompileError, Engine, Program};
use kerf_graph::Segment;
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
}
