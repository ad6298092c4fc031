//! Element types, sizes that change, several inputs and outputs, control flow.

use super::array::ints;
use super::{Array, Case, ModelBuilder, Op};
use kerf_tensor::{DType, Tensor};

pub(super) fn cases() -> Vec<Case> {
    vec![
        identity("identity f32", DType::F32),
        identity("identity f64", DType::F64),
        identity("identity f16", DType::F16),
        identity("identity bf16", DType::Bf16),
        identity("identity i8", DType::I8),
        identity("identity i16", DType::I16),
        identity("identity i32", DType::I32),
        identity("identity i64", DType::I64),
        identity("identity u8", DType::U8),
        identity("identity u16", DType::U16),
        identity("identity u32", DType::U32),
        identity("identity u64", DType::U64),
        identity("identity bool", DType::Bool),
        strings(),
        sums("add f16", DType::F16),
        sums("add f64", DType::F64),
        sums("add i32", DType::I32),
        sums("add i64", DType::I64),
        half_product(),
        logic(),
        casts(),
        changing_batch(),
        changing_sequence(),
        crossed_inputs_and_outputs(),
        empty_batch(),
        empty_concat(),
        scalars(),
        unaligned(),
        conditional(),
        repeated(),
        unnamed_axes(),
    ]
}

fn identity(name: &'static str, dtype: DType) -> Case {
    let x = Array::new(&[2, 2], vec![0.0, 1.0, 3.0, 100.0]).cast(dtype);
    let model = ModelBuilder::new("identity")
        .input(&format!("x: {dtype}[N, 2]"))
        .output(&format!("y: {dtype}[N, 2]"))
        .node(Op::new("Identity", &["x"], &["y"]));
    Case::new(name, model, vec![x.clone()], x, 0.0)
}

#[allow(clippy::expect_used, reason = "as many strings as the shape says")]
fn strings() -> Case {
    let x = Tensor::from_strings(&[2, 2], &["", "edge", "åäö", "a\0b"]).expect("four strings");
    let model = ModelBuilder::new("strings").input("x: string[N, 2]").output("y: string[N, 2]");
    Case::new("identity string", model.node(Op::new("Identity", &["x"], &["y"])), vec![x.clone()], x, 0.0)
}

fn sums(name: &'static str, dtype: DType) -> Case {
    let (x, z) = (Array::from_fn(&[3, 2], |i| i as f64 * 3.0), Array::from_fn(&[2], |i| i as f64 - 8.0));
    let model = ModelBuilder::new("sums")
        .input(&format!("x: {dtype}[3, 2]"))
        .output(&format!("y: {dtype}[3, 2]"))
        .constant("z", z.cast(dtype))
        .node(Op::new("Add", &["x", "z"], &["y"]));
    Case::new(name, model, vec![x.cast(dtype)], x.zip(&z, |x, z| x + z).cast(dtype), 0.0)
}

fn half_product() -> Case {
    let (x, w) = (Array::ramp(&[2, 4], 1), Array::ramp(&[4, 3], 2));
    let expected = Array::from_fn(&[2, 3], |i| (0..4).map(|k| x.at(&[i / 3, k]) * w.at(&[k, i % 3])).sum());
    let model = ModelBuilder::new("half").input("x: f16[2, 4]").output("y: f16[2, 3]");
    let model = model.constant("w", w.cast(DType::F16)).node(Op::new("MatMul", &["x", "w"], &["y"]));
    Case::new("matmul f16", model, vec![x.cast(DType::F16)], expected.cast(DType::F16), 5e-3)
}

fn logic() -> Case {
    let bits = |bits: [u8; 4]| Array::new(&[4], bits.map(f64::from).to_vec()).cast(DType::Bool);
    let model = ModelBuilder::new("logic")
        .input("a: bool[4]")
        .input("b: bool[4]")
        .output("y: bool[4]")
        .node(Op::new("And", &["a", "b"], &["and"]))
        .node(Op::new("Not", &["and"], &["y"]));
    Case::new("and, not", model, vec![bits([0, 0, 1, 1]), bits([0, 1, 0, 1])], bits([1, 1, 1, 0]), 0.0)
}

