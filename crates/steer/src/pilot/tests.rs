use super::*;
use crate::{Curve, Dist};
use kerf_planner::online::{Action, CloudNode, Edge, Model, Reply, Shipment, Terms};
use kerf_planner::tiers::{Ranges, Weights};
use proptest::prelude::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The inputs, one boundary in the middle, the outputs: 50 ms and 50 ms here, 4 ms in the cloud, 20 kB
/// or 5 kB on the way.
fn model(nodes: usize, weights: Weights) -> Model {
    let exact = Dist::exact;
    let shipment = |bytes: f64| Shipment {
        bytes: exact(bytes),
        encode: exact(1e-4),
        decode: vec![exact(1e-4); nodes],
        agreement_loss: 0.0,
    };
    let node = CloudNode {
        tails: vec![Some(exact(0.004)), Some(exact(0.002)), Some(exact(0.0))],
        joules_per_byte: 1e-6,
        money_per_byte: 0.0,
        money_per_second: 0.0,
    };
    Model {
        edge: Edge {
            times: Ranges::new(2, |from, to| Some(exact(0.05 * (to - from) as f64))),
            busy_watts: 5.0,
            wait_watts: 0.0,
        },
        shipments: vec![vec![shipment(20_000.0)], vec![shipment(5000.0)], Vec::new()],
        nodes: vec![node; nodes],
        exits: Vec::new(),
        reply: Reply { bytes: exact(1000.0), decode: exact(0.0) },
        terms: Terms { weights, ..Terms::default() },
    }
}

const LATENCY: Weights = Weights { latency: 1.0, energy: 0.0, bytes: 0.0, money: 0.0 };

fn pilot(nodes: usize, settings: Settings) -> Pilot {
    let table = Table::new(model(nodes, LATENCY)).unwrap();
    let prior = Prior { round_trip: Dist::exact(0.02), up: Dist::exact(1e-6), down: Dist::exact(1e-6) };
    Pilot::new(table, &vec![prior; nodes], settings).unwrap()
}

const SITUATION: Situation<'_> = Situation {
    at: 0,
    held: 0,
    left: None,
    own_wait: Dist::exact(0.0),
    own_waiting: 0.0,
    energy_factor: 1.0,
    available: &[true, true],
};

/// What a node on a link of so many seconds per byte would answer.
fn answer(rate: f64, bytes: f64) -> Answer {
    let arrival = |bytes: f64| {
        let bytes_after_first = (bytes - 1400.0).max(0.0);
        Some(Arrival { first_to_last: bytes_after_first * PACKETS * rate, bytes_after_first })
    };
    Answer {
        elapsed: 0.02 + PACKETS * (bytes + 1000.0 + 2.0 * MESSAGE) * rate + 0.004,
        queue: 0.0,
        total: 0.004,
        bytes: 1000.0,
        arrival: arrival(bytes),
        answer_arrival: arrival(1000.0),
    }
}

/// Decides once, does it, and returns whether it shipped.
fn go(pilot: &mut Pilot, now: f64, rate: f64) -> bool {
    let choice = pilot.decide(at(now), &SITUATION).unwrap();
    let Action::Ship { boundary, codec, node } = choice.offer.action else { return false };
    let trial = if let Reason::Trial { regret } = choice.reason { regret } else { 0.0 };
    let bytes = [19_000.0, 4500.0][boundary];
    let ticket = pilot.sent(at(now), (boundary, codec, node), bytes, trial).unwrap();
    let answer = answer(rate, bytes);
    pilot.answered(at(now + answer.elapsed), ticket, &answer);
    true
}

fn probed(pilot: &mut Pilot, now: f64, rate: f64) -> bool {
    let Some(probe) = pilot.probe(at(now)) else { return false };
    let ticket = pilot.probed(at(now), probe).unwrap();
    let answer = Answer { bytes: 0.0, total: 0.0, ..answer(rate, probe.bytes) };
    pilot.answered(at(now + answer.elapsed), ticket, &answer);
    true
}

#[test]
fn it_ships_where_that_is_fast_leaves_it_where_it_is_not_and_comes_back() {
    let mut pilot = pilot(1, Settings { explore: 0.0, ..Settings::default() });
    let (fast, slow) = (2e-7, 1e-4);
    let run = |pilot: &mut Pilot, from: f64, rate: f64| {
        let requests = (0..100).map(|step| from + 0.2 * f64::from(step));
        let shipped = requests.map(|now| (go(pilot, now, rate), probed(pilot, now + 0.1, rate)).0);
        shipped.collect::<Vec<_>>()
    };
    assert!(run(&mut pilot, 0.0, fast).iter().all(|shipped| *shipped));
    let slow = run(&mut pilot, 20.0, slow);
    // The first is lost on it, and few looks afterwards.
    assert!(slow.iter().filter(|shipped| **shipped).count() <= 5, "{slow:?}");
    let back = run(&mut pilot, 40.0, fast);
    assert!(back.iter().skip(50).all(|shipped| *shipped), "{back:?}");
}

