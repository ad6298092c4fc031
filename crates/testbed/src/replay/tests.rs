//! The simulator against arithmetic, and the oracle against exhaustive search.

mod worlds;

use super::baselines::{Fixed, Script};
use super::oracle::{Effort, greedy, search};
use super::*;
use crate::trace::Trace;
use proptest::prelude::*;
use std::time::Duration;
use worlds::{Cell, Erratic, at, cells, world};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn mean(run: &Run) -> f64 {
    run.answers.iter().map(|it| it.latency.as_secs_f64()).sum::<f64>() / run.answers.len() as f64
}

/// 1 MB/s up, 2 MB/s down, 20 ms there and back.
fn plain() -> Cell {
    Cell {
        world: world(),
        up: Trace::constant(1_000_000).unwrap(),
        down: Trace::constant(2_000_000).unwrap(),
        requests: vec![at(1_000, &[0.9])],
        ..Cell::default()
    }
}

#[test]
fn a_lone_request_takes_the_sum_of_its_parts() {
    let cell = plain();
    let wire = |payload: f64| World::wire(payload) as f64;
    let away = 0.020 + wire(100.0) / 2e6;
    for (path, wanted) in [
        (Path::Local, 0.100),
        (Path::Ship { boundary: 0, codec: 0 }, wire(50_000.0) / 1e6 + away + 0.001 + 0.010),
        (Path::Ship { boundary: 0, codec: 1 }, 0.005 + wire(20_000.0) / 1e6 + away + 0.002 + 0.010),
        (Path::Ship { boundary: 1, codec: 0 }, 0.041 + wire(4_000.0) / 1e6 + away + 0.006),
        // Its luck is no exit.
        (Path::Exit(0), 0.041 + 0.060),
    ] {
        let run = run(&cell.scenario(), &mut Fixed { world: &cell.world, path });
        let latency = run.answers[0].latency.as_secs_f64();
        assert!((latency - wanted).abs() < 1e-6, "{path:?}: {latency}, {wanted}");
    }
    let lucky = Cell { requests: vec![at(1_000, &[0.1])], ..plain() };
    let run = run(&lucky.scenario(), &mut Fixed { world: &lucky.world, path: Path::Exit(0) });
    assert_eq!(run.answers[0].latency, MS(41));
    assert_eq!(run.answers[0].done, Done::Path(Path::Exit(0)));
}

#[test]
fn messages_wait_for_each_other_and_for_workers() {
    let requests = vec![at(0, &[0.9]), at(0, &[0.9]), at(10, &[0.9])];
    let cell = Cell { requests, workers: 1, ..plain() };
    let path = Path::Ship { boundary: 0, codec: 0 };
    let run = run(&cell.scenario(), &mut Fixed { world: &cell.world, path });
    let send = World::wire(50_000.0) as f64 / 1e6;
    let alone = send + 0.020 + World::wire(100.0) as f64 / 2e6 + 0.011;
    // Sending takes longer than the cloud does.
    for (answer, wanted) in run.answers.iter().zip([alone, alone + send, alone + 2.0 * send - 0.010]) {
        assert!((answer.latency.as_secs_f64() - wanted).abs() < 1e-6, "{answer:?} {wanted}");
    }
    assert_eq!(run.up_bytes, 3 * World::wire(50_000.0));
}

#[test]
fn the_edge_alone_waits_as_theory_has_it() {
    // Pollaczek and Khinchine: deterministic service s at load ρ waits ρ·s / (2(1 − ρ)).
    for load in [0.3, 0.7] {
        let requests = arrivals(&world(), load / 0.1, Duration::MAX, 200_000, 1);
        let cell = Cell { requests, ..plain() };
        let run = run(&cell.scenario(), &mut Fixed { world: &cell.world, path: Path::Local });
        let wanted = 0.1 * (1.0 + load / 2.0 / (1.0 - load));
        assert!((mean(&run) / wanted - 1.0).abs() < 0.02, "{load}: {} {wanted}", mean(&run));
        assert!((run.edge_busy - 0.1 * 200_000.0).abs() < 1e-3);
    }
}