fn casts() -> Case {
    let x = Array::new(&[4], vec![-1.5, 0.0, 2.75, 100.0]);
    let model = ModelBuilder::new("casts")
        .input("x: f32[4]")
        .output("i: i64[4]")
        .output("b: bool[4]")
        .node(Op::new("Cast", &["x"], &["i"]).with("to", 7))
        .node(Op::new("Cast", &["x"], &["b"]).with("to", 9));
    let outputs = vec![x.map(f64::trunc).cast(DType::I64), x.cast(DType::Bool)];
    Case { name: "cast", model, runs: vec![(vec![x.tensor()], outputs)], tolerance: 0.0 }
}

fn changing_batch() -> Case {
    let w = Array::ramp(&[3, 2], 1);
    let model = ModelBuilder::new("batch")
        .input("x: f32[N, 3]")
        .output("y: f32[N, 2]")
        .constant("w", w.tensor())
        .node(Op::new("MatMul", &["x", "w"], &["y"]));
    let runs = [1, 3, 1, 2, 5, 7, 3].map(|batch| {
        let x = Array::ramp(&[batch, 3], batch as u64);
        let y = Array::from_fn(&[batch, 2], |i| (0..3).map(|k| x.at(&[i / 2, k]) * w.at(&[k, i % 2])).sum());
        (vec![x.tensor()], vec![y.tensor()])
    });
    Case { name: "changing batch", model, runs: runs.to_vec(), tolerance: 1e-6 }
}

/// Too short for its window when every symbol is 1.
fn changing_sequence() -> Case {
    let model = ModelBuilder::new("sequence").input("x: f32[1, 1, T]").output("y: f32[1, 1, U]");
    let model = model.constant("w", Array::filled(&[1, 1, 4], 0.5).tensor());
    let model = model.node(Op::new("Conv", &["x", "w"], &["y"]));
    let runs = [4, 9].map(|length| {
        let x = Array::ramp(&[1, 1, length], 1);
        let y = Array::from_fn(&[1, 1, length - 3], |at| x.data[at..at + 4].iter().sum::<f64>() / 2.0);
        (vec![x.tensor()], vec![y.tensor()])
    });
    Case { name: "changing sequence", model, runs: runs.to_vec(), tolerance: 1e-6 }
}

fn unnamed_axes() -> Case {
    let model = ModelBuilder::new("unknown rank").input("x: f32[?]").output("y: f32[?]");
    let model = model.node(Op::new("Relu", &["x"], &["y"]));
    let runs = [&[3][..], &[2, 2]].map(|shape| {
        let x = Array::ramp(shape, 1);
        (vec![x.tensor()], vec![x.map(|x| x.max(0.0)).tensor()])
    });
    Case { name: "unknown rank", model, runs: runs.to_vec(), tolerance: 0.0 }
}

/// Positions count, not the order in which nodes use the values.
fn crossed_inputs_and_outputs() -> Case {
    let model = ModelBuilder::new("crossed")
        .input("a: f32[2]")
        .input("b: i64[1]")
        .input("c: f32[2]")
        .output("second: f32[2]")
        .output("first: f32[2]")
        .output("b2: i64[1]")
        .node(Op::new("Sub", &["c", "a"], &["first"]))
        .node(Op::new("Add", &["b", "b"], &["b2"]))
        .node(Op::new("Mul", &["first", "a"], &["second"]));
    let pair = |a, b| Array::new(&[2], vec![a, b]).tensor();
    let inputs = vec![pair(1.0, 2.0), ints(&[5]), pair(10.0, 20.0)];
    let outputs = vec![pair(9.0, 36.0), pair(9.0, 18.0), ints(&[10])];
    Case { name: "several inputs and outputs", model, runs: vec![(inputs, outputs)], tolerance: 0.0 }
}

