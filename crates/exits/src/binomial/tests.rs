use super::*;

/// The tail as a plain sum with terms by recurrence from `n·ln(1 − p)`; good where that does not vanish.
fn plain(k: u64, n: u64, p: f64) -> f64 {
    let mut term = (1.0 - p).powi(n as i32);
    let mut sum = term;
    for at in 1..=k {
        term *= (n - at + 1) as f64 / at as f64 * p / (1.0 - p);
        sum += term;
    }
    sum
}

#[test]
fn tails_are_their_sums() {
    for n in [1, 2, 10, 37, 299, 1000] {
        for p in [1e-6, 0.001, 0.01, 0.2, 0.5, 0.499_999] {
            for k in [0, 1, 2, 5, 9, 36, 100, 298] {
                let (found, wanted) = (at_most(k, n, p), if k >= n { 1.0 } else { plain(k, n, p) });
                assert!((found - wanted).abs() <= 1e-12 * wanted, "{k} of {n} at {p}: {found}, {wanted}");
            }
        }
    }
}

/// From sums with 60 decimal digits.
#[test]
fn tails_of_many_and_of_few() {
    for (k, n, p, wanted) in [
        (0, 299, 0.01, 4.953_625_663_766_248e-2),
        (3, 1000, 0.01, 1.007_265_477_201_438e-2),
        (10_000, 1_000_000, 0.01, 5.026_596_147_995_15e-1),
        (9_700, 1_000_000, 0.01, 1.249_341_268_267_878e-3),
        (9_000, 1_000_000, 0.01, 8.350_415_916_923_584e-25),
        (10_400, 1_000_000, 0.01, 9.999_684_150_407_081e-1),
        (5, 2_500, 0.01, 1.287_779_375_667_702e-6),
        (1, 1 << 20, 1e-6, 7.178_956_212_552_898e-1),
        (50, 100, 0.9, 5.832_038_785_734_287e-24),
    ] {
        let found = at_most(k, n, p);
        assert!((found / wanted - 1.0).abs() < 1e-11, "{k} of {n} at {p}: {found:e}, wanted {wanted:e}");
    }
}

#[test]
fn ends() {
    for (k, n, p, wanted) in [(0, 0, 0.5, 1.0), (3, 3, 0.9, 1.0), (0, 5, 0.0, 1.0), (4, 5, 1.0, 0.0)] {
        assert_eq!(at_most(k, n, p), wanted);
    }
    assert_eq!((upper_limit(5, 5, 0.05), upper_limit(0, 0, 0.05)), (1.0, 1.0));
    assert_eq!((lower_limit(0, 5, 0.05), lower_limit(0, 0, 0.05)), (0.0, 0.0));
    assert!((lower_limit(5, 5, 0.05) - 0.05f64.powf(0.2)).abs() < 1e-12);
}

#[test]
fn limits_leave_their_tail() {
    for (k, n) in [(0, 1), (0, 299), (7, 299), (150, 299), (298, 299), (12_000, 1_000_000)] {
        for tail in [0.05, 1e-4] {
            let upper = upper_limit(k, n, tail);
            assert!((at_most(k, n, upper) / tail - 1.0).abs() < 1e-8, "{k} of {n} at {tail}: {upper}");
            let lower = lower_limit(k, n, tail);
            if k > 0 {
                let above = 1.0 - at_most(k - 1, n, lower);
                assert!((above / tail - 1.0).abs() < 1e-6, "{k} of {n} at {tail}: {lower}");
            }
        }
    }
}

#[test]
fn most_and_trials_are_inverse() {
    for (p, tail) in [(0.01, 0.05), (0.003, 0.01), (0.2, 0.5)] {
        assert_eq!(most(trials(0, p, tail).unwrap() - 1, p, tail), None);
        for errors in [0, 1, 2, 10, 500] {
            let n = trials(errors, p, tail).unwrap();
            assert_eq!(most(n, p, tail), Some(errors), "{errors} at {p}, {tail}");
            assert!(most(n - 1, p, tail).is_none_or(|fewer| fewer < errors));
        }
    }
    assert_eq!(trials(1 << 40, 1e-6, 0.05), None);
}
