//! ONNX Runtime as an engine: several times faster than the embedded one, when it is there.
//!
//! The library is not linked; it is found when the process starts ([`find`]) and checked before
//! it is trusted with anything, because the binding panics on a path that is not ONNX Runtime.
//! A process has one ONNX Runtime: one thread pool and one arena for all models and segments,
//! so that neither threads nor memory multiply with the number of places where a model is cut.

mod environment;
mod library;
mod profile;
mod program;
mod values;

pub use environment::{OpenError, Options, Ort};
pub use library::{FindError, Library, Tried, find};

const NAME: &str = "ort";
