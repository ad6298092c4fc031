//! Numbers that look random and are the same for the same seed, on every machine and in every release.
//!
//! What is fitted or measured with a seed shall be found again by others, later, who have that seed. General
//! random-number crates promise that of their generators, but not of how they make fractions, normal
//! numbers and orders of them. Nothing here is fit for secrets.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for every list of keys.
    pub fn keyed(keys: &[u64]) -> Self {
        let mut random = Self(0);
        for key in keys {
            random.0 = random.bits() ^ key;
        }
        random
    }

    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 to `bound`, `bound` excluded; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product: biased by less than bound / 2^64.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// 1 or −1.
    pub fn sign(&mut self) -> f32 {
        if self.bits() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// Mean 0, variance 1: Box and Muller's transform.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Puts the elements into one of their orders, each as likely as the others.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            elements.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The generator's own figures for seed 1234567 (prng.di.unimi.it), so that no release changes them.
    #[test]
    fn streams_are_those_of_the_paper() {
        let mut random = Random::new(1_234_567);
        let drawn = [(); 5].map(|()| random.bits());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn keys_make_streams_that_differ() {
        let draw = |keys: &[u64]| {
            let mut random = Random::keyed(keys);
            [(); 4].map(|()| random.bits())
        };
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(draw(&[1, 2]), draw(&[1]));
    }

    #[test]
    fn moments() {
        let mut random = Random::new(4);
        let mut moments = |mut draw: Box<dyn FnMut(&mut Random) -> f64>| {
            let drawn: Vec<f64> = (0..10_000).map(|_| draw(&mut random)).collect();
            let mean = drawn.iter().sum::<f64>() / 1e4;
            (mean, drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e4)
        };
        for (found, mean, variance) in [
            (moments(Box::new(Random::unit)), 0.5f64, 1.0f64 / 12.0),
            (moments(Box::new(Random::normal)), 0.0, 1.0),
            (moments(Box::new(|random| f64::from(random.sign()))), 0.0, 1.0),
            (moments(Box::new(|random| random.below(3) as f64)), 1.0, 2.0 / 3.0),
        ] {
            // Four standard errors of the mean, and as much of the variance's for a normal.
            assert!((found.0 - mean).abs() < 0.04 * variance.sqrt(), "{found:?} {mean}");
            assert!((found.1 - variance).abs() < 0.06 * variance, "{found:?} {variance}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn all_stays_within_its_bounds(seed: u64, bound: u64, count in 0usize..40) {
            let mut random = Random::new(seed);
            prop_assert!(random.below(bound) < bound.max(1));
            prop_assert!((0.0..1.0).contains(&random.unit()) && random.normal().is_finite());
            let mut elements: Vec<usize> = (0..count).collect();
            random.shuffle(&mut elements);
            elements.sort_unstable();
            prop_assert!(elements.iter().copied().eq(0..count));
        }
    }
}
