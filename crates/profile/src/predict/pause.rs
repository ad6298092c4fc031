//! What a pause adds to a range's time.
//!
//! Processors wake up and code comes back into the caches, whatever is run; weights and tensors come
//! back in proportion to what is. So a line through the ranges that were timed in both ways does for
//! the others: it has two unknowns, and runs after a pause are too slow to make many of.

use super::Estimate;
use crate::{RangeTime, Rested};

/// Seconds that a pause adds: `fixed`, and `share` of the time without it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pause {
    fixed: f64,
    share: f64,
    /// Standard deviation of the ranges' times about the line, over their times.
    spread: f64,
}

impl Pause {
    /// By least squares of relative errors; neither part is negative. One range alone tells the share.
    pub(super) fn fit(timed: &[(&RangeTime, Rested)]) -> Self {
        // Sums of weights, and of those times x, x², y and xy.
        let mut sums = [0.0; 5];
        for (range, rested) in timed {
            let (x, y) = (range.p50, rested.p50 - range.p50);
            let weight = rested.p50.powi(-2);
            for (sum, term) in sums.iter_mut().zip([1.0, x, x * x, y, x * y]) {
                *sum += weight * term;
            }
        }
        let [one, x, xx, y, xy] = sums;
        let apart = one * xx - x * x;
        let is_line = timed.len() > 1 && apart > 1e-9 * one * xx;
        let (fixed, share) =
            if is_line { ((y * xx - x * xy) / apart, (one * xy - x * y) / apart) } else { (0.0, xy / xx) };
        let (fixed, share) = match (fixed < 0.0, share < 0.0) {
            (true, _) => (0.0, xy / xx),
            (false, true) => (y / one, 0.0),
            (false, false) => (fixed, share),
        };
        let [fixed, share] = [fixed, share].map(sensible);
        let off = |(range, rested): &(&RangeTime, Rested)| {
            ((range.p50 * (1.0 + share) + fixed) / rested.p50 - 1.0).powi(2)
        };
        let spread = (timed.iter().map(off).sum::<f64>() / timed.len().max(1) as f64).sqrt();
        Self { fixed, share, spread: sensible(spread) }
    }

    /// The time after a pause of a range that takes `busy` without one.
    pub(super) fn after(&self, busy: Estimate) -> Estimate {
        let add = |time: f64| time * (1.0 + self.share) + self.fixed;
        let p50 = add(busy.p50);
        let sd = (busy.sd * (1.0 + self.share)).hypot(self.spread * p50);
        Estimate { mean: add(busy.mean), p50, sd, timed: false }
    }
}

/// Files may hold times that no machine has; what is made of them shall be numbers all the same.
fn sensible(value: f64) -> f64 {
    const MOST: f64 = 1e6;
    if value.is_finite() { value.clamp(0.0, MOST) } else { 0.0 }
}
