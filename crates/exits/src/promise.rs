//! What a user is promised about early answers.

use crate::binomial;
use serde::{Deserialize, Serialize};
use std::fmt;

/// At most this share of all requests has a head that is confident and wrong, and the calibration
/// that says so is misled with probability `1 − confidence` at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Said", into = "Said")]
pub struct Promise {
    risk: f64,
    confidence: f64,
    loss: Loss,
}

/// What counts as wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The head names another class than the whole model. Needs no labels.
    #[default]
    Disagreement,
    /// The head is wrong where the whole model is right. This is never less than what is lost of the
    /// accuracy, which also counts the requests where the head is right and the whole model is not.
    ErrorIncrease,
}

/// Why there is no such promise.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PromiseError {
    /// The risk is out of range.
    #[error("risk {0}: expected a share from 0.000001 to 0.5, such as 0.01 or 1%")]
    Risk(f64),
    /// The confidence is out of range.
    #[error("confidence {0}: expected a share from 0.5 to 0.999999, such as 0.95 or 95%")]
    Confidence(f64),
}

impl Promise {
    /// `risk` is a share of all requests, 0.000001 to 0.5; `confidence` is 0.5 to 0.999999.
    pub fn new(risk: f64, confidence: f64, loss: Loss) -> Result<Self, PromiseError> {
        if !(1e-6..=0.5).contains(&risk) {
            return Err(PromiseError::Risk(risk));
        }
        if !(0.5..=0.999_999).contains(&confidence) {
            return Err(PromiseError::Confidence(confidence));
        }
        Ok(Self { risk, confidence, loss })
    }

    /// The largest share of requests.
    pub fn risk(&self) -> f64 {
        self.risk
    }

    /// How sure.
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// What is a loss.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// How likely the calibration may be misled.
    pub(crate) fn tail(&self) -> f64 {
        1.0 - self.confidence
    }
}

/// How many calibration inputs this promise needs where not one of them shows an error: 299 for 1% at
/// 95%. With fewer, thresholds whose true risk is above the promise could show none just by luck.
pub fn required(promise: &Promise) -> u64 {
    required_with(promise, 0).unwrap_or(u64::MAX)
}

/// How many are needed where `errors` of them show one; `None` where that is beyond counting.
pub fn required_with(promise: &Promise, errors: u64) -> Option<u64> {
    binomial::trials(errors, promise.risk, promise.tail())
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", Percent(self.risk), Percent(self.confidence))
    }
}

/// A share as people say it: `1%`, `0.25%`, `99.5%`.
pub(crate) struct Percent(pub(crate) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let digits = if percent >= 1.0 { 2 } else { 4 };
        let text = format!("{percent:.digits$}");
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    risk: f64,
    confidence: f64,
    #[serde(default)]
    loss: Loss,
}

impl TryFrom<Said> for Promise {
    type Error = PromiseError;

    fn try_from(said: Said) -> Result<Self, PromiseError> {
        Self::new(said.risk, said.confidence, said.loss)
    }
}

impl From<Promise> for Said {
    fn from(promise: Promise) -> Self {
        Self { risk: promise.risk, confidence: promise.confidence, loss: promise.loss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_promises_need() {
        for (risk, confidence, errors, needed) in [
            (0.01, 0.95, 0, 299),
            (0.05, 0.95, 0, 59),
            (0.01, 0.99, 0, 459),
            (0.001, 0.95, 0, 2995),
            (0.5, 0.5, 0, 1),
            // Wilks' formula of the second and third order.
            (0.05, 0.95, 1, 93),
            (0.05, 0.95, 2, 124),
            (0.01, 0.95, 1, 473),
            (0.01, 0.95, 2, 628),
        ] {
            let promise = Promise::new(risk, confidence, Loss::default()).unwrap();
            assert_eq!(required_with(&promise, errors), Some(needed), "{promise}, {errors} errors");
        }
    }

    #[test]
    fn promises_that_no_one_can_make() {
        for (risk, confidence) in [(0.0, 0.95), (-0.1, 0.95), (f64::NAN, 0.95), (0.6, 0.95)] {
            assert!(matches!(
                Promise::new(risk, confidence, Loss::default()),
                Err(PromiseError::Risk(value)) if value.to_bits() == risk.to_bits()
            ));
        }
        for confidence in [0.0, 1.0, f64::NAN, 0.4] {
            assert!(matches!(
                Promise::new(0.01, confidence, Loss::default()),
                Err(PromiseError::Confidence(_))
            ));
        }
        assert!(serde_json::from_str::<Promise>(r#"{"risk": 2, "confidence": 0.95}"#).is_err());
    }

    #[test]
    fn said_as_people_do() {
        let promise: Promise = serde_json::from_str(r#"{"risk": 0.0025, "confidence": 0.995}"#).unwrap();
        assert_eq!(promise.to_string(), "0.25% at 99.5%");
        assert_eq!(Promise::new(0.01, 0.95, Loss::ErrorIncrease).unwrap().to_string(), "1% at 95%");
    }
}
