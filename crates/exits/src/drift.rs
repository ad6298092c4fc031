//! Are requests still like those of the calibration?
//!
//! An audit knows the truth, but of few requests. Every head's confidence is known for every request that
//! comes to it, and when its distribution moves something has changed, though not always for the worse. A
//! test that looks at every request for years will call any difference, so this one counts with what
//! calibration leaves unknown: a confidence that it saw in every tenth request may truly come in
//! every eighth.

mod reference;
mod stability;

pub use reference::{Cut, Reference, ReferenceError};
pub use stability::Stability;

use crate::bet::{Bet, Delay};
use reference::place;
use serde::{Deserialize, Serialize};
use stability::Recent;

/// How far the log-odds of the alternatives are from the limits.
const TILTS: [f64; 4] = [0.25, 0.6, 1.2, 2.4];

/// How many requests the figure of recent stability looks back on.
const WINDOW: f64 = 2000.0;

/// A sequential test of one exit's confidences. Some kilobytes, however long it runs; time in proportion to
/// the cuts.
///
/// At every cut of the reference two coins are watched: below it, or not. Bets against either coming
/// more often than the limit are staked anew with every request, as by Shiryaev and Roberts, so that
/// their sum, less the number of requests, cannot be expected to grow (an e-detector: Shin, Ramdas, Rinaldo,
/// "E-detectors: a nonparametric framework for sequential change detection", 2024). So an alarm at a
/// sum of `run_length` comes after that many requests or more on average, as long as the limits hold:
/// for all cuts together, with 99% probability over the draw of the calibration set, by the exact
/// distribution of ranks, whatever that of the confidences is.
///
/// Give it the requests that come as the reference's did: those that no earlier open head answered, though
/// each was asked, at the same thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    reference: Reference,
    run_length: f64,
    sides: Vec<Side>,
    recent: Recent,
    observed: u64,
    alarm_at: Option<u64>,
}

/// Figures for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftFigures {
    /// Requests since the start or the last reset.
    pub observed: u64,
    /// How far it is to an alarm: 0 of nothing, 1 at the alarm; the logarithm of the sum over that of the
    /// run length.
    pub level: f64,
    /// Whether it has alarmed since the start or the last reset.
    pub alarm: bool,
    /// How different the last requests are.
    pub stability: Stability,
}

/// Why there is no such test.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("run length {0}: expected 100 requests to 1e15")]
pub struct RunLengthError(f64);

/// One side of one cut.
#[derive(Clone, Debug, PartialEq)]
struct Side {
    cut: usize,
    is_below: bool,
    bets: [Bet; TILTS.len()],
    sums: [f64; TILTS.len()],
}

impl Drift {
    /// `run_length` is how many requests without drift there are to be on average before a false alarm; 100
    /// to 10¹⁵.
    pub fn new(reference: Reference, run_length: f64) -> Result<Self, RunLengthError> {
        if !(100.0..=1e15).contains(&run_length) {
            return Err(RunLengthError(run_length));
        }
        let side = |cut: usize, is_below: bool, most: f64| {
            // A limit of everything cannot be passed.
            (most < 1.0).then(|| Side {
                cut,
                is_below,
                bets: TILTS.map(|tilt| Bet::new(most, tilt)),
                sums: [0.0; TILTS.len()],
            })
        };
        let sides: Vec<Side> = reference
            .cuts()
            .iter()
            .enumerate()
            .flat_map(|(at, cut)| [side(at, true, cut.high), side(at, false, 1.0 - cut.low)])
            .flatten()
            .collect();
        let recent = Recent::new(reference.cuts().len() + 1, WINDOW);
        Ok(Self { reference, run_length, sides, recent, observed: 0, alarm_at: None })
    }

    /// One request's confidence; not a number, or below 0, where the head could not say, which is less than
    /// any. `tie` from 0 to 1 is drawn at random, independent of everything: it puts equal confidences in
    /// an order.
    pub fn observe(&mut self, confidence: f64, tie: f64) {
        let bin = place(self.reference.cuts(), confidence, tie);
        let stake = 1.0 / (self.sides.len().max(1) * TILTS.len()) as f64;
        let mut sum = 0.0;
        for side in &mut self.sides {
            let happened = (bin <= side.cut) == side.is_below;
            for (fortune, bet) in side.sums.iter_mut().zip(&side.bets) {
                *fortune = ((*fortune + stake) * bet.factor(happened)).min(f64::MAX / 1e6);
                sum += *fortune;
            }
        }
        self.recent.observe(bin);
        self.observed += 1;
        if self.alarm_at.is_none() && sum >= self.run_length {
            self.alarm_at = Some(self.observed);
        }
    }

    /// Whether it has alarmed since the start or the last reset.
    pub fn alarm(&self) -> bool {
        self.alarm_at.is_some()
    }

    /// How many requests that took.
    pub fn alarm_at(&self) -> Option<u64> {
        self.alarm_at
    }

    /// Starts the test anew, against the same reference: when someone has seen to an alarm.
    pub fn reset(&mut self) {
        for side in &mut self.sides {
            side.sums = [0.0; TILTS.len()];
        }
        (self.observed, self.alarm_at) = (0, None);
    }

    /// What it is compared with.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// How different the last requests are: the population stability index.
    pub fn stability(&self) -> Stability {
        self.recent.stability(&self.reference)
    }

    /// All of it, to be shown.
    pub fn figures(&self) -> DriftFigures {
        let sum: f64 = self.sides.iter().flat_map(|side| side.sums).sum();
        let level = (sum.max(1.0).ln() / self.run_length.ln()).clamp(0.0, 1.0);
        DriftFigures { observed: self.observed, level, alarm: self.alarm(), stability: self.stability() }
    }

    /// False alarms a day at most, on average and without drift, where this exit sees so many requests a
    /// day and is reset after each.
    pub fn false_alarms_per_day(&self, requests_per_day: f64) -> f64 {
        requests_per_day.max(0.0) / self.run_length
    }

    /// How many requests it takes to notice that the part of them below what was the calibration's quantile `q`
    /// has become `share(q)`: `|q| (2.0 * q).min(1.0)` if twice as many are as unsure as the least
    /// sure ones were. `None` where that is within what calibration leaves unknown at every cut.
    pub fn delay(&self, share: impl Fn(f64) -> f64) -> Option<Delay> {
        let stake = 1.0 / (self.sides.len() * TILTS.len()) as f64 / self.run_length;
        let of = |side: &Side| {
            let below = share(self.reference.quantile(side.cut)).clamp(0.0, 1.0);
            let share = if side.is_below { below } else { 1.0 - below };
            Delay::least(side.bets.iter().filter_map(|bet| bet.delay_of_many(share, |n| stake * n as f64)))
        };
        Delay::least(self.sides.iter().filter_map(of))
    }
}

#[cfg(test)]
mod tests;
