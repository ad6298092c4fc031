//! Times of the ranges that were not timed.
//!
//! A range's time is the work of its steps, plus what its two cuts cost (fusion that they end,
//! layouts that they convert), plus what no sum explains: a short range finds its weights in the
//! cache, a long one does not. The first two are sums over few unknowns, the third changes slowly
//! with both ends. All three have Gaussian priors, so that together they are one Gaussian process
//! over pairs of boundaries (Rasmussen and Williams, *Gaussian Processes for Machine Learning*,
//! chapters 2 and 5), and everything asked here has a closed form: the prediction, how sure it is,
//! what it would have been without one of the measurements, and which range to time next.
//!
//! Everything is fitted to medians, relative to their size: a busy machine spoils means, and ten
//! percent of a millisecond matters as much as ten percent of a second.

mod field;
mod matrix;
mod pause;

use crate::{Profile, RangeTime, Rested};
use field::{Field, Posterior, Shape};
use pause::Pause;

/// Ranges below this, in seconds, do not count in [`LeaveOut`]: nobody plans around them, and a
/// clock's and a scheduler's noise is a large part of them.
const COUNTS_FROM: f64 = 1e-3;

/// Measurements beyond which the prior's parameters are chosen on some of them: the time that it
/// takes grows with their cube.
const MOST_FOR_CHOICE: usize = 150;

/// How far a prediction may pass what the ranges around and within it allow.
const SLACK: f64 = 0.05;

/// Times of every range of one profile at one batch size.
#[derive(Clone, Debug)]
pub struct Predictor {
    last: usize,
    cells: Vec<Option<Estimate>>,
    error: LeaveOut,
}

/// The time of a range, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean time of a run.
    pub mean: f64,
    /// Median time of a run.
    pub p50: f64,
    /// Standard deviation of a run; of a predicted one, with the prediction's own.
    pub sd: f64,
    /// Whether the range itself was timed.
    pub timed: bool,
}

/// Relative errors |predicted − measured| / measured of medians, each range of a millisecond or more
/// predicted from all the others. A profile of few ranges has few neighbours to predict from, and so
/// errs more here than on the ranges between those that it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeaveOut {
    /// Ranges that were left out in turn.
    pub ranges: usize,
    /// Median error; 0 without ranges.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
}

/// Why nothing can be predicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// No range was timed at this batch size.
    #[error("the profile has no times at batch {batch}; it has {}", list(.found))]
    Batch {
        /// The one asked for.
        batch: usize,
        /// Those that there are.
        found: Vec<usize>,
    },
    /// Numbers that [`Profile::check`] would have refused.
    #[error("the profile's times are no numbers to calculate with")]
    Numbers,
}

impl Predictor {
    /// Learns from the ranges that `profile` timed at `batch`. Batches other than 1 start from what is
    /// known of 1: often only the tails are timed at those.
    pub fn fit(profile: &Profile, batch: usize) -> Result<Self, FitError> {
        Ok(Fitted::new(profile, batch)?.predictor(profile, batch))
    }

    /// Times after a pause: of the ranges that `profile` timed so, and of the others by what a pause added
    /// to those. `None` where it timed none so. [`error`](Self::error) is that of runs back to back.
    pub fn rested(profile: &Profile) -> Result<Option<Self>, FitError> {
        let timed: Vec<(&RangeTime, Rested)> = profile
            .ranges
            .iter()
            .filter(|range| range.batch == 1)
            .filter_map(|range| Some((range, range.rested?)))
            .collect();
        if timed.is_empty() {
            return Ok(None);
        }
        let mut all = Self::fit(profile, 1)?;
        let pause = Pause::fit(&timed);
        for (from, to) in pairs(all.last) {
            let cell = &mut all.cells[from * (all.last + 1) + to];
            let measured = timed.iter().find(|(range, _)| (range.from, range.to) == (from, to));
            *cell = match measured {
                Some((_, Rested { p50, sd, .. })) => {
                    Some(Estimate { mean: *p50, p50: *p50, sd: *sd, timed: true })
                }
                None => cell.map(|busy| pause.after(busy)),
            };
        }
        Ok(Some(all))
    }

    /// The time of `from..to`; zero where they are equal. `None` where the engine failed on it, or
    /// there is no such range.
    pub fn time(&self, from: usize, to: usize) -> Option<Estimate> {
        if from > self.last || to > self.last {
            return None;
        }
        self.cells[from * (self.last + 1) + to]
    }

    /// How far predictions are off where that can be told.
    pub fn error(&self) -> LeaveOut {
        self.error
    }
}
/// The ranges without times, in the order in which timing them would help most: each next one takes
/// the most relative uncertainty from all that remain. Empty where nothing was timed.
pub fn order(profile: &Profile, batch: usize) -> Vec<(usize, usize)> {
    let Ok(fitted) = Fitted::new(profile, batch) else { return Vec::new() };
    let failed = |from, to| profile.failed.iter().any(|f| (f.from, f.to, f.batch) == (from, to, batch));
    let open: Vec<(usize, usize)> = pairs(profile.last())
        .filter(|(from, to)| !fitted.timed.iter().any(|range| (range.from, range.to) == (*from, *to)))
        .filter(|(from, to)| !failed(*from, *to))
        .collect();
    fitted.posterior.order(&open)
}

/// All `from < to`.
fn pairs(last: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..last).flat_map(move |from| (from + 1..=last).map(move |to| (from, to)))
}

