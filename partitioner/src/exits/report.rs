//! What is told of exits, in text, JSON and plots alike.

use super::candidates::Candidates;
use super::collect::{Collected, Seen};
use super::judge::{Accuracy, Judged, Rating, Ways};
use super::sets::Sets;
use kerf_agreement::Share;
use kerf_bundle::Bundle;
use kerf_exits::{Outcomes, Point, Promise, Reliability, Thresholds, place, risk_coverage};
use serde::Serialize;
use std::path::Path;

/// Points of a curve.
const POINTS: usize = 200;
/// Vectors of the path that are shown.
const STEPS: usize = 40;
/// What people ask first: the savings at 1 pp. What is chosen to cost so much costs as often more, so
/// less is aimed at.
const LOSS: f64 = 0.01;
const AIM: f64 = 0.007;

/// Everything.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) model: String,
    pub(crate) output: String,
    pub(crate) classes: usize,
    /// `1% at 95%`.
    pub(crate) promise: String,
    pub(crate) risk: f64,
    /// What counts as wrong, in words.
    pub(crate) loss: &'static str,
    pub(crate) sets: SetsSaid,
    /// `MACs`, `seconds`, `joules`: in what costs are.
    pub(crate) unit: &'static str,
    /// Of a request without exits.
    pub(crate) whole: f64,
    /// Where requests go, where exits were placed by profiles.
    pub(crate) ways: Option<Ways>,
    pub(crate) exits: Vec<ExitRow>,
    pub(crate) certified: Option<CertifiedRow>,
    /// Why there is no promise.
    pub(crate) refusal: Option<String>,
    /// The set that `certified.judged`, `at_loss` and `path` are of, in words.
    pub(crate) judged_on: String,
    pub(crate) path: Vec<Step>,
    /// The loosest thresholds that cost at most 0.7 pp on the calibration set: no promise, a figure to
    /// compare with.
    pub(crate) at_loss: Option<Step>,
    pub(crate) notes: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct SetsSaid {
    pub(crate) fit: String,
    pub(crate) tune: String,
    pub(crate) calibrate: String,
    pub(crate) report: Option<String>,
}

/// One place, kept or not.
#[derive(Serialize)]
pub(crate) struct ExitRow {
    pub(crate) boundary: usize,
    pub(crate) kind: String,
    /// Of the whole model's multiplications: to come here, and of the head.
    pub(crate) to_exit: f64,
    pub(crate) head: f64,
    /// Answers that would be no loss, were all requests to exit here: of the calibration set.
    pub(crate) right: Share,
    pub(crate) measure: &'static str,
    pub(crate) auroc: Option<f64>,
    /// None where the exit is not kept.
    pub(crate) threshold: Option<f64>,
    /// On the calibration set, at the thresholds that are served.
    pub(crate) reached: u64,
    pub(crate) answered: u64,
    pub(crate) wrong: u64,
    pub(crate) curve: Vec<Point>,
    pub(crate) reliability: Reliability,
}

#[derive(Serialize)]
pub(crate) struct CertifiedRow {
    pub(crate) errors: u64,
    pub(crate) inputs: u64,
    /// The largest risk that is not ruled out.
    pub(crate) upper: f64,
    pub(crate) rungs: usize,
    /// On the set that is reported on.
    pub(crate) judged: Step,
}

/// Thresholds and what they come to.
#[derive(Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) thresholds: Thresholds,
    /// Requests that some exit answered.
    pub(crate) answered: Share,
    /// Requests for which some head was confident and wrong.
    pub(crate) risk: Share,
    /// Part of the cost without exits.
    pub(crate) saved: f64,
    pub(crate) accuracy: Option<Accuracy>,
}

