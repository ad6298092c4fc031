use super::*;
use proptest::prelude::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, 1e6) })
}

fn prior() -> Prior {
    Prior { round_trip: Dist::exact(0.04), up: Dist::exact(1e-6), down: Dist::exact(1e-6) }
}

/// A link that carries packets one after the other, at a rate that never changes while one message
/// is on its way.
#[derive(Clone, Copy)]
struct Wire {
    round_trip: f64,
    up: f64,
    down: f64,
}

impl Wire {
    fn seconds(payload: f64, rate: f64) -> f64 {
        wire(payload) * rate
    }

    fn arrival(payload: f64, rate: f64) -> Option<Arrival> {
        let bytes_after_first = (payload - PACKET).max(0.0);
        let first_to_last = bytes_after_first * PACKETS * rate;
        Some(Arrival { first_to_last, bytes_after_first })
    }

    fn transfer(&self, up_bytes: f64, down_bytes: f64) -> Transfer {
        Transfer {
            up_bytes,
            down_bytes,
            elapsed: self.round_trip
                + Self::seconds(up_bytes, self.up)
                + Self::seconds(down_bytes, self.down),
            arrival: Self::arrival(up_bytes, self.up),
            answer_arrival: Self::arrival(down_bytes, self.down),
            ahead: 0.0,
        }
    }

    fn predicted(estimate: &LinkEstimate, up_bytes: f64, down_bytes: f64) -> f64 {
        estimate.round_trip.mean + wire(up_bytes) * estimate.up.mean + wire(down_bytes) * estimate.down.mean
    }
}

#[test]
fn times_are_predicted_after_few_transfers_and_a_step_after_two() {
    for bytes in [4_000.0, 12_000.0, 100_000.0] {
        let mut link = Link::new(&prior());
        let mut now = 0.0;
        let mut after = |link: &mut Link, wire: Wire, transfers: u32| {
            for _ in 0..transfers {
                let transfer = wire.transfer(bytes, 4000.0);
                now += 0.2 + transfer.elapsed;
                link.observe(at(now), &transfer);
            }
            let truth = wire.transfer(bytes, 4000.0).elapsed;
            Wire::predicted(&link.estimate(at(now)), bytes, 4000.0) / truth
        };
        let fast = Wire { round_trip: 0.02, up: 8.0 / 10e6, down: 8.0 / 20e6 };
        let slow = Wire { up: 8.0 / 0.5e6, down: 8.0 / 1e6, ..fast };
        for (wire, transfers) in [(fast, 10), (slow, 2), (slow, 10), (fast, 2), (fast, 10)] {
            let ratio = after(&mut link, wire, transfers);
            let allowed = if transfers == 2 { 0.5..2.0 } else { 0.8..1.25 };
            assert!(allowed.contains(&ratio), "{bytes} bytes, {transfers} after a step: {ratio}");
        }
    }
}

#[test]
fn small_transfers_leave_an_interval() {
    let wire = Wire { round_trip: 0.04, up: 1e-7, down: 1e-7 };
    let (mut small, mut large) = (Link::new(&prior()), Link::new(&prior()));
    for step in 0..3 {
        small.observe(at(f64::from(step)), &wire.transfer(1000.0, 100.0));
        large.observe(at(f64::from(step)), &wire.transfer(50_000.0, 100.0));
    }
    let relative = |link: &Link| link.estimate(at(3.0)).up.sd / link.estimate(at(3.0)).up.mean;
    assert!(relative(&small) > 1.5 * relative(&large));
}

#[test]
fn without_arrivals_our_own_clock_bounds_the_rate() {
    let wire = Wire { round_trip: 0.02, up: 1e-5, down: 1e-7 };
    let mut link = Link::new(&prior());
    for step in 0..20 {
        let transfer = Transfer { arrival: None, answer_arrival: None, ..wire.transfer(20_000.0, 100.0) };
        link.observe(at(f64::from(step)), &transfer);
    }
    let (truth, it) = (wire.transfer(20_000.0, 100.0).elapsed, link.estimate(at(20.0)));
    let ratio = Wire::predicted(&it, 20_000.0, 100.0) / truth;
    assert!((0.6..1.5).contains(&ratio), "{ratio} {it:?}");
}

#[test]
fn who_waits_too_long_makes_the_link_slow_and_a_loss_is_kept() {
    let wire = Wire { round_trip: 0.02, up: 1e-6, down: 1e-6 };
    let mut link = Link::new(&prior());
    for step in 0..20 {
        link.observe(at(0.1 * f64::from(step)), &wire.transfer(20_000.0, 1000.0));
    }
    link.sent(at(2.0), 7, 20_000.0, 0.01);
    let mut before = link.estimate(at(2.01)).up.mean;
    assert!(before < 1.3e-6);
    for waited in [0.1, 0.5, 2.0, 10.0] {
        let it = link.estimate(at(2.0 + waited));
        assert!(it.up.mean > before && it.up.mean > 0.8 * (waited - 0.05) / 21_000.0, "{waited}: {it:?}");
        before = it.up.mean;
    }
    // Asking often says nothing new.
    assert_eq!(link.estimate(at(12.0)), link.estimate(at(12.0)));
    assert!(link.lost(at(12.0), 7));
    assert!(!link.lost(at(12.0), 7));
    assert!(link.estimate(at(12.0)).up.mean > 2e-5);
    assert!(!link.is_busy());
}

