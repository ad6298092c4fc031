//! How often something held, and how far that can be trusted.

use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Those that were the same.
    pub same: u64,
    /// All that were tried.
    pub of: u64,
}

/// Where the true value lies at some confidence, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// Counts one more.
    pub fn add(&mut self, same: bool) {
        self.same += u64::from(same);
        self.of += 1;
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { same: self.same + other.same, of: self.of + other.of }
    }

    /// The share, 0 to 1; `None` of nothing.
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.same as f64 / self.of as f64)
    }

    /// The exact two-sided interval: C. J. Clopper and E. S. Pearson, "The use of confidence or
    /// fiducial limits illustrated in the case of the binomial" (1934). It holds the true share with
    /// at least `confidence` (0 to 1, for example 0.95), whatever that share is. All from 0 to 1 where
    /// nothing was tried.
    pub fn interval(self, confidence: f64) -> Interval {
        let tail = (1.0 - confidence.clamp(0.0, 1.0)) / 2.0;
        let (same, other) = (self.same.min(self.of) as f64, self.of.saturating_sub(self.same) as f64);
        if self.of == 0 {
            return Interval { low: 0.0, high: 1.0 };
        }
        Interval {
            low: if same == 0.0 { 0.0 } else { beta_quantile(same, other + 1.0, tail) },
            high: if other == 0.0 { 1.0 } else { beta_quantile(same + 1.0, other, 1.0 - tail) },
        }
    }
}

impl Interval {
    /// Whether `value` is within.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The `x` with `I_x(a, b) = p`: the regularised incomplete beta function rises with `x`, so halving
/// finds it; 60 halves are all that a double can tell.
fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if checked_beta_reg(a, b, middle).is_ok_and(|below| below < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(same: u64, of: u64, confidence: f64) -> Interval {
        Share { same, of }.interval(confidence)
    }

    /// From `scipy.stats.beta.ppf`, and the closed forms at the ends.
    #[test]
    fn exact_intervals() {
        for (same, of, confidence, low, high) in [
            (0, 10, 0.95, 0.0, 0.308_497_107_819),
            (10, 10, 0.95, 0.691_502_892_181, 1.0),
            (1, 10, 0.95, 0.002_528_578_544, 0.445_016_117_028),
            (5, 10, 0.95, 0.187_086_028_447, 0.812_913_971_553),
            (498, 500, 0.95, 0.985_625_921_438, 0.999_515_213_824),
            (500, 500, 0.95, 0.025f64.powf(1.0 / 500.0), 1.0),
            (15, 100, 0.90, 0.094_794_011_675, 0.221_536_908_319),
            (2, 3, 0.99, 0.041_400_150_716, 0.998_330_547_814),
        ] {
            let found = interval(same, of, confidence);
            assert!(
                (found.low - low).abs() < 1e-10 && (found.high - high).abs() < 1e-10,
                "{same} of {of} at {confidence}: {found:?}, wanted {low} to {high}"
            );
        }
        assert_eq!(interval(0, 0, 0.95), Interval { low: 0.0, high: 1.0 });
    }

    /// The definition: at the ends, as few or as many as were seen have probability of half of what
    /// is left, counted by the binomial sum itself.
    #[test]
    fn ends_have_the_probability_that_is_left() {
        let tail = |of: u64, from: u64, p: f64| -> f64 {
            let mut term = (1.0 - p).powi(of as i32);
            let mut sum = if from == 0 { term } else { 0.0 };
            for k in 1..=of {
                term *= (of - k + 1) as f64 / k as f64 * p / (1.0 - p);
                sum += if k >= from { term } else { 0.0 };
            }
            sum
        };
        for (same, of) in [(1, 3), (17, 40), (39, 40), (93, 100)] {
            let found = interval(same, of, 0.9);
            assert!((tail(of, same, found.low) - 0.05).abs() < 1e-9);
            assert!((1.0 - tail(of, same + 1, found.high) - 0.05).abs() < 1e-9);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn intervals_hold_the_share_and_mirror(of in 1u64..2_000_000, part in 0.0f64..=1.0, confidence in 0.5f64..0.999) {
            let same = (of as f64 * part) as u64;
            let (one, other) = (interval(same, of, confidence), interval(of - same, of, confidence));
            prop_assert!(one.contains(same as f64 / of as f64), "{one:?}");
            prop_assert!((one.low - (1.0 - other.high)).abs() < 1e-9, "{one:?} {other:?}");
            prop_assert!(one.low >= 0.0 && one.high <= 1.0);
        }
    }
}
