use kerf_bundle::{Bundle, ExitHead, Exits, FittedExits};
use kerf_engine::{CompileError, Engine, RunError, Runner, SegmentStore, Values};
use kerf_exits::Judged;
use kerf_planner::tiers::Exit as Planned;
use kerf_tensor::{NamedTensor, Tensor};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The heads of a model, ready to be asked.
pub struct ModelHeads {
    exits: Exits,
    runners: Vec<Runner>,
}

/// What a head said of a request.
#[derive(Clone, Debug)]
pub struct HeadAnswer {
    /// In place of the model's output, under its name.
    pub output: NamedTensor,
    /// By row of the request; `None` where nothing can be made of the scores.
    pub judged: Vec<Option<Judged>>,
    /// Time spent running the head and judging what it said.
    pub elapsed: Duration,
}

impl ModelHeads {
    /// The heads of a bundle, if there are any.
    pub(crate) fn new(
        bundle: &Bundle,
        engines: &[Arc<dyn Engine>],
        store: &Arc<SegmentStore>,
    ) -> Option<Self> {
        let exits = bundle.exits.clone()?;
        let runner =
            |head: &ExitHead| Runner::new(Arc::clone(&head.model), engines.to_vec(), Arc::clone(store));
        let runners = exits.heads.iter().map(runner).collect();
        Some(Self { exits, runners })
    }

    /// The exits.
    pub fn exits(&self) -> &Exits {
        &self.exits
    }

    /// What was fitted.
    pub fn fitted(&self) -> &FittedExits {
        &self.exits.fitted
    }

    /// What a planner counts on, where thresholds are those of a rung; nothing where all are closed.
    pub fn planned(&self, rung: Option<usize>) -> Vec<Planned> {
        let rung = rung.and_then(|rung| self.fitted().certified.rungs().get(rung));
        rung.map(|rung| self.exits.planned(rung)).unwrap_or_default()
    }

    /// Compiles a head and keeps it: it is asked by every request that comes by.
    ///
    /// # Errors
    /// No engine takes it.
    pub fn prepare(&self, exit: usize) -> Result<(), CompileError> {
        match self.runners.get(exit) {
            Some(runner) => runner.pin(0, runner.model().last()).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Asks one head of what is known at its boundary. Blocks; call it on a compute thread.
    ///
    /// # Errors
    /// The head does not run, or gives something else than scores by row.
    pub fn ask(&self, exit: usize, values: &Values) -> Result<HeadAnswer, RunError> {
        let start = Instant::now();
        let fitted = &self.fitted().exits[exit];
        let runner = &self.runners[exit];
        // A head has the names of the model's tensors, and its answer that of the model's output, which must
        // not pass for it later.
        let mut known = values.clone();
        runner.run(0, runner.model().last(), &mut known)?;
        let scores = known.remove(&self.fitted().output);
        let missing = || RunError::Missing {
            segment: kerf_engine::SegmentId { from: fitted.boundary.into(), to: fitted.boundary.into() },
            name: self.fitted().output.clone(),
        };
        let scores = scores.ok_or_else(missing)?;
        let judged = self.judge(exit, &scores).ok_or_else(missing)?;
        let output = NamedTensor { name: self.fitted().output.clone(), tensor: scores };
        Ok(HeadAnswer { output, judged, elapsed: start.elapsed() })
    }

    /// The class of every row of scores; `None` where they are no scores by row, or hold something that
    /// is no number.
    pub fn classes(&self, scores: &Tensor) -> Option<Vec<u32>> {
        let gate = &self.fitted().exits.first()?.gate;
        let (values, classes) = rows(scores)?;
        values.chunks_exact(classes).map(|row| Some(gate.judge(row)?.class)).collect()
    }

    fn judge(&self, exit: usize, scores: &Tensor) -> Option<Vec<Option<Judged>>> {
        let gate = &self.fitted().exits[exit].gate;
        let (values, classes) = rows(scores)?;
        Some(values.chunks_exact(classes).map(|row| gate.judge(row)).collect())
    }
}

/// Scores row after row, and how many classes a row has; `None` where a tensor is not `[N, C]`, but for
/// dimensions of 1 behind.
fn rows(scores: &Tensor) -> Option<(Vec<f32>, usize)> {
    let (_, behind) = scores.shape().split_first()?;
    let (classes, ones) = behind.split_first()?;
    if *classes < 2 || ones.iter().any(|size| *size != 1) || !scores.dtype().is_float() {
        return None;
    }
    let values = match scores.elements::<f32>() {
        Ok(values) => values.into_owned(),
        Err(_) => scores.to_f64().ok()?.into_iter().map(|value| value as f32).collect(),
    };
    Some((values, *classes))
}
