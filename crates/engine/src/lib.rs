//! Running a piece of a model, whatever runs it.
//!
//! A node executes segments of a cut model. Which library does the arithmetic is the
//! gateway's business, not the mesh's: everything above this crate sees [`Engine`] and
//! [`Program`], and behaves the same under each. The [`Runner`] adds what every engine
//! needs from outside: programs compiled when first used, once, within a memory cap
//! ([`SegmentStore`]), and another engine for a segment that the preferred one refuses.
//!
//! An engine passes the suite in `conformance` (feature `conformance`), with an explicit,
//! reasoned list of the cases it cannot do.
#![allow(clippy::disallowed_methods, reason = "run and compile times are this crate's results")]

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod guard;
mod runner;
mod segments;
mod values;

pub use error::{CompileError, RunError, SegmentId};
pub use guard::{check_inputs, contain_panics};
pub use runner::{Runner, SegmentRun};
pub use segments::{SegmentStore, StoreStats};
pub use values::Values;

use kerf_graph::Segment;
use kerf_tensor::Tensor;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A library that compiles segments.
pub trait Engine: Send + Sync {
    /// Short name, as configuration and metrics use it: `tract`, `ort`.
    fn name(&self) -> &'static str;

    /// What exactly runs, for people: `ONNX Runtime 1.31.1, /usr/lib/libonnxruntime.so`.
    fn version(&self) -> String;

    /// Makes a segment runnable. Hostile models are errors, never panics.
    fn compile(&self, segment: &Segment) -> Result<Arc<dyn Program>, CompileError>;

    /// Mean time of each node over `runs` runs of a segment, by the engine's own profiler and in
    /// the order in which it ran them; `None` where it has no profiler. The engine's nodes are not
    /// the graph's: it fuses and adds some. A first run, which is slower, does not count.
    fn node_times(
        &self,
        _: &Segment,
        _: &[Tensor],
        _: NonZeroUsize,
    ) -> Result<Option<Vec<NodeTime>>, RunError> {
        Ok(None)
    }
}

/// What an engine's profiler says of one of its nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeTime {
    /// Name, as the engine made it of the graph's names.
    pub name: String,
    /// Mean time per run, in seconds.
    pub seconds: f64,
}

/// A segment, compiled.
pub trait Program: Send + Sync {
    /// Runs once. Inputs and outputs are positional, in the segment's order; a symbolic dimension
    /// takes any size, another one in each call. Calls may overlap.
    ///
    /// Inputs that do not fit the segment's are refused before the engine sees them.
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError>;

    /// Memory that is kept between runs, an estimate; it may grow as other sizes are run.
    fn resident_bytes(&self) -> u64;

    /// How the segment was compiled, where that is worth telling: `not optimised: ...`.
    fn remark(&self) -> Option<String> {
        None
    }
}
