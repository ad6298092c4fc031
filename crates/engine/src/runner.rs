//! Runs ranges of one model, choosing among engines.

use crate::segments::{Compiled, Owner};
use crate::{CompileError, Engine, RunError, SegmentId, SegmentStore, Values};
use kerf_graph::CutModel;
use kerf_tensor::Tensor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs segments of one model with the first engine that compiles them.
///
/// A segment that an engine refuses goes to the next engine, and the reason is kept for
/// [`Runner::notes`]. A *run* that fails is not repeated elsewhere: engines may differ in the
/// last digits, and one request should not mix them unknowingly.
pub struct Runner {
    model: Arc<CutModel>,
    engines: Vec<Arc<dyn Engine>>,
    store: Arc<SegmentStore>,
    owner: Owner,
    notes: Mutex<Vec<String>>,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRun {
    /// Engine that ran the segment; empty where it holds no nodes, so that nothing ran.
    pub engine: &'static str,
    /// Time spent compiling, or waiting for another request's compilation; zero when it was there.
    pub compile: Duration,
    /// Time spent running.
    pub elapsed: Duration,
    /// Programs that ran, one after the other.
    pub pieces: u32,
}

impl Runner {
    /// A runner with `engines` in order of preference. Its programs live in `store` until it is
    /// dropped; two runners share none, even of one model.
    pub fn new(model: Arc<CutModel>, engines: Vec<Arc<dyn Engine>>, store: Arc<SegmentStore>) -> Self {
        let owner = store.join();
        Self { model, engines, store, owner, notes: Mutex::default() }
    }

    /// The model.
    pub fn model(&self) -> &Arc<CutModel> {
        &self.model
    }

    /// Name of the engine that is asked first; empty where there is none.
    pub fn preferred(&self) -> &'static str {
        self.engines.first().map_or("", |engine| engine.name())
    }

    /// Runs segment `from..to` on what `values` holds and adds its outputs to them.
    ///
    /// Compiles first where necessary: call it where blocking is allowed.
    pub fn run(&self, from: usize, to: usize, values: &mut Values) -> Result<SegmentRun, RunError> {
        let segment = SegmentId { from, to };
        let Some((compiled, compile)) = self.obtain(segment, false)? else {
            return Ok(SegmentRun {
                engine: "",
                compile: Duration::ZERO,
                elapsed: Duration::ZERO,
                pieces: 0,
            });
        };
        let inputs = compiled.inputs.iter().map(|spec| match values.get(&spec.name) {
            Some(tensor) => Ok(tensor.clone()),
            None => Err(RunError::Missing { segment, name: spec.name.clone() }),
        });
        let inputs: Vec<Tensor> = inputs.collect::<Result<_, _>>()?;
        let start = Instant::now();
        let outputs = compiled.program.run(&inputs)?;
        let elapsed = start.elapsed();
        if outputs.len() != compiled.outputs.len() {
            return Err(RunError::Engine {
                engine: compiled.engine,
                segment,
                node: None,
                reason: format!("{} outputs instead of {}", outputs.len(), compiled.outputs.len()),
            });
        }
        for (spec, tensor) in compiled.outputs.iter().zip(outputs) {
            values.insert(spec.name.clone(), tensor);
        }
        Ok(SegmentRun { engine: compiled.engine, compile, elapsed, pieces: 1 })
    }

    /// As [`run`](Self::run), but where `from..to` is not compiled, and ranges that are lead there one
    /// after the other, it runs those: a request need not wait for a segment that nobody needed before.
    pub fn run_through(&self, from: usize, to: usize, values: &mut Values) -> Result<SegmentRun, RunError> {
        let chain = chain(&self.store.ready(self.owner), from, to);
        if chain.len() < 2 {
            return self.run(from, to, values);
        }
        let mut all = SegmentRun { engine: "", compile: Duration::ZERO, elapsed: Duration::ZERO, pieces: 0 };
        for SegmentId { from, to } in chain {
            // One may have been dropped meanwhile; it is compiled again then.
            let run = self.run(from, to, values)?;
            all.engine = run.engine;
            all.compile += run.compile;
            all.elapsed += run.elapsed;
            all.pieces += run.pieces;
        }
        Ok(all)
    }

    /// Whether `from..to` can be run without compiling it first.
    pub fn is_ready(&self, from: usize, to: usize) -> bool {
        from == to || self.store.ready(self.owner).contains(&SegmentId { from, to })
    }

