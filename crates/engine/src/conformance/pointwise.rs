//! One element at a time: activations, arithmetic, comparisons.

use super::{Array, Case, ModelBuilder, Op};
use kerf_tensor::DType;

type Unary = fn(f64) -> f64;
type Binary = fn(f64, f64) -> f64;

pub(super) fn cases() -> Vec<Case> {
    let unary: [(&str, Op, Unary); 18] =
        [
            ("relu", op("Relu"), |x| x.max(0.0)),
            ("leaky relu", op("LeakyRelu").with("alpha", 0.1), |x| {
                if x < 0.0 { f64::from(0.1f32) * x } else { x }
            }),
            ("elu", op("Elu"), |x| if x < 0.0 { x.exp() - 1.0 } else { x }),
            ("sigmoid", op("Sigmoid"), |x| 1.0 / (1.0 + (-x).exp())),
            ("hard sigmoid", op("HardSigmoid").with("alpha", 0.25), |x| (0.25 * x + 0.5).clamp(0.0, 1.0)),
            ("hard swish", op("HardSwish"), |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            ("tanh", op("Tanh"), f64::tanh),
            ("softplus", op("Softplus"), |x| (1.0 + x.exp()).ln()),
            ("exp", op("Exp"), f64::exp),
            ("abs", op("Abs"), f64::abs),
            ("neg", op("Neg"), |x| -x),
            ("floor", op("Floor"), f64::floor),
            ("ceil", op("Ceil"), f64::ceil),
            ("round to even", op("Round"), f64::round_ties_even),
            ("sign", op("Sign"), |x| if x == 0.0 { 0.0 } else { x.signum() }),
            ("sin", op("Sin"), f64::sin),
            ("reciprocal", op("Reciprocal"), |x| 1.0 / x),
            ("identity", op("Identity"), |x| x),
        ];
    let binary: [(&str, &str, Binary); 6] = [
        ("add", "Add", |a, b| a + b),
        ("sub", "Sub", |a, b| a - b),
        ("mul", "Mul", |a, b| a * b),
        ("div", "Div", |a, b| a / b),
        ("max", "Max", f64::max),
        ("min", "Min", f64::min),
    ];
    let mut cases: Vec<Case> = unary.into_iter().map(|(name, op, f)| one(name, op, f)).collect();
    cases.extend(binary.map(|(name, op, f)| two(name, op, f)));
    cases.extend([clip(), prelu(), positive("sqrt", "Sqrt", f64::sqrt), positive("log", "Log", f64::ln)]);
    cases.extend([power(), gelu(), select(), compared()]);
    cases
}

fn op(kind: &str) -> Op {
    Op::new(kind, &["x"], &["y"])
}

fn model() -> ModelBuilder {
    ModelBuilder::new("pointwise").input("x: f32[2, 3, 5]").output("y: f32[2, 3, 5]")
}

fn values() -> Array {
    // Ties of rounding, and a zero, beside the rest.
    let mut values = Array::ramp(&[2, 3, 5], 1).map(|x| 4.0 * x);
    values.data[..4].copy_from_slice(&[0.5, 1.5, -2.5, 8.0]);
    values
}

fn one(name: &'static str, op: Op, f: Unary) -> Case {
    Case::new(name, model().node(op), vec![values().tensor()], values().map(f).tensor(), 1e-5)
}

fn two(name: &'static str, op: &str, f: Binary) -> Case {
    let other = Array::ramp(&[3, 1], 2);
    let model = model().input("z: f32[3, 1]").node(Op::new(op, &["x", "z"], &["y"]));
    Case::new(name, model, vec![values().tensor(), other.tensor()], values().zip(&other, f).tensor(), 1e-5)
}

fn positive(name: &'static str, op: &str, f: Unary) -> Case {
    let x = values().map(|x| x.abs() + 0.25);
    let model = model().node(Op::new(op, &["x"], &["y"]));
    Case::new(name, model, vec![x.tensor()], x.map(f).tensor(), 1e-5)
}

/// ReLU6, as exporters write it.
fn clip() -> Case {
    let scalar = |value| Array::filled(&[], value).tensor();
    let model = model().constant("low", scalar(0.0)).constant("high", scalar(6.0));
    let model = model.node(Op::new("Clip", &["x", "low", "high"], &["y"]));
    Case::new("clip", model, vec![values().tensor()], values().map(|x| x.clamp(0.0, 6.0)).tensor(), 0.0)
}

fn prelu() -> Case {
    let slope = Array::ramp(&[3, 1], 2);
    let expected = values().zip(&slope, |x, slope| if x < 0.0 { x * slope } else { x });
    let model = model().constant("slope", slope.tensor()).node(Op::new("PRelu", &["x", "slope"], &["y"]));
    Case::new("prelu", model, vec![values().tensor()], expected.tensor(), 1e-6)
}

fn power() -> Case {
    let model = model().constant("two", Array::filled(&[], 2.0).tensor());
    let model = model.node(Op::new("Pow", &["x", "two"], &["y"]));
    Case::new("pow", model, vec![values().tensor()], values().map(|x| x * x).tensor(), 1e-5)
}

/// GELU before it was an operator: engines fuse the pattern.
fn gelu() -> Case {
    let model = model()
        .constant("root", Array::filled(&[], std::f64::consts::SQRT_2).tensor())
        .constant("one", Array::filled(&[], 1.0).tensor())
        .constant("half", Array::filled(&[], 0.5).tensor())
        .node(Op::new("Div", &["x", "root"], &["a"]))
        .node(Op::new("Erf", &["a"], &["b"]))
        .node(Op::new("Add", &["b", "one"], &["c"]))
        .node(Op::new("Mul", &["x", "c"], &["d"]))
        .node(Op::new("Mul", &["d", "half"], &["y"]));
    let x = values().map(|x| x / 2.0);
    let expected = x.map(|x| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)));
    Case::new("erf, as gelu", model, vec![x.tensor()], expected.tensor(), 1e-5)
}

/// The Taylor series; accurate up to 4, beyond which its terms cancel.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (sum * std::f64::consts::FRAC_2_SQRT_PI).clamp(-1.0, 1.0)
}

fn select() -> Case {
    let mask = Array::from_fn(&[3, 5], |index| (index % 2) as f64);
    let expected = values().zip(&mask, |x, mask| if mask == 0.0 { -1.0 } else { x });
    let model = model().input("m: bool[3, 5]").constant("other", Array::filled(&[1], -1.0).tensor());
    let model = model.node(Op::new("Where", &["m", "x", "other"], &["y"]));
    Case::new("where", model, vec![values().tensor(), mask.cast(DType::Bool)], expected.tensor(), 0.0)
}

fn compared() -> Case {
    let model = ModelBuilder::new("compare").input("x: f32[2, 3, 5]").output("y: bool[2, 3, 5]");
    let model = model
        .constant("zero", Array::filled(&[], 0.0).tensor())
        .node(Op::new("Greater", &["x", "zero"], &["g"]))
        .node(Op::new("Not", &["g"], &["y"]));
    let expected = values().map(|x| f64::from(u8::from(x <= 0.0)));
    Case::new("greater, not", model, vec![values().tensor()], expected.cast(DType::Bool), 0.0)
}
