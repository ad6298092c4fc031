use super::*;
use crate::{Device, EngineUsed, Failure, Place};
use proptest::prelude::*;

/// A device whose times are known: work of steps, costs of cuts, and a tenth less for short ranges,
/// whose weights stay in the cache.
struct Machine {
    steps: Vec<f64>,
    starts: Vec<f64>,
    ends: Vec<f64>,
}

impl Machine {
    fn new(boundaries: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let last = boundaries - 1;
        let steps = (0..last).map(|_| 0.5e-3 + 5e-3 * uniform().powi(2)).collect();
        let mut cost = || (0..boundaries).map(|_| 0.4e-3 * uniform()).collect::<Vec<f64>>();
        let (mut starts, mut ends) = (cost(), cost());
        (starts[0], ends[last]) = (0.0, 0.0);
        Self { steps, starts, ends }
    }

    fn time(&self, from: usize, to: usize) -> f64 {
        let work: f64 = self.steps[from..to].iter().sum();
        let share = work / self.steps.iter().sum::<f64>();
        work * (0.9 + 0.1 * share) + self.starts[from] + self.ends[to]
    }

    fn profile(&self, timed: impl Iterator<Item = (usize, usize)>) -> Profile {
        let place = |index: usize| Place { after: None, macs_before: index as u64 };
        let range = |(from, to): (usize, usize)| {
            let p50 = self.time(from, to);
            RangeTime {
                from,
                to,
                batch: 1,
                runs: 50,
                rounds: 2,
                p50,
                p90: p50 * 1.1,
                p99: p50 * 1.2,
                mean: p50 * 1.02,
                sd: p50 * 0.05,
                compile: 0.1,
                resident_bytes: 1,
                peak_bytes: None,
                joules: None,
                rested: None,
            }
        };
        Profile {
            format: crate::FORMAT,
            model: "made".into(),
            digest: "00".repeat(32),
            boundaries: (0..=self.steps.len()).map(place).collect(),
            device: Device {
                host: String::new(),
                cpu: String::new(),
                cores: 1,
                arch: String::new(),
                os: String::new(),
            },
            engine: EngineUsed { name: "made".into(), version: String::new(), threads: 1 },
            taken: "2026-01-31T12:00:00Z".into(),
            complete: false,
            reference: None,
            rest: None,
            peak_rss_bytes: None,
            ranges: timed.map(range).collect(),
            failed: vec![],
            layers: None,
            sizes: None,
            power: None,
        }
    }
}

fn is_core((from, to): (usize, usize), last: usize) -> bool {
    from == 0 || to == last || to == from + 1
}

#[test]
fn what_was_timed_is_answered_as_timed() {
    let machine = Machine::new(6, 1);
    let profile = machine.profile(pairs(5));
    let predictor = Predictor::fit(&profile, 1).unwrap();
    for range in &profile.ranges {
        let expected = Estimate { mean: range.mean, p50: range.p50, sd: range.sd, timed: true };
        assert_eq!(predictor.time(range.from, range.to), Some(expected));
    }
    assert_eq!(predictor.time(3, 3).unwrap().p50, 0.0);
    for none in [(0, 6), (4, 2), (9, 9)] {
        assert_eq!(predictor.time(none.0, none.1), None, "{none:?}");
    }
    assert!(order(&profile, 1).is_empty());
}

