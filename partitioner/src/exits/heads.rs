//! Fitting heads, one after the other: each learns most from what the ones before it let through.

use super::candidates::{Candidates, Place, Source};
use super::collect::{Collected, Seen};
use crate::cli::ExitsFitArgs;
use crate::print::{progress, warn};
use anyhow::Context;
use kerf_exits::{Gate, Kind, Promise, gate};
use kerf_exits_fit::{Fitted, Front, Head, Lesson, Options, Shape};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How much an input counts for heads behind the one that answers it.
const ANSWERED: f32 = 0.25;
/// A dearer head has to agree so much more often to be taken.
const WORTH: f64 = 0.002;

pub(crate) struct Fitting<'a> {
    pub(crate) args: &'a ExitsFitArgs,
    pub(crate) threads: usize,
    /// How often each input was shown.
    pub(crate) views: usize,
    pub(crate) cache: &'a Cache,
}

/// What stands at a place: a head that was fitted, or an output of the model.
pub(crate) struct Exit {
    pub(crate) boundary: usize,
    pub(crate) head: Option<Head>,
    pub(crate) gate: Gate,
    /// Every measure of confidence that was tried, best first.
    pub(crate) measures: Vec<gate::Report>,
}

impl Exit {
    /// Multiplications and additions.
    pub(crate) fn macs(&self) -> u64 {
        self.head.as_ref().map_or(0, Head::macs)
    }

