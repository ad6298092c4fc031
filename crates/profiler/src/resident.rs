//! Compiled programs, kept for the next round as far as memory allows.

use crate::device;
use kerf_engine::{CompileError, Engine, Program, SegmentId};
use kerf_graph::CutModel;
use kerf_tensor::TensorSpec;
use std::sync::Arc;
use std::time::Instant;

/// Programs of one engine, those used longest ago dropped first.
pub(crate) struct Resident<'a> {
    model: &'a CutModel,
    engine: Arc<dyn Engine>,
    cap: u64,
    /// Most recently used last.
    programs: Vec<Arc<Ready>>,
}

/// A range, ready to run.
pub(crate) struct Ready {
    pub(crate) id: SegmentId,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) inputs: Vec<TensorSpec>,
    pub(crate) outputs: Vec<TensorSpec>,
    /// Resident memory before it was compiled, where its peak since then can be told.
    before: Option<u64>,
    /// Bytes that compiling it added to the process: engines estimate their share, and keep more.
    grown: u64,
}

impl<'a> Resident<'a> {
    pub(crate) fn new(model: &'a CutModel, engine: Arc<dyn Engine>, cap: u64) -> Self {
        Self { model, engine, cap, programs: Vec::new() }
    }

    /// The program of a range, and the seconds that it took to compile, if it had to be.
    pub(crate) fn obtain(&mut self, id: SegmentId) -> Result<(Arc<Ready>, Option<f64>), CompileError> {
        if let Some(at) = self.programs.iter().position(|ready| ready.id == id) {
            let ready = self.programs.remove(at);
            self.programs.push(Arc::clone(&ready));
            return Ok((ready, None));
        }
        let resident = device::resident().map(|(now, _)| now);
        let before = resident.filter(|_| device::forget_peak());
        let start = Instant::now();
        let cut = |error: kerf_graph::CutError| CompileError::Cut { segment: id, reason: error.to_string() };
        let segment = self.model.segment(id.from, id.to).map_err(cut)?;
        let program = self.engine.compile(&segment)?;
        let took = start.elapsed().as_secs_f64();
        let (inputs, outputs) = (segment.inputs, segment.outputs);
        drop(segment.onnx);
        let grown = device::resident().zip(resident).map_or(0, |((now, _), then)| now.saturating_sub(then));
        let ready = Arc::new(Ready { id, program, inputs, outputs, before, grown });
        self.programs.push(Arc::clone(&ready));
        self.make_room();
        Ok((ready, Some(took)))
    }

    /// Drops programs until the rest fits; never the latest, nor the whole model, which is run
    /// again and again.
    fn make_room(&mut self) {
        let bytes = |programs: &[Arc<Ready>]| {
            programs.iter().map(|ready| ready.program.resident_bytes().max(ready.grown)).sum::<u64>()
        };
        while bytes(&self.programs) > self.cap {
            let whole = SegmentId { from: 0, to: self.model.last() };
            let older = &self.programs[..self.programs.len() - 1];
            let Some(at) = older.iter().position(|ready| ready.id != whole) else { return };
            self.programs.remove(at);
        }
    }
}

impl Ready {
    /// How much the process grew at most since this was about to be compiled.
    pub(crate) fn growth(&self) -> Option<u64> {
        Some(device::resident()?.1.saturating_sub(self.before?))
    }
}
