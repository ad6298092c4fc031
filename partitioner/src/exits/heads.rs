//! Fitting heads, one after the other: each learns most from what the ones before it let through.

use super::cache::Cache;
use super::candidates::{Candidates, Declared, Source};
use super::collect::{Collected, Seen};
use crate::cli::ExitsFitArgs;
use crate::print::warn;
use anyhow::Context;
use kerf_bundle::ExitHead;
use kerf_exits::{Gate, Kind, Promise, gate};
use kerf_exits_fit::{Fitted, Front, Head, Lesson, Options, Shape};
use std::ops::ControlFlow;

/// How much an input counts for heads behind the one that answers it.
const ANSWERED: f32 = 0.25;
/// A dearer head has to agree so much more often to be taken.
const WORTH: f64 = 0.002;

/// Fits heads place by place.
pub(crate) struct Fitting<'a> {
    pub(crate) args: &'a ExitsFitArgs,
    pub(crate) candidates: &'a Candidates,
    pub(crate) collected: &'a Collected,
    pub(crate) promise: &'a Promise,
    pub(crate) threads: usize,
    /// How often each input was shown.
    pub(crate) views: usize,
    pub(crate) cache: &'a Cache,
    pub(crate) bar: indicatif::ProgressBar,
}

/// What stands at a place.
pub(crate) struct Exit {
    pub(crate) boundary: usize,
    made: Made,
    pub(crate) gate: Gate,
    /// Every measure of confidence that was tried, best first.
    pub(crate) measures: Vec<gate::Report>,
}

enum Made {
    Fitted(Head),
    Declared(Declared),
}

impl Exit {
    /// Multiplications and additions.
    pub(crate) fn macs(&self) -> u64 {
        match &self.made {
            Made::Fitted(head) => head.macs(),
            Made::Declared(declared) => declared.macs,
        }
    }