#[test]
fn prefixes_suffixes_and_neighbours_tell_the_rest() {
    for seed in 1..20 {
        let (machine, last) = (Machine::new(16, seed), 15);
        let profile = machine.profile(pairs(last).filter(|pair| is_core(*pair, last)));
        let predictor = Predictor::fit(&profile, 1).unwrap();
        let mut errors: Vec<f64> = pairs(last)
            .filter(|pair| !is_core(*pair, last))
            .map(|(from, to)| {
                let estimate = predictor.time(from, to).unwrap();
                assert!(!estimate.timed && estimate.sd > 0.0 && estimate.mean > estimate.p50);
                (estimate.p50 / machine.time(from, to) - 1.0).abs()
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        let (median, p90) = (errors[errors.len() / 2], errors[errors.len() * 9 / 10]);
        assert!(median < 0.05 && p90 < 0.1, "seed {seed}: {median:.3}, {p90:.3}");
        assert!(predictor.error().ranges > 30 && predictor.error().median < 0.1, "{:?}", predictor.error());
    }
}

#[test]
fn one_range_is_enough_for_a_guess() {
    let machine = Machine::new(8, 3);
    let predictor = Predictor::fit(&machine.profile([(0, 7)].into_iter()), 1).unwrap();
    let half = predictor.time(0, 4).unwrap();
    assert!(half.p50 > 0.2 * machine.time(0, 7) && half.p50 < 0.8 * machine.time(0, 7), "{half:?}");
    assert!(half.sd > 0.1 * half.p50, "a guess says that it is one: {half:?}");
    let none = Predictor::fit(&machine.profile([(0, 7)].into_iter()), 4).unwrap_err();
    assert_eq!(none.to_string(), "the profile has no times at batch 4; it has 1");
}

#[test]
fn batches_start_from_what_one_request_takes() {
    let (machine, last) = (Machine::new(10, 5), 9);
    let mut profile = machine.profile(pairs(last));
    let tails: Vec<RangeTime> =
        profile.ranges.iter().filter(|range| range.to == last && range.from % 2 == 0).cloned().collect();
    profile.ranges.extend(tails.into_iter().map(|mut range| {
        (range.batch, range.p50, range.p90, range.p99, range.mean) =
            (4, range.p50 * 3.0, range.p90 * 3.0, range.p99 * 3.0, range.mean * 3.0);
        range
    }));
    let predictor = Predictor::fit(&profile, 4).unwrap();
    for from in [1, 3, 5] {
        let error = predictor.time(from, last).unwrap().p50 / (3.0 * machine.time(from, last)) - 1.0;
        assert!(error.abs() < 0.15, "{from}: {error}");
    }
}

/// A tenth more and half a millisecond on top after a pause, timed of heads and tails alone.
#[test]
fn rested_ranges_tell_the_rest() {
    let last = 11;
    let machine = Machine::new(12, 4);
    let after = |from, to| machine.time(from, to) * 1.1 + 0.5e-3;
    let mut profile = machine.profile(pairs(last));
    assert!(Predictor::rested(&profile).unwrap().is_none());
    for range in profile.ranges.iter_mut().filter(|range| range.from == 0 || range.to == last) {
        let p50 = after(range.from, range.to);
        range.rested = Some(Rested { runs: 6, p50, sd: 0.02 * p50 });
    }
    let rested = Predictor::rested(&profile).unwrap().unwrap();
    for (from, to) in pairs(last) {
        let estimate = rested.time(from, to).unwrap();
        assert_eq!(estimate.timed, from == 0 || to == last);
        let error = (estimate.p50 / after(from, to) - 1.0).abs();
        assert!(estimate.sd.is_finite() && estimate.sd >= 0.0);
        assert!(error < if estimate.timed { 1e-9 } else { 0.05 }, "{from}..{to}: {error}");
    }
}

#[test]
fn a_failed_range_has_no_time() {
    let machine = Machine::new(5, 2);
    let mut profile = machine.profile([(0, 4), (0, 2)].into_iter());
    profile.failed.push(Failure { from: 1, to: 3, batch: 1, reason: "no".into() });
    let predictor = Predictor::fit(&profile, 1).unwrap();
    assert_eq!(predictor.time(1, 3), None);
    assert!(predictor.time(1, 2).is_some());
    assert!(!order(&profile, 1).contains(&(1, 3)));
}

#[test]
fn the_order_holds_every_open_range_once() {
    let last = 9;
    let profile = Machine::new(10, 7).profile(pairs(last).filter(|pair| pair.0 == 0));
    let mut order = order(&profile, 1);
    assert_eq!(order.len(), 45 - 9);
    order.sort_unstable();
    order.dedup();
    assert_eq!(order.len(), 36);
}

proptest! {
    /// Whatever was timed, however little and however oddly, predictions are times.
    #[test]
    fn predictions_are_times(seed in 1u64..1000, chosen in proptest::collection::vec(any::<bool>(), 28), factors in proptest::collection::vec(0.01f64..100.0, 28), extreme in prop_oneof![Just(1.0), Just(1e-300), Just(1e-15)]) {
        let machine = Machine::new(8, seed);
        let timed: Vec<(usize, usize)> = pairs(7).zip(&chosen).filter(|(_, chosen)| **chosen).map(|(pair, _)| pair).collect();
        prop_assume!(!timed.is_empty());
        let mut profile = machine.profile(timed.into_iter());
        for (range, factor) in profile.ranges.iter_mut().zip(&factors) {
            range.p50 *= factor;
            range.rested = (*factor > 1.0).then_some(Rested { runs: 1, p50: 1e-3 * factor.powi(9) * extreme, sd: 0.0 });
        }
        let predictor = Predictor::fit(&profile, 1).unwrap();
        let rested = Predictor::rested(&profile).unwrap();
        for (predictor, (from, to)) in rested.iter().chain([&predictor]).flat_map(|it| pairs(7).map(move |pair| (it, pair))) {
            let estimate = predictor.time(from, to).unwrap();
            prop_assert!(estimate.p50 >= 0.0 && estimate.p50.is_finite() && estimate.sd >= 0.0 && estimate.sd.is_finite());
        }
    }
}
