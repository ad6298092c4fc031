//! What heads learn from: features at every place, and the whole model's answers.
//!
//! Inputs stream through the model a block at a time, each processor with requests of its own; what is
//! kept of them is small, so that ten thousand fit into memory.

use super::candidates::{Candidates, Place, Source};
use super::sets::{Set, Sets};
use crate::inputs::generator;
use crate::print::progress;
use anyhow::{Context, bail};
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
    /// Scores of declared exits.
    pub(crate) scores: Vec<Vec<f32>>,
    /// What is right, where it is known of all.
    pub(crate) labels: Option<Vec<u32>>,
}

/// Inputs, and views of them.
struct Shown<'a> {
    reader: Reader<'a>,
    views: Option<&'a Views>,
}

/// What inputs run through.
struct Bench<'a> {
    runner: Runner,
    candidates: &'a Candidates,
    /// Declared exits, by place.
    heads: Vec<Option<Runner>>,
}

/// Everything that one request leaves behind.
struct Trace {
    /// By place: the tensors of its boundary, or the scores of the declared exit.
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
        let generator = generator(bundle.model.model(), &[])?;
        let bar = progress(sets.rows() as u64, "whole model");
        let first = Shown { reader: sets.reader(&sets.tune, &generator)?, views: None };
        candidates.kind = Bench::new(bundle, engines, candidates).kind(&first, &sets.tune)?;
        let bench = Bench::new(bundle, engines, candidates);
        let see = |set: &Set, views: usize| -> anyhow::Result<Seen> {
            let shown = Shown { reader: sets.reader(set, &generator)?, views: sets.views.as_ref() };
            Seen::run(&bench, &shown, set, views, sets.labels(set), &bar)
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
        bench: &Bench<'_>,
        shown: &Shown<'_>,
        set: &Set,
        views: usize,
        labels: Option<Vec<u32>>,
        bar: &indicatif::ProgressBar,
    ) -> anyhow::Result<Self> {
        let candidates = bench.candidates;
        let mut seen = Self {
            teacher: Teacher::new(&candidates.output, candidates.kind)?,
            features: candidates.features(),
            scores: vec![Vec::new(); candidates.places.len()],
            labels,
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for view in 0..views {
            for block in set.rows.chunks(BLOCK * threads) {
                for trace in bench.traces(shown, block, view, threads)? {
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
                    let scores = tensors.first().context("a declared exit gave nothing")?;
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

impl<'a> Bench<'a> {
    fn new(bundle: &Bundle, engines: &[Arc<dyn Engine>], candidates: &'a Candidates) -> Self {
        let store = Arc::new(SegmentStore::new(SEGMENTS));
        let runner = |model| Runner::new(model, engines.to_vec(), Arc::clone(&store));
        let head = |place: &Place| match &place.source {
            Source::Heads { .. } => None,
            Source::Declared(declared) => Some(runner(Arc::clone(&declared.head.model))),
        };
        let heads = candidates.places.iter().map(head).collect();
        Self { runner: runner(Arc::clone(&bundle.model)), candidates, heads }
    }

    /// Runs requests on all processors; traces come in the order of the rows.
    fn traces(
        &self,
        shown: &Shown<'_>,
        rows: &[usize],
        view: usize,
        threads: usize,
    ) -> anyhow::Result<Vec<Trace>> {
        let run = |part: &[usize]| -> anyhow::Result<Vec<Trace>> {
            part.iter().map(|row| self.trace(shown, *row, view)).collect()
        };
        let parts: Vec<anyhow::Result<Vec<Trace>>> = std::thread::scope(|scope| {
            let parts = rows.chunks(rows.len().div_ceil(threads).max(1));
            let started: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
            let gone = |_| Err(anyhow::anyhow!("a request ended its thread"));
            started.into_iter().map(|part| part.join().unwrap_or_else(gone)).collect()
        });
        Ok(parts.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn trace(&self, shown: &Shown<'_>, row: usize, view: usize) -> anyhow::Result<Trace> {
        let Self { runner, candidates, heads } = self;
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
        let answer = &candidates.output.name;
        for (place, head) in candidates.places.iter().zip(heads) {
            on(&mut values, &mut from, place.boundary)?;
            places.push(match head {
                None => values.boundary(model, place.boundary)?,
                Some(head) => {
                    let mut known = values.clone();
                    head.run(0, head.model().last(), &mut known)
                        .with_context(|| format!("{}: the exit at b{}", sample.name, place.boundary))?;
                    let tensor = known.remove(answer).context("a declared exit made no answer")?;
                    vec![NamedTensor { name: answer.clone(), tensor }]
                }
            });
        }
        on(&mut values, &mut from, model.last())?;
        let answer = values.remove(answer).context("the model made no answer")?;
        Ok(Trace { places, answer })
    }

    /// What the scores of a few answers are; those of declared exits have to be the same.
    fn kind(&self, shown: &Shown<'_>, set: &Set) -> anyhow::Result<Kind> {
        let (mut scores, mut declared) = (Vec::new(), vec![Vec::new(); self.heads.len()]);
        let put = |tensor: &Tensor, scores: &mut Vec<f32>| -> anyhow::Result<()> {
            scores.extend(tensor.to_f64()?.iter().map(|score| *score as f32));
            Ok(())
        };
        for row in set.rows.iter().take(BLOCK) {
            let trace = self.trace(shown, *row, 0)?;
            put(&trace.answer, &mut scores)?;
            for ((tensors, scores), _) in
                trace.places.iter().zip(&mut declared).zip(&self.heads).filter(|(_, head)| head.is_some())
            {
                tensors.iter().try_for_each(|tensor| put(&tensor.tensor, scores))?;
            }
        }
        let classes = self.candidates.classes;
        let kind = Kind::of(&scores, classes);
        for (place, scores) in self.candidates.places.iter().zip(&declared) {
            let Source::Declared(exit) = &place.source else { continue };
            let found = Kind::of(scores, classes);
            if found != kind {
                bail!(
                    "--declared {}: its scores are {}, those of {} {}: a client could not tell one from the other",
                    exit.name,
                    in_words(found),
                    self.candidates.output.name,
                    in_words(kind)
                );
            }
        }
        Ok(kind)
    }
}

fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Logits => "logits",
        Kind::Probabilities => "probabilities",
        Kind::LogProbabilities => "logarithms of probabilities",
    }
}
