//! Runs to figures, on a machine whose speed changes while it measures.

use crate::schedule::Range;
use kerf_profile::{RangeTime, Reference, Rested};

/// Reference runs whose median is the machine's speed at a time.
const NEAREST: usize = 5;
/// Undisturbed runs that make do without the others.
const LEAST_QUIET: usize = 6;

/// A run: when, in seconds since the start, and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) seconds: f64,
    /// Whether a thread that it may have needed waited for a processor.
    pub(crate) disturbed: bool,
}

/// The machine's speed over time, by the whole model's runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drift {
    /// In order of time.
    runs: Vec<Sample>,
    /// Median of an earlier measurement that this one continues, and its runs.
    earlier: Option<Reference>,
}

impl Drift {
    pub(crate) fn continuing(earlier: Option<Reference>) -> Self {
        Self { runs: Vec::new(), earlier }
    }

    pub(crate) fn push(&mut self, run: Sample) {
        self.runs.push(run);
    }

    pub(crate) fn reference(&self) -> Option<Reference> {
        let (Some(p50), Some(_)) = (self.anchor(), self.runs.first()) else { return self.earlier.clone() };
        let factors = sorted(self.runs.iter().map(|run| self.factor(run.at)));
        let (fast, slow) = (quantile(&factors, 0.1), quantile(&factors, 0.9));
        let before = self.earlier.as_ref();
        Some(Reference {
            runs: self.runs.len() + before.map_or(0, |earlier| earlier.runs),
            p50,
            fast: before.map_or(fast, |earlier| fast.min(earlier.fast)),
            slow: before.map_or(slow, |earlier| slow.max(earlier.slow)),
        })
    }

    /// How much slower than at the median the machine was at a time; 1 where nothing tells.
    pub(crate) fn factor(&self, at: f64) -> f64 {
        let Some(anchor) = self.anchor() else { return 1.0 };
        let after = self.runs.partition_point(|run| run.at < at);
        let (mut low, mut high) = (after, after);
        while high - low < NEAREST.min(self.runs.len()) {
            let before = low.checked_sub(1).map(|index| at - self.runs[index].at);
            match (before, self.runs.get(high).map(|run| run.at - at)) {
                (Some(before), Some(after)) if before <= after => low -= 1,
                (_, Some(_)) => high += 1,
                _ => low -= 1,
            }
        }
        let near = sorted(self.runs[low..high].iter().map(|run| run.seconds));
        if near.is_empty() { 1.0 } else { quantile(&near, 0.5) / anchor }
    }

    /// The median that all times are brought to.
    fn anchor(&self) -> Option<f64> {
        let all = || quantile(&sorted(self.runs.iter().map(|run| run.seconds)), 0.5);
        self.earlier.as_ref().map(|earlier| earlier.p50).or_else(|| (!self.runs.is_empty()).then(all))
    }
}

/// All that is known of one range.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) runs: Vec<Sample>,
    /// Those after a pause.
    pub(crate) apart: Vec<Sample>,
    pub(crate) rounds: usize,
    pub(crate) compile: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) peak_bytes: Option<u64>,
    /// Joules of some runs, and how many those were.
    pub(crate) energy: (f64, usize),
    /// Figures of an earlier measurement that this one continues.
    pub(crate) earlier: Option<RangeTime>,
}

impl Record {
    pub(crate) fn of(earlier: RangeTime) -> Self {
        Self { earlier: Some(earlier), ..Self::default() }
    }

    /// The runs that were not disturbed, if they are some; else all.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Sample> {
        let quiet = self.runs.iter().filter(|run| !run.disturbed).count();
        let all = quiet < LEAST_QUIET.max(self.runs.len() / 5);
        self.runs.iter().filter(move |run| all || !run.disturbed)
    }

    /// The figures, brought to the machine's median speed; `None` before the first run.
    pub(crate) fn figures(&self, range: Range, drift: &Drift) -> Option<RangeTime> {
        let rested = self.rested(drift);
        let times = sorted(self.counted().map(|run| run.seconds / drift.factor(run.at)));
        if times.is_empty() {
            return self.earlier.clone().map(|earlier| RangeTime { rested, ..earlier });
        }
        let (mean, sd) = moments(&times);
        let (joules, metered) = self.energy;
        let now = RangeTime {
            from: range.from,
            to: range.to,
            batch: range.batch,
            runs: times.len(),
            rounds: self.rounds,
            p50: quantile(&times, 0.5),
            p90: quantile(&times, 0.9),
            p99: quantile(&times, 0.99),
            mean,
            sd,
            compile: self.compile,
            resident_bytes: self.resident_bytes,
            peak_bytes: self.peak_bytes,
            joules: (metered > 0).then(|| (joules / metered as f64).max(0.0)),
            rested,
        };
        Some(match &self.earlier {
            Some(earlier) => joined(earlier, now),
            None => now,
        })
    }

    /// What the runs after a pause say, with those of an earlier measurement.
    fn rested(&self, drift: &Drift) -> Option<Rested> {
        let earlier = self.earlier.as_ref().and_then(|earlier| earlier.rested);
        let times = sorted(self.apart.iter().map(|run| run.seconds / drift.factor(run.at)));
        if times.is_empty() {
            return earlier;
        }
        let now = Rested { runs: times.len(), p50: quantile(&times, 0.5), sd: moments(&times).1 };
        Some(earlier.map_or(now, |earlier| {
            let mix = mixing(earlier.runs, now.runs);
            let sd = mix(earlier.sd.powi(2), now.sd.powi(2)).sqrt();
            Rested { runs: earlier.runs + now.runs, p50: mix(earlier.p50, now.p50), sd }
        }))
    }
}

