use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn exactly(value: f64) -> Bounds {
    Bounds { low: value * 0.97, high: value * 1.03 }
}

fn mean(rate: &Rate, now: f64) -> f64 {
    rate.at(at(now)).dist().mean
}

#[test]
fn a_step_is_known_after_one_sample() {
    for factor in [0.05, 0.3, 0.6, 1.7, 4.0, 20.0] {
        let mut rate = Rate::new(Dist::exact(1e-6));
        for step in 0..100 {
            rate.observe(at(0.2 * f64::from(step)), exactly(1e-6));
        }
        assert!((mean(&rate, 20.0) / 1e-6 - 1.0).abs() < 0.1);
        rate.observe(at(20.0), exactly(1e-6 * factor));
        let ratio = mean(&rate, 20.0) / (1e-6 * factor);
        assert!((0.7..1.5).contains(&ratio), "{factor}: {ratio}");
    }
}

#[test]
fn what_scatters_a_little_is_smoothed() {
    let mut rate = Rate::new(Dist::exact(1e-6));
    let mut worst: f64 = 0.0;
    for step in 0..200 {
        rate.observe(at(0.2 * f64::from(step)), exactly(if step % 2 == 0 { 0.85e-6 } else { 1.15e-6 }));
        if step > 20 {
            worst = worst.max((mean(&rate, 0.2 * f64::from(step)) / 1e-6 - 1.0).abs());
        }
    }
    assert!(worst < 0.13, "{worst}");
}

#[test]
fn silence_brings_it_back_to_what_is_usual_and_makes_it_unsure() {
    let mut rate = Rate::new(Dist::exact(1e-6));
    for step in 0..300 {
        rate.observe(at(f64::from(step)), exactly(1e-6));
    }
    rate.observe(at(300.0), exactly(3e-5));
    let (bad, later) = (rate.at(at(300.0)).dist(), rate.at(at(360.0)).dist());
    assert!(bad.mean > 1.5e-5, "{bad:?}");
    assert!(later.mean < 3e-6, "{later:?}");
    assert!(later.sd / later.mean > bad.sd / bad.mean);
    assert!(rate.at_best(at(360.0)) < 1e-6);
}

#[test]
fn what_became_usual_is_no_longer_tried_often() {
    let mut rate = Rate::new(Dist::exact(1e-6));
    for step in 0..300 {
        rate.observe(at(f64::from(step)), exactly(1e-6));
    }
    // From now on it is thirty times slower, and only looked at once a minute.
    for step in 0..20 {
        rate.observe(at(300.0 + 60.0 * f64::from(step)), exactly(3e-5));
    }
    assert!(mean(&rate, 300.0 + 60.0 * 20.0) > 1.5e-5);
}

#[test]
fn an_interval_moves_it_no_further_than_to_its_edge() {
    let mut rate = Rate::new(Dist::exact(1e-6));
    rate.observe(at(1.0), exactly(1e-6));
    let before = rate.at(at(1.0)).mean;
    rate.observe(at(1.0), Bounds { low: 0.0, high: 1e-4 });
    assert_eq!(rate.at(at(1.0)).mean, before);
    rate.observe(at(1.0), Bounds { low: 0.0, high: 1e-7 });
    let it = rate.at(at(1.0)).mean.exp();
    assert!((0.99e-7..2e-7).contains(&it), "{it}");
    rate.observe(at(1.0), Bounds { low: 2e-6, high: f64::INFINITY });
    let it = rate.at(at(1.0)).mean.exp();
    assert!((1e-6..2.01e-6).contains(&it), "{it}");
}

#[test]
fn what_waits_says_that_it_is_slow() {
    let log = Log { mean: 1e-6f64.ln(), variance: 0.25 };
    assert_eq!(log.above(0.0), log);
    assert_eq!(log.above(f64::NAN), log);
    let mut before = log.dist().mean;
    for floor in [3e-7, 1e-6, 3e-6, 1e-5, 1e-4] {
        let it = log.above(floor);
        assert!(it.dist().mean > before && it.mean > floor.ln() && it.variance <= log.variance, "{floor}");
        before = it.dist().mean;
    }
    // Half a normal distribution: its mean and variance are known.
    let half = log.above(1e-6);
    assert!((half.mean - log.mean - 0.5 * 0.797_884_560_8).abs() < 1e-9);
    assert!((half.variance - 0.25 * (1.0 - std::f64::consts::FRAC_2_PI)).abs() < 1e-9);
}

#[test]
fn nonsense_is_passed_over_and_the_absurd_is_bounded() {
    let mut rate = Rate::new(Dist::exact(1e-6));
    rate.observe(at(1.0), exactly(1e-6));
    let before = rate.at(at(1.0));
    for (low, high) in [(f64::NAN, 1.0), (1.0, f64::NAN), (2.0, 1.0), (-1.0, -0.5), (0.0, 0.0)] {
        rate.observe(at(1.0), Bounds { low, high });
    }
    assert_eq!(rate.at(at(1.0)), before);
    rate.observe(at(1.0), Bounds { low: 1e300, high: f64::INFINITY });
    assert!((rate.at(at(1.0)).mean - before.mean).abs() <= LEAP);
    for _ in 0..1000 {
        rate.observe(at(1.0), exactly(1e-300));
    }
    let it = rate.at(at(1.0)).dist();
    assert!(it.mean >= FASTEST * 0.9 && it.sd.is_finite(), "{it:?}");
    for prior in [0.0, f64::INFINITY, 1e-30] {
        assert!(Rate::new(Dist { mean: prior, sd: prior }).at(at(0.0)).dist().mean.is_finite());
    }
}

#[test]
fn a_clock_that_jumps_costs_no_more_than_what_was_known() {
    let mut rate = Rate::new(Dist::exact(1e-6));
    for now in [1.0, 1e9, 0.0, 5.0, 3.0] {
        rate.observe(at(now), exactly(2e-6));
        let it = mean(&rate, now);
        assert!((1.2e-6..3e-6).contains(&it), "{it}");
    }
}
