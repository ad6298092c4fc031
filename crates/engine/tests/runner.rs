//! The runner over a real engine: cut models give what whole ones give.
#![allow(clippy::unwrap_used, reason = "a test's own steps")]

use kerf_engine::{CompileError, Engine, Program, RunError, Runner, SegmentId, SegmentStore, Values};
use kerf_engine_tract::Tract;
use kerf_graph::{CutModel, Model, NoExternalData, Segment, boundaries};
use kerf_tensor::{NamedTensor, Tensor, compare};
use kerf_testbed::models::{Array, branchy, tiny_classifier, tiny_image, with_if};
use std::sync::Arc;

fn cut(onnx: bytes::Bytes) -> Arc<CutModel> {
    let model = Model::load(onnx, &NoExternalData).unwrap();
    let cuts = boundaries(&model, 16);
    Arc::new(CutModel::new(model, cuts).unwrap())
}

fn runner(model: &Arc<CutModel>, cap: u64) -> (Runner, Arc<SegmentStore>) {
    let store = Arc::new(SegmentStore::new(cap));
    (Runner::new(Arc::clone(model), vec![Arc::new(Tract::new())], Arc::clone(&store)), store)
}

fn values(model: &CutModel, inputs: &[Tensor]) -> Values {
    let named = model.model().inputs().iter().zip(inputs);
    named.map(|(spec, tensor)| NamedTensor { name: spec.name.clone(), tensor: tensor.clone() }).collect()
}

fn batch(shape: &[usize]) -> Tensor {
    Array::ramp(shape, 3).tensor()
}

#[test]
fn head_and_tail_are_the_whole() {
    let negate = Array::filled(&[], 1.0).cast(kerf_tensor::DType::Bool);
    for (onnx, inputs) in [
        (tiny_classifier(), vec![tiny_image(2, 1)]),
        (branchy(), vec![batch(&[3, 4, 8, 8])]),
        (with_if(), vec![batch(&[2, 4]), negate]),
    ] {
        let model = cut(onnx);
        let (runner, _) = runner(&model, u64::MAX);
        let mut whole = values(&model, &inputs);
        assert_eq!(runner.run(0, model.last(), &mut whole).unwrap().engine, "tract");
        let expected = whole.outputs(&model).unwrap();
        for at in 0..=model.last() {
            let mut edge = values(&model, &inputs);
            runner.run(0, at, &mut edge).unwrap();
            // What is shipped is enough, together with the outputs that the edge has already.
            let mut cloud: Values = edge.boundary(&model, at).unwrap().into_iter().collect();
            runner.run(at, model.last(), &mut cloud).unwrap();
            for NamedTensor { name, tensor } in &expected {
                let actual = cloud.get(name).or_else(|| edge.get(name)).unwrap();
                assert!(compare(actual, tensor).unwrap().relative() < 1e-5, "{name} when cut at {at}");
            }
        }
    }
}

#[test]
fn programs_that_were_dropped_come_back() {
    let model = cut(tiny_classifier());
    let (runner, store) = runner(&model, 1);
    let mut results = Vec::new();
    for _ in 0..2 {
        let mut values = values(&model, &[tiny_image(1, 1)]);
        for at in 0..model.last() {
            runner.run(at, at + 1, &mut values).unwrap();
        }
        results.push(values.outputs(&model).unwrap());
    }
    assert_eq!(results[0], results[1]);
    let stats = store.stats();
    assert_eq!((stats.programs, stats.compiles), (1, 2 * model.last() as u64));
    drop(runner);
    assert_eq!(store.stats().programs, 0);
}

#[test]
fn a_chain_of_compiled_ranges_serves_until_one_is_made_for_all() {
    let model = cut(tiny_classifier());
    let (runner, store) = runner(&model, u64::MAX);
    let last = model.last();
    let run = |pieces| {
        let mut values = values(&model, &[tiny_image(1, 1)]);
        let run = runner.run_through(0, last, &mut values).unwrap();
        assert_eq!(run.pieces, pieces);
        values.outputs(&model).unwrap()
    };
    for at in 0..last {
        runner.warm(at, at + 1).unwrap();
    }
    assert!(!runner.is_ready(0, last));
    let chained = run(last as u32);
    assert_eq!(store.stats().compiles, last as u64, "nothing was compiled for it");
    runner.warm(0, last).unwrap();
    assert!(runner.is_ready(0, last));
    let fused = run(1);
    for (chained, fused) in chained.iter().zip(&fused) {
        assert!(compare(&chained.tensor, &fused.tensor).unwrap().relative() < 1e-5);
    }
}

struct Refuses;

impl Engine for Refuses {
    fn name(&self) -> &'static str {
        "refuses"
    }

    fn version(&self) -> String {
        "0".to_owned()
    }

    fn compile(&self, segment: &Segment) -> Result<Arc<dyn Program>, CompileError> {
        let segment = SegmentId::of(segment);
        Err(CompileError::Refused { engine: "refuses", segment, reason: "out of principle".to_owned() })
    }
}

#[test]
fn the_next_engine_takes_over_and_the_reason_is_kept() {
    let model = cut(tiny_classifier());
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(Refuses), Arc::new(Tract::new())];
    let runner = Runner::new(Arc::clone(&model), engines, Arc::new(SegmentStore::new(u64::MAX)));
    assert_eq!(runner.warm(0, 1).unwrap(), "tract");
    let run = runner.run(0, 1, &mut values(&model, &[tiny_image(1, 1)])).unwrap();
    assert_eq!((run.engine, run.compile.is_zero()), ("tract", true));
    assert_eq!(runner.notes(), ["refuses refused segment 0..1: out of principle"]);

    let none = Runner::new(Arc::clone(&model), vec![Arc::new(Refuses)], Arc::new(SegmentStore::new(0)));
    assert!(matches!(none.warm(0, 1), Err(CompileError::NoEngine { tried, .. }) if tried.len() == 1));
}

#[test]
fn what_is_missing_is_named() {
    let model = cut(tiny_classifier());
    let (runner, _) = runner(&model, u64::MAX);
    let last = model.last();
    let missing = runner.run(0, last, &mut Values::new()).unwrap_err();
    assert_eq!(missing, RunError::Missing { segment: SegmentId { from: 0, to: last }, name: "x".to_owned() });
    for (from, to) in [(1, 0), (0, last + 1), (last + 1, last + 1)] {
        assert!(matches!(runner.warm(from, to), Err(CompileError::Cut { .. })), "{from}..{to}");
    }
    assert!(Values::new().boundary(&model, last + 1).is_err());
    let nothing = runner.run(1, 1, &mut Values::new()).unwrap();
    assert_eq!(nothing.engine, "");
}