    /// `linear`, `hidden 64`, `3x3 32/2, 32`, `declared exit1`.
    pub(crate) fn kind(&self) -> String {
        let head = match &self.made {
            Made::Declared(declared) => return format!("declared {}", declared.name),
            Made::Fitted(head) => head,
        };
        match head.shape() {
            Shape::Linear => "linear".to_owned(),
            Shape::Mlp { hidden } => format!("hidden {hidden}"),
            Shape::Conv { stages } => {
                let stage = |stage: &kerf_exits_fit::Stage| match stage.stride {
                    1 => stage.channels.to_string(),
                    stride => format!("{}/{stride}", stage.channels),
                };
                let kernel = stages.first().map_or(0, |stage| stage.kernel);
                format!("{kernel}x{kernel} {}", stages.iter().map(stage).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// As it is packed.
    pub(crate) fn packed(&self, candidates: &Candidates) -> anyhow::Result<ExitHead> {
        match &self.made {
            Made::Declared(declared) => Ok(declared.head.clone()),
            Made::Fitted(head) => {
                let onnx = head.to_model(&candidates.output, candidates.kind)?.to_onnx()?;
                Ok(ExitHead::new(self.boundary as u16, onnx)?)
            }
        }
    }

    /// Its scores for all requests of a set, row after row, of the kind of the model's.
    pub(crate) fn scores(&self, seen: &Seen, place: usize, kind: Kind) -> anyhow::Result<Vec<f32>> {
        let (Made::Fitted(head), Some(features)) = (&self.made, &seen.features[place]) else {
            return Ok(seen.scores[place].clone());
        };
        let mut scores = head.logits(features).context("features of another boundary")?;
        for row in scores.chunks_exact_mut(head.classes().max(1)) {
            match kind {
                Kind::Logits => {}
                Kind::Probabilities => log_softmax(row).iter_mut().for_each(|score| *score = score.exp()),
                Kind::LogProbabilities => {
                    log_softmax(row);
                }
            }
        }
        Ok(scores)
    }
}

impl Fitting<'_> {
    /// An exit at every place, with a fitted head where none is declared.
    pub(crate) fn run(&self) -> anyhow::Result<Vec<Exit>> {
        let Self { candidates, collected, bar, .. } = self;
        let mut weights = vec![1.0f32; collected.fit.rows()];
        let mut open = vec![true; collected.tune.rows()];
        let mut exits = Vec::new();
        for (at, place) in candidates.places.iter().enumerate() {
            bar.set_message(format!("b{}", place.boundary));
            let made = match &place.source {
                Source::Declared(declared) => Made::Declared(declared.clone()),
                Source::Heads { front, shapes } => {
                    let head = self.best(at, front, shapes, &weights)?;
                    bar.inc(1);
                    Made::Fitted(head)
                }
            };
            let exit = self.judge(at, made, &open)?;
            // What it would answer counts less for those behind it.
            if let Some(least) = self.threshold(&exit, at)? {
                let mark = |seen: &Seen, answered: &mut dyn FnMut(usize)| -> anyhow::Result<()> {
                    let scores = exit.scores(seen, at, candidates.kind)?;
                    let rows = scores.chunks_exact(candidates.classes).enumerate();
                    let sure = rows
                        .filter(|(_, row)| exit.gate.judge(row).is_some_and(|said| said.confidence >= least));
                    sure.for_each(|(row, _)| answered(row));
                    Ok(())
                };
                mark(&collected.fit, &mut |row| weights[row] = ANSWERED)?;
                mark(&collected.tune, &mut |row| open[row] = false)?;
            }
            exits.push(exit);
        }
        bar.finish_and_clear();
        Ok(exits)
    }

    /// The plainest head that no other beats by enough.
    fn best(&self, at: usize, front: &Front, shapes: &[Shape], weights: &[f32]) -> anyhow::Result<Head> {
        let Self { args, candidates, collected, cache, bar, .. } = self;
        let features = collected.fit.features[at].as_ref().context("no features")?;
        let lesson =
            Lesson { features, teacher: &collected.fit.teacher, weights: Some(weights), views: self.views };
        let labels = if args.labelled { 0.3 } else { 0.0 };
        let suited = Options::for_rows(features.rows());
        let options = Options { seed: args.seed, threads: self.threads, labels, ..suited };
        let mut best: Option<(Head, f64)> = None;
        for shape in shapes {
            let key = format!("b{}-{:016x}", candidates.places[at].boundary, lesson.key(shape, &options));
            let found = match cache.restore(&key, front, shape, candidates.classes) {
                Some(found) => found,
                None => {
                    let mut say = |step: kerf_exits_fit::Progress| {
                        bar.set_message(format!(
                            "b{} {shape:?}, round {} of {}: agrees {:.1}%",
                            candidates.places[at].boundary,
                            step.epoch,
                            step.epochs,
                            step.agreement * 100.0
                        ));
                        ControlFlow::Continue(())
                    };
                    let Fitted { head, best, unseen, .. } = lesson.fit(shape, &options, &mut say)?;
                    if at == 0 && shape == &shapes[0] && !unseen.is_empty() {
                        self.warn_of(&unseen);
                    }
                    cache.keep(&key, &head, best.agreement)?;
                    (head, best.agreement)
                }
            };
            if best.as_ref().is_none_or(|(_, agreement)| found.1 > agreement + WORTH) {
                best = Some(found);
            }
        }
        Ok(best.context("no head fits the budget")?.0)
    }

    fn warn_of(&self, unseen: &[usize]) {
        let shown: Vec<String> = unseen.iter().take(8).map(ToString::to_string).collect();
        let more = if unseen.len() > shown.len() { ", …" } else { "" };
        warn(&format!(
            "the model answers {} of its {} classes to none of the inputs, heads cannot learn them: {}{more}",
            unseen.len(),
            self.candidates.classes,
            shown.join(", ")
        ));
    }

    /// A gate for a head, by the requests that earlier exits let through.
    fn judge(&self, at: usize, made: Made, open: &[bool]) -> anyhow::Result<Exit> {
        let Self { candidates, collected, promise, .. } = self;
        let boundary = candidates.places[at].boundary;
        let plain = Gate::new(candidates.kind, 1.0, kerf_exits::Measure::MaxProbability)?;
        let mut exit = Exit { boundary, made, gate: plain, measures: Vec::new() };
        let scores = exit.scores(&collected.tune, at, candidates.kind)?;
        let wrong = wrong(&collected.tune, &scores, &exit.gate, candidates.classes, promise)?;
        let (mut through, mut losses) = (Vec::new(), Vec::new());
        let rows = scores.chunks_exact(candidates.classes).zip(&wrong).zip(open);
        for ((row, wrong), _) in rows.filter(|(_, open)| **open) {
            through.extend_from_slice(row);
            losses.push(*wrong);
        }
        let (kind, classes) = (candidates.kind, candidates.classes);
        match gate::fit(&gate::Rows { kind, classes, scores: &through, wrong: &losses }) {
            Ok(fitted) => (exit.gate, exit.measures) = (fitted.gate, fitted.reports),
            Err(error) => warn(&format!("b{boundary}: {error}; its confidence is the plain one")),
        }
        Ok(exit)
    }

    /// The least confidence of which the promise would hold on the tuning set, for this exit alone.
    fn threshold(&self, exit: &Exit, at: usize) -> anyhow::Result<Option<f64>> {
        let Self { candidates, collected, promise, .. } = self;
        let scores = exit.scores(&collected.tune, at, candidates.kind)?;
        let wrong = wrong(&collected.tune, &scores, &exit.gate, candidates.classes, promise)?;
        let rows = scores.chunks_exact(candidates.classes).zip(wrong);
        let mut said: Vec<(f64, bool)> =
            rows.filter_map(|(row, wrong)| Some((exit.gate.judge(row)?.confidence, wrong))).collect();
        said.sort_by(|a, b| b.0.total_cmp(&a.0));
        let most = promise.risk() * collected.tune.rows() as f64;
        let (mut errors, mut least) = (0.0, None);
        for (confidence, wrong) in said {
            errors += f64::from(u8::from(wrong));
            if errors > most {
                break;
            }
            least = Some(confidence);
        }
        Ok(least)
    }
}

/// Which answers of a head would be losses.
pub(crate) fn wrong(
    seen: &Seen,
    scores: &[f32],
    gate: &Gate,
    classes: usize,
    promise: &Promise,
) -> anyhow::Result<Vec<bool>> {
    let heads: Vec<Option<u32>> =
        scores.chunks_exact(classes).map(|row| gate.judge(row).map(|said| said.class)).collect();
    Ok(promise.loss().wrong(&heads, &seen.classes(), seen.labels.as_deref(), classes as u32)?)
}

fn log_softmax(row: &mut [f32]) -> &mut [f32] {
    let most = row.iter().fold(f32::NEG_INFINITY, |most, score| most.max(*score));
    let sum: f32 = row.iter().map(|score| (score - most).exp()).sum();
    let log = most + sum.ln();
    row.iter_mut().for_each(|score| *score -= log);
    row
}
