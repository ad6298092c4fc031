//! Which measure of confidence tells a head's errors best.

use super::predictor::{Example, FEATURES, Predictor, features};
use super::spread::Spread;
use super::{Gate, Kind, Measure, temperature};
use crate::ranking::{aurc, auroc};
use serde::{Deserialize, Serialize};

/// Fewer rows than this tell nothing about a head.
const LEAST_ROWS: usize = 20;

/// Fewer errors than this, or fewer right answers, teach a predictor nothing.
const LEAST_OF_EACH: usize = 20;

const FOLDS: usize = 5;

/// A head's scores for the requests that earlier heads let through.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// What the scores are.
    pub kind: Kind,
    /// How many scores a row has.
    pub classes: usize,
    /// Row by row.
    pub scores: &'a [f32],
    /// Whether the answer of each row would be a loss.
    pub wrong: &'a [bool],
}

/// A gate, and why it is that one.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// With the measure that was taken.
    pub gate: Gate,
    /// Every measure that was tried, the best first. What was taken is among them: the plainest of those that
    /// are as good as the best.
    pub reports: Vec<Report>,
    /// Rows left out since their scores were not finite.
    pub skipped: usize,
}

/// How well a measure tells right answers from wrong ones, on rows that it was not fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The measure; a learnt one fitted to all rows.
    pub measure: Measure,
    /// Mean over the folds of the area under the risk-coverage curve; less is better.
    pub aurc: f64,
    /// Mean over the folds of the share of pairs of a right and a wrong answer in which the right one is
    /// the more confident; `None` where there are no such pairs.
    pub auroc: Option<f64>,
}

/// Why no gate was fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// There is no choice.
    #[error("the head has {0} classes; a confidence needs two at least")]
    Classes(usize),
    /// The lengths do not fit together.
    #[error("{scores} scores are not {rows} rows of {classes}")]
    Lengths {
        /// Scores given.
        scores: usize,
        /// Flags given.
        rows: usize,
        /// Scores in a row.
        classes: usize,
    },
    /// Too little to go by.
    #[error(
        "{found} requests with finite scores reach this head, {LEAST_ROWS} are needed to judge its confidence ({skipped} were not finite)"
    )]
    TooFew {
        /// Rows with finite scores.
        found: usize,
        /// Rows without.
        skipped: usize,
    },
}

/// Fits a temperature, tries every measure, and takes the one with the least area under the
/// risk-coverage curve (Geifman, Uziel, El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
/// classifiers", 2019) in five-fold cross-validation, or a plainer one that is no more than a standard error
/// of the difference worse. Folds go by position: equal rows in equal order give an equal gate.
pub fn fit(rows: &Rows<'_>) -> Result<Fitted, FitError> {
    let Rows { kind, classes, scores, wrong } = *rows;
    if classes < 2 {
        return Err(FitError::Classes(classes));
    }
    if classes.checked_mul(wrong.len()) != Some(scores.len()) {
        return Err(FitError::Lengths { scores: scores.len(), rows: wrong.len(), classes });
    }
    let fit: Vec<(&[f32], bool)> = scores
        .chunks_exact(classes)
        .zip(wrong.iter().copied())
        .filter(|(row, _)| Spread::of(kind, 1.0, row).is_some())
        .collect();
    let skipped = wrong.len() - fit.len();
    if fit.len() < LEAST_ROWS {
        return Err(FitError::TooFew { found: fit.len(), skipped });
    }
    let temperature = temperature::fit(kind, classes, &fit);
    let samples: Vec<Sample> = folded(&fit, |row| Spread::of(kind, temperature, row));
    let plain = [Measure::MaxProbability, Measure::Margin, Measure::Entropy];
    let mut tried: Vec<Tried> = plain
        .into_iter()
        .map(|measure| Tried::of(measure, &samples, |_, spread| measure.of(spread)))
        .collect();
    tried.extend(learnt(&samples));
    let best = tried.iter().min_by(|a, b| a.aurc().total_cmp(&b.aurc()));
    let taken = best.and_then(|best| tried.iter().find(|other| other.is_as_good_as(best)));
    let measure = taken.map_or(Measure::MaxProbability, |taken| taken.measure);
    let mut reports: Vec<Report> = tried.iter().map(Tried::report).collect();
    reports.sort_by(|a, b| a.aurc.total_cmp(&b.aurc));
    Ok(Fitted { gate: Gate { kind, temperature, measure }, reports, skipped })
}

struct Sample {
    spread: Spread,
    wrong: bool,
    fold: usize,
}

/// Right and wrong rows are dealt out in turn, so that every fold has its part of the few errors.
fn folded(rows: &[(&[f32], bool)], spread: impl Fn(&[f32]) -> Option<Spread>) -> Vec<Sample> {
    let mut dealt = [0usize; 2];
    let of = |(row, wrong): &(&[f32], bool)| {
        let count = &mut dealt[usize::from(*wrong)];
        *count += 1;
        Some(Sample { spread: spread(row)?, wrong: *wrong, fold: *count % FOLDS })
    };
    rows.iter().filter_map(of).collect()
}

/// A measure, judged fold by fold: a learnt one differs between folds, and its confidences with it.
struct Tried {
    measure: Measure,
    aurc: Vec<f64>,
    auroc: Vec<f64>,
}

impl Tried {
    fn of(measure: Measure, samples: &[Sample], confidence: impl Fn(usize, &Spread) -> f64) -> Self {
        let folds: Vec<Vec<(f64, bool)>> = (0..FOLDS)
            .map(|fold| {
                let within = samples.iter().filter(|sample| sample.fold == fold);
                within.map(|sample| (confidence(fold, &sample.spread), sample.wrong)).collect()
            })
            .collect();
        Self {
            measure,
            aurc: folds.iter().filter_map(|fold| aurc(fold)).collect(),
            auroc: folds.iter().filter_map(|fold| auroc(fold)).collect(),
        }
    }

    fn aurc(&self) -> f64 {
        mean(&self.aurc).unwrap_or(0.0)
    }

    /// Whether it is worse by no more than what differs from fold to fold.
    fn is_as_good_as(&self, best: &Self) -> bool {
        let worse: Vec<f64> = self.aurc.iter().zip(&best.aurc).map(|(one, best)| one - best).collect();
        let gap = mean(&worse).unwrap_or(0.0);
        let squares: f64 = worse.iter().map(|one| (one - gap).powi(2)).sum();
        let folds = worse.len() as f64;
        gap <= (squares / (folds * (folds - 1.0)).max(1.0)).sqrt()
    }

    fn report(&self) -> Report {
        Report { measure: self.measure, aurc: self.aurc(), auroc: mean(&self.auroc) }
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// `None` where there is too little to learn from.
fn learnt(samples: &[Sample]) -> Option<Tried> {
    let wrong = samples.iter().filter(|sample| sample.wrong).count();
    if wrong < LEAST_OF_EACH || samples.len() - wrong < LEAST_OF_EACH {
        return None;
    }
    let fit = |without: Option<usize>| {
        let kept = samples.iter().filter(|sample| Some(sample.fold) != without);
        let examples: Vec<Example> = kept
            .map(|sample| {
                let features: [f64; FEATURES] = features(&sample.spread);
                Example { features, right: !sample.wrong }
            })
            .collect();
        Predictor::fit(&examples)
    };
    let folds: Vec<Predictor> = (0..FOLDS).map(|fold| fit(Some(fold))).collect::<Option<_>>()?;
    let measure = Measure::Learnt(fit(None)?);
    Some(Tried::of(measure, samples, |fold, spread| folds[fold].right(spread)))
}
