//! How sure a head is, from nothing but its scores.
//!
//! This runs for every request at every head that is asked, beside the inference itself: one pass over
//! the scores, no allocation.

mod fit;
mod predictor;
mod spread;
mod temperature;

pub use fit::{FitError, Fitted, Report, Rows, fit};
pub use predictor::Predictor;

use serde::{Deserialize, Serialize};
use spread::Spread;

/// What a row of scores is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Any numbers, of which the softmax are probabilities.
    Logits,
    /// From 0 to 1, together 1.
    Probabilities,
    /// Logarithms of those; −∞ is allowed.
    LogProbabilities,
}

/// What of the scores is taken for confidence. All are 0 to 1, and 1 is sure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The probability of the likeliest class (Hendrycks and Gimpel, "A baseline for detecting
    /// misclassified and out-of-distribution examples", 2017).
    MaxProbability,
    /// By how much it is more than that of the next.
    Margin,
    /// One less the entropy over that of a guess.
    Entropy,
    /// A learnt guess of how likely the answer is right.
    Learnt(Predictor),
}

/// From a head's scores to an answer and its confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawGate")]
pub struct Gate {
    kind: Kind,
    temperature: f64,
    measure: Measure,
}

/// A head's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The first of the largest scores.
    pub class: u32,
    /// 0 to 1.
    pub confidence: f64,
}

/// Why there is no such gate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GateError {
    /// The temperature is out of range.
    #[error("temperature {0:?}: expected 0.001 to 1000")]
    Temperature(f64),
    /// A weight of the learnt measure is no number.
    #[error("a weight of the learnt measure is {0:?}")]
    Weight(f64),
}

impl Kind {
    /// What rows of `classes` scores look like: probabilities where none is below 0 and each row adds up
    /// to 1, log-probabilities where their exponentials do, else logits.
    pub fn of(scores: &[f32], classes: usize) -> Self {
        let rows = || scores.chunks_exact(classes.max(1)).filter(|row| row.iter().all(|x| !x.is_nan()));
        let whole = |sum: f64| (sum - 1.0).abs() < 0.02;
        let all = |is: &dyn Fn(&[f32]) -> bool| rows().next().is_some() && rows().all(is);
        if all(&|row| row.iter().all(|p| *p >= 0.0) && whole(row.iter().map(|p| f64::from(*p)).sum())) {
            Self::Probabilities
        } else if all(&|row| {
            row.iter().all(|log| *log <= 1e-3) && whole(row.iter().map(|log| f64::from(*log).exp()).sum())
        }) {
            Self::LogProbabilities
        } else {
            Self::Logits
        }
    }
}

impl Gate {
    /// `temperature` divides the logits (Guo et al., "On calibration of modern neural networks", 2017)
    /// before they become probabilities: 1 leaves them as they are, more makes them less sure.
    pub fn new(kind: Kind, temperature: f64, measure: Measure) -> Result<Self, GateError> {
        if !(1e-3..=1e3).contains(&temperature) {
            return Err(GateError::Temperature(temperature));
        }
        if let Measure::Learnt(predictor) = &measure {
            predictor.check().map_err(GateError::Weight)?;
        }
        Ok(Self { kind, temperature, measure })
    }

    /// What the scores are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What divides the logits.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// What is taken for confidence.
    pub fn measure(&self) -> &Measure {
        &self.measure
    }

    /// Answer and confidence of one row of scores. `None` where there is nothing to be confident of:
    /// fewer than two classes, a score that is NaN or infinite (−∞ is a log-probability), or a
    /// probability that is none. Such a request never exits.
    pub fn judge(&self, scores: &[f32]) -> Option<Judged> {
        let spread = Spread::of(self.kind, self.temperature, scores)?;
        Some(Judged { class: spread.class, confidence: self.measure.of(&spread) })
    }
}

impl Measure {
    /// In a few letters, for tables and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MaxProbability => "max_probability",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::Learnt(_) => "learnt",
        }
    }

    fn of(&self, spread: &Spread) -> f64 {
        let confidence = match self {
            Self::MaxProbability => spread.top(),
            Self::Margin => spread.margin(),
            Self::Entropy => 1.0 - spread.entropy(),
            Self::Learnt(predictor) => predictor.right(spread),
        };
        confidence.clamp(0.0, 1.0)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGate {
    kind: Kind,
    temperature: f64,
    measure: Measure,
}

impl TryFrom<RawGate> for Gate {
    type Error = GateError;

    fn try_from(raw: RawGate) -> Result<Self, GateError> {
        Self::new(raw.kind, raw.temperature, raw.measure)
    }
}

#[cfg(test)]
mod tests;
