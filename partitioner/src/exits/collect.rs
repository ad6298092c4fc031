//! What heads learn from: features at every place, and the whole model's answers.
//!
//! Inputs stream through the model a block at a time, each processor with requests of its own; what is
//! kept of them is small, so that ten thousand fit into memory.

use super::candidates::{Candidates, Source};
use super::sets::{Set, Sets};
use crate::inputs::generator;
use crate::print::progress;
use anyhow::Context;
use kerf_bundle::Bundle;
use kerf_engine::{Engine, Runner, SegmentStore, Values};
use kerf_exits::Kind;
use kerf_exits_fit::{Features, Teacher, Views};
use kerf_samples::Reader;
use kerf_tensor::{NamedTensor, Tensor};
use std::sync::Arc;

/// Bytes of compiled segments.
const SEGMENTS: u64 = 1 << 30;
/// Requests under way at once, for each processor.
const BLOCK: usize = 16;

/// What was seen of all sets.
pub(crate) struct Collected {
    pub(crate) fit: Seen,
    pub(crate) tune: Seen,
    pub(crate) calibrate: Seen,
    pub(crate) report: Option<Seen>,
}

/// What was seen of one set, place by place, request by request.
pub(crate) struct Seen {
    /// The whole model's answers.
    pub(crate) teacher: Teacher,
    /// Where heads are to be fitted.
    pub(crate) features: Vec<Option<Features>>,
    /// Scores of the model's own exits.
    pub(crate) scores: Vec<Vec<f32>>,
    /// What is right, where it is known of all.
    pub(crate) labels: Option<Vec<u32>>,
}

/// Inputs, and views of them.
struct Shown<'a> {
    reader: Reader<'a>,
    views: Option<&'a Views>,
}

/// Everything that one request leaves behind.
struct Trace {
    /// By place: the tensors of its boundary, or the scores of the model's own exit.
    places: Vec<Vec<NamedTensor>>,
    answer: Tensor,
}

impl Collected {
    /// Runs every input through the whole model. What its scores are is told from the first ones.
    pub(crate) fn run(
        bundle: &Bundle,
        engines: &[Arc<dyn Engine>],
        sets: &Sets,
        candidates: &mut Candidates,
    ) -> anyhow::Result<Self> {
        let store = Arc::new(SegmentStore::new(SEGMENTS));
        let runner = Runner::new(Arc::clone(&bundle.model), engines.to_vec(), store);
        let generator = generator(bundle.model.model(), &[])?;
        let bar = progress(sets.rows() as u64, "whole model");
        let first = Shown { reader: sets.reader(&sets.fit, &generator)?, views: None };
        candidates.kind = kind(&runner, candidates, &first, &sets.fit)?;
        let see = |set: &Set, views: usize| -> anyhow::Result<Seen> {
            let shown = Shown { reader: sets.reader(set, &generator)?, views: sets.views.as_ref() };
            Seen::run(&runner, candidates, &shown, set, views, sets.labels(set), &bar)
        };
        let collected = Self {
            fit: see(&sets.fit, sets.count)?,
            tune: see(&sets.tune, 1)?,
            calibrate: see(&sets.calibrate, 1)?,
            report: if sets.report.rows.is_empty() { None } else { Some(see(&sets.report, 1)?) },
        };
        bar.finish_and_clear();
        Ok(collected)
    }
}

