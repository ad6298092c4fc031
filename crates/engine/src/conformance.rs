//! What every engine must compute: tiny models, one per operator or behaviour, with the expected
//! values worked out here in plain Rust.
//!
//! An engine's tests call [`check`] with the cases that it cannot do, each with its reason. A case on
//! that list which the engine *can* do fails too, so that the lists shrink as engines grow.
//! Tolerances belong to the case: moving data is exact, sums are not.

mod array;
mod builder;
mod convolution;
mod dense;
mod movement;
mod pointwise;
mod quantised;
mod types;

pub use array::Array;
pub use builder::{Attribute, ModelBuilder, Op};

use crate::{Engine, Program, RunError};
use kerf_tensor::{DType, Tensor, compare};
use std::sync::Arc;

/// A model, and what it gives for what.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name, unique; engines' ignore lists use it.
    pub name: &'static str,
    /// The model.
    pub model: ModelBuilder,
    /// Inputs and expected outputs; several where shapes differ.
    pub runs: Vec<(Vec<Tensor>, Vec<Tensor>)>,
    /// Largest accepted max|a − ref| / max|ref|.
    pub tolerance: f64,
}

/// Result of a suite that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Cases that gave the expected values.
    pub passed: usize,
    /// Cases on the ignore list, all of which failed.
    pub ignored: usize,
}

/// Every case.
pub fn cases() -> Vec<Case> {
    [
        convolution::cases(),
        dense::cases(),
        movement::cases(),
        pointwise::cases(),
        quantised::cases(),
        types::cases(),
    ]
    .concat()
}

/// Runs all cases and behaviours on `engine`. `ignored` names the cases that it cannot do, and
/// why. The error lists every failure, one a line.
pub fn check(engine: &dyn Engine, ignored: &[(&str, &str)]) -> Result<Summary, String> {
    let cases = cases();
    let mut summary = Summary { passed: 0, ignored: 0 };
    let mut failures = Vec::new();
    for (name, _) in ignored {
        if !cases.iter().any(|case| case.name == *name) {
            failures.push(format!("{name}: ignored, but there is no such case"));
        }
    }
    for case in &cases {
        let expected_to_fail = ignored.iter().find(|(name, _)| *name == case.name);
        match (case.run(engine), expected_to_fail) {
            (Ok(()), None) => summary.passed += 1,
            (Err(_), Some(_)) => summary.ignored += 1,
            (Err(reason), None) => failures.push(format!("{}: {reason}", case.name)),
            (Ok(()), Some((_, reason))) => {
                failures.push(format!("{}: passes, but is ignored: {reason}", case.name));
            }
        }
    }
    for (name, behaviour) in BEHAVIOURS {
        match behaviour(engine) {
            Ok(()) => summary.passed += 1,
            Err(reason) => failures.push(format!("{name}: {reason}")),
        }
    }
    if failures.is_empty() { Ok(summary) } else { Err(failures.join("\n")) }
}

impl Case {
    /// A case with one run of one output.
    fn new(
        name: &'static str,
        model: ModelBuilder,
        inputs: Vec<Tensor>,
        expected: Tensor,
        tolerance: f64,
    ) -> Self {
        Self { name, model, runs: vec![(inputs, vec![expected])], tolerance }
    }

    fn run(&self, engine: &dyn Engine) -> Result<(), String> {
        let program = engine.compile(&self.model.segment()).map_err(|error| error.to_string())?;
        for (inputs, expected) in &self.runs {
            let outputs = program.run(inputs).map_err(|error| error.to_string())?;
            if outputs.len() != expected.len() {
                return Err(format!("{} outputs, expected {}", outputs.len(), expected.len()));
            }
            for (index, (output, expected)) in outputs.iter().zip(expected).enumerate() {
                let Some(difference) = compare(output, expected) else {
                    return Err(format!("output {index} is {output:?}, expected {expected:?}"));
                };
                if difference.relative() > self.tolerance {
                    let (got, wanted) = (shown(output), shown(expected));
                    return Err(format!("output {index}: {difference:?}: {got} instead of {wanted}"));
                }
            }
        }
        Ok(())
    }
}

