//! What a confidence is worth: how often answers that sure are right.
//!
//! Thresholds do not need this, since they only compare. People do, and so does a planner that weighs
//! exits against each other.

use crate::Outcomes;
use kerf_agreement::{Share, isotonic};
use serde::{Deserialize, Serialize};

/// At most this many steps; more would follow luck.
const MOST_KNOTS: usize = 64;

/// How likely an answer is right, as a function of its confidence that never falls: isotonic regression
/// (Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
/// 2002) on groups of equal size, straight lines in between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct Calibration {
    /// Confidence and probability; both rise.
    knots: Vec<(f64, f64)>,
}

/// Why these are no steps of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// There are none.
    #[error("a calibration needs answers with a confidence")]
    Empty,
    /// There are more than anyone writes.
    #[error("a calibration has {MOST_KNOTS} steps at most, found {0}")]
    TooMany(usize),
    /// They fall, or are no shares.
    #[error("step {0} of the calibration: confidence and probability are 0 to 1 and never fall")]
    Order(usize),
}

/// A reliability diagram: what heads say against what is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    /// The groups that hold anything, from the least confidence.
    pub bins: Vec<Bin>,
    /// The mean distance between confidence and share of right answers, weighted by requests: the
    /// expected calibration error.
    pub error: f64,
}

/// Answers of about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Their mean confidence.
    pub confidence: f64,
    /// How many were right.
    pub right: Share,
}

impl Calibration {
    /// From the answers of one exit to the requests given, which are those that earlier exits let through.
    pub fn fit(
        outcomes: &Outcomes,
        exit: usize,
        requests: impl IntoIterator<Item = usize>,
    ) -> Result<Self, CalibrationError> {
        let mut answers = answers(outcomes, exit, requests);
        answers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let size = answers.len().div_ceil(MOST_KNOTS).max(1);
        let groups: Vec<Bin> = answers.chunks(size).map(Bin::of).collect();
        let rights: Vec<Share> = groups.iter().map(|group| group.right).collect();
        let mut knots: Vec<(f64, f64)> = Vec::new();
        for (group, right) in groups.iter().zip(isotonic(&rights)) {
            // Means of equal confidences may differ in the last digit.
            let confidence = knots.last().map_or(0.0, |last| last.0).max(group.confidence).min(1.0);
            knots.push((confidence, right));
        }
        Self::try_from(knots)
    }

    /// How likely an answer of this confidence is right.
    pub fn right(&self, confidence: f64) -> f64 {
        let next = self.knots.partition_point(|(at, _)| *at < confidence);
        match (next.checked_sub(1).and_then(|before| self.knots.get(before)), self.knots.get(next)) {
            (None, None) => 0.0,
            (None, Some((_, right))) | (Some((_, right)), None) => *right,
            (Some((low, from)), Some((high, to))) => {
                from + (to - from) * ((confidence - low) / (high - low)).clamp(0.0, 1.0)
            }
        }
    }
}

impl Reliability {
    /// Groups of equal width, 1 to 100 of them, of the answers of one exit to the requests given; `right`
    /// says what the confidence claims: itself, or what a [`Calibration`] makes of it.
    pub fn of(
        outcomes: &Outcomes,
        exit: usize,
        requests: impl IntoIterator<Item = usize>,
        bins: usize,
        right: impl Fn(f64) -> f64,
    ) -> Self {
        let bins = bins.clamp(1, 100);
        let mut groups: Vec<Vec<(f64, bool)>> = vec![Vec::new(); bins];
        for (confidence, wrong) in answers(outcomes, exit, requests) {
            let claimed = right(confidence).clamp(0.0, 1.0);
            groups[((claimed * bins as f64) as usize).min(bins - 1)].push((claimed, wrong));
        }
        let bins: Vec<Bin> =
            groups.iter().filter(|group| !group.is_empty()).map(|group| Bin::of(group)).collect();
        let all: u64 = bins.iter().map(|bin| bin.right.of).sum();
        let off = |bin: &Bin| bin.right.value().map_or(0.0, |right| (right - bin.confidence).abs());
        let error = bins.iter().map(|bin| off(bin) * bin.right.of as f64).sum::<f64>() / all.max(1) as f64;
        Self { bins, error }
    }
}

