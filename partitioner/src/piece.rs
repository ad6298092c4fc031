//! A part of a model, compiled by one engine and by no other.

use kerf_engine::{CompileError, Engine, Program, RunError, SegmentId, Values};
use kerf_graph::CutModel;
use kerf_tensor::{NamedTensor, TensorSpec};
use std::sync::Arc;

/// A segment that one engine compiled.
pub(crate) struct Piece {
    id: SegmentId,
    /// None where the segment holds nothing: its values are there already.
    program: Option<Arc<dyn Program>>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Piece {
    pub(crate) fn compile(
        engine: &dyn Engine,
        model: &CutModel,
        from: usize,
        to: usize,
    ) -> Result<Self, CompileError> {
        let id = SegmentId { from, to };
        if from == to {
            return Ok(Self { id, program: None, inputs: vec![], outputs: vec![] });
        }
        let segment = model
            .segment(from, to)
            .map_err(|error| CompileError::Cut { segment: id, reason: error.to_string() })?;
        let program = Some(engine.compile(&segment)?);
        Ok(Self { id, program, inputs: segment.inputs, outputs: segment.outputs })
    }

    /// Runs on what `values` holds and adds the outputs.
    pub(crate) fn run(&self, values: &mut Values) -> Result<(), RunError> {
        let Some(program) = &self.program else { return Ok(()) };
        let find = |spec: &TensorSpec| {
            let missing = || RunError::Missing { segment: self.id, name: spec.name.clone() };
            values.get(&spec.name).cloned().ok_or_else(missing)
        };
        let inputs = self.inputs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let outputs = program.run(&inputs)?;
        let named = self.outputs.iter().zip(outputs);
        values.extend(named.map(|(spec, tensor)| NamedTensor { name: spec.name.clone(), tensor }));
        Ok(())
    }
}

/// What running pieces after each other makes of `inputs`, as the model's outputs.
///
/// Between pieces only the tensors of the boundary are kept: what a wire would not carry must
/// not help here.
pub(crate) fn run_all(
    model: &CutModel,
    pieces: &[&Piece],
    inputs: &[NamedTensor],
) -> Result<Vec<NamedTensor>, RunError> {
    let mut values: Values = inputs.iter().cloned().collect();
    let mut done: Vec<NamedTensor> = Vec::new();
    for piece in pieces {
        piece.run(&mut values)?;
        for output in model.model().outputs() {
            if let Some(tensor) = values.get(&output.name)
                && !done.iter().any(|known| known.name == output.name)
            {
                done.push(NamedTensor { name: output.name.clone(), tensor: tensor.clone() });
            }
        }
        if piece.id.to < model.last() {
            values = values.boundary(model, piece.id.to)?.into_iter().collect();
        }
    }
    values.extend(done);
    values.outputs(model)
}
