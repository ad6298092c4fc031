//! From ONNX bytes to a plan for one set of input shapes.

use crate::{NAME, tensors};
use kerf_engine::{CompileError, SegmentId, contain_panics};
use kerf_graph::Segment;
use kerf_tensor::TensorSpec;
use std::collections::HashSet;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::Op;
use tract_onnx::tract_hir::ops::unimpl::UnimplementedOp;

/// A segment as read, before any shape is known; its weights are shared by its plans as far as
/// tract does not repack them.
pub(crate) struct Template {
    segment: SegmentId,
    inputs: Vec<TensorSpec>,
    model: InferenceModel,
    weights: u64,
}

/// A segment for one set of input shapes.
pub(crate) struct Plan {
    pub(crate) runnable: Arc<TypedRunnableModel>,
    /// Why it is not optimised, where it is not.
    pub(crate) remark: Option<String>,
    /// Constants that it holds, an estimate.
    pub(crate) bytes: u64,
}

impl Template {
    pub(crate) fn read(segment: &Segment) -> Result<Self, CompileError> {
        let id = SegmentId::of(segment);
        let refuse = |reason| CompileError::Refused { engine: NAME, segment: id, reason };
        for spec in segment.inputs.iter().chain(&segment.outputs) {
            tensors::datum_type(spec.dtype).map_err(|reason| refuse(format!("{}: {reason}", spec.name)))?;
        }
        // Shapes and types of outputs and intermediates are claims; tract would refuse a model whose
        // claims, a symbol for instance, differ from what it infers.
        let onnx = onnx()
            .with_ignore_output_shapes(true)
            .with_ignore_output_types(true)
            .with_ignore_value_info(true);
        let model =
            contained(|| onnx.model_for_read(&mut &*segment.onnx)).map_err(|error| diagnose(id, &error))?;
        if let Some(node) = model.nodes().iter().find(|node| is_unimplemented(node.op.as_op())) {
            return Err(CompileError::Unsupported {
                engine: NAME,
                segment: id,
                op: operator(&node.op.name()),
                node: node.name.clone(),
                reason: "tract has no such operator".to_owned(),
            });
        }
        if model.inputs.len() != segment.inputs.len() || model.outputs.len() != segment.outputs.len() {
            return Err(refuse("tract finds another number of inputs or outputs".to_owned()));
        }
        Ok(Self { segment: id, inputs: segment.inputs.clone(), model, weights: segment.onnx.len() as u64 })
    }

    /// Compiles for inputs of these shapes.
    pub(crate) fn plan(&self, shapes: &[Vec<usize>]) -> Result<Plan, CompileError> {
        let optimised = contained(|| self.typed(shapes)?.into_optimized()?.into_runnable());
        let (runnable, remark) = match optimised {
            Ok(runnable) => (runnable, None),
            Err(reason) => {
                // What tract's rewriting fails on, its plain operators may still run.
                let plain = contained(|| self.typed(shapes)?.into_runnable());
                let runnable = plain.map_err(|error| diagnose(self.segment, &error))?;
                (runnable, Some(format!("not optimised: {reason}")))
            }
        };
        // Repacked weights do not show among the constants.
        let bytes = constants(runnable.model()).max(self.weights);
        Ok(Plan { runnable, remark, bytes })
    }

    /// Bytes of the weights as read.
    pub(crate) fn bytes(&self) -> u64 {
        self.weights
    }

    fn typed(&self, shapes: &[Vec<usize>]) -> TractResult<TypedModel> {
        let mut model = self.model.clone();
        for (index, (spec, shape)) in self.inputs.iter().zip(shapes).enumerate() {
            let dtype = tensors::datum_type(spec.dtype).map_err(TractError::msg)?;
            model.set_input_fact(index, InferenceFact::dt_shape(dtype, shape))?;
        }
        model.into_typed()
    }
}

/// Runs `work`; errors and panics alike become the chain of reasons, outermost first.
fn contained<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match contain_panics(work)? {
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Finds the node that tract's message is about; the innermost one, written `#12 "name" Operator`.
fn diagnose(segment: SegmentId, message: &str) -> CompileError {
    let reason = shorten(message);
    match named_node(message) {
        Some((node, op)) => {
            CompileError::Unsupported { engine: NAME, segment, op: operator(op), node, reason }
        }
        None => CompileError::Refused { engine: NAME, segment, reason },
    }
}

pub(crate) fn named_node(message: &str) -> Option<(String, &str)> {
    let at = message
        .rfind(" #")
        .filter(|at| message[at + 2..].starts_with(|first: char| first.is_ascii_digit()))?;
    let (_, rest) = message[at..].split_once('"')?;
    let (name, rest) = rest.split_once("\" ")?;
    let op = rest.split([':', ' ', '\n']).next().filter(|op| !op.is_empty())?;
    Some((name.to_owned(), op))
}

/// tract writes whole tensors and nodes into some messages.
pub(crate) fn shorten(message: &str) -> String {
    const MOST: usize = 600;
    let mut text: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = text.char_indices().nth(MOST) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

fn operator(name: &str) -> String {
    name.trim_start_matches("Unimplemented(").trim_end_matches(')').to_owned()
}

fn is_unimplemented(op: &dyn Op) -> bool {
    op.downcast_ref::<UnimplementedOp>().is_some()
}

fn constants(model: &TypedModel) -> u64 {
    let mut seen = HashSet::new();
    let outputs = model.nodes().iter().flat_map(|node| &node.outputs);
    outputs
        .filter_map(|outlet| outlet.fact.konst.as_ref())
        .filter(|konst| seen.insert(Arc::as_ptr(konst)))
        .map(|konst| (konst.len() * konst.datum_type().size_of()) as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_in_messages() {
        let one = "Failed analyse for node #3 \"conv/1\" ConvHir: no way";
        let inner = "running pass X: OpOptim node #7 \"a\" Cast: Making patch from #9 \"b c\" Concat";
        for (message, node) in [
            (one, Some(("conv/1", "ConvHir"))),
            (inner, Some(("b c", "Concat"))),
            ("the engine panicked: index out of range", None),
            ("see # 3", None),
        ] {
            let found = named_node(message);
            assert_eq!(found.as_ref().map(|(name, op)| (name.as_str(), *op)), node, "{message}");
        }
    }
}
