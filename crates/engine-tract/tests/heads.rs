//! Early-exit heads say as models what they say while they are fitted.

use kerf_engine::Engine;
use kerf_engine_tract::Tract;
use kerf_exits::Kind;
use kerf_exits_fit::{Features, Front, Head, Shape, Stage};
use kerf_graph::Segment;
use kerf_tensor::{DType, Dim, NamedTensor, Tensor, TensorSpec};

const CLASSES: usize = 4;
const ROWS: usize = 3;

struct Case {
    /// Each tensor of the boundary, and its shape here.
    inputs: Vec<(TensorSpec, Vec<usize>)>,
    shape: Shape,
    output: TensorSpec,
    kind: Kind,
}

fn spec(name: &str, dtype: DType, dims: &str) -> TensorSpec {
    let dim = |dim: &str| dim.parse().map_or_else(|_| Dim::Symbol(dim.to_owned()), Dim::Fixed);
    TensorSpec { name: name.to_owned(), dtype, shape: Some(dims.split_whitespace().map(dim).collect()) }
}

fn cases() -> Vec<Case> {
    let stage = |channels, kernel, stride| Stage { channels, kernel, stride };
    let conv = Shape::Conv { stages: vec![stage(7, 3, 2), stage(6, 3, 2)] };
    let wide = Shape::Conv { stages: vec![stage(5, 5, 3), stage(6, 1, 1)] };
    let (linear, mlp) = (Shape::Linear, Shape::Mlp { hidden: 5 });
    let input = |name: &str, dims: &str, shape: &[usize]| (spec(name, DType::F32, dims), shape.to_vec());
    let scores = || spec("y", DType::F32, "N 4");
    let case = |inputs, shape: &Shape, output, kind| Case { inputs, shape: shape.clone(), output, kind };
    vec![
        case(vec![input("x", "N 6 19 21", &[ROWS, 6, 19, 21])], &conv, scores(), Kind::Logits),
        case(vec![input("x", "N 6 8 8", &[ROWS, 6, 8, 8])], &wide, scores(), Kind::Probabilities),
        case(
            vec![input("x", "N 6 9 8", &[ROWS, 6, 9, 8]), input("head/Relu_1", "N 3 9 8", &[ROWS, 3, 9, 8])],
            &conv,
            spec("y", DType::F32, "N 4 1 1"),
            Kind::LogProbabilities,
        ),
        case(vec![input("x", "N T 12", &[ROWS, 5, 12])], &linear, scores(), Kind::Logits),
        case(vec![input("x", "N 12 T", &[ROWS, 12, 5])], &mlp, scores(), Kind::Probabilities),
        case(vec![input("x", "N 12", &[ROWS, 12])], &mlp, spec("y", DType::F64, "N 4"), Kind::Logits),
        case(
            vec![input("x", "N 6 4 4", &[ROWS, 6, 4, 4]), input("z", "N 12", &[ROWS, 12])],
            &linear,
            scores(),
            Kind::Logits,
        ),
        case(vec![input("x", "N 12 1 1", &[ROWS, 12, 1, 1])], &linear, scores(), Kind::Logits),
        case(vec![input("x", "N 5 3 4 4", &[ROWS, 5, 3, 4, 4])], &linear, scores(), Kind::Logits),
        case(vec![input("x", "1 6 H W", &[1, 6, 7, 9])], &mlp, spec("y", DType::F32, "1 4"), Kind::Logits),
    ]
}

#[test]
fn heads_run_as_they_were_fitted() {
    let mut uniform = uniform();
    for (at, Case { inputs, shape, output, kind }) in cases().into_iter().enumerate() {
        let specs: Vec<TensorSpec> = inputs.iter().map(|(spec, _)| spec.clone()).collect();
        let front = Front::new(&specs).unwrap();
        let count = Head::count(&front, &shape, CLASSES).unwrap();
        let numbers: Vec<f32> = (0..count).map(|_| uniform()).collect();
        let head = Head::restore(front.clone(), shape, CLASSES, &numbers).unwrap();
        let tensors: Vec<NamedTensor> = inputs
            .iter()
            .map(|(spec, shape)| {
                // Values that features keep exactly.
                let values =
                    (0..shape.iter().product()).map(|_| (uniform() * 100.0).round() / 16.0).collect();
                let tensor = Tensor::from_vec::<f32>(shape, values).unwrap();
                NamedTensor { name: spec.name.clone(), tensor }
            })
            .collect();
        let mut features = Features::new(front);
        features.push(&tensors).unwrap();
        let wanted = answers(&head.logits(&features).unwrap(), kind);

        let onnx = head.to_model(&output, kind).unwrap().to_onnx().unwrap();
        let segment = Segment { from: 0, to: 1, onnx, inputs: specs, outputs: vec![output] };
        let program = Tract::new().compile(&segment).unwrap();
        let tensors: Vec<Tensor> = tensors.into_iter().map(|named| named.tensor).collect();
        let found = program.run(&tensors).unwrap().remove(0).to_f64().unwrap();
        let size = wanted.iter().map(|value| value.abs()).fold(1.0, f64::max);
        let apart = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Means over cells are kept in 16 bits while heads are fitted.
        assert!(found.len() == wanted.len() && apart < 2e-3 * size, "case {at}: {found:?} for {wanted:?}");
    }
}

/// Logits as the kind of scores that the model gives.
fn answers(logits: &[f32], kind: Kind) -> Vec<f64> {
    let row = |row: &[f32]| {
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        let log = move |logit: &f32| f64::from(*logit) - sum.ln();
        let answer = |logit: &f32| match kind {
            Kind::Logits => f64::from(*logit),
            Kind::Probabilities => log(logit).exp(),
            Kind::LogProbabilities => log(logit),
        };
        row.iter().map(answer).collect::<Vec<f64>>()
    };
    logits.chunks(CLASSES).flat_map(row).collect()
}

fn uniform() -> impl FnMut() -> f32 {
    let mut state = 1u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