#[test]
fn no_room_on_the_uplink_means_the_edge() {
    let cell = Cell { requests: vec![at(0, &[0.9]); 3], uplink_queue: 60_000, ..plain() };
    let path = Path::Ship { boundary: 0, codec: 0 };
    let run = run(&cell.scenario(), &mut Fixed { world: &cell.world, path });
    // One is being sent, one waits, the third finds no room.
    assert_eq!((run.refused, run.answers[2].done), (1, Done::Refused));
    assert_eq!(run.answers[2].latency, MS(100));
}

/// Ships the inputs and goes on here after a while.
struct Racer(f64);

impl Policy for Racer {
    fn decide(&mut self, _: Duration, _: &Situation) -> Decision {
        Action::Ship { boundary: 0, codec: 0, race: Some(self.0) }.into()
    }
}

#[test]
fn the_first_answer_wins_and_the_other_is_cancelled() {
    let slow = Cell { up: Trace::constant(10_000).unwrap(), ..plain() };
    for wait in [0, 30] {
        let run = run(&slow.scenario(), &mut Racer(wait as f64 * 1e-3));
        assert_eq!(run.answers[0].latency, MS(101 + wait), "the head is asked on the way");
        assert_eq!(run.answers[0].done, Done::Path(Path::Local));
        // What was sent until then, and no more.
        assert!((run.up_bytes as f64 - 10.0 * (101 + wait) as f64).abs() < 2.0, "{}", run.up_bytes);
        assert!(run.answers[0].raced);
    }
    let fast = Cell { up: Trace::constant(100_000_000).unwrap(), ..plain() };
    let run = run(&fast.scenario(), &mut Racer(0.0));
    assert!(matches!(run.answers[0].done, Done::Path(Path::Ship { .. })));
    // The range that ran ran to its end.
    assert!((run.edge_busy - 0.041).abs() < 1e-9);
}

#[test]
fn work_that_is_raced_waits_for_work_that_is_not() {
    struct FirstRaces;
    impl Policy for FirstRaces {
        fn decide(&mut self, _: Duration, situation: &Situation) -> Decision {
            match situation.request {
                0 => Action::Ship { boundary: 0, codec: 0, race: Some(0.0) }.into(),
                _ => Action::GoOn { to: 2 }.into(),
            }
        }
    }
    let requests = vec![at(0, &[0.9]), at(10, &[0.9])];
    let cell = Cell { requests, up: Trace::constant(1_000).unwrap(), ..plain() };
    let run = run(&cell.scenario(), &mut FirstRaces);
    // 0..1 with its head, then the other request, then the rest.
    assert_eq!(run.answers[1].latency, MS(41 - 10 + 100));
    assert_eq!(run.answers[0].latency, MS(41 + 100 + 60));
}