/// Mean and standard deviation.
fn moments(times: &[f64]) -> (f64, f64) {
    let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
    let squares = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
    (mean, (squares / (times.len().max(2) - 1) as f64).sqrt())
}

/// Means weighted by runs.
fn mixing(then: usize, now: usize) -> impl Fn(f64, f64) -> f64 {
    let (a, b) = (then as f64, now as f64);
    move |then, now| (a * then + b * now) / (a + b)
}

/// Two measurements of one range as one: figures weighted by their runs.
fn joined(earlier: &RangeTime, now: RangeTime) -> RangeTime {
    let mix = mixing(earlier.runs, now.runs);
    RangeTime {
        runs: earlier.runs + now.runs,
        rounds: earlier.rounds + now.rounds,
        p50: mix(earlier.p50, now.p50),
        p90: mix(earlier.p90, now.p90),
        p99: earlier.p99.max(now.p99),
        mean: mix(earlier.mean, now.mean),
        sd: mix(earlier.sd.powi(2), now.sd.powi(2)).sqrt(),
        compile: earlier.compile,
        resident_bytes: earlier.resident_bytes.max(now.resident_bytes),
        peak_bytes: earlier.peak_bytes.max(now.peak_bytes),
        joules: now.joules.or(earlier.joules),
        ..now
    }
}

/// Relative standard error of a median, from the middle half of the values: a few runs that the
/// scheduler disturbed do not count.
pub(crate) fn error_of_median(values: &[f64]) -> f64 {
    let values = sorted(values.iter().copied());
    let spread = (quantile(&values, 0.75) - quantile(&values, 0.25)) / 1.349;
    1.253 * spread / (values.len() as f64).sqrt() / quantile(&values, 0.5)
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values, interpolated; 0 where there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (below, above) = (sorted[place as usize], sorted[(place as usize + 1).min(last)]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { from: 0, to: 1, batch: 1 };

    fn drift(factors: &[f64]) -> Drift {
        let mut drift = Drift::default();
        for (second, factor) in factors.iter().enumerate() {
            drift.push(Sample { at: second as f64, seconds: 0.1 * factor, disturbed: false });
        }
        drift
    }

    #[test]
    fn a_slow_spell_is_taken_out() {
        let factors: Vec<f64> =
            (0..60).map(|second| if (20..35).contains(&second) { 1.5 } else { 1.0 }).collect();
        let drift = drift(&factors);
        let runs = (0..60).map(|second| Sample {
            at: f64::from(second) + 0.5,
            seconds: 0.02 * factors[second as usize],
            disturbed: false,
        });
        let record = Record { runs: runs.collect(), rounds: 2, ..Record::default() };
        let figures = record.figures(RANGE, &drift).unwrap();
        assert!((figures.p50 - 0.02).abs() < 1e-9 && (figures.p90 - 0.02).abs() < 1e-9, "{figures:?}");
        let reference = drift.reference().unwrap();
        assert!((reference.p50 - 0.1).abs() < 1e-9 && (reference.slow - 1.5).abs() < 1e-9, "{reference:?}");
    }

    #[test]
    fn one_disturbed_reference_changes_nothing() {
        let mut factors = [1.0; 20];
        factors[7] = 4.0;
        assert_eq!(drift(&factors).factor(7.0), 1.0);
        assert_eq!(Drift::default().factor(3.0), 1.0);
        assert_eq!(Drift::default().reference(), None);
    }

    #[test]
    fn a_continued_measurement_keeps_its_scale() {
        let earlier = drift(&[1.0; 9]).reference();
        let mut slower = Drift::continuing(earlier);
        for second in 0..9 {
            slower.push(Sample { at: f64::from(second), seconds: 0.2, disturbed: false });
        }
        let runs = vec![Sample { at: 3.0, seconds: 0.04, disturbed: false }; 10];
        let before = Record {
            runs: vec![Sample { at: 1.0, seconds: 0.02, disturbed: false }; 30],
            rounds: 1,
            ..Record::default()
        };
        let before = before.figures(RANGE, &drift(&[1.0; 9])).unwrap();
        let record = Record { runs, rounds: 1, ..Record::of(before) };
        let figures = record.figures(RANGE, &slower).unwrap();
        assert_eq!((figures.runs, figures.rounds), (40, 2));
        assert!((figures.p50 - 0.02).abs() < 1e-9 && figures.sd < 1e-9, "{figures:?}");
        assert_eq!(slower.reference().unwrap().runs, 18);
    }

    #[test]
    fn quantiles() {
        let values = [1.0, 2.0, 3.0, 4.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.9, 3.7)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-9);
        }
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