#[test]
fn what_was_sent_is_ahead_until_it_has_left() {
    let mut link = Link::new(&prior());
    link.sent(at(1.0), 1, 10_000.0, 0.0);
    link.sent(at(1.0), 2, 10_000.0, 0.0);
    let backlog = |link: &Link, now: f64| link.estimate(at(now)).backlog;
    let all = 2.0 * wire(10_000.0);
    assert!((backlog(&link, 1.0) - all).abs() < 1.0);
    let later = backlog(&link, 1.01);
    assert!(later < all && later > all / 4.0, "{later}");
    assert!(link.answered(1) && !link.answered(1));
    assert!(backlog(&link, 1.01) < later);
    for serial in 3..1000 {
        link.sent(at(1.0), serial, 1e12, 0.0);
    }
    assert!(backlog(&link, 1.0).is_finite());
}

#[test]
fn bytes_ahead_do_not_look_like_a_slow_link() {
    let wire = Wire { round_trip: 0.02, up: 1e-6, down: 1e-6 };
    let mut link = Link::new(&prior());
    for step in 0..20 {
        link.observe(at(0.2 * f64::from(step)), &wire.transfer(20_000.0, 1000.0));
    }
    let before = link.estimate(at(4.0));
    // The link is shared with 40 kB that were before, and a part of them came in between.
    for step in 0..5 {
        let mut transfer = wire.transfer(20_000.0, 1000.0);
        transfer.elapsed += 40_000.0 * wire.up;
        transfer.ahead = 40_000.0;
        transfer.arrival = Some(Arrival { first_to_last: 0.04, bytes_after_first: 18_600.0 });
        link.observe(at(4.0 + 0.2 * f64::from(step)), &transfer);
    }
    let it = link.estimate(at(5.0));
    assert!((it.up.mean / before.up.mean - 1.0).abs() < 0.3, "{before:?} {it:?}");
    assert!(it.round_trip.mean < 0.04, "{it:?}");
}

/// Whatever a node says of arrivals, times as we measured them come out.
#[test]
fn a_lie_about_one_part_is_made_up_for_by_the_other() {
    let wire = Wire { round_trip: 0.05, up: 4e-6, down: 1e-6 };
    for lie in [1e-9, 1e-3, 0.3, 3.0, 1e3, 1e9] {
        let mut link = Link::new(&prior());
        for step in 0..60 {
            let mut transfer = wire.transfer(20_000.0, 1000.0);
            let arrival = transfer.arrival.as_mut().unwrap();
            arrival.first_to_last *= lie;
            link.observe(at(0.2 * f64::from(step)), &transfer);
        }
        let truth = wire.transfer(20_000.0, 1000.0).elapsed;
        let ratio = Wire::predicted(&link.estimate(at(12.0)), 20_000.0, 1000.0) / truth;
        assert!((0.7..1.4).contains(&ratio), "{lie}: {ratio}");
    }
}

#[test]
fn zero_bytes_say_nothing_of_rates() {
    let mut link = Link::new(&prior());
    let before = link.estimate(at(0.0));
    link.observe(at(0.0), &Transfer { elapsed: 0.04, ..Transfer::default() });
    let after = link.estimate(at(0.0));
    assert_eq!((before.up, before.down), (after.up, after.down));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// No numbers at all, in no order of time, make an estimate that is no number.
    #[test]
    fn estimates_are_always_numbers(seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut number = || match next() % 8 {
            0 => 0.0,
            1 => -1.0,
            2 => f64::NAN,
            3 => f64::INFINITY,
            4 => 1e300,
            5 => 1e-300,
            _ => (next() % 1_000_000) as f64 * 1e-3,
        };
        let mut link = Link::new(&Prior {
            round_trip: Dist { mean: number(), sd: number() },
            up: Dist { mean: number(), sd: number() },
            down: Dist { mean: number(), sd: number() },
        });
        for serial in 0..40 {
            let now = at(number());
            link.sent(now, serial, number(), number());
            if serial % 3 == 0 {
                link.answered(serial);
            } else if serial % 5 == 0 {
                link.lost(now, serial);
            }
            link.round_trip(now, number());
            let arrival = |first_to_last: f64, bytes_after_first: f64| Arrival { first_to_last, bytes_after_first };
            link.observe(now, &Transfer {
                up_bytes: number(),
                down_bytes: number(),
                elapsed: number(),
                arrival: Some(arrival(number(), number())),
                answer_arrival: Some(arrival(number(), number())),
                ahead: number(),
            });
            let it = link.estimate(at(number()));
            let all = [it.round_trip, it.up, it.down, Dist { mean: it.min_round_trip, sd: it.backlog }];
            prop_assert!(all.iter().all(|it| it.mean.is_finite() && it.mean >= 0.0), "{it:?}");
            prop_assert!(all.iter().all(|it| it.sd.is_finite() && it.sd >= 0.0), "{it:?}");
            prop_assert!(it.up_at_best.is_finite());
        }
    }
}