#[test]
fn a_world_is_read_as_it_is_written_and_checked() {
    let world = world();
    let json = serde_json::to_string(&world).unwrap();
    assert_eq!(World::parse(&json).unwrap(), world);
    for (from, to, message) in [
        ("[0.04,0.1]", "[0.04]", "edge, from b0: 1 entries, there must be 2"),
        ("\"cloud\":[0.01,0.006]", "\"cloud\":[0.01]", "cloud: 1 entries, there must be 2"),
        ("\"boundary\":1", "\"boundary\":2", "an exit's boundary (in order, between the ends) is 2"),
        ("\"boundary\":1", "\"boundary\":0", "an exit's boundary (in order) is 0"),
        ("50000.0", "-1.0", "bytes of raw is -1"),
        ("\"exits\"", "\"extis\"", "unknown field `extis`"),
    ] {
        assert!(json.contains(from), "{json}");
        let error = World::parse(&json.replace(from, to)).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn paths_that_are_worse_in_everything_are_left_out() {
    let mut world = world();
    assert_eq!(world.paths().len(), 5, "{:?}", world.paths());
    world.codecs[0][0].bytes = 1.0;
    let kept = world.paths();
    assert!(!kept.contains(&Path::Ship { boundary: 0, codec: 1 }), "{kept:?}");
    world.codecs[1][0].loss = 0.5;
    assert!(!world.paths().iter().any(|path| matches!(path, Path::Ship { boundary: 1, .. })));
}

/// All schedules of a few requests.
fn exhaustive(cell: &Cell) -> f64 {
    let ways = cell.world.paths();
    let all = ways.len().pow(cell.requests.len() as u32);
    let sums = (0..all).map(|mut index| {
        let mut choose = |_: &Request| {
            let way = ways[index % ways.len()];
            index /= ways.len();
            way
        };
        let paths: Vec<Path> = cell.requests.iter().map(&mut choose).collect();
        mean(&run(&cell.scenario(), &mut Script { world: &cell.world, paths: &paths }))
    });
    sums.fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a policy does, every request is answered once, and nothing sooner than it can be.
    #[test]
    fn every_request_is_answered_once(cell in cells(30), seed in any::<u64>()) {
        let scenario = cell.scenario();
        let run = run(&scenario, &mut Erratic::new(seed));
        let answered: Vec<usize> = run.answers.iter().map(|it| it.request).collect();
        prop_assert_eq!(answered, (0..cell.requests.len()).collect::<Vec<_>>());
        for answer in &run.answers {
            let least = match answer.done {
                Done::Path(path) => {
                    let [edge, _, cloud] = cell.world.parts(path);
                    let away = matches!(path, Path::Ship { .. }).then_some(cell.rtt.as_secs_f64());
                    edge + cloud + away.unwrap_or(0.0)
                }
                Done::Refused => cell.world.range(0, 2),
            };
            prop_assert!(answer.latency.as_secs_f64() >= least - 1e-6, "{:?} {}", answer, least);
        }
        let again = super::run(&scenario, &mut Erratic::new(seed));
        prop_assert_eq!(run, again);
    }

    /// Requests that all go the same way leave in the order in which they came.
    #[test]
    fn first_come_first_served(mut cell in cells(40), way in any::<prop::sample::Index>()) {
        (cell.uplink_queue, cell.threads, cell.workers) = (u64::MAX, 1, 1);
        cell.world.exits.clear();
        let path = *way.get(&cell.world.paths());
        let run = run(&cell.scenario(), &mut Fixed { world: &cell.world, path });
        let left = run.answers.iter().map(|it| cell.requests[it.request].arrival + it.latency);
        prop_assert!(left.is_sorted());
        if let Path::Ship { boundary, codec } = path {
            let wire = World::wire(cell.world.codecs[boundary][codec].bytes);
            prop_assert_eq!(run.up_bytes, wire * cell.requests.len() as u64);
        }
    }

    #[test]
    fn for_one_request_the_oracle_is_the_optimum(cell in cells(1)) {
        let scenario = cell.scenario();
        let best = exhaustive(&cell);
        prop_assert!((mean(&search(&scenario, &[], Effort::default()).run) - best).abs() < 1e-9);
        let paths = greedy(&scenario);
        let chosen = mean(&run(&scenario, &mut Script { world: &cell.world, paths: &paths }));
        prop_assert!((chosen - best).abs() < 1e-9);
        // Options that are dominated, or under the floor, would not have been better.
        for (boundary, codecs) in cell.world.codecs.iter().enumerate() {
            for codec in (0..codecs.len()).filter(|codec| cell.world.keeps_floor(&codecs[*codec])) {
                let path = Path::Ship { boundary, codec };
                let other = mean(&run(&scenario, &mut Fixed { world: &cell.world, path }));
                prop_assert!(other >= best - 1e-9);
            }
        }
    }

    /// For several it is between the optimum and what it was given.
    #[test]
    fn the_oracle_is_no_better_than_possible_and_no_worse_than_a_seed(cell in cells(4), seed in any::<u64>()) {
        let scenario = cell.scenario();
        let ways = cell.world.paths();
        let mut random = random::Random::new(seed);
        let other: Vec<Path> =
            cell.requests.iter().map(|_| ways[random.next() as usize % ways.len()]).collect();
        let given = mean(&run(&scenario, &mut Script { world: &cell.world, paths: &other }));
        let found = mean(&search(&scenario, &[other], Effort::default()).run);
        prop_assert!(found <= given + 1e-9);
        prop_assert!(found >= exhaustive(&cell) - 1e-9);
    }
}

/// How far from the optimum, over worlds of four requests: what the search may claim.
#[test]
fn the_oracle_is_near_the_optimum_of_few_requests() {
    let ratios: Vec<f64> = (0..60)
        .map(|seed| {
            let cell = worlds::crowded(seed);
            mean(&search(&cell.scenario(), &[], Effort::default()).run) / exhaustive(&cell)
        })
        .collect();
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let worst = ratios.iter().fold(0.0, |most: f64, it| most.max(*it));
    assert!(mean < 1.01 && worst < 1.10, "{mean} {worst}");
}