fn empty_batch() -> Case {
    let model = ModelBuilder::new("empty").input("x: f32[N, 3]").output("y: f32[N, 3]");
    let empty = Array::new(&[0, 3], vec![]).tensor();
    Case::new("empty batch", model.node(Op::new("Relu", &["x"], &["y"])), vec![empty.clone()], empty, 0.0)
}

fn empty_concat() -> Case {
    let model = ModelBuilder::new("empty concat").input("a: f32[N, 2]").input("b: f32[M, 2]");
    let model = model.output("y: f32[K, 2]").node(Op::new("Concat", &["a", "b"], &["y"]).with("axis", 0));
    let b = Array::ramp(&[2, 2], 1).tensor();
    Case::new("concat with nothing", model, vec![Array::new(&[0, 2], vec![]).tensor(), b.clone()], b, 0.0)
}

fn scalars() -> Case {
    let scalar = |value| Array::filled(&[], value);
    let model = ModelBuilder::new("scalars").input("a: f32[]").input("b: f32[]").output("y: f32[]");
    let model = model.node(Op::new("Mul", &["a", "b"], &["y"]));
    Case::new("scalars", model, vec![scalar(3.0).tensor(), scalar(0.5).tensor()], scalar(1.5).tensor(), 0.0)
}

/// Bytes as they come out of a frame, at an odd address.
#[allow(clippy::expect_used, reason = "the slice has the length that the shape takes")]
fn unaligned() -> Case {
    let x = Array::ramp(&[1, 8], 1);
    let shifted = bytes::Bytes::from([&[0][..], x.tensor().data()].concat()).slice(1..);
    let odd = Tensor::new(DType::F32, vec![1, 8], shifted).expect("eight floats");
    let model = ModelBuilder::new("unaligned").input("x: f32[1, 8]").output("y: f32[1, 8]");
    let model = model.node(Op::new("Neg", &["x"], &["y"]));
    Case::new("unaligned bytes", model, vec![odd], x.map(|x| -x).tensor(), 0.0)
}

/// Both branches use a value of the graph around them.
fn conditional() -> Case {
    let branch = |name: &str, op: &str| {
        let body = ModelBuilder::new(name).output(&format!("{name}_y: f32[2]"));
        body.node(Op::new(op, &["doubled", "x"], &[&format!("{name}_y")]))
    };
    let model = ModelBuilder::new("conditional")
        .input("x: f32[2]")
        .input("c: bool[]")
        .output("y: f32[2]")
        .node(Op::new("Add", &["x", "x"], &["doubled"]))
        .node(
            Op::new("If", &["c"], &["y"])
                .with("then_branch", branch("then", "Add"))
                .with("else_branch", branch("else", "Mul")),
        );
    let x = Array::new(&[2], vec![3.0, -4.0]);
    let runs = [(1.0, [9.0, -12.0]), (0.0, [18.0, 32.0])].map(|(condition, y)| {
        let condition = Array::filled(&[], condition).cast(DType::Bool);
        (vec![x.tensor(), condition], vec![Array::new(&[2], y.to_vec()).tensor()])
    });
    Case { name: "if with a captured value", model, runs: runs.to_vec(), tolerance: 0.0 }
}

fn repeated() -> Case {
    let body = ModelBuilder::new("body")
        .input("i: i64[]")
        .input("go_on: bool[]")
        .input("state: f32[2]")
        .output("go_on_again: bool[]")
        .output("next: f32[2]")
        .node(Op::new("Identity", &["go_on"], &["go_on_again"]))
        .node(Op::new("Add", &["state", "x"], &["next"]));
    let model = ModelBuilder::new("repeated")
        .input("x: f32[2]")
        .output("y: f32[2]")
        .constant("times", Array::filled(&[], 3.0).cast(DType::I64))
        .constant("always", Array::filled(&[], 1.0).cast(DType::Bool))
        .node(Op::new("Loop", &["times", "always", "x"], &["y"]).with("body", body));
    let x = Array::new(&[2], vec![1.0, -2.5]);
    Case::new("loop with a captured value", model, vec![x.tensor()], x.map(|x| 4.0 * x).tensor(), 0.0)
}
