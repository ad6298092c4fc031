//! Products, normalisations and reductions.

use super::array::{ints, position};
use super::{Array, Case, ModelBuilder, Op};
use kerf_tensor::DType;

type Fold = fn(&[f64]) -> f64;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        gemm("gemm", false, 1.0),
        gemm("gemm transposed", true, 0.5),
        matmul("matmul", &[4, 6], &[6, 5]),
        matmul("matmul batched", &[2, 3, 4, 6], &[2, 3, 6, 5]),
        matmul("matmul broadcast", &[2, 4, 6], &[6, 5]),
        batch_normalisation(),
        layer_normalisation(),
        softmax("softmax last", -1, 2),
        softmax("softmax middle", 1, 1),
        log_softmax(),
        mean_of_space(),
        arg_max(),
        top_k(),
    ];
    let folds: [(&str, &str, Fold); 5] = [
        ("reduce mean", "ReduceMean", |v| v.iter().sum::<f64>() / v.len() as f64),
        ("reduce max", "ReduceMax", |v| v.iter().copied().fold(f64::MIN, f64::max)),
        ("reduce min", "ReduceMin", |v| v.iter().copied().fold(f64::MAX, f64::min)),
        ("reduce prod", "ReduceProd", |v| v.iter().product()),
        ("reduce l2", "ReduceL2", |v| v.iter().map(|x| x * x).sum::<f64>().sqrt()),
    ];
    cases.extend(folds.map(|(name, op, fold)| reduction(name, op, fold)));
    cases
}

fn product(a: &Array, b: &Array) -> Array {
    let (rank, inner) = (a.shape.len(), b.shape[b.shape.len() - 2]);
    let mut shape = a.shape.clone();
    shape[rank - 1] = b.shape[b.shape.len() - 1];
    Array::from_fn(&shape.clone(), |index| {
        let at = position(&shape, index);
        (0..inner)
            .map(|k| {
                let (mut left, mut right) = (at.clone(), at.clone());
                left[rank - 1] = k;
                right[rank - 2] = k;
                a.at(&left) * b.at(&right[rank - b.shape.len()..])
            })
            .sum()
    })
}

fn gemm(name: &'static str, transposed: bool, alpha: f64) -> Case {
    let (x, w, bias) = (Array::ramp(&[3, 7], 1), Array::ramp(&[7, 5], 2), Array::ramp(&[5], 3));
    let expected = product(&x, &w).map(|v| v * alpha).zip(&bias, |a, b| a + b);
    let stored = match transposed {
        true => Array::from_fn(&[5, 7], |index| w.at(&[index % 7, index / 7])),
        false => w,
    };
    let op = Op::new("Gemm", &["x", "w", "b"], &["y"])
        .with("transB", i64::from(transposed))
        .with("alpha", alpha as f32);
    let model = ModelBuilder::new("gemm").input("x: f32[3, 7]").output("y: f32[3, 5]");
    let model = model.constant("w", stored.tensor()).constant("b", bias.tensor()).node(op);
    Case::new(name, model, vec![x.tensor()], expected.tensor(), 1e-5)
}

/// Both factors are inputs.
fn matmul(name: &'static str, a: &[usize], b: &[usize]) -> Case {
    let (a, b) = (Array::ramp(a, 1), Array::ramp(b, 2));
    let expected = product(&a, &b);
    let model = ModelBuilder::new("matmul")
        .input(&format!("a: f32{:?}", a.shape))
        .input(&format!("b: f32{:?}", b.shape))
        .output(&format!("y: f32{:?}", expected.shape))
        .node(Op::new("MatMul", &["a", "b"], &["y"]));
    Case::new(name, model, vec![a.tensor(), b.tensor()], expected.tensor(), 1e-5)
}