#[test]
fn without_probes_trials_bring_it_back_within_what_they_may_cost() {
    let run = |explore: f64| {
        let settings = Settings { explore, probe_rate: 0.0, ..Settings::default() };
        let mut pilot = pilot(1, settings);
        let (mut spent, mut trials) = (0.0, 0);
        for step in 0..5000 {
            let now = 0.2 * f64::from(step);
            pilot.ran(at(now), (0, 2), false, 0.1);
            let choice = pilot.decide(at(now), &SITUATION).unwrap();
            if let Reason::Trial { regret } = choice.reason {
                (spent, trials) = (spent + regret, trials + 1);
            }
            go(&mut pilot, now, 1e-5);
        }
        assert!(spent <= 0.1 + explore * 5000.0 * 0.2, "{spent}");
        trials
    };
    assert_eq!(run(0.0), 0);
    assert!(run(0.02) > 0);
}

#[test]
fn of_two_nodes_it_takes_the_one_that_is_not_in_the_way() {
    let mut pilot = pilot(2, Settings::default());
    for step in 0..20 {
        for node in 0..2 {
            let now = at(0.2 * f64::from(step));
            let ticket = pilot.sent(now, (0, 0, node), 19_000.0, 0.0).unwrap();
            let mut answer = answer(2e-7, 19_000.0);
            if node == 0 {
                (answer.elapsed, answer.queue, answer.total) = (answer.elapsed + 0.05, 0.05, 0.054);
            }
            pilot.answered(now, ticket, &answer);
        }
    }
    let chosen = |pilot: &mut Pilot, available: &[bool]| {
        let situation = Situation { available, ..SITUATION };
        pilot.decide(at(4.0), &situation).unwrap().offer.action
    };
    assert_eq!(chosen(&mut pilot, &[true, true]), Action::Ship { boundary: 0, codec: 0, node: 1 });
    assert_eq!(chosen(&mut pilot, &[true, false]), Action::Ship { boundary: 0, codec: 0, node: 0 });
    assert!(matches!(chosen(&mut pilot, &[]), Action::GoOn { .. }));
    let explained = pilot.explain(at(4.0), &SITUATION);
    assert_eq!(explained.considered.len(), 4);
    assert!(explained.to_string().starts_with("* ship b0 with codec 0 to node 1"), "{explained}");
}

#[test]
fn races_are_as_they_are_set() {
    let choice = |race: Race, left: Option<f64>| {
        let mut pilot = pilot(1, Settings { race, ..Settings::default() });
        for step in 0..20 {
            go(&mut pilot, 0.2 * f64::from(step), 2e-7);
        }
        pilot.decide(at(4.0), &Situation { left, ..SITUATION }).unwrap()
    };
    assert_eq!(choice(Race::Never, Some(1.0)).local_after, None);
    assert_eq!(choice(Race::Deadline, None).local_after, None);
    let start = choice(Race::Deadline, Some(1.0)).local_after.unwrap();
    assert!((0.6..0.9).contains(&start), "{start}");
    assert_eq!(choice(Race::Always, None).local_after, Some(0.0));
}

#[test]
fn a_link_that_is_not_worth_waiting_for_alone_is_raced() {
    let run = |race: Race| {
        let mut pilot = pilot(1, Settings { race, explore: 0.0, ..Settings::default() });
        // As fast as the edge: half of all answers come sooner.
        for step in 0..10 {
            let ticket = pilot.sent(at(f64::from(step)), (0, 0, 0), 19_000.0, 0.0).unwrap();
            pilot.answered(at(f64::from(step)), ticket, &answer(4.2e-6, 19_000.0));
        }
        pilot.decide(at(20.0), &SITUATION).unwrap()
    };
    assert!(matches!(run(Race::Never).offer.action, Action::GoOn { .. }));
    let raced = run(Race::Always);
    assert_eq!(raced.reason, Reason::Race);
    assert_eq!(raced.local_after, Some(0.0));
}

#[test]
fn a_battery_that_runs_low_ships() {
    let weights = Weights { latency: 1.0, energy: 0.1, bytes: 0.0, money: 0.0 };
    let table = Table::new(model(1, weights)).unwrap();
    let prior = Prior { round_trip: Dist::exact(0.02), up: Dist::exact(6e-6), down: Dist::exact(1e-6) };
    let curve = Curve::new(vec![(0.2, 10.0), (0.5, 1.0)]).unwrap();
    let ships = |level: f64| {
        let mut pilot =
            Pilot::new(table.clone(), &[prior], Settings { explore: 0.0, ..Settings::default() }).unwrap();
        let situation = Situation { energy_factor: curve.at(level), ..SITUATION };
        let action = pilot.decide(at(0.0), &situation).unwrap().offer.action;
        matches!(action, Action::Ship { .. })
    };
    assert!(!ships(1.0));
    assert!(ships(0.1));
}

