//! Seconds there and back of a first byte.

use kerf_planner::tiers::Dist;
use std::time::Duration;

/// Seconds that a minimum is believed for, at least; at most twice as long while samples come. A
/// path that became longer is learnt after that.
const WINDOW: f64 = 10.0;

/// Gain of what comes on top of the minimum.
const GAIN: f64 = 0.25;

/// Seconds after which an excess that nobody saw again counts 1/e.
const MEMORY: f64 = 10.0;

/// Seconds that are believed at least, and at most.
const LEAST: f64 = 20e-6;
const MOST: f64 = 60.0;

/// Windowed minimum, and the mean and variance of what comes on top of it.
#[derive(Clone, Debug)]
pub(crate) struct Delay {
    minimum: f64,
    /// Of the window before this one.
    before: f64,
    began: Option<Duration>,
    seen: Duration,
    excess: f64,
    variance: f64,
}

impl Delay {
    pub(crate) fn new(prior: Dist) -> Self {
        let minimum = prior.mean.clamp(LEAST, MOST);
        Self {
            minimum,
            before: f64::INFINITY,
            began: None,
            seen: Duration::ZERO,
            excess: 0.0,
            // A guess, however sure it sounds.
            variance: prior.sd.max(0.3 * minimum).min(MOST).powi(2),
        }
    }

    /// A sample, in seconds; what is no time is passed over.
    pub(crate) fn observe(&mut self, now: Duration, sample: f64) {
        if !(sample.is_finite() && sample >= LEAST) {
            return;
        }
        // A stall is no path: what one sample adds is bounded by what is usual.
        let Dist { mean, sd } = self.at(now);
        let sample = sample.min(MOST).min(3.0 * (mean + 2.0 * sd) + 5e-3);
        let before = self.excess * self.kept(now);
        match self.began {
            None => (self.minimum, self.began) = (sample, Some(now)),
            // The clock may have gone back.
            Some(began) if (now.abs_diff(began)).as_secs_f64() > WINDOW => {
                (self.before, self.minimum, self.began) = (self.minimum, sample, Some(now));
            }
            Some(_) => self.minimum = self.minimum.min(sample),
        }
        let excess = sample - self.minimum();
        let error = excess - before;
        self.excess = before + GAIN * error;
        self.variance = (1.0 - GAIN) * (self.variance + GAIN * error * error);
        self.seen = now;
    }

    /// The least of late.
    pub(crate) fn minimum(&self) -> f64 {
        self.minimum.min(self.before)
    }

    /// What to expect.
    pub(crate) fn at(&self, now: Duration) -> Dist {
        let mean = self.minimum() + self.excess * self.kept(now);
        Dist { mean, sd: self.variance.sqrt() }
    }

    fn kept(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.seen).as_secs_f64() / MEMORY).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: f64) -> Duration {
        Duration::from_secs_f64(at)
    }

    #[test]
    fn a_shorter_path_is_known_at_once_a_longer_one_after_two_windows() {
        let mut delay = Delay::new(Dist::exact(0.1));
        let mut at = 0.0;
        let mut feed = |delay: &mut Delay, sample: f64, count: usize| {
            for _ in 0..count {
                at += 0.5;
                delay.observe(seconds(at), sample);
            }
            delay.minimum()
        };
        assert_eq!(feed(&mut delay, 0.04, 10), 0.04);
        assert_eq!(feed(&mut delay, 0.02, 1), 0.02);
        assert_eq!(feed(&mut delay, 0.08, 5), 0.02);
        assert_eq!(feed(&mut delay, 0.08, 60), 0.08);
    }

    #[test]
    fn the_mean_is_learnt_before_the_minimum() {
        let mut delay = Delay::new(Dist::exact(0.02));
        for step in 0..20 {
            delay.observe(seconds(0.1 * f64::from(step)), if step < 5 { 0.02 } else { 0.05 });
        }
        assert_eq!(delay.minimum(), 0.02);
        let it = delay.at(seconds(2.0));
        assert!((it.mean - 0.05).abs() < 3e-3, "{it:?}");
    }

    #[test]
    fn a_stall_and_nonsense_are_bounded() {
        let mut delay = Delay::new(Dist::exact(0.02));
        for step in 0..50 {
            delay.observe(seconds(0.1 * f64::from(step)), 0.02);
        }
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            delay.observe(seconds(5.0), nonsense);
        }
        let before = delay.at(seconds(5.0));
        delay.observe(seconds(5.0), 30.0);
        assert!(delay.at(seconds(5.0)).mean < 2.0 * before.mean + 2e-3, "{:?}", delay.at(seconds(5.0)));
    }

    #[test]
    fn a_clock_that_goes_back_keeps_it_working() {
        let mut delay = Delay::new(Dist::exact(0.02));
        delay.observe(seconds(1e9), 0.02);
        for step in 0..10 {
            delay.observe(seconds(10.0 * f64::from(step)), 0.07);
        }
        assert_eq!(delay.minimum(), 0.07);
    }
}
