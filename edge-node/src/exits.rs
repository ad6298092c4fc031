//! Early exits of a model on this node: which are open, whether their promise holds, whether what comes
//! is still what they were calibrated on.
//!
//! For a share of all requests a coin decides, before any head is asked, that an early answer will be
//! checked by the whole model. Those that no head answers are the whole model's anyway. So what the audit
//! sees is a fair sample of all requests, at the cost of the few that exit.

mod checks;
mod kept;

pub(crate) use checks::{Check, Checks};
pub(crate) use kept::Kept;

use kerf_exits::{
    AuditError, AuditFigures, Delay, Drift, DriftFigures, Guard, Loss, Promise, RunLengthError, Thresholds,
};
use kerf_serving::{HeadAnswer, ModelHeads};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The chance that a guard ever tightens though the promise holds.
const FALSE_TIGHTENING: f64 = 0.01;
/// Requests without drift, on average, before an alarm that means nothing.
const RUN_LENGTH: f64 = 1e6;
/// A tightening has to be noticed, if the risk has become so many times what is promised.
const STATED: f64 = 3.0;

/// So large a part of strange inputs is the drift whose delay is stated.
const STRANGE: f64 = 0.2;

/// What a model's exits do at run time.
pub(crate) struct Exits {
    state: Mutex<State>,
    pub(crate) checks: Checks,
    /// Share of requests that are audited.
    share: f64,
}

struct State {
    guard: Guard,
    promise: Promise,
    /// The rungs' thresholds, strictest first.
    rungs: Vec<Thresholds>,
    exits: Vec<ExitState>,
    /// Where the rung outlives the process, if it shall.
    kept: Option<Kept>,
}

#[derive(Default)]
struct ExitState {
    boundary: usize,
    drift: Option<Drift>,
    asked: u64,
    answered: u64,
    /// Seconds from a head that was not sure to the answer: their sum, and of how many.
    after: (f64, u64),
    saved: f64,
}

/// What one request is held to: taken whole, since the guard may tighten meanwhile.
pub(crate) struct Watch {
    thresholds: Thresholds,
    rung: Option<usize>,
    /// Whether the coin fell for this one, and the room for its check.
    pub(crate) check: Option<checks::Room>,
    /// Heads that were not sure, and when they had said so.
    unsure: Vec<(usize, Instant)>,
}

/// What becomes of a request at an exit.
pub(crate) enum Turn {
    /// The head answers.
    Exit,
    /// It is not sure enough.
    GoOn,
}

/// What is known of one exit, for metrics and the page.
#[derive(Clone, Debug)]
pub(crate) struct ExitStatus {
    pub(crate) boundary: usize,
    pub(crate) threshold: Option<f64>,
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) saved: f64,
    pub(crate) drift: Option<DriftFigures>,
}

/// What is known of all of them.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) promise: String,
    pub(crate) rung: Option<usize>,
    pub(crate) rungs: usize,
    pub(crate) audit: AuditFigures,
    pub(crate) exits: Vec<ExitStatus>,
}