    /// Compiles segment `from..to`, so that a later run need not; it may be dropped again to make
    /// room. The engine that took it.
    pub fn warm(&self, from: usize, to: usize) -> Result<&'static str, CompileError> {
        Ok(self.obtain(SegmentId { from, to }, false)?.map_or("", |(compiled, _)| compiled.engine))
    }

    /// Compiles segment `from..to` and keeps it, outside the store's cap, as long as the runner lives.
    pub fn pin(&self, from: usize, to: usize) -> Result<&'static str, CompileError> {
        Ok(self.obtain(SegmentId { from, to }, true)?.map_or("", |(compiled, _)| compiled.engine))
    }

    /// Lets a segment that was pinned be dropped again when room is needed.
    pub fn unpin(&self, from: usize, to: usize) {
        self.store.unpin(self.owner, SegmentId { from, to });
    }

    /// What people should know of how segments were compiled: which engine refused which one
    /// and why, which program is not optimised.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The program and the time spent getting it; `None` where the segment holds no nodes.
    fn obtain(
        &self,
        segment: SegmentId,
        pin: bool,
    ) -> Result<Option<(Arc<Compiled>, Duration)>, CompileError> {
        if segment.from == segment.to && segment.to <= self.model.last() {
            return Ok(None);
        }
        let start = Instant::now();
        let (outcome, was_there) = self.store.obtain(self.owner, segment, pin, || self.compile(segment));
        let waited = if was_there { Duration::ZERO } else { start.elapsed() };
        Ok(Some((outcome?, waited)))
    }

    fn compile(&self, id: SegmentId) -> Result<Compiled, CompileError> {
        let start = Instant::now();
        let segment = self.model.segment(id.from, id.to).map_err(|error| CompileError::cut(id, &error))?;
        let mut tried = Vec::new();
        for engine in &self.engines {
            match engine.compile(&segment) {
                Ok(program) => {
                    let took = start.elapsed();
                    tracing::debug!(segment = %id, engine = engine.name(), ?took, "compiled");
                    if let Some(remark) = program.remark() {
                        self.note(format!("segment {id}: {}: {remark}", engine.name()));
                    }
                    let (inputs, outputs) = (segment.inputs, segment.outputs);
                    return Ok(Compiled { program, engine: engine.name(), inputs, outputs });
                }
                Err(error) => {
                    tracing::warn!(%error, "an engine refused a segment");
                    self.note(error.to_string());
                    tried.push(error);
                }
            }
        }
        Err(CompileError::NoEngine { segment: id, tried })
    }

    fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        // A segment that was dropped and compiled again says the same again.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.store.leave(self.owner);
    }
}

/// The fewest of these segments that lead from one boundary to another; none where no way leads there.
fn chain(ready: &[SegmentId], from: usize, to: usize) -> Vec<SegmentId> {
    // By boundary, segments to it from the start, and the last of them.
    let mut ways: Vec<Option<(usize, SegmentId)>> = vec![None; to.saturating_sub(from) + 1];
    let mut within: Vec<_> =
        ready.iter().filter(|it| it.from >= from && it.to <= to && it.from < it.to).collect();
    within.sort_by_key(|it| (it.from, it.to));
    for segment in within {
        let before = match ways[segment.from - from] {
            Some((count, _)) => count,
            None if segment.from == from => 0,
            None => continue,
        };
        let way = &mut ways[segment.to - from];
        if way.is_none_or(|(count, _)| before + 1 < count) {
            *way = Some((before + 1, *segment));
        }
    }
    let mut chain = Vec::new();
    let mut at = to;
    while at > from {
        let Some((_, segment)) = ways[at - from] else { return Vec::new() };
        chain.push(segment);
        at = segment.from;
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(of: &[(usize, usize)]) -> Vec<SegmentId> {
        of.iter().map(|&(from, to)| SegmentId { from, to }).collect()
    }

    #[test]
    fn the_shortest_chain_is_found() {
        let ready = segments(&[(3, 5), (0, 1), (1, 2), (2, 3), (0, 2), (5, 9), (2, 5), (7, 9)]);
        assert_eq!(chain(&ready, 0, 5), segments(&[(0, 2), (2, 5)]));
        assert_eq!(chain(&ready, 1, 5), segments(&[(1, 2), (2, 5)]));
        assert_eq!(chain(&ready, 0, 9), segments(&[(0, 2), (2, 5), (5, 9)]));
        assert_eq!(chain(&ready, 0, 1), segments(&[(0, 1)]));
    }

    #[test]
    fn without_a_way_there_is_no_chain() {
        let ready = segments(&[(0, 2), (3, 5)]);
        assert!(chain(&ready, 0, 5).is_empty());
        assert!(chain(&ready, 2, 2).is_empty());
        assert!(chain(&ready, 4, 5).is_empty());
        assert!(chain(&[], 0, 1).is_empty());
    }
}