struct Fitted<'a> {
    timed: Vec<&'a RangeTime>,
    posterior: Posterior,
}

impl<'a> Fitted<'a> {
    fn new(profile: &'a Profile, batch: usize) -> Result<Self, FitError> {
        let timed: Vec<&RangeTime> = profile.ranges.iter().filter(|range| range.batch == batch).collect();
        if timed.is_empty() {
            let mut found: Vec<usize> = profile.ranges.iter().map(|range| range.batch).collect();
            found.sort_unstable();
            found.dedup();
            return Err(FitError::Batch { batch, found });
        }
        let steps = match batch {
            1 => first_guess(profile),
            _ => match Self::new(profile, 1) {
                Ok(single) => single.posterior.steps(),
                Err(_) => first_guess(profile),
            },
        };
        let posterior = settle(steps, &timed).ok_or(FitError::Numbers)?;
        Ok(Self { timed, posterior })
    }

    /// All ranges of `profile`, measured or predicted.
    fn predictor(&self, profile: &Profile, batch: usize) -> Predictor {
        let last = profile.last();
        let mut cells = vec![None; (last + 1) * (last + 1)];
        let (mean_of_median, spread) =
            (self.typical(|range| range.mean / range.p50), self.typical(|range| range.sd / range.mean));
        for from in 0..=last {
            cells[from * (last + 1) + from] = Some(Estimate { mean: 0.0, p50: 0.0, sd: 0.0, timed: true });
            for to in from + 1..=last {
                let measured = self.timed.iter().find(|range| (range.from, range.to) == (from, to));
                let failed = profile.failed.iter().any(|f| (f.from, f.to, f.batch) == (from, to, batch));
                cells[from * (last + 1) + to] = match measured {
                    Some(range) => {
                        Some(Estimate { mean: range.mean, p50: range.p50, sd: range.sd, timed: true })
                    }
                    None if failed => None,
                    None => {
                        let (p50, unsure) = self.predict(from, to);
                        let mean = p50 * mean_of_median;
                        let sd = (mean * spread).hypot(unsure);
                        Some(Estimate { mean, p50, sd, timed: false })
                    }
                };
            }
        }
        Predictor { last, cells, error: self.leave_out() }
    }

    /// Median and the standard deviation of its prediction.
    fn predict(&self, from: usize, to: usize) -> (f64, f64) {
        let (p50, unsure) = self.posterior.at((from, to));
        let (mut low, mut high) = (0.0f64, f64::INFINITY);
        for range in &self.timed {
            // The work of a part is no more than that of the whole, whatever the cuts cost.
            let cuts = self.posterior.cuts((range.from, range.to));
            if from <= range.from && range.to <= to {
                low = low.max((range.p50 - cuts) * (1.0 - SLACK));
            }
            if range.from <= from && to <= range.to {
                high = high.min((range.p50 + self.posterior.cuts((from, to))) * (1.0 + SLACK));
            }
        }
        (if low <= high { p50.clamp(low, high) } else { p50.max(0.0) }, unsure)
    }

    fn leave_out(&self) -> LeaveOut {
        let predicted = self.posterior.left_out();
        let errors = self.timed.iter().zip(predicted).filter(|(range, _)| range.p50 >= COUNTS_FROM);
        let mut errors: Vec<f64> = errors
            .map(|(range, (predicted, _))| ((predicted.max(0.0) - range.p50) / range.p50).abs())
            .collect();
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| errors.get((errors.len() as f64 * share) as usize).copied().unwrap_or(0.0);
        LeaveOut { ranges: errors.len(), median: at(0.5), p90: at(0.9) }
    }

    /// Median over the timed ranges.
    fn typical(&self, of: impl Fn(&RangeTime) -> f64) -> f64 {
        let mut values: Vec<f64> = self.timed.iter().map(|range| of(range)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(1.0)
    }
}

/// Shares of the steps between neighbouring boundaries: by multiply-accumulates, and a little for
/// each step as such.
fn first_guess(profile: &Profile) -> Vec<f64> {
    let steps = profile
        .boundaries
        .windows(2)
        .map(|pair| pair[1].macs_before.saturating_sub(pair[0].macs_before) as f64);
    let steps: Vec<f64> = steps.collect();
    let (total, even) = (steps.iter().sum::<f64>(), 1.0 / steps.len() as f64);
    steps.iter().map(|macs| if total > 0.0 { 0.7 * macs / total + 0.3 * even } else { even }).collect()
}

/// The posterior under the prior that explains the measurements best, each left out in turn.
fn settle(steps: Vec<f64>, timed: &[&RangeTime]) -> Option<Posterior> {
    let rough = Posterior::new(Field::first(&steps, timed)?, timed)?;
    let stride = timed.len().div_ceil(MOST_FOR_CHOICE);
    let some: Vec<&RangeTime> = timed.iter().step_by(stride).copied().collect();
    let mut best: Option<(f64, Shape)> = None;
    for shape in Shape::candidates() {
        let score = Posterior::new(rough.refined(shape), &some)?.score();
        if best.is_none_or(|(least, _)| score < least) {
            best = Some((score, shape));
        }
    }
    Posterior::new(rough.refined(best?.1), timed)
}

fn list(batches: &[usize]) -> String {
    match batches {
        [] => "none at all".into(),
        batches => batches.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests;
