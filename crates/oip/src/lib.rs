//! The Open Inference Protocol, version 2, over HTTP.
//!
//! Clients speak it in two encodings: JSON throughout, or a JSON header with raw tensor
//! bytes behind it (the binary tensor data extension), mixed at will within one request.
//! [`parse_request`] and [`format_response`] are that translation and nothing else, without
//! HTTP in them; [`router`] puts them behind axum and asks an [`InferenceService`] for the
//! answers.
//!
//! Specification: <https://github.com/kserve/open-inference-protocol> (REST) and Triton's
//! `extension_binary_data.md` for the binary extension.

mod service;

pub use service::{
    BoxFuture, Failure, FailureKind, InferRequest, InferResponse, InferenceService, Limits, ModelEntry,
    ModelMetadata, Parameters, RequestedOutput, ServerMetadata,
};
