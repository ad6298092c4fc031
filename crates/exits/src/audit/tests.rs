use super::*;
use crate::Loss;
use kerf_random::Random;
use std::cmp::Ordering;

fn audit(risk: f64, alpha: f64) -> Audit {
    Audit::new(&Promise::new(risk, 0.95, Loss::Disagreement).unwrap(), alpha).unwrap()
}

/// When an audit of requests of these risks breaks, at most after `most` of them.
fn broken(risk: impl Fn(u64) -> f64, most: u64, promised: f64, seed: u64) -> Option<u64> {
    let (mut audit, mut random) = (audit(promised, 0.05), Random::new(seed));
    for at in 0..most {
        audit.observe(random.unit() < risk(at));
        if audit.breaks() {
            return audit.broken_at();
        }
    }
    None
}

/// At the very edge of the promise, for far longer than the alarm would take at twice the risk.
#[test]
fn false_alarms_are_as_rare_as_said() {
    for promised in [0.01, 0.1] {
        let alarms = (0..400).filter(|seed| broken(|_| promised, 6_000, promised, *seed).is_some()).count();
        // 5% of 400 are 20, and at most that many are expected.
        assert!((1..=20).contains(&alarms), "{alarms} of 400 at {promised}");
    }
    // What is promised is seldom all that is so.
    let alarms = (0..200).filter(|seed| broken(|_| 0.005, 6_000, 0.01, *seed).is_some()).count();
    assert!(alarms <= 1, "{alarms}");
}

/// The fortune that is to be expected, over all ways that ten requests can go: what makes the rest true.
#[test]
fn bets_are_fair() {
    for (promised, risk) in [(0.01, 0.01), (0.2, 0.2), (0.2, 0.1), (0.2, 0.25)] {
        let expected: f64 = (0..1 << 10)
            .map(|way: u32| {
                let mut audit = audit(promised, 1e-9);
                (0..10).for_each(|at| audit.observe(way >> at & 1 == 1));
                let lost = way.count_ones() as i32;
                f64::powi(risk, lost) * f64::powi(1.0 - risk, 10 - lost) * audit.fortune()
            })
            .sum();
        match risk.total_cmp(&promised) {
            Ordering::Less => assert!(expected < 0.9, "{expected}"),
            Ordering::Equal => assert!((expected - 1.0).abs() < 1e-9, "{expected}"),
            Ordering::Greater => assert!(expected > 1.1, "{expected}"),
        }
    }
}

#[test]
fn breaks_are_noticed_within_the_stated_delay() {
    for (risk, since) in [(0.02, 0), (0.03, 0), (0.1, 0), (0.03, 3000), (0.1, 3000), (0.5, 3000)] {
        let stated = audit(0.01, 0.05).delay(risk, since).unwrap();
        let after = |at: u64| if at < since { 0.004 } else { risk };
        let runs: Vec<f64> = (0..100)
            .map(|seed| broken(after, 100_000, 0.01, 1000 + seed).unwrap() as f64 - since as f64)
            .collect();
        let mean = runs.iter().sum::<f64>() / 100.0;
        let late = runs.iter().filter(|run| **run > stated.nine_in_ten).count();
        println!("risk {risk} since {since}: {mean:.0} found, {stated:.0?} stated");
        assert!(mean <= stated.mean && mean >= stated.mean / 4.0, "{risk}, {since}: {mean}, {stated:?}");
        assert!(late <= 10, "{risk}, {since}: {late} of 100 after {stated:?}");
    }
    let quiet = audit(0.01, 0.05);
    for risk in [0.0, 0.005, 0.01] {
        assert_eq!(quiet.delay(risk, 0), None);
    }
    assert!(quiet.delay(1.0, 0).unwrap().mean < 5.0 && quiet.delay(1.0, 1 << 40).unwrap().mean < 50.0);
}

/// The mean of the true risks so far is within at every look, also where the risk moves.
#[test]
fn intervals_hold_at_any_time() {
    for (name, risk) in [
        ("even", (|_| 0.01) as fn(u64) -> f64),
        ("rising", |at| 0.002 + at as f64 * 1e-5),
        ("a storm", |at| if at % 2000 < 1000 { 0.001 } else { 0.2 }),
    ] {
        let mut missed = 0;
        for seed in 0..100 {
            let (mut audit, mut random, mut sum) = (audit(0.01, 0.1), Random::new(seed), 0.0);
            let mut is_missed = false;
            for at in 0..4000 {
                sum += risk(at);
                audit.observe(random.unit() < risk(at));
                // Every request early on, and then often enough.
                if at < 20 || at % 97 == 0 {
                    is_missed |= !audit.interval().contains(sum / (at + 1) as f64);
                }
            }
            missed += u32::from(is_missed);
        }
        assert!(missed <= 10, "{name}: {missed} of 100 at 10%");
    }
}

#[test]
fn intervals_narrow() {
    let mut found = audit(0.01, 0.05);
    assert_eq!(found.interval(), Interval { low: 0.0, high: 1.0 });
    for (of, same, low, high) in [
        (1, 0, 0.0, 1.0),
        (300, 0, 0.0, 0.025),
        (10_000, 100, 0.006, 0.0145),
        (1_000_000, 10_000, 0.0095, 0.0105),
    ] {
        found.losses = Share { same, of };
        let interval = found.interval();
        let share = same as f64 / of as f64;
        assert!(
            interval.contains(share) && interval.low >= low && interval.high <= high,
            "{of}: {interval:?}"
        );
        let figures = found.figures();
        assert_eq!((figures.interval, figures.losses), (interval, Share { same, of }));
    }
    found.losses = Share { same: 500, of: 500 };
    assert!(found.interval().low > 0.95 && found.interval().high == 1.0);
}

#[test]
fn what_is_broken_stays_broken() {
    let mut audit = audit(0.01, 0.05);
    let mut level = 0.0;
    while !audit.breaks() {
        assert!(audit.figures().level < 1.0);
        audit.observe(true);
        level = audit.figures().level;
    }
    assert_eq!(level, 1.0);
    let at = audit.broken_at();
    assert!(at.is_some_and(|at| at <= 4), "{at:?}");
    assert!(audit.suspected() > 0.1);
    for _ in 0..100_000 {
        audit.observe(false);
    }
    assert_eq!((audit.breaks(), audit.broken_at(), audit.figures().level), (true, at, 1.0));
    assert!(audit.interval().high < 0.01, "the interval is of all of them: {:?}", audit.interval());
}

/// A fortune that is lost is never lost for good, and never runs over.
#[test]
fn a_late_change_is_noticed_after_a_million_quiet_requests() {
    let mut audit = audit(0.01, 0.05);
    for _ in 0..1_000_000 {
        audit.observe(false);
    }
    let stated = audit.delay(0.2, 1_000_000).unwrap();
    let mut random = Random::new(1);
    let found = (1..1000).find(|_| {
        audit.observe(random.unit() < 0.2);
        audit.breaks()
    });
    assert!(found.is_some_and(|found| f64::from(found) < stated.nine_in_ten), "{found:?}, {stated:?}");
    assert!((0.1..0.5).contains(&audit.suspected()), "{}", audit.suspected());
}

#[test]
fn audits_that_are_none() {
    let promise = Promise::new(0.01, 0.95, Loss::Disagreement).unwrap();
    for alpha in [0.0, 1.0, f64::NAN, -0.05] {
        assert!(Audit::new(&promise, alpha).is_err());
    }
}
