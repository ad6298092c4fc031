//! Any bytes as a model's `exits.json`: an error or exits, never a panic. Exits that are taken are written as
//! something that is taken again, and all that nodes and planners make of them are numbers within their bounds.
//!
//! Input: a byte that says whether the rest is a file, or changes to a good one: where (two bytes), how many
//! bytes of the good one go (one), how many come instead (one), and those. Few random bytes are JSON.

#![no_main]

use kerf_bundle::{ExitHead, ExitInputs, Exits, FittedExit, FittedExits};
use kerf_exits::{
    Calibration, Drift, Gate, Guard, Kind, Loss, Measure, Outcome, Outcomes, Promise, Reference, Thresholds,
    certify,
};
use kerf_graph::{Builder, CutModel, Op, boundaries};
use kerf_tensor::{DType, Dim, Tensor, TensorSpec};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const CLASSES: usize = 4;

struct Good {
    model: CutModel,
    head: ExitHead,
    json: Vec<u8>,
}

static GOOD: LazyLock<Good> = LazyLock::new(Good::new);

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    let json = if kind % 2 == 0 { rest.to_vec() } else { changed(rest) };
    let Ok(fitted) = serde_json::from_slice::<FittedExits>(&json) else { return };
    for exit in &fitted.exits {
        is_sound(exit);
    }
    let heads = fitted.exits.iter().map(|_| GOOD.head.clone()).collect();
    let Ok(exits) = Exits::new(fitted, heads, &GOOD.model) else { return };
    for rung in exits.fitted.certified.rungs() {
        for planned in exits.planned(rung) {
            assert!((0.0..=1.0).contains(&planned.probability), "{planned:?}");
            assert!(planned.head.mean >= 0.0 && planned.head.mean.is_finite(), "{planned:?}");
            assert!((0.0..=1.0).contains(&planned.agreement_loss), "{planned:?}");
        }
    }
    if let Ok(mut guard) = Guard::new(&exits.fitted.certified, 0.01) {
        for _ in 0..64 {
            guard.observe(true);
        }
    }
    assert!(!exits.said().is_empty() && exits.digest().is_ok());
    let files = exits.files().unwrap_or_else(|error| panic!("{error}"));
    let again: FittedExits = serde_json::from_slice(&files[0].1).unwrap_or_else(|error| panic!("{error}"));
    assert!(Exits::new(again, exits.heads, &GOOD.model).is_ok());
});

fn is_sound(exit: &FittedExit) {
    for scores in
        [&[1.0f32, -2.0, 0.5, 0.0][..], &[f32::MAX, f32::MIN, 0.0, 0.0], &[f32::NAN; 4], &[0.0; 4], &[]]
    {
        if let Some(said) = exit.gate.judge(scores) {
            assert!(
                (0.0..=1.0).contains(&said.confidence) && (said.class as usize) < scores.len(),
                "{said:?}"
            );
        }
    }
    for confidence in [-1.0, 0.0, 0.3, 1.0, 2.0] {
        assert!((0.0..=1.0).contains(&exit.calibration.right(confidence)));
    }
    if let Some(Ok(mut drift)) = exit.reference.clone().map(|reference| Drift::new(reference, 1e6)) {
        (0..64).for_each(|at| drift.observe(f64::from(at % 7) / 7.0, 0.5));
        assert!(!drift.figures().level.is_nan());
    }
}

fn changed(mut changes: &[u8]) -> Vec<u8> {
    let mut json = GOOD.json.clone();
    while let [low, high, gone, come, rest @ ..] = changes {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % (json.len() + 1);
        let end = (at + usize::from(*gone % 24)).min(json.len());
        let (new, rest) = rest.split_at(rest.len().min(usize::from(*come % 24)));
        json.splice(at..end, new.iter().copied());
        changes = rest;
    }
    json
}

impl Good {
    fn new() -> Self {
        let spec = |name: &str, size: usize| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: Some(vec![Dim::Symbol("N".to_owned()), Dim::Fixed(size)]),
        };
        let weights = |rows: usize, columns: usize| {
            Tensor::from_vec(&[rows, columns], vec![0.5f32; rows * columns])
                .unwrap_or_else(|error| panic!("{error}"))
        };
        let built = |builder: &Builder| builder.build().unwrap_or_else(|error| panic!("{error}"));
        let mut whole = Builder::new("whole", 13);
        whole.input(&spec("x", 16)).output(&spec("y", CLASSES));
        whole.constant("v", &weights(16, 6)).constant("w", &weights(6, CLASSES));
        whole.node(Op::new("MatMul", &["x", "v"], &["a"])).node(Op::new("Relu", &["a"], &["b"]));
        whole.node(Op::new("MatMul", &["b", "w"], &["y"]));
        let whole = built(&whole);
        let places = boundaries(&whole, 16);
        let model = CutModel::new(whole, places).unwrap_or_else(|error| panic!("{error}"));
        let mut head = Builder::new("head", 13);
        head.input(&spec("b", 6)).output(&spec("y", CLASSES)).constant("u", &weights(6, CLASSES));
        head.node(Op::new("MatMul", &["b", "u"], &["y"]));
        let onnx = built(&head).to_onnx().unwrap_or_else(|error| panic!("{error}"));
        let head = ExitHead::new(1, onnx).unwrap_or_else(|error| panic!("{error}"));
        let good = Exits::new(fitted(), vec![head.clone()], &model).unwrap_or_else(|error| panic!("{error}"));
        let json = serde_json::to_vec(&good.fitted).unwrap_or_else(|error| panic!("{error}"));
        Self { model, head, json }
    }
}

/// What a calibration would have left, of a head that is wrong now and then.
fn fitted() -> FittedExits {
    let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{error}") };
    let mut outcomes = Outcomes::new(1).unwrap_or_else(|error| fail(&error));
    for at in 0..1000u32 {
        let outcome = Outcome { confidence: Some(1.0 - f64::from(at) / 1000.0), wrong: at % 97 == 96 };
        outcomes.push(&[outcome]).unwrap_or_else(|error| fail(&error));
    }
    let promise = Promise::new(0.05, 0.95, Loss::Disagreement).unwrap_or_else(|error| fail(&error));
    let path: Vec<Thresholds> = [0.95, 0.8, 0.5]
        .map(|least| Thresholds::new(vec![Some(least)]).unwrap_or_else(|error| fail(&error)))
        .to_vec();
    let certified = certify(&path, &outcomes, &promise).unwrap_or_else(|error| fail(&error));
    let exit = FittedExit {
        boundary: 1,
        kind: "linear".to_owned(),
        macs: 24,
        seconds: 1e-5,
        gate: Gate::new(Kind::Logits, 1.5, Measure::MaxProbability).unwrap_or_else(|error| fail(&error)),
        calibration: Calibration::fit(&outcomes, 0, 0..1000).unwrap_or_else(|error| fail(&error)),
        reference: Reference::of(&outcomes, &certified.loosest().thresholds, 0, 0).ok(),
    };
    let inputs = ExitInputs { fit: 500, tune: 300, calibrate: 1000 };
    FittedExits { output: "y".to_owned(), inputs, exits: vec![exit], certified }
}
