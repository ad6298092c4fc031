//! Quantities that vary: a mean and a spread, which unlike quantiles add up.

/// Mean and standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dist {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, in the same unit.
    pub sd: f64,
}

impl Dist {
    /// A quantity that does not vary.
    pub const fn exact(mean: f64) -> Self {
        Self { mean, sd: 0.0 }
    }

    /// A quantity known by its median and 90th percentile, taken to be normal.
    pub fn of_quantiles(p50: f64, p90: f64) -> Self {
        Self { mean: p50, sd: ((p90 - p50) / 1.281_551_565_544_600_4).max(0.0) }
    }

    /// Every value times `factor`, which is not negative.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, sd: self.sd * factor }
    }

    /// The product with an independent quantity.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let (a, b) = (self, other);
        let variance = (a.mean * b.sd).powi(2) + (b.mean * a.sd).powi(2) + (a.sd * b.sd).powi(2);
        Self { mean: a.mean * b.mean, sd: variance.sqrt() }
    }

    /// The sum with an independent quantity.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { mean: self.mean + other.mean, sd: self.sd.hypot(other.sd) }
    }

    /// The quantile `probability` of the standard normal distribution: how many deviations above
    /// its mean a normal quantity stays that often. Infinite at 0 and 1.
    pub fn normal_quantile(probability: f64) -> f64 {
        if !(0.0..=1.0).contains(&probability) {
            return f64::NAN;
        }
        let (mut below, mut above) = (-40.0, 40.0);
        if probability == 0.0 || probability == 1.0 {
            return (probability - 0.5) * f64::INFINITY;
        }
        // Halving until no number is left in between is exact, and needed once per table.
        while above - below > 1e-14 * f64::max(1.0, f64::abs(above)) {
            let middle = 0.5 * (below + above);
            if normal(middle) < probability { below = middle } else { above = middle }
        }
        0.5 * (below + above)
    }

    /// How likely a standard normal quantity is at most `x`.
    pub fn normal(x: f64) -> f64 {
        normal(x)
    }

    /// How likely a normal quantity is at most `limit`. Where even the mean is more, this is 0: a
    /// spread must not make a plan better.
    pub fn within(&self, limit: f64) -> f64 {
        if self.mean > limit {
            0.0
        } else if self.sd == 0.0 {
            1.0
        } else {
            normal((limit - self.mean) / self.sd)
        }
    }
}

/// The distribution function of the normal distribution, to about 1e-15: Hart's approximation as
/// given by West, "Better approximations to cumulative normal functions" (2005).
fn normal(x: f64) -> f64 {
    const ABOVE: [f64; 7] = [
        3.526_249_659_989_11e-2,
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ];
    const BELOW: [f64; 8] = [
        8.838_834_764_831_84e-2,
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ];
    let far = x.abs();
    let polynomial = |of: &[f64]| of.iter().fold(0.0, |sum, next| sum * far + next);
    let tail = if far > 37.0 {
        0.0
    } else if far < 7.071_067_811_865_47 {
        (-far * far / 2.0).exp() * polynomial(&ABOVE) / polynomial(&BELOW)
    } else {
        let fraction = far + 1.0 / (far + 2.0 / (far + 3.0 / (far + 4.0 / (far + 0.65))));
        (-far * far / 2.0).exp() / fraction / 2.506_628_274_631
    };
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_is_as_tables_have_it() {
        for (x, wanted) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (1.644_853_626_951_472_7, 0.95),
            (-2.326_347_874_040_841, 0.01),
            (8.0, 1.0),
            (-8.0, 6.220_960_574_271_785e-16),
        ] {
            assert!((normal(x) - wanted).abs() < 1e-14, "{x}: {}", normal(x));
        }
    }

    #[test]
    fn quantiles_are_as_tables_have_them() {
        for (probability, wanted) in
            [(0.5, 0.0), (0.95, 1.644_853_626_951_472_7), (0.01, -2.326_347_874_040_841)]
        {
            assert!((Dist::normal_quantile(probability) - wanted).abs() < 1e-12, "{probability}");
        }
        assert_eq!(Dist::normal_quantile(1.0), f64::INFINITY);
        assert!(Dist::normal_quantile(1.5).is_nan());
    }

    #[test]
    fn a_product_varies_with_both() {
        let product = Dist { mean: 3.0, sd: 1.0 }.times(Dist { mean: 4.0, sd: 2.0 });
        assert_eq!(product.mean, 12.0);
        // E[x²]E[y²] − 12² = 10·20 − 144.
        assert!((product.sd * product.sd - 56.0).abs() < 1e-12);
    }
}
