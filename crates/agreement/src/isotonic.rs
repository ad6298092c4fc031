//! What to expect of each step of a ladder, if coarser steps never agree more.

use crate::Share;

/// The shares that are most likely if they never fall from one to the next, given how often each
/// held: pool adjacent violators (M. Ayer et al., "An empirical distribution function for sampling
/// with incomplete information", 1955). A step that did better than a finer one was lucky, or the
/// finer one was not, and both are worth what they are together. Nothing tried counts as 0.
pub fn isotonic(shares: &[Share]) -> Vec<f64> {
    // Pools of neighbours: together, and how many steps.
    let mut pools: Vec<(Share, usize)> = Vec::new();
    let value = |share: Share| share.value().unwrap_or(0.0);
    for share in shares {
        let mut pool = (*share, 1);
        while let Some(before) = pools.pop_if(|before| value(before.0) > value(pool.0)) {
            pool = (before.0.and(pool.0), before.1 + pool.1);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(share, steps)| std::iter::repeat_n(value(share), steps)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_100(same: &[u64]) -> Vec<Share> {
        same.iter().map(|same| Share { same: *same, of: 100 }).collect()
    }

    #[test]
    fn luck_is_pooled() {
        for (same, expected) in [
            (&[90, 95, 99, 100][..], &[0.9, 0.95, 0.99, 1.0][..]),
            (&[90, 99, 97, 100], &[0.9, 0.98, 0.98, 1.0]),
            (&[100, 90, 80], &[0.9, 0.9, 0.9]),
            (&[], &[]),
        ] {
            assert_eq!(isotonic(&of_100(same)), expected);
        }
    }

    proptest! {
        #[test]
        fn never_falls_and_keeps_the_whole(same in proptest::collection::vec(0u64..=100, 1..20)) {
            let expected = isotonic(&of_100(&same));
            prop_assert!(expected.windows(2).all(|pair| pair[0] <= pair[1]));
            let whole: f64 = expected.iter().sum::<f64>() * 100.0;
            prop_assert!((whole - same.iter().sum::<u64>() as f64).abs() < 1e-6);
        }
    }
}
