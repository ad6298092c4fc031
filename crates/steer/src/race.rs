//! When to go on locally although the cloud was asked.
//!
//! Let `S(x)` be how likely the answer takes longer than `x`, `L` what the edge needs for the rest,
//! and `p` what a second of its computing is worth in seconds of waiting (joules, other requests).
//! Starting at `t`, the request ends at `min(A, t + L)`, and the edge computes from `t` until then:
//!
//! ```text
//! cost(t)  = ∫₀^{t+L} S + p · ∫_t^{t+L} S        cost'(t) = (1 + p)·S(t + L) − p·S(t)
//! ```
//!
//! So waiting on is worth it while the answer is likelier than `1/(1 + p)` to come within the next
//! `L`, given that it did not yet. An answer's time is taken to be log-normal, but for one in a
//! hundred that meets an outage of some seconds: what did not come when it should is then likely to
//! take much longer. Waiting first becomes more and then less promising, so the best start is now,
//! never, or where waiting stops to pay.

use kerf_planner::tiers::Dist;

/// Whether a request that was shipped may also be finished on the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Race {
    /// Only where the cloud failed.
    Never,
    /// In time for the deadline.
    #[default]
    Deadline,
    /// Whenever it is expected to pay.
    Always,
}

/// Steps in which a start is sought.
const STEPS: u32 = 24;

/// Share of answers that meet an outage, and its mean length in seconds. Mobile links have such;
/// what matters is only that the share is small and the length is long beside usual answers.
const OUTAGES: f64 = 0.01;
const OUTAGE: f64 = 3.0;

/// Seconds from now at which to begin with the rest of a request on the edge, whose answer takes
/// `answer` from now (half a second of it may be over), the rest `local`, and a second of computing
/// is worth `price` seconds. `None` where waiting is better at any time.
pub fn start(answer: Dist, local: Dist, price: f64) -> Option<f64> {
    let (answer, length) = (Time::of(answer)?, local.mean);
    if !(length.is_finite() && length >= 0.0) {
        return None;
    }
    let price = if price.is_finite() { price.max(0.0) } else { return None };
    if price == 0.0 {
        return Some(0.0);
    }
    let slope = |at: f64| (1.0 + price) * answer.longer(at + length) - price * answer.longer(at);
    // Beyond the last step hardly anything is left to gain.
    let end = answer.quantile(4.0);
    let step = end / f64::from(STEPS);
    let at = |index: u32| step * f64::from(index);
    let stops = (0..STEPS).find(|index| slope(at(*index)) <= 0.0 && slope(at(index + 1)) > 0.0);
    let stop = stops.map(|index| halve(at(index), at(index + 1), slope));
    let cost = |from: f64| {
        let until = answer.mean_within(from + length);
        until + price * (until - answer.mean_within(from))
    };
    let candidates = [Some((0.0, cost(0.0))), stop.map(|stop| (stop, cost(stop)))];
    let best = candidates.into_iter().flatten().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (best.1 < answer.mean()).then_some(best.0)
}

/// Seconds from now at which to begin so that a deadline in `left` seconds is kept, where the rest
/// takes `local` and is to be in time at so many `deviations`; 0 where that is past.
pub fn latest(local: Dist, left: f64, deviations: f64) -> f64 {
    (left - local.mean - deviations * local.sd).max(0.0)
}

/// What to expect of whichever is first: the answer, or the rest on the edge from `start` on.
/// Seconds until the end, and seconds of them that the edge computes.
pub fn expected(answer: Dist, local: Dist, start: f64) -> (f64, f64) {
    let Some(answer) = Time::of(answer) else { return (start + local.mean, local.mean) };
    let until = answer.mean_within(start + local.mean);
    (until, until - answer.mean_within(start))
}

fn halve(mut below: f64, mut above: f64, slope: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..20 {
        let middle = 0.5 * (below + above);
        if slope(middle) <= 0.0 { below = middle } else { above = middle }
    }
    above
}

/// How long an answer takes, where none meets an outage: the mean, and mean and deviation of the
/// logarithm.
#[derive(Clone, Copy, Debug)]
struct Time {
    usual: f64,
    log: f64,
    deviation: f64,
}

impl Time {
    fn of(it: Dist) -> Option<Self> {
        let is_usable = it.mean.is_finite() && it.mean > 0.0 && it.sd.is_finite() && it.sd >= 0.0;
        // What does not vary at all would make steps of the slopes.
        let variance = (it.sd / it.mean).max(1e-3).powi(2).ln_1p();
        let log = it.mean.ln() - variance / 2.0;
        is_usable.then_some(Self { usual: it.mean, log, deviation: variance.sqrt() })
    }

    fn mean(&self) -> f64 {
        (1.0 - OUTAGES) * self.usual + OUTAGES * OUTAGE
    }

    /// How likely it is more.
    fn longer(&self, than: f64) -> f64 {
        if than <= 0.0 {
            return 1.0;
        }
        let usual = Dist::normal((self.log - than.ln()) / self.deviation);
        (1.0 - OUTAGES) * usual + OUTAGES * (-than / OUTAGE).exp()
    }

    /// Of those without outage.
    fn quantile(&self, deviations: f64) -> f64 {
        (self.log + deviations * self.deviation).exp()
    }

    /// The mean of the lesser of it and `limit`.
    fn mean_within(&self, limit: f64) -> f64 {
        if limit <= 0.0 {
            return 0.0;
        }
        let at = (limit.ln() - self.log) / self.deviation;
        let usual = self.usual * Dist::normal(at - self.deviation) + limit * Dist::normal(-at);
        (1.0 - OUTAGES) * usual - OUTAGES * OUTAGE * (-limit / OUTAGE).exp_m1()
    }
}

#[cfg(test)]
mod tests;