fn batch_normalisation() -> Case {
    let x = Array::ramp(&[2, 3, 4, 4], 1);
    let per_channel = |seed| Array::ramp(&[3], seed);
    let (scale, bias, mean) = (per_channel(2), per_channel(3), per_channel(4));
    let variance = per_channel(5).map(|v| v.abs() + 0.1);
    let wide = |array: &Array| array.clone().reshape(&[3, 1, 1]);
    let expected = x
        .zip(&wide(&mean), |x, m| x - m)
        .zip(&wide(&variance), |x, v| x / (v + 1e-5).sqrt())
        .zip(&wide(&scale), |x, s| x * s)
        .zip(&wide(&bias), |x, b| x + b);
    let model = ModelBuilder::new("bn")
        .input("x: f32[2, 3, 4, 4]")
        .output("y: f32[2, 3, 4, 4]")
        .constant("s", scale.tensor())
        .constant("b", bias.tensor())
        .constant("m", mean.tensor())
        .constant("v", variance.tensor())
        .node(Op::new("BatchNormalization", &["x", "s", "b", "m", "v"], &["y"]).with("epsilon", 1e-5));
    Case::new("batch normalisation", model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn layer_normalisation() -> Case {
    let (x, scale, bias) = (Array::ramp(&[2, 3, 8], 1), Array::ramp(&[8], 2), Array::ramp(&[8], 3));
    let mean = x.reduce(2, |v| v.iter().sum::<f64>() / 8.0);
    let centred = x.zip(&mean, |x, m| x - m);
    let variance = centred.reduce(2, |v| v.iter().map(|x| x * x).sum::<f64>() / 8.0);
    let expected = centred
        .zip(&variance, |x, v| x / (v + 1e-5).sqrt())
        .zip(&scale, |x, s| x * s)
        .zip(&bias, |x, b| x + b);
    let op = Op::new("LayerNormalization", &["x", "s", "b"], &["y"]).with("axis", -1).with("epsilon", 1e-5);
    let model = ModelBuilder::new("ln").input("x: f32[2, 3, 8]").output("y: f32[2, 3, 8]");
    let model = model.constant("s", scale.tensor()).constant("b", bias.tensor()).node(op);
    Case::new("layer normalisation", model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn softmax(name: &'static str, axis: i64, along: usize) -> Case {
    let x = Array::ramp(&[2, 3, 4], 1).map(|v| 4.0 * v);
    let powers = x.map(f64::exp);
    let expected = powers.zip(&powers.reduce(along, |v| v.iter().sum()), |p, sum| p / sum);
    let model = cube("softmax", "2, 3, 4").node(Op::new("Softmax", &["x"], &["y"]).with("axis", axis));
    Case::new(name, model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn log_softmax() -> Case {
    let x = Array::ramp(&[2, 3, 4], 1);
    let sums = x.map(f64::exp).reduce(2, |v| v.iter().sum::<f64>().ln());
    let model = cube("log softmax", "2, 3, 4").node(Op::new("LogSoftmax", &["x"], &["y"]).with("axis", -1));
    Case::new("log softmax", model, vec![x.tensor()], x.zip(&sums, |x, sum| x - sum).tensor(), 1e-5)
}

fn reduction(name: &'static str, op: &str, fold: Fold) -> Case {
    let x = Array::ramp(&[2, 3, 4], 1);
    let op = Op::new(op, &["x"], &["y"]).with("axes", [1]).with("keepdims", 1);
    let model = cube(name, "2, 1, 4").node(op);
    Case::new(name, model, vec![x.tensor()], x.reduce(1, fold).tensor(), 1e-6)
}

/// From opset 13 on, the axes of a sum are an input.
fn mean_of_space() -> Case {
    let x = Array::ramp(&[2, 3, 4], 1);
    let expected = x.reduce(1, |v| v.iter().sum()).reduce(2, |v| v.iter().sum()).reshape(&[2]);
    let op = Op::new("ReduceSum", &["x", "axes"], &["y"]).with("keepdims", 0);
    let model = cube("sum", "2").constant("axes", ints(&[1, -1])).node(op);
    Case::new("reduce sum of two axes", model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn arg_max() -> Case {
    let x = Array::ramp(&[2, 3, 4], 1);
    let expected = x.reduce(2, |v| (0..4).fold(0, |best, i| if v[i] > v[best] { i } else { best }) as f64);
    let op = Op::new("ArgMax", &["x"], &["y"]).with("axis", 2).with("keepdims", 0);
    let model = ModelBuilder::new("argmax").input("x: f32[2, 3, 4]").output("y: i64[2, 3]").node(op);
    Case::new("arg max", model, vec![x.tensor()], expected.reshape(&[2, 3]).cast(DType::I64), 0.0)
}

fn top_k() -> Case {
    let x = Array::new(&[1, 5], vec![0.5, -1.0, 3.0, 2.0, 0.0]);
    let model = ModelBuilder::new("topk")
        .input("x: f32[1, 5]")
        .output("v: f32[1, 2]")
        .output("i: i64[1, 2]")
        .constant("k", ints(&[2]))
        .node(Op::new("TopK", &["x", "k"], &["v", "i"]));
    let values = Array::new(&[1, 2], vec![3.0, 2.0]).tensor();
    let indices = Array::new(&[1, 2], vec![2.0, 3.0]).cast(DType::I64);
    Case { name: "top k", model, runs: vec![(vec![x.tensor()], vec![values, indices])], tolerance: 0.0 }
}

fn cube(name: &str, output: &str) -> ModelBuilder {
    ModelBuilder::new(name).input("x: f32[2, 3, 4]").output(&format!("y: f32[{output}]"))
}
