//! How much longer than expected do answers take, all in all?
//!
//! Links stall now and then, for seconds. No estimate of a rate knows that in the instant before, and
//! most requests never see it; but the mean does, and it is the mean that is to be small. So what
//! answers took beyond what was expected of them is averaged, slowly, over all of them.

use std::time::Duration;

/// Share of one answer in the mean, at least: those of the last hundred count.
const GAIN: f64 = 0.01;

/// Answers as expected that are taken to have been before the first.
const BEFORE: u32 = 10;

/// Seconds of silence after which 1/e of it counts: then it is worth trying again.
const MEMORY: f64 = 60.0;

/// Seconds that one answer counts for at most.
const MOST: f64 = 30.0;

/// Mean of seconds beyond what was expected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excess {
    mean: f64,
    answers: u32,
    seen: Duration,
}

impl Excess {
    /// An answer took so many seconds longer than expected, or shorter where that is negative.
    pub(crate) fn observe(&mut self, now: Duration, seconds: f64) {
        if !seconds.is_finite() {
            return;
        }
        self.answers = self.answers.saturating_add(1);
        let gain = GAIN.max(1.0 / f64::from(self.answers.saturating_add(BEFORE)));
        self.mean += gain * (seconds.clamp(-MOST, MOST) - self.mean);
        self.seen = now;
    }

    /// Seconds to add to what is expected: answers that come sooner are no reason for hope.
    pub(crate) fn value(&self, now: Duration) -> f64 {
        let silence = now.saturating_sub(self.seen).as_secs_f64();
        self.mean.max(0.0) * (-silence / MEMORY).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn rare_stalls_count_by_their_mean() {
        let mut excess = Excess::default();
        for step in 0..1000 {
            // Once in fifty times, two seconds: 40 ms on average.
            excess.observe(at(f64::from(step)), if step % 50 == 49 { 2.0 } else { 0.0 });
        }
        let it = excess.value(at(1000.0));
        assert!((0.03..0.06).contains(&it), "{it}");
        assert!(excess.value(at(1300.0)) < 0.01 * 0.04);
    }

    #[test]
    fn the_first_stall_is_no_rule_and_nonsense_is_nothing() {
        let mut excess = Excess::default();
        excess.observe(at(1.0), 1.1);
        assert!((excess.value(at(1.0)) - 0.1).abs() < 1e-9);
        for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            excess.observe(at(1.0), nonsense);
        }
        assert!((excess.value(at(1.0)) - 0.1).abs() < 1e-9);
        excess.observe(at(1.0), -1e300);
        assert_eq!(excess.value(at(1.0)), 0.0);
    }
}
