//! What the gate costs beyond running the head, with 10 and 1,000 classes, and what the watch over it costs.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use criterion::{Criterion, criterion_group, criterion_main};
use kerf_exits::gate::Predictor;
use kerf_exits::{Audit, Drift, Gate, Kind, Loss, Measure, Promise, Reference};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let learnt = Measure::Learnt(Predictor { bias: 0.1, weights: [0.5, 0.2, -1.0, 0.01, -0.3] });
    for classes in [10usize, 1000] {
        let logits: Vec<f32> = (0..classes).map(|at| ((at * 7919) % 1009) as f32 / 100.0).collect();
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        let probabilities: Vec<f32> = logits.iter().map(|logit| logit.exp() / sum).collect();
        for (name, kind, measure, scores) in [
            ("largest probability of logits", Kind::Logits, Measure::MaxProbability, &logits),
            ("learnt of logits", Kind::Logits, learnt, &logits),
            ("learnt of probabilities", Kind::Probabilities, learnt, &probabilities),
        ] {
            let gate = Gate::new(kind, 1.3, measure).unwrap();
            criterion.bench_function(&format!("{name}, {classes} classes"), |bencher| {
                bencher.iter(|| gate.judge(black_box(scores)));
            });
        }
    }
}

fn watch(criterion: &mut Criterion) {
    let promise = Promise::new(0.01, 0.95, Loss::Disagreement).unwrap();
    let mut audit = Audit::new(&promise, 0.05).unwrap();
    criterion.bench_function("audit one request", |bencher| bencher.iter(|| audit.observe(black_box(false))));
    criterion.bench_function("interval of an audit", |bencher| bencher.iter(|| audit.interval()));
    let reference = Reference::new((0..2500).map(|at| f64::from(at) / 2500.0), 1).unwrap();
    let mut drift = Drift::new(reference, 1e9).unwrap();
    let mut at = 0u64;
    criterion.bench_function("look for drift in one request", |bencher| {
        bencher.iter(|| {
            at = (at + 1549) % 2500;
            drift.observe(black_box(at as f64 / 2500.0), 0.5);
        });
    });
}

criterion_group!(group, benches, watch);
criterion_main!(group);
