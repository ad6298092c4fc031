//! Seconds per byte in one direction.
//!
//! Its logarithm is taken to wander around a mean that is slowly learnt (an Ornstein-Uhlenbeck
//! process): after a sample it is known, with silence it drifts back to that mean and becomes as
//! uncertain as the link was found to vary. So an estimate that was bad does not stay bad for
//! ever because nobody dares to send. Smoothing time per byte rather than bandwidth is what makes
//! expected transfer times right; in logarithms, a step down and a step up are alike.

use kerf_planner::tiers::Dist;
use std::time::Duration;

/// Seconds after which a sample says 1/e of what it said. Mobile links keep their rate for some
/// seconds, wires for hours: what a link was found to vary by tells those apart, not this.
const MEMORY: f64 = 10.0;

/// Share of a sample in the mean and the variation, at most: those of the last minutes.
const LEARN: f64 = 0.2;

/// Gains where a sample is outside 0.7 to 1.5 times the estimate, and where it is inside.
const FAST: f64 = 0.9;
const SLOW: f64 = 0.4;

/// One sample moves the estimate by no more than this factor's logarithm: 30.
const LEAP: f64 = 3.4;

/// Deviations of the logarithm: what links vary by until more is known, at least, and at most. The
/// last bounds how much worse than its median a link is expected to be.
const VARIES: f64 = 0.7;
const VARIES_LEAST: f64 = 0.2;
const VARIES_MOST: f64 = 1.0;

/// Seconds of silence after which any link may have become another one.
const DOUBT: f64 = 60.0;

/// Seconds per byte that are not believed to be exceeded: 80 Gbit/s, and 80 bit/s.
const FASTEST: f64 = 1e-10;
const SLOWEST: f64 = 0.1;

/// What is known of one direction.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Mean and variance of the logarithm when it was last seen.
    log: f64,
    variance: f64,
    /// Its long-run mean and variance.
    usual: f64,
    varies: f64,
    samples: u32,
    seen: Duration,
}

/// Mean and variance of a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Log {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

/// What a transfer says: seconds per byte are in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Rate {
    /// `prior` is a guess, however sure it sounds.
    pub(crate) fn new(prior: Dist) -> Self {
        let mean = prior.mean.clamp(FASTEST, SLOWEST);
        let relative = (prior.sd / mean).clamp(0.0, 10.0);
        let variance = (relative * relative).ln_1p().clamp(VARIES * VARIES, VARIES_MOST * VARIES_MOST);
        let log = mean.ln() - variance / 2.0;
        Self { log, variance, usual: log, varies: variance, samples: 0, seen: Duration::ZERO }
    }

    /// A sample: the truth was inside bounds, `high` may be infinite and `low` zero.
    pub(crate) fn observe(&mut self, now: Duration, bounds: Bounds) {
        let Bounds { low, high } = bounds;
        if low.is_nan() || high.is_nan() || low > high || high <= 0.0 {
            return;
        }
        let before = self.at(now);
        let (low, high) = (low.clamp(FASTEST, SLOWEST).ln(), high.clamp(FASTEST, SLOWEST).ln());
        let is_bounded = bounds.high.is_finite() && bounds.low > 0.0;
        // A box's variance is a twelfth of its width's square; no sample is sharper than a twentieth.
        let width = if is_bounded { high - low } else { f64::INFINITY };
        let noise = (width * width / 12.0).max(0.05 * 0.05);
        // Outside of bounds it goes to them, fast; inside it goes to their middle, by how sharp they
        // are beside what is known. The further of the two.
        let target = before.mean.clamp(low, high);
        let error = (target - before.mean).clamp(-LEAP, LEAP);
        let is_step = !(0.7f64.ln()..=1.5f64.ln()).contains(&error);
        let mut change = error * if is_step { FAST } else { SLOW };
        if is_bounded {
            let error = ((low + high) / 2.0 - before.mean).clamp(-LEAP, LEAP);
            let inward = error * before.variance / (before.variance + noise);
            change = if inward.abs() > change.abs() { inward } else { change };
        }
        let learn = (LEARN * (1.0 - self.kept(now))).max(1.0 / f64::from(self.samples + 2));
        let off = (target - self.usual).clamp(-LEAP, LEAP);
        self.varies += learn * (off * off * (1.0 - learn) - self.varies);
        self.varies = self.varies.clamp(VARIES_LEAST * VARIES_LEAST, VARIES_MOST * VARIES_MOST);
        self.usual += learn * off;
        self.log = before.mean + change;
        // A sample elsewhere than expected is no reason to be surer than it is sharp.
        self.variance = if is_bounded {
            (1.0 / (1.0 / before.variance + 1.0 / noise)).max(0.1 * 0.1)
        } else {
            before.variance
        };
        self.samples = self.samples.saturating_add(1);
        self.seen = now;
    }

    /// What is known by now.
    pub(crate) fn at(&self, now: Duration) -> Log {
        let kept = self.kept(now);
        let variance = self.varies * (1.0 - kept * kept) + self.variance * kept * kept;
        Log { mean: self.usual + (self.log - self.usual) * kept, variance }
    }

    /// Seconds since the last sample; none was ever.
    pub(crate) fn silence(&self, now: Duration) -> Option<f64> {
        (self.samples > 0).then(|| now.saturating_sub(self.seen).as_secs_f64())
    }

    /// Seconds per byte if it does well: one deviation below the middle, and more the longer nobody
    /// looked. It is never expected, but may be worth a look.
    pub(crate) fn at_best(&self, now: Duration) -> f64 {
        let Log { mean, variance } = self.at(now);
        let doubt = 1.0 - (-self.silence(now).unwrap_or(f64::INFINITY) / DOUBT).exp();
        (mean - (variance + doubt).sqrt()).exp()
    }

    fn kept(&self, now: Duration) -> f64 {
        self.silence(now).map_or(1.0, |silence| (-silence / MEMORY).exp())
    }
}

impl Log {
    /// What it is known to exceed: the mean and variance of what is left of a normal distribution
    /// above `seconds_per_byte`.
    pub(crate) fn above(self, seconds_per_byte: f64) -> Self {
        if seconds_per_byte.is_nan() || seconds_per_byte <= FASTEST {
            return self;
        }
        let (floor, deviation) = (seconds_per_byte.min(SLOWEST).ln(), self.variance.sqrt());
        let at = (floor - self.mean) / deviation;
        if at < -4.0 {
            return self;
        }
        // The ratio of density and tail; far out it is at + 1/at.
        let ratio = if at > 6.0 {
            at + 1.0 / at
        } else {
            const ROOT: f64 = 2.506_628_274_631_000_7;
            (-at * at / 2.0).exp() / ROOT / Dist::normal(-at)
        };
        let variance = self.variance * (1.0 + at * ratio - ratio * ratio).clamp(0.01, 1.0);
        Self { mean: self.mean + deviation * ratio, variance }
    }

    /// Of what it is the logarithm of, as a log-normal quantity.
    pub(crate) fn dist(self) -> Dist {
        let mean = (self.mean + self.variance / 2.0).exp();
        Dist { mean, sd: mean * self.variance.exp_m1().sqrt() }
    }
}

#[cfg(test)]
mod tests;
