//! A segment as an ONNX Runtime session.

use crate::NAME;
use crate::environment::Process;
use crate::values::{self, Value};
use kerf_engine::{CompileError, Program, RunError, SegmentId, check_inputs, contain_panics};
use kerf_graph::Segment;
use kerf_tensor::{Tensor, TensorSpec};
use ort::AsPointer;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SharedSessionInner};
use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// What a session holds beside the weights: graph, kernels, execution plan.
const SESSION_BYTES: u64 = 256 << 10;

pub(crate) struct OrtProgram {
    segment: SegmentId,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    input_names: Vec<CString>,
    output_names: Vec<CString>,
    session: Arc<SharedSessionInner>,
    bytes: u64,
}

impl OrtProgram {
    pub(crate) fn new(process: &Process, segment: &Segment) -> Result<Self, CompileError> {
        Ok(Self::open(process, segment, None)?.0)
    }

    /// The program and its session, which writes a trace beginning with `trace`, where that is
    /// given, until its profiling is ended.
    pub(crate) fn open(
        process: &Process,
        segment: &Segment,
        trace: Option<&Path>,
    ) -> Result<(Self, Session), CompileError> {
        let id = SegmentId::of(segment);
        let refused = |reason: String| CompileError::Refused { engine: NAME, segment: id, reason };
        let names = |specs: &[TensorSpec]| {
            let names = specs.iter().map(|spec| CString::new(spec.name.as_str()));
            names
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| refused("a tensor's name holds a NUL".to_owned()))
        };
        let (input_names, output_names) = (names(&segment.inputs)?, names(&segment.outputs)?);
        let session = contain_panics(|| commit(process, segment, trace))
            .and_then(|committed| committed.map_err(|error| error.to_string()))
            .map_err(|reason| diagnose(id, reason))?;
        if session.inputs().len() != segment.inputs.len() || session.outputs().len() != segment.outputs.len()
        {
            return Err(refused("ONNX Runtime finds another number of inputs or outputs".to_owned()));
        }
        let program = Self {
            segment: id,
            inputs: segment.inputs.clone(),
            outputs: segment.outputs.clone(),
            input_names,
            output_names,
            session: session.inner(),
            bytes: segment.onnx.len() as u64 + SESSION_BYTES,
        };
        Ok((program, session))
    }

    pub(crate) fn failed(&self, reason: String) -> RunError {
        RunError::Engine { engine: NAME, segment: self.segment, node: node_in(&reason), reason }
    }
}

impl Program for OrtProgram {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        check_inputs(self.segment, &self.inputs, inputs)?;
        let fed: Result<Vec<Value<'_>>, _> = inputs.iter().map(Value::borrow).collect();
        let fed = fed.map_err(|error| self.failed(error.to_string()))?;
        let pointers: Vec<_> = fed.iter().map(Value::as_ptr).collect();
        let input_names: Vec<*const c_char> = self.input_names.iter().map(|name| name.as_ptr()).collect();
        let output_names: Vec<*const c_char> = self.output_names.iter().map(|name| name.as_ptr()).collect();
        let mut results = vec![ptr::null_mut(); output_names.len()];
        #[allow(unsafe_code, reason = "the binding's own `run` would take the session exclusively")]
        // SAFETY: names and values are as many as the lengths say and outlive the call, each name ends
        // in NUL, `inputs` keeps the bytes that `fed` borrows, ONNX Runtime does not write to them, and
        // null outputs are allocated by it. The session is alive: `self` holds it. It is used by several
        // threads at once without exclusion, which ONNX Runtime's C API documents as allowed for `Run`;
        // the binding asks for `&mut` because execution providers other than the CPU's have broken that
        // promise, and no other provider is registered here.
        let status = unsafe {
            let outcome = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                input_names.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                output_names.as_ptr(),
                output_names.len(),
                results.as_mut_ptr(),
            );
            ort::Error::result_from_status(outcome)
        };
        // Owned before anything returns early, so that none leaks.
        let results: Vec<Option<Value<'static>>> = results.into_iter().map(values::adopt).collect();
        status.map_err(|error| self.failed(error.to_string()))?;
        let outputs = results.into_iter().zip(&self.outputs).map(|(value, spec)| {
            let value = value.ok_or_else(|| self.failed(format!("output {} was not made", spec.name)))?;
            let tensor = value.into_tensor(&self.session, inputs);
            let tensor = tensor.map_err(|reason| self.failed(format!("output {}: {reason}", spec.name)))?;
            if tensor.dtype() == spec.dtype {
                return Ok(tensor);
            }
            Err(self.failed(format!(
                "output {} is {}, the model says {}",
                spec.name,
                tensor.dtype(),
                spec.dtype
            )))
        });
        outputs.collect()
    }

    fn resident_bytes(&self) -> u64 {
        self.bytes
    }
}

fn commit(process: &Process, segment: &Segment, trace: Option<&Path>) -> ort::Result<Session> {
    let fixed =
        segment.inputs.iter().all(|spec| spec.shape.is_some() && spec.bind(|_| 0) == spec.bind(|_| 1));
    let builder = Session::builder(&process.environment)?;
    let builder = match trace {
        Some(trace) => builder.with_profiling(trace)?,
        None => builder,
    };
    builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_log_level(LogLevel::Warning)?
        .with_log_id(format!("{}..{}", segment.from, segment.to))?
        .with_intra_op_spinning(false)?
        // One arena for all sessions, and weights outside of it, so that dropping a session gives
        // their memory back.
        .with_env_allocators()?
        .with_device_allocated_initializers()?
        // A memory plan is kept per combination of input shapes, without bound.
        .with_memory_pattern(fixed)?
        .commit_from_memory(&segment.onnx)
}

/// Finds the node that ONNX Runtime's message is about.
fn diagnose(segment: SegmentId, reason: String) -> CompileError {
    match (operator_in(&reason), node_in(&reason)) {
        (Some(op), Some(node)) => CompileError::Unsupported { engine: NAME, segment, op, node, reason },
        _ => CompileError::Refused { engine: NAME, segment, reason },
    }
}

fn node_in(message: &str) -> Option<String> {
    between(message, "node with name '", "'")
        .or_else(|| between(message, "Name:'", "'"))
        .or_else(|| between(message, "Node (", ")"))
        .or_else(|| between(message, "Node:", " "))
}

fn operator_in(message: &str) -> Option<String> {
    let name = between(message, "find an implementation for ", "(")
        .or_else(|| between(message, "Op (", ")"))
        .or_else(|| between(message, "Fatal error: ", "("));
    name.map(|name| name.trim_start_matches("ai.onnx:").to_owned())
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    (!found.is_empty()).then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_in_messages() {
        for (message, op, node) in [
            (
                "Could not find an implementation for ConvInteger(10) node with name 'conv1'",
                Some("ConvInteger"),
                Some("conv1"),
            ),
            ("Node (a/b) Op (Reshape) [ShapeInferenceError] no", Some("Reshape"), Some("a/b")),
            (
                "Non-zero status code returned while running Add node. Name:'add' Status Message: x",
                None,
                Some("add"),
            ),
            ("This is an invalid model.", None, None),
        ] {
            assert_eq!(
                (operator_in(message).as_deref(), node_in(message).as_deref()),
                (op, node),
                "{message}"
            );
        }
    }
}