#[test]
fn second_late_and_empty_answers_change_nothing() {
    let mut pilot = pilot(1, Settings::default());
    for step in 0..20 {
        go(&mut pilot, 0.2 * f64::from(step), 2e-7);
    }
    let ticket = pilot.sent(at(4.0), (0, 0, 0), 19_000.0, 0.0).unwrap();
    pilot.answered(at(4.1), ticket, &answer(2e-7, 19_000.0));
    let before = pilot.link(at(4.1), 0);
    pilot.answered(at(4.1), ticket, &answer(1e-3, 19_000.0));
    pilot.lost(at(4.1), ticket);
    assert_eq!(pilot.link(at(4.1), 0), before);
    let ticket = pilot.sent(at(4.1), (0, 0, 0), 19_000.0, 0.0).unwrap();
    pilot.refused(ticket);
    pilot.answered(at(9.0), ticket, &answer(1e-3, 19_000.0));
    assert_eq!(pilot.link(at(4.1), 0), before);
    let ticket = pilot.sent(at(4.1), (0, 0, 0), 0.0, 0.0).unwrap();
    pilot.answered(at(4.2), ticket, &Answer { elapsed: 0.02, ..Answer::default() });
    assert_eq!(pilot.link(at(4.1), 0).unwrap().up, before.unwrap().up);
    assert!(pilot.sent(at(4.2), (0, 0, 7), 1.0, 0.0).is_none());
    assert!(pilot.sent(at(4.2), (9, 0, 0), 1.0, 0.0).is_none());
}

/// What a node says of itself moves what is expected of it by little, and never away from what our
/// own clock measured of the same shipment.
#[test]
fn a_node_that_lies_is_known_by_its_answers_times() {
    for lie in [0.0, 1e-6, 0.5, 1e6, f64::INFINITY, f64::NAN] {
        let mut pilot = pilot(1, Settings { explore: 0.0, ..Settings::default() });
        let truth = answer(2e-6, 19_000.0);
        for step in 0..200 {
            let now = at(0.2 * f64::from(step));
            let ticket = pilot.sent(now, (0, 0, 0), 19_000.0, 0.0).unwrap();
            let arrival = Arrival { first_to_last: lie, bytes_after_first: 17_000.0 };
            let answer = Answer { queue: lie, total: lie, arrival: Some(arrival), ..truth };
            pilot.answered(now, ticket, &answer);
        }
        let decision = pilot.decide(at(40.0), &SITUATION).unwrap().decision;
        let expected = decision.ship.unwrap().seconds.mean;
        let ratio = expected / truth.elapsed;
        assert!((0.6..1.7).contains(&ratio), "{lie}: {ratio}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in, in whatever order of time, a choice comes out, with numbers.
    #[test]
    fn it_always_decides(seed in any::<u64>(), race in prop_oneof![Just(Race::Deadline), Just(Race::Always)]) {
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
            _ => (next() % 1_000_000) as f64 * 1e-5,
        };
        let time = |number: f64| at(if number.is_nan() { 0.0 } else { number.clamp(0.0, 1e6) });
        let mut pilot = pilot(2, Settings { race, ..Settings::default() });
        for step in 0..40 {
            let now = time(number());
            pilot.arrived(now);
            let ticket = pilot.sent(now, (step % 2, 0, step / 2 % 2), number(), number()).unwrap();
            pilot.ran(now, (0, 1), false, number());
            pilot.round_trip(now, step % 2, number());
            let arrival = Arrival { first_to_last: number(), bytes_after_first: number() };
            let answer = Answer {
                elapsed: number(),
                queue: number(),
                total: number(),
                bytes: number(),
                arrival: Some(arrival),
                answer_arrival: Some(arrival),
            };
            match step % 4 {
                0 => pilot.lost(now, ticket),
                1 => pilot.refused(ticket),
                _ => pilot.answered(now, ticket, &answer),
            }
            let situation = Situation {
                left: Some(number()),
                own_wait: Dist::exact(0.0),
                own_waiting: number(),
                ..SITUATION
            };
            let choice = pilot.decide(time(number()), &situation).unwrap();
            prop_assert!(choice.offer.cost.is_finite() && choice.offer.seconds.mean.is_finite(), "{choice:?}");
            prop_assert!(choice.local_after.is_none_or(|after| after >= 0.0), "{choice:?}");
            if let Some(probe) = pilot.probe(now) {
                pilot.probed(now, probe);
            }
        }
    }
}
