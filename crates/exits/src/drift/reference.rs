//! What calibration has seen of one exit's confidences, in few numbers.

use crate::binomial::{lower_limit, upper_limit};
use crate::{Outcomes, Thresholds};
use kerf_random::Random;
use serde::{Deserialize, Serialize};

/// Where the confidences are cut. Closer where heads are unsure: drift makes them less sure.
const QUANTILES: [f64; 11] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Fewer confidences leave too much unknown.
const LEAST: usize = 50;

/// How likely some limit does not hold.
const TAIL: f64 = 0.01;

/// A head that could not say is less sure than any.
const UNSURE: f64 = -1.0;

/// Cuts through the confidences of one exit, and what is known of how many requests are below each: by rank
/// alone, whatever their distribution, for this calibration set rather than for the average one (V. Vovk,
/// "Conditional validity of inductive conformal predictors", 2012).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Said", into = "Said")]
pub struct Reference {
    requests: u64,
    cuts: Vec<Cut>,
}

/// One confidence of the calibration, by rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The confidence; −1 stands for a head that could not say.
    pub confidence: f64,
    /// Its place among equals, drawn at random: 0 to 1.
    pub tie: f64,
    /// Its rank, from 1.
    pub rank: u64,
    /// The least share of requests that may truly be below.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

/// Why there is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Too few requests come to this exit.
    #[error("{0} calibration inputs come to this exit; {LEAST} are needed to know a drift from chance")]
    TooFew(usize),
    /// The outcomes have no such exit.
    #[error("exit {exit} of {exits}")]
    Exit {
        /// Which was asked for.
        exit: usize,
        /// How many there are.
        exits: usize,
    },
    /// A file that no calibration wrote.
    #[error("cut {0} is out of order or out of range")]
    Cut(usize),
}

impl Reference {
    /// Of the requests that no open exit before this one answers. `seed` orders equal confidences.
    pub fn of(
        calibration: &Outcomes,
        thresholds: &Thresholds,
        exit: usize,
        seed: u64,
    ) -> Result<Self, ReferenceError> {
        if exit >= calibration.exits() {
            return Err(ReferenceError::Exit { exit, exits: calibration.exits() });
        }
        let survivors = calibration.survivors(thresholds, exit);
        let confidence = |request| calibration.of(request, exit)?.confidence;
        Self::new(survivors.map(|request| confidence(request).unwrap_or(UNSURE)), seed)
    }

    /// Of these confidences; one that is not a number stands for a head that could not say. `seed` orders
    /// equal ones.
    pub fn new(confidences: impl IntoIterator<Item = f64>, seed: u64) -> Result<Self, ReferenceError> {
        let mut random = Random::new(seed);
        let mut all: Vec<(f64, f64)> =
            confidences.into_iter().map(|confidence| (known(confidence), random.unit())).collect();
        if all.len() < LEAST {
            return Err(ReferenceError::TooFew(all.len()));
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let requests = all.len() as u64;
        let mut ranks: Vec<u64> = QUANTILES
            .iter()
            .map(|q| ((q * (requests + 1) as f64).round() as u64).clamp(1, requests))
            .collect();
        ranks.dedup();
        let tail = TAIL / (2 * ranks.len()) as f64;
        let cut = |rank: u64| {
            let (confidence, tie) = all[rank as usize - 1];
            // The share below the k-th of n has the distribution Beta(k, n + 1 − k), whose tails are
            // binomial ones.
            let (low, high) = (lower_limit(rank, requests, tail), upper_limit(rank - 1, requests, tail));
            Cut { confidence, tie, rank, low, high }
        };
        Ok(Self { requests, cuts: ranks.into_iter().map(cut).collect() })
    }

    /// How many calibration inputs came to this exit.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// From the least confidence on.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// The share that is expected below a cut; 1 after the last.
    pub fn quantile(&self, cut: usize) -> f64 {
        self.cuts.get(cut).map_or(1.0, |cut| cut.rank as f64 / (self.requests + 1) as f64)
    }
}

/// How many cuts are not above.
pub(super) fn place(cuts: &[Cut], confidence: f64, tie: f64) -> usize {
    let confidence = known(confidence);
    let tie = if tie.is_nan() { 0.5 } else { tie };
    cuts.partition_point(|cut| (cut.confidence, cut.tie) <= (confidence, tie))
}

fn known(confidence: f64) -> f64 {
    if confidence >= 0.0 { confidence } else { UNSURE }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    requests: u64,
    cuts: Vec<Cut>,
}

impl TryFrom<Said> for Reference {
    type Error = ReferenceError;

    fn try_from(said: Said) -> Result<Self, ReferenceError> {
        let Said { requests, cuts } = said;
        if requests < LEAST as u64 || requests >= 1 << 53 {
            return Err(ReferenceError::TooFew(usize::try_from(requests).unwrap_or(usize::MAX)));
        }
        if cuts.len() > QUANTILES.len() || cuts.is_empty() {
            return Err(ReferenceError::Cut(cuts.len()));
        }
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let mut before: Option<Cut> = None;
        for (at, cut) in cuts.iter().enumerate() {
            let fits = (cut.confidence == UNSURE || share(cut.confidence))
                && share(cut.tie)
                && (1..=requests).contains(&cut.rank)
                && share(cut.low)
                && share(cut.high)
                && cut.low < cut.high
                && before.is_none_or(|before| {
                    before.rank < cut.rank && (before.confidence, before.tie) <= (cut.confidence, cut.tie)
                });
            if !fits {
                return Err(ReferenceError::Cut(at));
            }
            before = Some(*cut);
        }
        Ok(Self { requests, cuts })
    }
}

impl From<Reference> for Said {
    fn from(reference: Reference) -> Self {
        Self { requests: reference.requests, cuts: reference.cuts }
    }
}
