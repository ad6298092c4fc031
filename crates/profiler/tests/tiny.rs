//! Profiles of tiny models, measured for real on the engine that is always there.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_engine::Engine;
use kerf_engine_tract::Tract;
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use kerf_profile::{Codec, Predictor, Profile};
use kerf_profiler::{
    ContinueError, MeasureError, Options, Request, Subject, can_continue, check, layers, profile, sizes,
};
use kerf_tensor::{NamedTensor, Tensor};
use kerf_testbed::models;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

fn cut(onnx: bytes::Bytes) -> CutModel {
    let model = Model::load(onnx, &NoExternalData).unwrap();
    let cuts = boundaries(&model, 16);
    CutModel::new(model, cuts).unwrap()
}

fn inputs(batch: usize) -> Result<Vec<NamedTensor>, String> {
    let tensor = Tensor::from_vec(&[batch, 3, 16, 16], vec![0.5f32; batch * 3 * 16 * 16]).unwrap();
    Ok(vec![NamedTensor { name: "x".into(), tensor }])
}

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn with_subject<T>(threads: usize, run: impl FnOnce(&Subject<'_>) -> T) -> T {
    let model = cut(models::tiny_classifier());
    let engines: [Arc<dyn Engine>; 1] = [Arc::new(Tract::new())];
    run(&Subject { name: "tiny", digest: DIGEST, model: &model, engines: &engines, threads, inputs: &inputs })
}

fn options(seconds: f64) -> Options {
    let pause = Duration::from_millis(2);
    Options { budget: Duration::from_secs_f64(seconds), batches: vec![2], pause, ..Options::default() }
}

fn quiet(_: &kerf_profiler::Progress, _: &dyn Fn() -> Profile) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn every_range_is_timed_and_the_file_is_valid() {
    with_subject(1, |subject| {
        let (mut reports, mut joules) = (0, 0.0);
        let mut meter = || {
            joules += 0.5;
            Some(joules)
        };
        let mut report = |progress: &kerf_profiler::Progress, so_far: &dyn Fn() -> Profile| {
            reports += 1;
            so_far().check().unwrap();
            assert!(progress.done <= progress.of);
            ControlFlow::Continue(())
        };
        let measured = profile(subject, &options(60.0), None, Some(&mut meter), &mut report).unwrap();
        let last = subject.model.last();
        assert!(measured.complete);
        assert_eq!(measured.ranges.len(), last * (last + 1) / 2 + last);
        assert!(reports >= 2 * measured.ranges.len());
        assert!(measured.ranges.iter().all(|range| range.rounds >= 2 && range.joules.unwrap() > 0.0));
        assert!(measured.reference.as_ref().unwrap().runs > 1);
        let read = Profile::parse(measured.to_json().as_bytes()).unwrap();
        assert!(read.range(0, last, 2).is_some());
        assert!(Predictor::fit(&read, 2).unwrap().time(1, last).unwrap().timed);
        let rest = read.rest.unwrap();
        assert!(rest.pause == 0.002 && rest.handover > 0.0 && rest.handover < 1.0, "{rest:?}");
        for range in read.ranges.iter().filter(|range| range.batch == 1) {
            let is_apart = range.from == 0 || range.to == last;
            assert_eq!(range.rested.is_some(), is_apart, "{}..{}", range.from, range.to);
        }
        assert!(Predictor::rested(&read).unwrap().is_some());
        let none = Options { pause: Duration::ZERO, ..options(60.0) };
        let without = profile(subject, &none, None, None, &mut quiet).unwrap();
        assert!(without.complete && without.rest.is_none());
    });
}

#[test]
fn a_stopped_measurement_goes_on_where_it_was() {
    with_subject(1, |subject| {
        let mut visits = 0;
        let mut stop = |_: &kerf_profiler::Progress, _: &dyn Fn() -> Profile| {
            visits += 1;
            if visits == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let begun = profile(subject, &options(60.0), None, None, &mut stop).unwrap();
        assert!(!begun.complete);
        assert_eq!(begun.ranges.len(), 4);
        let begun = Profile::parse(begun.to_json().as_bytes()).unwrap();
        let first = begun.range(0, subject.model.last(), 1).unwrap().runs;
        let ended = profile(subject, &options(60.0), Some(begun), None, &mut quiet).unwrap();
        assert!(ended.complete);
        // A profile of before there were runs after a pause lacks only those.
        let mut old = Profile { rest: None, ..ended.clone() };
        old.ranges.iter_mut().for_each(|range| range.rested = None);
        let whole = old.range(0, subject.model.last(), 1).unwrap().clone();
        let renewed = profile(subject, &options(60.0), Some(old), None, &mut quiet).unwrap();
        let range = renewed.range(0, subject.model.last(), 1).unwrap();
        assert!(renewed.complete && range.rested.is_some());
        assert_eq!((range.p50, range.runs), (whole.p50, whole.runs));
        assert!(ended.range(0, subject.model.last(), 1).unwrap().runs > first);

        with_subject(2, |other| {
            let error = can_continue(&ended, other).unwrap_err();
            assert_eq!(error.to_string(), "measured with threads 1, now it is 2");
        });
        let renamed = Profile { model: "other".into(), ..ended.clone() };
        assert!(matches!(can_continue(&renamed, subject), Err(ContinueError::Model(_))));
        let result = profile(subject, &options(1.0), Some(renamed), None, &mut quiet);
        assert!(matches!(result, Err(MeasureError::Continue(_))));
        let again = check(subject, &options(5.0), &ended, &[(0, 2), (1, 3)], &mut quiet).unwrap();
        assert_eq!(again.iter().map(|range| (range.from, range.to)).collect::<Vec<_>>(), [(0, 2), (1, 3)]);
    });
}

#[test]
fn inputs_that_cannot_be_made_are_an_error() {
    let model = cut(models::tiny_classifier());
    let engines: [Arc<dyn Engine>; 1] = [Arc::new(Tract::new())];
    let none = |_: usize| Err("nothing here".to_owned());
    let mut subject =
        Subject { name: "tiny", digest: DIGEST, model: &model, engines: &engines, threads: 1, inputs: &none };
    let error = profile(&subject, &options(1.0), None, None, &mut quiet).unwrap_err();
    assert_eq!(error.to_string(), "inputs for a batch of 1: nothing here");
    let wrong = |_: usize| {
        inputs(1).map(|mut inputs| {
            inputs[0].name = "y".into();
            inputs
        })
    };
    subject.inputs = &wrong;
    let error = profile(&subject, &options(1.0), None, None, &mut quiet).unwrap_err();
    assert!(error.to_string().contains("runs no part of the model"), "{error}");
    subject.engines = &[];
    assert!(matches!(profile(&subject, &options(1.0), None, None, &mut quiet), Err(MeasureError::NoEngine)));
}

#[test]
fn layers_are_the_models_nodes() {
    with_subject(1, |subject| {
        let found = layers(subject, NonZeroUsize::new(5).unwrap()).unwrap().unwrap();
        let total: f64 = found.nodes.iter().map(|layer| layer.seconds).sum();
        assert!(total > 0.0 && found.unattributed < 0.3 * total, "{found:?}");
        let names: Vec<&str> = subject.model.model().nodes().iter().map(|node| node.name.as_str()).collect();
        assert!(found.nodes.iter().all(|layer| names.contains(&layer.node.as_str())), "{found:?}");
    });
}

#[test]
fn sizes_of_boundaries_and_of_pictures() {
    with_subject(1, |subject| {
        let requests: Vec<Request> = [(1000, 0.001), (3000, 0.003)]
            .map(|encoded| Request { inputs: inputs(1).unwrap(), encoded: Some(encoded) })
            .into();
        let found = sizes(subject, &requests, "made").unwrap();
        assert_eq!(found.boundaries.len(), subject.model.boundaries().len() + 1);
        let first = &found.boundaries[0];
        assert_eq!((first.codec, first.bytes_mean), (Codec::Encoded, 2000.0));
        assert!((first.decode_s - 0.002).abs() < 1e-12);
        for (size, boundary) in found.boundaries[1..].iter().zip(subject.model.boundaries()) {
            assert_eq!(Some(size.bytes_mean as u64), boundary.bytes);
        }
    });
}