impl Bin {
    fn of(answers: &[(f64, bool)]) -> Self {
        let of = answers.len() as u64;
        let right = answers.iter().filter(|(_, wrong)| !wrong).count() as u64;
        let sum: f64 = answers.iter().map(|(confidence, _)| confidence).sum();
        Self { confidence: sum / of.max(1) as f64, right: Share { same: right, of } }
    }
}

fn answers(outcomes: &Outcomes, exit: usize, requests: impl IntoIterator<Item = usize>) -> Vec<(f64, bool)> {
    let answer = |request| {
        let outcome = outcomes.of(request, exit)?;
        Some((outcome.confidence?, outcome.wrong))
    };
    requests.into_iter().filter_map(answer).collect()
}

impl TryFrom<Vec<(f64, f64)>> for Calibration {
    type Error = CalibrationError;

    fn try_from(knots: Vec<(f64, f64)>) -> Result<Self, CalibrationError> {
        if knots.is_empty() {
            return Err(CalibrationError::Empty);
        }
        if knots.len() > MOST_KNOTS {
            return Err(CalibrationError::TooMany(knots.len()));
        }
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let mut last = (0.0, 0.0);
        for (at, knot) in knots.iter().enumerate() {
            if !is_share(knot.0) || !is_share(knot.1) || knot.0 < last.0 || knot.1 < last.1 {
                return Err(CalibrationError::Order(at));
            }
            last = *knot;
        }
        Ok(Self { knots })
    }
}

impl From<Calibration> for Vec<(f64, f64)> {
    fn from(calibration: Calibration) -> Self {
        calibration.knots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use proptest::prelude::*;

    fn outcomes(answers: &[(f64, bool)]) -> Outcomes {
        let mut all = Outcomes::new(1).unwrap();
        for (confidence, wrong) in answers {
            all.push(&[Outcome { confidence: Some(*confidence), wrong: *wrong }]).unwrap();
        }
        all
    }

    #[test]
    fn confidence_becomes_what_it_is_worth() {
        // A head that always claims 0.9 or 0.5 and is right in 7 and in 4 of 10.
        let answers: Vec<(f64, bool)> =
            (0..640).map(|at| if at % 2 == 0 { (0.9, at % 20 < 6) } else { (0.5, at % 20 < 12) }).collect();
        let all = outcomes(&answers);
        let found = Calibration::fit(&all, 0, 0..all.len()).unwrap();
        for (confidence, right) in [(0.0, 0.4), (0.5, 0.4), (0.7, 0.55), (0.9, 0.7), (1.0, 0.7)] {
            assert!(
                (found.right(confidence) - right).abs() < 0.011,
                "{confidence}: {}",
                found.right(confidence)
            );
        }
        let (before, after) = (
            Reliability::of(&all, 0, 0..all.len(), 10, |confidence| confidence),
            Reliability::of(&all, 0, 0..all.len(), 10, |confidence| found.right(confidence)),
        );
        assert!((before.error - 0.15).abs() < 1e-9 && after.error < 0.02, "{before:?} {after:?}");
        assert_eq!(before.bins.iter().map(|bin| bin.right.of).sum::<u64>(), 640);
    }

    #[test]
    fn calibrations_that_are_none() {
        assert_eq!(Calibration::fit(&outcomes(&[]), 0, 0..9), Err(CalibrationError::Empty));
        let read = |text: &str| serde_json::from_str::<Calibration>(text).map_err(|error| error.to_string());
        assert!(read("[[0.1, 0.2], [0.3, 0.9]]").is_ok());
        for text in ["[[0.3, 0.2], [0.1, 0.9]]", "[[0.1, 0.9], [0.3, 0.2]]", "[[0.1, 1.1]]", "[[-0.1, 0.5]]"]
        {
            assert!(read(text).unwrap_err().contains("step"), "{text}");
        }
        assert!(read("[]").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn never_falls(answers in prop::collection::vec((0.0f64..=1.0, any::<bool>()), 1..300)) {
            let all = outcomes(&answers);
            let found = Calibration::fit(&all, 0, 0..all.len()).unwrap();
            let steps: Vec<f64> = (0..=100).map(|at| found.right(f64::from(at) / 100.0)).collect();
            prop_assert!(steps.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
            prop_assert!(steps.iter().all(|right| (0.0..=1.0).contains(right)));
            let text = serde_json::to_string(&found).unwrap();
            prop_assert!(serde_json::from_str::<Calibration>(&text).is_ok());
        }
    }
}
