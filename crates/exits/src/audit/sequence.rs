//! Bounds on a mean that hold at all times together.

use kerf_agreement::{Interval, Share};

/// Tilts from 0.01, which tells means apart to 1% after some hundred million requests, to 8.
const TILTS: usize = 24;
const LEAST: f64 = 0.01;
const MOST: f64 = 8.0;

/// Where the mean of the probabilities of all events so far lies.
///
/// For a tilt `λ`, `exp(λ·hits) / (1 + p·(exp λ − 1))ⁿ` is at most a martingale that begins with 1 where
/// `p` is the mean of the events' probabilities, for the logarithm of the divisor's factor is concave in
/// the probability. A mixture over tilts is too; so the `p` for which it is `2/alpha` or more are
/// ruled out, from above with positive tilts and from below with negative ones.
pub(super) fn interval(hits: Share, alpha: f64) -> Interval {
    if hits.of == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let share = hits.same as f64 / hits.of as f64;
    let needed = (2.0 / alpha).ln();
    let (above, below) = (Mixture::new(1.0), Mixture::new(-1.0));
    let (mut low, mut high) = ((0.0, share), (share, 1.0));
    for _ in 0..50 {
        let middle = f64::midpoint(low.0, low.1);
        if above.evidence(hits, middle) >= needed {
            low.0 = middle
        } else {
            low.1 = middle
        }
        let middle = f64::midpoint(high.0, high.1);
        if below.evidence(hits, middle) >= needed { high.1 = middle } else { high.0 = middle }
    }
    // An end that was never moved is not ruled out.
    Interval { low: low.0, high: high.1 }
}

/// Tilts, each with how much it lifts the odds.
struct Mixture([(f64, f64); TILTS]);

impl Mixture {
    fn new(sign: f64) -> Self {
        let step = (MOST / LEAST).powf(1.0 / (TILTS - 1) as f64);
        Self(std::array::from_fn(|at| {
            let tilt = sign * LEAST * step.powi(at as i32);
            (tilt, tilt.exp_m1())
        }))
    }

    /// Its logarithm.
    fn evidence(&self, hits: Share, p: f64) -> f64 {
        let (same, of) = (hits.same as f64, hits.of as f64);
        let logs = self.0.map(|(tilt, lift)| tilt * same - of * (p * lift).ln_1p());
        let most = logs.iter().fold(f64::NEG_INFINITY, |most, log| most.max(*log));
        let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
        most + (sum / TILTS as f64).ln()
    }
}
