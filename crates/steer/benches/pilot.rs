//! What steering adds to a request: an estimate, a decision, an answer learnt from. 16 boundaries,
//! 4 codecs, 2 nodes, 2 exits.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use criterion::{Criterion, criterion_group, criterion_main};
use kerf_planner::online::{Action, CloudNode, Edge, Model, Reply, Shipment, Table, Terms};
use kerf_planner::tiers::{Dist, Exit, Ranges, Weights};
use kerf_steer::{Answer, Arrival, Pilot, Prior, Race, Settings, Situation};
use std::hint::black_box;
use std::time::Duration;

fn benches(criterion: &mut Criterion) {
    let prior = Prior { round_trip: exact(0.02), up: exact(1e-6), down: exact(1e-6) };
    let situation = Situation {
        at: 0,
        held: 0,
        left: Some(0.3),
        own_wait: exact(0.0),
        own_waiting: 0.0,
        energy_factor: 1.0,
        available: &[true, true],
    };
    let answer = Answer {
        elapsed: 0.05,
        queue: 0.001,
        total: 0.01,
        bytes: 4000.0,
        arrival: Some(Arrival { first_to_last: 0.01, bytes_after_first: 8000.0 }),
        answer_arrival: None,
    };
    for race in [Race::Never, Race::Always] {
        let settings = Settings { race, ..Settings::default() };
        let mut pilot = Pilot::new(Table::new(model(16)).unwrap(), &[prior; 2], settings).unwrap();
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            let ticket = pilot.sent(now, (4, 1, 0), 10_000.0, 0.0).unwrap();
            now += Duration::from_millis(50);
            pilot.answered(now, ticket, &answer);
        }
        criterion.bench_function(&format!("decide, race {race:?}"), |bencher| {
            bencher.iter(|| pilot.decide(black_box(now), black_box(&situation)));
        });
        let choice = pilot.decide(now, &situation).unwrap();
        criterion.bench_function(&format!("decide, send and learn, race {race:?}"), |bencher| {
            bencher.iter(|| {
                now += Duration::from_millis(50);
                let choice = pilot.decide(now, &situation).unwrap();
                let Action::Ship { boundary, codec, node } = choice.offer.action else { return };
                let ticket = pilot.sent(now, (boundary, codec, node), 10_000.0, 0.0).unwrap();
                pilot.answered(now, ticket, black_box(&answer));
            });
        });
        assert!(matches!(choice.offer.action, Action::Ship { .. }));
    }
}

fn exact(mean: f64) -> Dist {
    Dist::exact(mean)
}

fn model(boundaries: usize) -> Model {
    let varies = |mean: f64| Dist { mean, sd: 0.1 * mean };
    let shipment = |boundary: usize, codec: usize| Shipment {
        bytes: varies(1.5e5 / (1.0 + boundary as f64) / (1.0 + codec as f64)),
        encode: varies(1e-4 * codec as f64),
        decode: vec![varies(1e-4 * codec as f64); 2],
        agreement_loss: 0.005 * codec as f64,
    };
    let last = boundaries - 1;
    let tail = |boundary: usize| Some(varies((last - boundary) as f64 / 1000.0));
    let node = CloudNode {
        tails: (0..boundaries).map(tail).collect(),
        joules_per_byte: 1e-7,
        money_per_byte: 0.0,
        money_per_second: 0.0,
    };
    Model {
        edge: Edge {
            times: Ranges::new(last, |from, to| Some(varies(0.01 * (to - from) as f64))),
            busy_watts: 5.0,
            wait_watts: 1.0,
        },
        shipments: (0..boundaries)
            .map(|boundary| (0..4).map(|codec| shipment(boundary, codec)).collect())
            .collect(),
        nodes: vec![node; 2],
        exits: [3, 6]
            .map(|boundary| Exit { boundary, probability: 0.4, head: varies(2e-4), agreement_loss: 0.005 })
            .to_vec(),
        reply: Reply { bytes: exact(4000.0), decode: exact(0.0) },
        terms: Terms {
            weights: Weights { latency: 1.0, energy: 0.1, ..Weights::default() },
            agreement: 0.95,
            ..Terms::default()
        },
    }
}

criterion_group!(all, benches);
criterion_main!(all);
