//! What each head's confidence has to be, all heads together.

use serde::{Deserialize, Serialize};

/// One threshold for every exit of a model, in the order of its boundaries. An exit answers where its
/// confidence is at least the threshold; one without a threshold never answers, and its head need not be
/// asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Option<f64>>", into = "Vec<Option<f64>>")]
pub struct Thresholds(Vec<Option<f64>>);

/// A model keeps no more boundaries than this, so it has no more exits.
pub(crate) const MOST_EXITS: usize = 64;

/// Why these are no thresholds.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ThresholdsError {
    /// Not a confidence.
    #[error("exit {exit}: threshold {value} is no confidence from 0 to 1")]
    Value {
        /// Which exit.
        exit: usize,
        /// What was given.
        value: f64,
    },
    /// More exits than a model can have boundaries.
    #[error("{0} exits: a model has {MOST_EXITS} at most")]
    TooMany(usize),
}

impl Thresholds {
    /// Confidences from 0 to 1; `None` closes an exit.
    pub fn new(thresholds: Vec<Option<f64>>) -> Result<Self, ThresholdsError> {
        if thresholds.len() > MOST_EXITS {
            return Err(ThresholdsError::TooMany(thresholds.len()));
        }
        for (exit, value) in thresholds.iter().enumerate() {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(ThresholdsError::Value { exit, value });
            }
        }
        Ok(Self(thresholds))
    }

    /// No exit answers.
    pub fn closed(exits: usize) -> Self {
        Self(vec![None; exits])
    }

    /// How many exits there are, closed ones too.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no exit at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The threshold of an exit; `None` where it never answers.
    pub fn of(&self, exit: usize) -> Option<f64> {
        self.0.get(exit).copied().flatten()
    }

    /// Whether an exit may answer at all.
    pub fn is_open(&self, exit: usize) -> bool {
        self.of(exit).is_some()
    }

    /// Whether an exit answers at this confidence, which is never where the confidence is not a number.
    pub fn admits(&self, exit: usize, confidence: f64) -> bool {
        self.of(exit).is_some_and(|least| confidence >= least)
    }

    /// In the order of the exits.
    pub fn iter(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        self.0.iter().copied()
    }

    /// Whether whatever these admit `other` admits too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|pair| match pair {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(strict), Some(loose)) => strict >= loose,
            })
    }

    pub(crate) fn open(&mut self, exit: usize, threshold: f64) {
        if let Some(slot) = self.0.get_mut(exit) {
            *slot = Some(threshold.clamp(0.0, 1.0));
        }
    }
}

impl TryFrom<Vec<Option<f64>>> for Thresholds {
    type Error = ThresholdsError;

    fn try_from(thresholds: Vec<Option<f64>>) -> Result<Self, ThresholdsError> {
        Self::new(thresholds)
    }
}

impl From<Thresholds> for Vec<Option<f64>> {
    fn from(thresholds: Thresholds) -> Self {
        thresholds.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds(values: &[Option<f64>]) -> Thresholds {
        Thresholds::new(values.to_vec()).unwrap()
    }

    #[test]
    fn who_answers() {
        let both = thresholds(&[Some(0.9), None]);
        for (exit, confidence, answers) in [
            (0, 0.9, true),
            (0, 0.899, false),
            (0, f64::NAN, false),
            (1, 1.0, false),
            (2, 1.0, false),
            (0, f64::INFINITY, true),
        ] {
            assert_eq!(both.admits(exit, confidence), answers, "exit {exit} at {confidence}");
        }
    }

    #[test]
    fn order() {
        let (closed, strict, loose) =
            (Thresholds::closed(2), thresholds(&[Some(0.9), None]), thresholds(&[Some(0.8), Some(1.0)]));
        assert!(closed.is_within(&strict) && strict.is_within(&loose) && loose.is_within(&loose));
        assert!(!loose.is_within(&strict) && !strict.is_within(&closed));
        assert!(!closed.is_within(&Thresholds::closed(3)));
    }

    #[test]
    fn files() {
        let read = |text: &str| serde_json::from_str::<Thresholds>(text).map_err(|error| error.to_string());
        assert_eq!(read("[0.5, null]"), Ok(thresholds(&[Some(0.5), None])));
        assert_eq!(serde_json::to_string(&thresholds(&[Some(0.5), None])).unwrap(), "[0.5,null]");
        assert!(read("[0.5, 1.5]").unwrap_err().contains("exit 1: threshold 1.5"));
        assert!(read("[-0.1]").is_err());
        assert!(read(&format!("{:?}", vec![0.5; 65])).unwrap_err().contains("65 exits"));
    }
}