fn shown(tensor: &Tensor) -> String {
    let values = tensor.to_f64().unwrap_or_default();
    format!("{:?}…", &values[..values.len().min(8)])
}

type Behaviour = fn(&dyn Engine) -> Result<(), String>;

const BEHAVIOURS: [(&str, Behaviour); 3] = [
    ("concurrent runs agree", concurrent_runs_agree),
    ("inputs that do not fit are refused", misfits_are_refused),
    ("broken models are refused", broken_models_are_refused),
];

fn small_network() -> ModelBuilder {
    let weights = Array::ramp(&[4, 2, 3, 3], 7).tensor();
    ModelBuilder::new("small")
        .input("x: f32[N, 2, 6, 6]")
        .output("y: f32[N, 4, 6, 6]")
        .constant("w", weights)
        .node(Op::new("Conv", &["x", "w"], &["c"]).with("pads", [1, 1, 1, 1]))
        .node(Op::new("Relu", &["c"], &["y"]))
}

fn compiled(engine: &dyn Engine, model: &ModelBuilder) -> Result<Arc<dyn Program>, String> {
    engine.compile(&model.segment()).map_err(|error| error.to_string())
}

/// Sizes differ between the threads, so that engines which compile per size do that at once too.
fn concurrent_runs_agree(engine: &dyn Engine) -> Result<(), String> {
    let program = compiled(engine, &small_network())?;
    let input = |thread: usize| [Array::ramp(&[1 + thread % 2, 2, 6, 6], thread as u64).tensor()];
    let run = |thread: usize| program.run(&input(thread)).map_err(|error| error.to_string());
    let alone: Vec<_> = (0..4).map(run).collect::<Result<_, _>>()?;
    let together: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let expected = &alone[thread];
                scope.spawn(move || {
                    for _ in 0..20 {
                        if run(thread)? != *expected {
                            return Err(format!("thread {thread} got other values than a run alone"));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".into()))).collect()
    });
    together.into_iter().collect()
}

fn misfits_are_refused(engine: &dyn Engine) -> Result<(), String> {
    let program = compiled(engine, &small_network())?;
    let zeros = |shape: &[usize]| Array::filled(shape, 0.0);
    let misfits = [
        ("no input", vec![]),
        ("two inputs", vec![zeros(&[1, 2, 6, 6]).tensor(); 2]),
        ("wrong rank", vec![zeros(&[2, 6, 6]).tensor()]),
        ("wrong size", vec![zeros(&[1, 2, 6, 7]).tensor()]),
        ("wrong type", vec![zeros(&[1, 2, 6, 6]).cast(DType::F64)]),
    ];
    for (what, inputs) in misfits {
        match program.run(&inputs) {
            Err(RunError::InputCount { .. } | RunError::Input { .. }) => {}
            other => return Err(format!("{what}: {other:?}")),
        }
    }
    Ok(())
}

fn broken_models_are_refused(engine: &dyn Engine) -> Result<(), String> {
    let whole = small_network().segment();
    let unknown = ModelBuilder::new("unknown").input("x: f32[1]").output("y: f32[1]");
    let unknown = unknown.node(Op::new("NoSuchOperator", &["x"], &["y"])).segment();
    let mut cut_short = whole.clone();
    cut_short.onnx = whole.onnx.slice(..whole.onnx.len() / 2);
    let mut empty = whole.clone();
    empty.onnx = bytes::Bytes::new();
    let mut noise = whole;
    noise.onnx = bytes::Bytes::from_static(b"\xff\xfe this is no protobuf");
    for (what, segment) in
        [("unknown operator", &unknown), ("cut short", &cut_short), ("empty", &empty), ("noise", &noise)]
    {
        match engine.compile(segment) {
            Ok(_) => return Err(format!("{what}: compiled")),
            Err(error) if what == "unknown operator" && !error.to_string().contains("NoSuchOperator") => {
                return Err(format!("the error does not name the operator: {error}"));
            }
            Err(_) => {}
        }
    }
    Ok(())
}