    /// `linear`, `hidden 64`, `3x3 32/2, 32`, `an output of the model`.
    pub(crate) fn kind(&self) -> String {
        match self.head.as_ref().map(Head::shape) {
            None => "the model's own".to_owned(),
            Some(Shape::Linear) => "linear".to_owned(),
            Some(Shape::Mlp { hidden }) => format!("hidden {hidden}"),
            Some(Shape::Conv { stages }) => {
                let stage = |stage: &kerf_exits_fit::Stage| match stage.stride {
                    1 => stage.channels.to_string(),
                    stride => format!("{}/{stride}", stage.channels),
                };
                let kernel = stages.first().map_or(0, |stage| stage.kernel);
                format!("{kernel}x{kernel} {}", stages.iter().map(stage).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Its scores for all requests of a set, row after row, of the kind of the model's.
    pub(crate) fn scores(&self, seen: &Seen, place: usize, kind: Kind) -> anyhow::Result<Vec<f32>> {
        let (Some(head), Some(features)) = (&self.head, &seen.features[place]) else {
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

/// Fits a head at every place that has none.
pub(crate) fn fit(
    candidates: &Candidates,
    collected: &Collected,
    promise: &Promise,
    fitting: &Fitting<'_>,
) -> anyhow::Result<Vec<Exit>> {
    let mut weights = vec![1.0f32; collected.fit.rows()];
    let mut open = vec![true; collected.tune.rows()];
    let mut exits = Vec::new();
    let heads = candidates.places.iter().filter(|place| matches!(place.source, Source::Heads { .. })).count();
    let bar = progress(heads as u64, "heads");
    for (at, place) in candidates.places.iter().enumerate() {
        bar.set_message(format!("b{}", place.boundary));
        let head = match &place.source {
            Source::Output(_) => None,
            Source::Heads { front, shapes } => {
                let head = best(at, front, shapes, candidates, collected, &weights, fitting, &bar)?;
                bar.inc(1);
                Some(head)
            }
        };
        let exit = judge(candidates, collected, promise, place, at, head, &open)?;
        // What it would answer counts less for those behind it.
        if let Some(least) = threshold(candidates, collected, promise, &exit, at)? {
            let mark = |seen: &Seen, answered: &mut dyn FnMut(usize)| -> anyhow::Result<()> {
                let scores = exit.scores(seen, at, candidates.kind)?;
                let rows = scores.chunks_exact(candidates.classes).enumerate();
                let sure =
                    rows.filter(|(_, row)| exit.gate.judge(row).is_some_and(|said| said.confidence >= least));
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
#[allow(clippy::too_many_arguments, reason = "what a fit needs, once")]
fn best(
    at: usize,
    front: &Front,
    shapes: &[Shape],
    candidates: &Candidates,
    collected: &Collected,
    weights: &[f32],
    fitting: &Fitting<'_>,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<Head> {
    let features = collected.fit.features[at].as_ref().context("no features")?;
    let lesson =
        Lesson { features, teacher: &collected.fit.teacher, weights: Some(weights), views: fitting.views };
    let labels = if fitting.args.labelled { 0.3 } else { 0.0 };
    let suited = Options::for_rows(features.rows());
    let options = Options { seed: fitting.args.seed, threads: fitting.threads, labels, ..suited };
    let mut best: Option<(Head, f64)> = None;
    for shape in shapes {
        let key = format!("b{}-{:016x}", candidates.places[at].boundary, lesson.key(shape, &options));
        let found = match fitting.cache.restore(&key, front, shape, candidates.classes) {
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
                    let shown: Vec<String> = unseen.iter().take(8).map(ToString::to_string).collect();
                    let more = if unseen.len() > shown.len() { ", …" } else { "" };
                    warn(&format!(
                        "the model answers {} of its {} classes to none of the inputs, heads cannot learn them: {}{more}",
                        unseen.len(),
                        candidates.classes,
                        shown.join(", ")
                    ));
                }
                fitting.cache.keep(&key, &head, best.agreement)?;
                (head, best.agreement)
            }
        };
        if best.as_ref().is_none_or(|(_, agreement)| found.1 > agreement + WORTH) {
            best = Some(found);
        }
    }
    Ok(best.context("no head fits the budget")?.0)
}

/// A gate for a head, by the requests that earlier exits let through.
fn judge(
    candidates: &Candidates,
    collected: &Collected,
    promise: &Promise,
    place: &Place,
    at: usize,
    head: Option<Head>,
    open: &[bool],
) -> anyhow::Result<Exit> {
    let plain = Gate::new(candidates.kind, 1.0, kerf_exits::Measure::MaxProbability)?;
    let mut exit = Exit { boundary: place.boundary, head, gate: plain, measures: Vec::new() };
    let scores = exit.scores(&collected.tune, at, candidates.kind)?;
    let wrong = wrong(&collected.tune, &scores, &exit.gate, candidates.classes, promise)?;
    let (mut through, mut losses) = (Vec::new(), Vec::new());
    let rows = scores.chunks_exact(candidates.classes).zip(&wrong).zip(open);
    for ((row, wrong), _) in rows.filter(|(_, open)| **open) {
        through.extend_from_slice(row);
        losses.push(*wrong);
    }
    let rows =
        gate::Rows { kind: candidates.kind, classes: candidates.classes, scores: &through, wrong: &losses };
    match gate::fit(&rows) {
        Ok(fitted) => (exit.gate, exit.measures) = (fitted.gate, fitted.reports),
        Err(error) => warn(&format!("b{}: {error}; its confidence is the plain one", place.boundary)),
    }
    Ok(exit)
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

/// The least confidence of which the promise would hold on the tuning set, for this exit alone.
fn threshold(
    candidates: &Candidates,
    collected: &Collected,
    promise: &Promise,
    exit: &Exit,
    at: usize,
) -> anyhow::Result<Option<f64>> {
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

fn log_softmax(row: &mut [f32]) -> &mut [f32] {
    let most = row.iter().fold(f32::NEG_INFINITY, |most, score| most.max(*score));
    let sum: f32 = row.iter().map(|score| (score - most).exp()).sum();
    let log = most + sum.ln();
    row.iter_mut().for_each(|score| *score -= log);
    row
}

/// Heads that were fitted before: an interrupted run goes on where it was.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Beside the model, hidden; gone when its exits are written.
    pub(crate) fn new(repository: &Path, model: &str) -> anyhow::Result<Self> {
        let folder = repository.join(format!(".{model}.exits"));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    pub(crate) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn restore(&self, key: &str, front: &Front, shape: &Shape, classes: usize) -> Option<(Head, f64)> {
        let bytes = fs::read(self.folder.join(key)).ok()?;
        let (agreement, numbers) = bytes.split_first_chunk::<8>()?;
        let numbers: Vec<f32> =
            numbers.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let head = Head::restore(front.clone(), shape.clone(), classes, &numbers).ok()?;
        Some((head, f64::from_le_bytes(*agreement)))
    }

    fn keep(&self, key: &str, head: &Head, agreement: f64) -> anyhow::Result<()> {
        let path = self.folder.join(key);
        let mut bytes = agreement.to_le_bytes().to_vec();
        bytes.extend(head.numbers().iter().flat_map(|number| number.to_le_bytes()));
        let beside = path.with_extension("new");
        fs::write(&beside, bytes)
            .and_then(|()| fs::rename(&beside, &path))
            .with_context(|| path.display().to_string())
    }
}
