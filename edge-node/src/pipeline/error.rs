//! Why there is no answer.

use kerf_engine::RunError;
use kerf_graph::CutError;
use kerf_serving::{ComputeError, InputError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("deadline passed: {0}")]
    Deadline(String),
    #[error("the cloud did not answer and model {model} has no local fallback: {reason}")]
    Unavailable { model: String, reason: String },
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error("{0}")]
    Stopped(String),
}

impl From<ComputeError> for PipelineError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Deadline { .. } => Self::Deadline(error.to_string()),
            ComputeError::Stopped(reason) => Self::Stopped(reason),
        }
    }
}