/// Why exits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExitsError {
    /// The audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The test for drift.
    #[error(transparent)]
    Drift(#[from] RunLengthError),
    /// Their digest.
    #[error(transparent)]
    Digest(#[from] kerf_bundle::ExitsError),
}

/// How often alarms mean nothing; in words.
pub(crate) fn false_alarms() -> String {
    format!(
        "tightens for nothing with a chance of {}% in all; drift is seen for nothing at each exit once in {RUN_LENGTH:e} \
         requests or less often, which is {:.3} a day for each request a second",
        FALSE_TIGHTENING * 100.0,
        86_400.0 / RUN_LENGTH
    )
}

impl Exits {
    /// `share` of the requests are audited; checks send at most `bytes` in an hour. Begins as tight as was kept.
    pub(crate) fn new(
        heads: &ModelHeads,
        share: f64,
        bytes: u64,
        kept: Option<Kept>,
        now: Instant,
    ) -> Result<Self, ExitsError> {
        let fitted = heads.fitted();
        let rung = kept::rung(kept.as_ref(), fitted.certified.rungs().len());
        let guard = Guard::resume(&fitted.certified, FALSE_TIGHTENING, rung)?;
        let exits = fitted.exits.iter().map(|exit| {
            let drift = exit.reference.clone().map(|reference| Drift::new(reference, RUN_LENGTH));
            Ok(ExitState {
                boundary: exit.boundary.into(),
                drift: drift.transpose()?,
                ..ExitState::default()
            })
        });
        let exits = exits.collect::<Result<Vec<_>, RunLengthError>>()?;
        let rungs = fitted.certified.rungs().iter().map(|rung| rung.thresholds.clone()).collect();
        let promise = *fitted.certified.promise();
        // Whether the whole model is right nobody knows here.
        let share = if promise.loss() == Loss::Disagreement { share } else { 0.0 };
        let state = Mutex::new(State { guard, promise, rungs, exits, kept });
        Ok(Self { state, checks: Checks::new(bytes, now), share })
    }

    /// Begins a request; `coin` is drawn from 0 to 1.
    pub(crate) fn watch(&self, coin: f64) -> Watch {
        let state = self.lock();
        let rung = state.guard.rung();
        let thresholds = match rung {
            Some(rung) => state.rungs[rung].clone(),
            None => Thresholds::closed(state.exits.len()),
        };
        let check = if coin < self.share { self.checks.room() } else { None };
        Watch { thresholds, rung, check, unsure: Vec::new() }
    }

    /// What a head's answer means for a request, and its confidence, −1 where it could not say; `tie` is
    /// drawn from 0 to 1. All rows of a request leave together, if each of them may.
    pub(crate) fn turn(&self, watch: &mut Watch, exit: usize, said: &HeadAnswer, tie: f64) -> (Turn, f64) {
        let least = said.judged.iter().map(|row| row.map_or(-1.0, |row| row.confidence));
        let confidence = least.min_by(f64::total_cmp).unwrap_or(-1.0);
        let exits = watch.thresholds.admits(exit, confidence);
        if said.judged.len() != 1 {
            // The promise is of single rows; how many there are is no matter of the answers.
            watch.check = None;
        }
        let state = &mut *self.lock();
        // Those that come to later exits are others once earlier ones have become stricter.
        let is_as_calibrated = watch.rung.is_some_and(|rung| rung + 1 == state.rungs.len());
        let Some(at) = state.exits.get_mut(exit) else { return (Turn::GoOn, confidence) };
        at.asked += 1;
        if let Some(drift) = at.drift.as_mut().filter(|_| is_as_calibrated && said.judged.len() == 1) {
            let before = drift.alarm();
            drift.observe(confidence, tie);
            if drift.alarm() && !before {
                let figures = drift.figures();
                let tightened = state.guard.caution();
                kept::keep(state.kept.as_ref(), state.guard.rung());
                tracing::warn!(
                    exit = %format!("b{}", at.boundary), requests = figures.observed,
                    stability = figures.stability.psi, by_chance = figures.stability.by_chance,
                    to = ?tightened.and_then(|tightened| tightened.to),
                    "inputs have drifted: confidences are not those of the calibration set; thresholds are tightened"
                );
            }
        }
        if !exits {
            watch.unsure.push((exit, Instant::now()));
            return (Turn::GoOn, confidence);
        }
        at.answered += 1;
        at.saved += at.mean_after();
        (Turn::Exit, confidence)
    }

    /// An answer is there that no exit gave.
    pub(crate) fn settle(&self, watch: Watch, now: Instant) {
        let mut state = self.lock();
        for (exit, since) in &watch.unsure {
            let after = &mut state.exits[*exit].after;
            after.0 += now.saturating_duration_since(*since).as_secs_f64();
            after.1 += 1;
        }
        if watch.check.is_some() {
            state.observe(watch.rung, false);
        }
    }

    /// The whole model has checked an early answer that was given on this rung.
    pub(crate) fn checked(&self, rung: Option<usize>, lost: bool) {
        self.lock().observe(rung, lost);
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.lock();
        let rung = state.guard.rung();
        let exits = state.exits.iter().enumerate().map(|(at, exit)| ExitStatus {
            boundary: exit.boundary,
            threshold: rung.and_then(|rung| state.rungs[rung].of(at)),
            asked: exit.asked,
            answered: exit.answered,
            saved: exit.saved,
            drift: exit.drift.as_ref().map(Drift::figures),
        });
        Standing {
            promise: state.promise.to_string(),
            rung,
            rungs: state.rungs.len(),
            audit: state.guard.audit().figures(),
            exits: exits.collect(),
        }
    }

    /// How many requests it takes on average to notice that the risk has become several times what is
    /// promised; in words.
    pub(crate) fn delay(&self) -> String {
        let state = self.lock();
        let risk = (state.promise.risk() * STATED).min(0.99);
        match state.guard.delay(risk, 0) {
            Some(Delay { mean, .. }) if self.share > 0.0 => format!(
                "a risk of {STATED} times the promise is noticed after about {:.0} requests, {:.0} of them audited",
                mean / self.share,
                mean
            ),
            _ => "nothing is audited: a risk above the promise goes unnoticed".to_owned(),
        }
    }

    /// How many requests it takes on average to notice that a fifth of them have become less sure than
    /// any before; in words.
    pub(crate) fn drift_delay(&self) -> String {
        let state = self.lock();
        let delays = state.exits.iter().filter_map(|exit| {
            let delay = exit.drift.as_ref()?.delay(|below| STRANGE + (1.0 - STRANGE) * below)?;
            Some(format!("b{} after about {:.0} requests that come to it", exit.boundary, delay.mean))
        });
        let delays: Vec<String> = delays.collect();
        match delays.is_empty() {
            true => "drift is not watched: too few calibration inputs".to_owned(),
            false => format!(
                "if {}% of inputs become strange to the heads, this is noticed at {}",
                STRANGE * 100.0,
                delays.join(", ")
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Whether a head need be asked.
    pub(crate) fn asks(&self, exit: usize) -> bool {
        self.thresholds.is_open(exit)
    }

    /// The rung in use when the request began.
    pub(crate) fn rung(&self) -> Option<usize> {
        self.rung
    }
}

impl State {
    /// What was admitted under another rung says nothing of this one.
    fn observe(&mut self, rung: Option<usize>, lost: bool) {
        if rung.is_none() || rung != self.guard.rung() {
            return;
        }
        let Some(tightened) = self.guard.observe(lost) else { return };
        kept::keep(self.kept.as_ref(), self.guard.rung());
        tracing::warn!(
            from = tightened.from, to = ?tightened.to, audited = tightened.found.losses.of,
            wrong = tightened.found.losses.same, suspected = tightened.suspected,
            promise = %self.promise,
            "early answers break their promise: thresholds are tightened"
        );
    }
}

impl ExitState {
    fn mean_after(&self) -> f64 {
        if self.after.1 == 0 { 0.0 } else { self.after.0 / self.after.1 as f64 }
    }
}
