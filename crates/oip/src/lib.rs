//! The Open Inference Protocol, version 2, over HTTP.
//!
//! Clients speak it in two encodings: JSON throughout, or a JSON header with raw tensor
//! bytes behind it (the binary tensor data extension), mixed at will within one request.
//! [`codec`] is that translation and nothing else: no HTTP, no clock. [`router()`] puts it
//! behind axum and asks an [`InferenceService`] for the answers.
//!
//! Sources: the REST API of <https://github.com/kserve/open-inference-protocol>, and
//! `extension_binary_data.md`, `extension_parameters.md` of
//! <https://github.com/triton-inference-server/server>. Not spoken: compressed bodies,
//! shared memory, classification, sequences; each is refused by name where a client asks.

mod check;
pub mod codec;
mod router;
mod service;

pub use check::check_inputs;
pub use router::router;
pub use service::{
    BoxFuture, Failure, FailureKind, InferRequest, InferResponse, InferenceService, Limits, ModelEntry,
    ModelMetadata, Parameters, Provisional, RequestedOutput, ServerMetadata,
};
