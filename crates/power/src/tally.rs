//! From samples to joules, without files and without a clock.

use std::time::{Duration, Instant};

/// More than any node draws: beyond it a value is damaged, not large.
pub(crate) const MAX_WATTS: f64 = 20_000.0;

/// One look at a sensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sample {
    /// Microjoules on each counter.
    Energy(Vec<u64>),
    /// Power at this moment.
    Watts(f64),
}

/// Why energy counters cannot be told from nonsense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CounterError {
    /// It fell, and the range in which it wraps is unknown or smaller than what it showed.
    #[error("an energy counter went back from {from} to {to} µJ, and does not wrap there")]
    Backwards {
        /// Microjoules before.
        from: u64,
        /// Microjoules after.
        to: u64,
    },
    /// It was reset, as a suspended machine may do, or is damaged.
    #[error("an energy counter grew by {joules} J in {seconds} s")]
    Implausible {
        /// Grown by.
        joules: f64,
        /// In this time.
        seconds: f64,
    },
}

/// The energy of a run, sample by sample.
#[derive(Debug)]
pub(crate) struct Tally {
    /// For each counter: where it wraps, if that is known.
    ranges: Vec<Option<u64>>,
    first: Option<Instant>,
    last: Option<(Instant, Sample)>,
    joules: f64,
    samples: u64,
}

impl Tally {
    /// With a range for each counter that samples will have, in microjoules.
    pub(crate) fn new(ranges: Vec<Option<u64>>) -> Self {
        Self { ranges, first: None, last: None, joules: 0.0, samples: 0 }
    }

    /// Counters add what they grew by; watts are integrated along a straight line from the last
    /// sample. Samples come in the order of time.
    pub(crate) fn record(&mut self, at: Instant, sample: Sample) -> Result<(), CounterError> {
        if let Some((then, last)) = &self.last {
            let passed = at.saturating_duration_since(*then);
            self.joules += match (last, &sample) {
                (Sample::Energy(from), Sample::Energy(to)) => grown(from, to, &self.ranges, passed)?,
                (Sample::Watts(from), Sample::Watts(to)) => (from + to) / 2.0 * passed.as_secs_f64(),
                // One sensor gives one kind.
                _ => 0.0,
            };
        }
        self.first.get_or_insert(at);
        self.last = Some((at, sample));
        self.samples += 1;
        Ok(())
    }

    pub(crate) fn joules(&self) -> f64 {
        self.joules
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// From the first sample to the last.
    pub(crate) fn seconds(&self) -> f64 {
        match (self.first, &self.last) {
            (Some(first), Some((last, _))) => last.saturating_duration_since(first).as_secs_f64(),
            _ => 0.0,
        }
    }
}

/// Joules by which all counters grew together.
fn grown(from: &[u64], to: &[u64], ranges: &[Option<u64>], passed: Duration) -> Result<f64, CounterError> {
    let each = from.iter().zip(to).zip(ranges);
    let microjoules =
        each.map(|((from, to), range)| difference(*from, *to, *range)).sum::<Result<f64, _>>()?;
    let (joules, seconds) = (microjoules * 1e-6, passed.as_secs_f64());
    // A counter steps each millisecond or so, which may fall between two looks: a second's grace.
    if joules > MAX_WATTS * (seconds + 1.0) {
        return Err(CounterError::Implausible { joules, seconds });
    }
    Ok(joules)
}

/// A counter goes from 0 to its range, and on from 0.
fn difference(from: u64, to: u64, range: Option<u64>) -> Result<f64, CounterError> {
    match range {
        _ if to >= from => Ok((to - from) as f64),
        Some(range) if from <= range => Ok((range - from + to) as f64),
        _ => Err(CounterError::Backwards { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Name, ranges, samples at milliseconds, joules.
    type Case = (&'static str, &'static [Option<u64>], Vec<(u64, Sample)>, Result<f64, CounterError>);

    fn joules(ranges: &[Option<u64>], samples: &[(u64, Sample)]) -> Result<f64, CounterError> {
        let (epoch, mut tally) = (Instant::now(), Tally::new(ranges.to_vec()));
        for (ms, sample) in samples {
            tally.record(epoch + Duration::from_millis(*ms), sample.clone())?;
        }
        assert_eq!(tally.samples(), samples.len() as u64);
        Ok(tally.joules())
    }

    #[test]
    fn counters_add_up() {
        let energy = |values: &[u64]| Sample::Energy(values.to_vec());
        const RANGE: Option<u64> = Some(262_143_328_850);
        let cases: [Case; 8] = [
            ("nothing", &[RANGE], vec![], Ok(0.0)),
            ("one look", &[RANGE], vec![(0, energy(&[5]))], Ok(0.0)),
            ("grows", &[RANGE], vec![(0, energy(&[5_000_000])), (1000, energy(&[17_500_000]))], Ok(12.5)),
            ("wraps", &[RANGE], vec![(0, energy(&[262_142_328_850])), (1000, energy(&[500_000]))], Ok(1.5)),
            (
                "two packages, one wraps",
                &[RANGE, Some(65_000_000)],
                vec![(0, energy(&[0, 64_000_000])), (1000, energy(&[2_000_000, 3_000_000]))],
                Ok(6.0),
            ),
            (
                "falls, range unknown",
                &[None],
                vec![(0, energy(&[9])), (1000, energy(&[8]))],
                Err(CounterError::Backwards { from: 9, to: 8 }),
            ),
            (
                "falls from beyond its range",
                &[Some(5)],
                vec![(0, energy(&[9])), (1000, energy(&[8]))],
                Err(CounterError::Backwards { from: 9, to: 8 }),
            ),
            (
                "reset",
                &[RANGE],
                vec![(0, energy(&[1_000_000])), (1000, energy(&[0]))],
                Err(CounterError::Implausible { joules: 262_142.328_85, seconds: 1.0 }),
            ),
        ];
        for (name, ranges, samples, expected) in cases {
            match (joules(ranges, &samples), expected) {
                (Ok(joules), Ok(expected)) => assert!((joules - expected).abs() < 1e-9, "{name}: {joules}"),
                (found, expected) => assert_eq!(found, expected, "{name}"),
            }
        }
    }

    #[test]
    fn watts_are_integrated_over_uneven_samples() {
        let watts = |values: &[(u64, f64)]| {
            let samples: Vec<_> = values.iter().map(|&(ms, watts)| (ms, Sample::Watts(watts))).collect();
            joules(&[], &samples).unwrap()
        };
        assert_eq!(watts(&[(0, 10.0)]), 0.0);
        assert_eq!(watts(&[(0, 10.0), (2000, 10.0)]), 20.0);
        assert_eq!(watts(&[(0, 0.0), (1000, 10.0), (1500, 10.0), (3500, 0.0)]), 5.0 + 5.0 + 10.0);
    }

    proptest! {
        /// However often one looks, a counter that wraps at most once between looks tells the same.
        #[test]
        fn looking_more_often_changes_nothing(steps in prop::collection::vec(0u64..60_000_000, 1..40)) {
            let range = 65_000_000;
            let (mut value, mut samples) = (64_000_000, vec![(0, Sample::Energy(vec![64_000_000]))]);
            for (index, step) in steps.iter().enumerate() {
                value = (value + step) % range;
                samples.push((1000 * (index as u64 + 1), Sample::Energy(vec![value])));
            }
            let expected = steps.iter().sum::<u64>() as f64 * 1e-6;
            let found = joules(&[Some(range)], &samples).unwrap();
            prop_assert!((found - expected).abs() < 1e-6, "{} for {}", found, expected);
        }
    }
}
