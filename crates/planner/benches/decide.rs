//! One on-line decision over 16 boundaries, 4 codecs and 2 nodes, and a whole plan.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use criterion::{Criterion, criterion_group, criterion_main};
use kerf_planner::online::{
    self, CloudNode, Conditions, Edge, Model, NodeState, Query, Table, Terms, decide,
};
use kerf_planner::tiers::{
    Constraints, Deadline, Dist, Exit, Link, Objective, Problem, Ranges, Reply, Shipment, Tier, Weights,
    pareto, plan, sensitivity,
};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let table = Table::new(model(16, 2)).unwrap();
    let varies = |mean: f64| Dist { mean, sd: 0.3 * mean };
    let nodes: Vec<NodeState> = (0..2)
        .map(|node| NodeState {
            is_available: true,
            round_trip: varies(0.01 + 0.003 * f64::from(node)),
            up: varies(1e-6 / f64::from(node + 1)),
            down: varies(1e-6),
            backlog: 0.0,
            price: 0.0,
            queue: varies(0.001),
            slowdown: varies(1.0),
        })
        .collect();
    let conditions = Conditions {
        edge_wait: varies(0.001),
        edge_slowdown: varies(1.1),
        edge_price: 0.0,
        energy_factor: 1.0,
        nodes: &nodes,
    };
    for at in [0, 4, 8] {
        criterion.bench_function(&format!("decide at b{at} of 16, 4 codecs, 2 nodes"), |bencher| {
            let query = Query { at, held: 1 };
            bencher.iter(|| decide(black_box(&table), black_box(&conditions), query, Some(0.2)));
        });
    }

    let constraints = Constraints {
        deadline: Some(Deadline { seconds: 1.0, quantile: 0.95 }),
        agreement: Some(0.97),
        ..Constraints::default()
    };
    for tiers in 2..=4 {
        let problem = problem(tiers, 16);
        let name = format!("{tiers} tiers, 16 boundaries, 4 codecs");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        let ask = || plan(black_box(&problem), &Objective::Latency, &constraints).unwrap();
        group.bench_function("plan", |bencher| bencher.iter(ask));
        group.bench_function("pareto", |bencher| bencher.iter(|| pareto(black_box(&problem)).unwrap()));
        let plans = ask();
        if tiers < 4 {
            group.bench_function("sensitivity of 5 runners-up", |bencher| {
                bencher.iter(|| {
                    for runner_up in &plans.runners_up {
                        sensitivity(&problem, &Objective::Latency, &constraints, runner_up).unwrap();
                    }
                });
            });
        }
        group.finish();
    }
}

fn model(boundaries: usize, nodes: u32) -> Model {
    let varies = |mean: f64| Dist { mean, sd: 0.1 * mean };
    let shipment = |boundary: usize, codec: usize| online::Shipment {
        bytes: varies(1.5e5 / (1.0 + boundary as f64) / (1.0 + codec as f64)),
        encode: varies(1e-4 * codec as f64),
        decode: vec![varies(1e-4 * codec as f64); nodes as usize],
        agreement_loss: 0.005 * codec as f64,
    };
    let last = boundaries - 1;
    let tails =
        |speed: f64| (0..boundaries).map(|boundary| Some(varies((last - boundary) as f64 / speed))).collect();
    Model {
        edge: Edge {
            times: Ranges::new(last, |from, to| Some(varies(0.01 * (to - from) as f64))),
            busy_watts: 5.0,
            wait_watts: 1.0,
        },
        shipments: (0..boundaries)
            .map(|boundary| (0..4).map(|codec| shipment(boundary, codec)).collect())
            .collect(),
        nodes: (0..nodes)
            .map(|node| CloudNode {
                tails: tails(1000.0 + 100.0 * f64::from(node)),
                joules_per_byte: 1e-7,
                money_per_byte: 0.0,
                money_per_second: 0.0,
            })
            .collect(),
        exits: [3, 6]
            .map(|boundary| Exit { boundary, probability: 0.4, head: varies(2e-4), agreement_loss: 0.005 })
            .to_vec(),
        reply: online::Reply { bytes: Dist::exact(4000.0), decode: Dist::default() },
        terms: Terms {
            weights: Weights { latency: 1.0, energy: 0.1, ..Weights::default() },
            agreement: 0.95,
            ..Terms::default()
        },
    }
}

fn problem(tiers: usize, boundaries: usize) -> Problem {
    let last = boundaries - 1;
    let tier = |index: usize| Tier {
        name: format!("tier {index}"),
        times: Ranges::new(last, |from, to| {
            let mean = 0.012 * (to - from) as f64 / 4f64.powi(index as i32) + 1e-4;
            Some(Dist { mean, sd: mean * 0.1 })
        }),
        resident: Ranges::new(last, |from, to| 1e6 * (to - from) as f64),
        memory: None,
        busy_watts: 4.0 * (index + 1) as f64,
        wait_watts: 1.0,
        money_per_second: 1e-5 * index as f64,
        queue: Dist { mean: 0.001 * index as f64, sd: 0.0005 },
    };
    let shipment = |boundary: usize, codec: usize| {
        let mean = 2e5 * (1.0 - boundary as f64 / 20.0) / (1.0 + codec as f64);
        Shipment {
            codec: format!("codec {codec}"),
            bytes: Dist { mean, sd: mean * 0.05 },
            encode: vec![Dist::exact(2e-4 * codec as f64); tiers],
            decode: vec![Dist::exact(1e-4 * codec as f64); tiers],
            agreement_loss: 0.004 * codec as f64,
        }
    };
    let link = |index: usize| Link {
        up_delay: Dist { mean: 0.005 * (index + 1) as f64, sd: 0.001 },
        down_delay: Dist { mean: 0.005 * (index + 1) as f64, sd: 0.001 },
        up: Dist { mean: 1e-6 / (index + 1) as f64, sd: 1e-7 },
        down: Dist { mean: 1e-6 / (index + 1) as f64, sd: 1e-7 },
        joules_per_byte: 1e-7,
        money_per_byte: 1e-10,
    };
    Problem {
        tiers: (0..tiers).map(tier).collect(),
        links: (1..tiers).map(|index| link(index - 1)).collect(),
        shipments: (0..boundaries)
            .map(|boundary| (0..4).map(|codec| shipment(boundary, codec)).collect())
            .collect(),
        reply: Reply::plain(Dist::exact(4000.0), tiers),
        exits: Vec::new(),
    }
}

criterion_group!(all, benches);
criterion_main!(all);
