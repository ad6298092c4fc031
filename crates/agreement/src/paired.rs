//! Two ways of answering the same labelled inputs: by how much is one more often right?

use crate::{Interval, Share};
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;

/// Who was right about each input, of a reference and of what is compared with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    /// Both.
    pub both: u64,
    /// The reference alone.
    pub reference: u64,
    /// The other alone.
    pub other: u64,
    /// Neither.
    pub neither: u64,
}

impl Paired {
    /// Counts one more input.
    pub fn add(&mut self, reference: bool, other: bool) {
        let count = match (reference, other) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.reference,
            (false, true) => &mut self.other,
            (false, false) => &mut self.neither,
        };
        *count += 1;
    }

    /// Inputs counted.
    pub fn of(self) -> u64 {
        self.both + self.reference + self.other + self.neither
    }

    /// Accuracy of the reference.
    pub fn of_reference(self) -> Share {
        Share { same: self.both + self.reference, of: self.of() }
    }

    /// Accuracy of the other.
    pub fn of_other(self) -> Share {
        Share { same: self.both + self.other, of: self.of() }
    }

    /// Accuracy of the other less that of the reference, −1 to 1; `None` of nothing.
    pub fn difference(self) -> Option<f64> {
        (self.of() > 0).then(|| (self.other as f64 - self.reference as f64) / self.of() as f64)
    }

    /// Where the true difference lies: the score interval of T. Tango, "Equivalence test and
    /// confidence interval for the difference in proportions for the paired-sample design" (1998),
    /// which unlike McNemar's with its normal error stays within −1 to 1 and is no point where both were
    /// right about the same inputs. All from −1 to 1 of nothing. Its coverage is close to `confidence`
    /// (above 0, below 1) and not guaranteed, as that of [`Share::interval`] is.
    pub fn interval(self, confidence: f64) -> Interval {
        let Some(difference) = self.difference() else { return Interval { low: -1.0, high: 1.0 } };
        let z = std::f64::consts::SQRT_2 * erfc_inv((1.0 - confidence).clamp(1e-12, 1.0));
        let halve = |mut outside: f64, mut inside: f64| {
            for _ in 0..60 {
                let middle = f64::midpoint(outside, inside);
                if self.score(middle).abs() > z { outside = middle } else { inside = middle }
            }
            inside
        };
        Interval { low: halve(-1.0, difference), high: halve(1.0, difference) }
    }

    /// How many standard errors what was seen is off a true difference of `delta`, the error being
    /// the one that the likeliest table with that difference has.
    fn score(self, delta: f64) -> f64 {
        let n = self.of() as f64;
        let (more, less) = (self.other as f64, self.reference as f64);
        let a = 2.0 * n;
        let b = -more - less + (2.0 * n - more + less) * delta;
        let c = -less * delta * (1.0 - delta);
        let likeliest = ((b * b - 4.0 * a * c).max(0.0).sqrt() - b) / (2.0 * a);
        let variance = n * (2.0 * likeliest + delta * (1.0 - delta));
        let off = more - less - n * delta;
        if variance > 0.0 {
            off / variance.sqrt()
        } else if off == 0.0 {
            0.0
        } else {
            f64::INFINITY.copysign(off)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paired(both: u64, reference: u64, other: u64, neither: u64) -> Paired {
        Paired { both, reference, other, neither }
    }

    #[test]
    fn accuracy_of_both() {
        let mut found = Paired::default();
        for (reference, other) in [(true, true), (true, true), (true, false), (false, true), (false, false)] {
            found.add(reference, other);
        }
        assert_eq!(found, paired(2, 1, 1, 1));
        assert_eq!((found.of_reference().value(), found.of_other().value()), (Some(0.6), Some(0.6)));
        assert_eq!((found.difference(), Paired::default().difference()), (Some(0.0), None));
        assert_eq!(Paired::default().interval(0.95), Interval { low: -1.0, high: 1.0 });
    }

    /// Against an implementation that finds the likeliest table by search rather than by Tango's
    /// formula (scipy, `minimize_scalar` and `brentq`).
    #[test]
    fn score_intervals() {
        for (table, low, high) in [
            (paired(36, 2, 12, 0), 0.06111, 0.34471),
            (paired(40, 3, 5, 2), -0.08225, 0.16680),
            (paired(430, 2, 0, 68), -0.01447, 0.00365),
            (paired(440, 0, 0, 60), -0.00762, 0.00762),
            (paired(3, 1, 4, 2), -0.15293, 0.63978),
            (paired(2000, 20, 9, 471), -0.00911, -0.00019),
        ] {
            let found = table.interval(0.95);
            let near = |a: f64, b: f64| (a - b).abs() < 1.1e-5;
            assert!(near(found.low, low) && near(found.high, high), "{table:?}: {found:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn intervals_hold_the_difference_and_mirror(a in 0u64..5000, b in 0u64..200, c in 0u64..200, d in 0u64..5000) {
            prop_assume!(a + b + c + d > 0);
            let (one, other) = (paired(a, b, c, d).interval(0.95), paired(a, c, b, d).interval(0.95));
            let difference = paired(a, b, c, d).difference().unwrap();
            prop_assert!(one.low < one.high && one.low >= -1.0 && one.high <= 1.0, "{one:?}");
            prop_assert!(one.contains(difference));
            prop_assert!((one.low + other.high).abs() < 1e-9, "{one:?} {other:?}");
            let wider = paired(a, b, c, d).interval(0.99);
            prop_assert!(wider.low < one.low + 1e-12 && wider.high > one.high - 1e-12);
        }
    }
}
