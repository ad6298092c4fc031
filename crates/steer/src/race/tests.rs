use super::*;
use proptest::prelude::*;

/// The cost of a start, by summing the survival function.
fn cost(answer: Dist, local: f64, price: f64, start: f64) -> f64 {
    let it = Time::of(answer).unwrap();
    let steps = 1000;
    let integral = |from: f64, to: f64| {
        let width = (to - from) / f64::from(steps);
        (0..steps).map(|step| it.longer(from + (f64::from(step) + 0.5) * width) * width).sum::<f64>()
    };
    let (before, during) = (integral(0.0, start), integral(start, start + local));
    before + (1.0 + price) * during
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_other_start_is_better(
        mean in 0.01..1.0f64,
        relative in 0.05..2.0f64,
        local in 0.005..2.0f64,
        price in 0.01..3.0f64,
    ) {
        let answer = Dist { mean, sd: relative * mean };
        let found = start(answer, Dist::exact(local), price);
        let it = Time::of(answer).unwrap();
        let (end, never) = (it.quantile(4.0), it.mean());
        let wanted = (0..30).map(|step| cost(answer, local, price, end * f64::from(step) / 30.0));
        let wanted = wanted.fold(never, f64::min);
        let own = found.map_or(never, |found| cost(answer, local, price, found));
        prop_assert!(own <= wanted * 1.01, "{found:?} costs {own}, {wanted} is possible");
    }

    #[test]
    fn expectations_are_those_of_the_definition(
        mean in 0.01..1.0f64,
        relative in 0.05..2.0f64,
        local in 0.005..2.0f64,
        start in 0.0..1.0f64,
    ) {
        let answer = Dist { mean, sd: relative * mean };
        let (until, computing) = expected(answer, Dist::exact(local), start);
        let at_price = |price: f64| cost(answer, local, price, start);
        prop_assert!((until - at_price(0.0)).abs() < 5e-3 * until);
        prop_assert!((computing - (at_price(1.0) - at_price(0.0))).abs() < 5e-3 * until);
    }
}

#[test]
fn what_is_free_begins_at_once_and_what_is_dear_waits() {
    let answer = Dist { mean: 0.1, sd: 0.05 };
    assert_eq!(start(answer, Dist::exact(0.2), 0.0), Some(0.0));
    // The edge is much faster than the cloud.
    assert_eq!(start(answer, Dist::exact(0.01), 0.5), Some(0.0));
    // A sure answer is waited for until it should be there.
    let begins = start(Dist::exact(0.1), Dist::exact(0.2), 0.5).unwrap();
    assert!((0.1..0.102).contains(&begins), "{begins}");
    // One that may take very long is waited for only until it should be there.
    let begins = start(Dist { mean: 0.1, sd: 0.2 }, Dist::exact(0.1), 0.8).unwrap();
    assert!((0.02..0.4).contains(&begins), "{begins}");
}

#[test]
fn a_deadline_leaves_time_for_the_rest() {
    let local = Dist { mean: 0.2, sd: 0.05 };
    assert!((latest(local, 1.0, 2.0) - 0.7).abs() < 1e-12);
    assert_eq!(latest(local, 0.1, 2.0), 0.0);
}

#[test]
fn nonsense_races_never_or_at_once() {
    for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        assert_eq!(start(Dist { mean: bad, sd: 0.0 }, Dist::exact(0.1), 1.0), None);
    }
    assert_eq!(start(Dist::exact(0.1), Dist::exact(f64::NAN), 1.0), None);
    assert_eq!(start(Dist::exact(0.1), Dist::exact(0.1), f64::NAN), None);
}