impl Seen {
    fn run(
        runner: &Runner,
        candidates: &Candidates,
        shown: &Shown<'_>,
        set: &Set,
        views: usize,
        labels: Option<Vec<u32>>,
        bar: &indicatif::ProgressBar,
    ) -> anyhow::Result<Self> {
        let mut seen = Self {
            teacher: Teacher::new(&candidates.output, candidates.kind)?,
            features: candidates.features(),
            scores: vec![Vec::new(); candidates.places.len()],
            labels,
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for view in 0..views {
            for block in set.rows.chunks(BLOCK * threads) {
                for trace in traces(runner, candidates, shown, block, view, threads)? {
                    seen.push(trace)?;
                }
                bar.inc(block.len() as u64);
            }
        }
        if let Some(labels) = &seen.labels {
            let labels: Vec<Option<u32>> = labels.repeat(views).into_iter().map(Some).collect();
            seen.teacher.label(&labels)?;
        }
        Ok(seen)
    }

    fn push(&mut self, trace: Trace) -> anyhow::Result<()> {
        self.teacher.push(&trace.answer)?;
        for (at, tensors) in trace.places.iter().enumerate() {
            match &mut self.features[at] {
                Some(features) => features.push(tensors)?,
                None => {
                    let scores = tensors.first().context("an exit of the model gave nothing")?;
                    self.scores[at].extend(scores.tensor.to_f64()?.iter().map(|score| *score as f32));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn rows(&self) -> usize {
        self.teacher.rows()
    }

    /// The class of the whole model, request by request.
    pub(crate) fn classes(&self) -> Vec<u32> {
        (0..self.rows()).map(|row| self.teacher.top1(row) as u32).collect()
    }
}

/// Runs requests on all processors; traces come in the order of the rows.
fn traces(
    runner: &Runner,
    candidates: &Candidates,
    shown: &Shown<'_>,
    rows: &[usize],
    view: usize,
    threads: usize,
) -> anyhow::Result<Vec<Trace>> {
    let run = |part: &[usize]| -> anyhow::Result<Vec<Trace>> {
        part.iter().map(|row| trace(runner, candidates, shown, *row, view)).collect()
    };
    let parts: Vec<anyhow::Result<Vec<Trace>>> = std::thread::scope(|scope| {
        let parts = rows.chunks(rows.len().div_ceil(threads).max(1));
        let started: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        let gone = |_| Err(anyhow::anyhow!("a request ended its thread"));
        started.into_iter().map(|part| part.join().unwrap_or_else(gone)).collect()
    });
    Ok(parts.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn trace(
    runner: &Runner,
    candidates: &Candidates,
    shown: &Shown<'_>,
    row: usize,
    view: usize,
) -> anyhow::Result<Trace> {
    let model = runner.model();
    let mut sample = shown.reader.read(row)?;
    if let Some(views) = shown.views.filter(|_| view > 0) {
        for input in sample.inputs.iter_mut().filter(|input| input.name == views.name()) {
            input.tensor = views.view(&input.tensor, row, view)?;
        }
    }
    let mut values: Values = sample.inputs.into_iter().collect();
    let (mut from, mut places) = (0, Vec::new());
    let on = |values: &mut Values, from: &mut usize, to: usize| -> anyhow::Result<()> {
        runner.run(*from, to, values).with_context(|| format!("{}: b{from} to b{to}", sample.name))?;
        *from = to;
        Ok(())
    };
    for place in &candidates.places {
        on(&mut values, &mut from, place.boundary)?;
        places.push(match &place.source {
            Source::Heads { .. } => values.boundary(model, place.boundary)?,
            Source::Output(name) => {
                let tensor = values.get(name).with_context(|| format!("no {name} at b{}", place.boundary))?;
                vec![NamedTensor { name: name.clone(), tensor: tensor.clone() }]
            }
        });
    }
    on(&mut values, &mut from, model.last())?;
    let answer = values.remove(&candidates.output.name).context("the model made no answer")?;
    Ok(Trace { places, answer })
}

/// What the scores of a few answers are.
fn kind(runner: &Runner, candidates: &Candidates, shown: &Shown<'_>, set: &Set) -> anyhow::Result<Kind> {
    let mut scores = Vec::new();
    for row in set.rows.iter().take(BLOCK) {
        let answer = trace(runner, candidates, shown, *row, 0)?.answer;
        scores.extend(answer.to_f64()?.iter().map(|score| *score as f32));
    }
    Ok(Kind::of(&scores, candidates.classes))
}
