//! How a device's times compare with its profile: load, heat, another clock.

use kerf_planner::tiers::Dist;
use std::time::Duration;

/// Share of a sample: slow, for a device's load and heat change slowly and single times vary.
const GAIN: f64 = 0.1;

/// One sample counts as no more than this factor's logarithm beside the estimate: 2.
const LEAP: f64 = std::f64::consts::LN_2;

/// Factors that are believed.
const LEAST: f64 = 0.25;
const MOST: f64 = 16.0;

/// Deviation of the logarithm before anything is known, and at least.
const UNKNOWN: f64 = 0.2;
const SHARPEST: f64 = 0.02;

/// Seconds of silence after which 1/e of what was learnt is left.
const MEMORY: f64 = 600.0;

/// A slowly learnt factor of a device's times against its profile, within 0.25 to 16.
#[derive(Clone, Debug)]
pub struct Factor {
    log: f64,
    variance: f64,
    samples: u32,
    seen: Duration,
}

impl Default for Factor {
    fn default() -> Self {
        Self::new()
    }
}

impl Factor {
    /// The profile is right until shown wrong.
    pub fn new() -> Self {
        Self { log: 0.0, variance: UNKNOWN * UNKNOWN, samples: 0, seen: Duration::ZERO }
    }

    /// Something that was expected to take `expected` seconds took `measured`. What is no time is
    /// passed over.
    pub fn observe(&mut self, now: Duration, expected: f64, measured: f64) {
        let is_time = |it: f64| it.is_finite() && it > 0.0;
        if !(is_time(expected) && is_time(measured)) {
            return;
        }
        let before = self.log * self.kept(now);
        let error = ((measured / expected).ln() - before).clamp(-LEAP, LEAP);
        // The profile counts as one sample beside the first ones.
        let gain = GAIN.max(1.0 / f64::from(self.samples + 2));
        self.log = (before + gain * error).clamp(LEAST.ln(), MOST.ln());
        self.variance = (1.0 - gain) * (self.variance + gain * error * error);
        self.samples = self.samples.saturating_add(1);
        self.seen = now;
    }

    /// What to multiply times by.
    pub fn value(&self, now: Duration) -> Dist {
        let kept = self.kept(now);
        let variance = self.variance * kept + UNKNOWN * UNKNOWN * (1.0 - kept);
        let mean = (self.log * kept).exp();
        Dist { mean, sd: mean * variance.sqrt().max(SHARPEST) }
    }

    fn kept(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.seen).as_secs_f64() / MEMORY).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn it_learns_slowly_and_forgets() {
        let mut factor = Factor::new();
        for step in 0..60 {
            factor.observe(at(f64::from(step)), 0.01, 0.02);
        }
        let it = factor.value(at(60.0));
        assert!((it.mean - 2.0).abs() < 0.05 && it.sd < 0.2, "{it:?}");
        factor.observe(at(60.0), 0.01, 0.06);
        assert!(factor.value(at(60.0)).mean < 2.2);
        let later = factor.value(at(1e5));
        assert!((later.mean - 1.0).abs() < 1e-3 && later.sd > it.sd);
    }

    #[test]
    fn nobody_moves_it_far() {
        let mut factor = Factor::new();
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            factor.observe(at(1.0), 0.01, nonsense);
            factor.observe(at(1.0), nonsense, 0.01);
        }
        assert_eq!(factor.value(at(1.0)).mean, 1.0);
        for step in 0..10_000 {
            factor.observe(at(f64::from(step)), 1e-6, 1e6);
        }
        assert!(factor.value(at(1e4)).mean <= MOST * 1.000_001);
    }
}