impl Report {
    pub(crate) fn new(
        bundle: &Bundle,
        sets: &Sets,
        candidates: &Candidates,
        collected: &Collected,
        judged: &Judged,
        promise: &Promise,
    ) -> anyhow::Result<Self> {
        let (seen, outcomes, judged_on) = match (&collected.report, &judged.report) {
            (Some(seen), Some(outcomes)) => {
                (seen, outcomes, format!("the report set, {}", sets.said(&sets.report)))
            }
            _ => (&collected.calibrate, &judged.calibrate, "the calibration set itself".to_owned()),
        };
        let step = |thresholds: &Thresholds| step(candidates, judged, seen, outcomes, thresholds);
        let certified = judged.certified().ok().map(|certified| {
            let loosest = certified.loosest();
            anyhow::Ok(CertifiedRow {
                errors: loosest.errors,
                inputs: certified.inputs(),
                upper: loosest.upper,
                rungs: certified.rungs().len(),
                judged: step(&loosest.thresholds)?,
            })
        });
        let path = &judged.placement.path;
        let stride = path.len().div_ceil(STEPS).max(1);
        Ok(Self {
            model: bundle.card.name.clone(),
            output: candidates.output.name.clone(),
            classes: candidates.classes,
            promise: promise.to_string(),
            risk: promise.risk(),
            loss: match promise.loss() {
                kerf_exits::Loss::Disagreement => "a head is confident and disagrees with the whole model",
                kerf_exits::Loss::ErrorIncrease => {
                    "a head is confident and wrong where the whole model is right"
                }
            },
            sets: SetsSaid {
                fit: sets.said(&sets.fit),
                tune: sets.said(&sets.tune),
                calibrate: sets.said(&sets.calibrate),
                report: (!sets.report.rows.is_empty()).then(|| sets.said(&sets.report)),
            },
            unit: judged.unit,
            whole: judged.without,
            ways: judged.ways.clone(),
            exits: (0..judged.exits.len()).map(|at| row(candidates, judged, at)).collect(),
            certified: certified.transpose()?,
            refusal: judged.certified().err().map(ToString::to_string),
            judged_on,
            path: path.iter().step_by(stride).map(step).collect::<anyhow::Result<_>>()?,
            at_loss: at_loss(candidates, collected, judged, promise)?
                .map(|thresholds| step(&thresholds))
                .transpose()?,
            notes: candidates.notes.clone(),
        })
    }

    pub(crate) fn json(&self, written: Option<&Path>) -> serde_json::Value {
        serde_json::json!({ "report": self, "written": written })
    }
}

fn step(
    candidates: &Candidates,
    judged: &Judged,
    seen: &Seen,
    outcomes: &Outcomes,
    thresholds: &Thresholds,
) -> anyhow::Result<Step> {
    let Rating { expected, accuracy } = judged.rate(candidates, seen, outcomes, thresholds)?;
    let saved = expected.saved_of(judged.without);
    Ok(Step {
        thresholds: thresholds.clone(),
        answered: expected.answered,
        risk: expected.risk,
        saved,
        accuracy,
    })
}

fn row(candidates: &Candidates, judged: &Judged, at: usize) -> ExitRow {
    let exit = &judged.exits[at];
    let whole = candidates.whole.max(1) as f64;
    let loosest = judged.certified().ok().map(|certified| certified.loosest());
    let figures = loosest.and_then(|rung| rung.exits.get(at)).copied().unwrap_or_default();
    let all = 0..judged.calibrate.len();
    let wrong = all.clone().filter(|row| judged.calibrate.of(*row, at).is_none_or(|outcome| outcome.wrong));
    let of = judged.calibrate.len() as u64;
    ExitRow {
        boundary: exit.boundary,
        kind: exit.kind(),
        to_exit: candidates.places[at].to as f64 / whole,
        head: exit.macs() as f64 / whole,
        right: Share { same: of - wrong.count() as u64, of },
        measure: exit.gate.measure().name(),
        auroc: exit.measures.first().and_then(|best| best.auroc),
        threshold: loosest.and_then(|rung| rung.thresholds.of(at)),
        reached: figures.reached,
        answered: figures.answered,
        wrong: figures.wrong,
        curve: risk_coverage(&judged.calibrate, at, all, POINTS),
        reliability: judged.reliability(at),
    }
}

/// The loosest thresholds that cost at most so much of the accuracy, or without labels of the agreement, on
/// the calibration set, which had no part in the path.
fn at_loss(
    candidates: &Candidates,
    collected: &Collected,
    judged: &Judged,
    promise: &Promise,
) -> anyhow::Result<Option<Thresholds>> {
    // Placed for it: a path that ends where the promise does is too short.
    let wide = Promise::new((4.0 * LOSS).min(0.5), 0.5, promise.loss())?;
    let placement = place(&judged.tune, std::slice::from_ref(&judged.costs), &wide)?;
    let (seen, outcomes) = (&collected.calibrate, &judged.calibrate);
    for thresholds in placement.path.iter().rev() {
        let Rating { expected, accuracy } = judged.rate(candidates, seen, outcomes, thresholds)?;
        let lost = match accuracy {
            Some(Accuracy { with, whole, .. }) => whole as f64 - with as f64,
            None => expected.wrong.same as f64,
        };
        if lost <= AIM * outcomes.len() as f64 {
            return Ok(Some(thresholds.clone()));
        }
    }
    Ok(None)
}
