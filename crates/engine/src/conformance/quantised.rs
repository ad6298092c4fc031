//! Integers that stand for reals. Values are chosen so that no rounding is close: what differs
//! between engines is a mistake, not a tie.

use super::array::position;
use super::{Array, Case, ModelBuilder, Op};
use kerf_tensor::DType;

pub(super) fn cases() -> Vec<Case> {
    vec![quantize(), dequantize(), per_channel(), there_and_back(), dynamic(), matmul(), convolution()]
}

fn scalar(value: f64, dtype: DType) -> kerf_tensor::Tensor {
    Array::filled(&[], value).cast(dtype)
}

/// Quarter steps around each point, and both ends of the range.
fn reals() -> Array {
    Array::new(&[2, 4], vec![-100.0, -64.0, -0.25, 0.0, 0.75, 1.25, 63.5, 100.0])
}

fn quantize() -> Case {
    let expected = reals().map(|x| ((x / 0.5).round_ties_even() + 128.0).clamp(0.0, 255.0));
    let model = ModelBuilder::new("q")
        .input("x: f32[2, 4]")
        .output("y: u8[2, 4]")
        .constant("s", scalar(0.5, DType::F32))
        .constant("z", scalar(128.0, DType::U8))
        .node(Op::new("QuantizeLinear", &["x", "s", "z"], &["y"]));
    Case::new("quantize linear", model, vec![reals().tensor()], expected.cast(DType::U8), 0.0)
}

fn dequantize() -> Case {
    let x = Array::new(&[2, 2], vec![-128.0, -1.0, 0.0, 127.0]);
    let model = ModelBuilder::new("dq")
        .input("x: i8[2, 2]")
        .output("y: f32[2, 2]")
        .constant("s", scalar(0.25, DType::F32))
        .constant("z", scalar(-3.0, DType::I8))
        .node(Op::new("DequantizeLinear", &["x", "s", "z"], &["y"]));
    let expected = x.map(|x| (x + 3.0) * 0.25).tensor();
    Case::new("dequantize linear", model, vec![x.cast(DType::I8)], expected, 0.0)
}

/// Weights of a quantised model, one scale per output channel, added to an input so that the
/// result is not constant.
fn per_channel() -> Case {
    let weights = Array::from_fn(&[3, 2], |index| index as f64 * 11.0 - 20.0);
    let scales = Array::new(&[3, 1], vec![0.5, 0.25, 2.0]);
    let x = Array::ramp(&[3, 2], 1);
    let expected = weights.zip(&scales, |w, s| w * s).zip(&x, |w, x| w + x);
    let model = ModelBuilder::new("dq per channel")
        .input("x: f32[3, 2]")
        .output("y: f32[3, 2]")
        .constant("w", weights.cast(DType::I8))
        .constant("s", scales.reshape(&[3]).tensor())
        .constant("z", Array::filled(&[3], 0.0).cast(DType::I8))
        .node(Op::new("DequantizeLinear", &["w", "s", "z"], &["d"]).with("axis", 0))
        .node(Op::new("Add", &["d", "x"], &["y"]));
    Case::new("dequantize per channel", model, vec![x.tensor()], expected.tensor(), 1e-6)
}

fn there_and_back() -> Case {
    let expected = reals().map(|x| ((x / 0.5).round_ties_even().clamp(-128.0, 127.0)) * 0.5);
    let model = ModelBuilder::new("qdq")
        .input("x: f32[2, 4]")
        .output("y: f32[2, 4]")
        .constant("s", scalar(0.5, DType::F32))
        .constant("z", scalar(0.0, DType::I8))
        .node(Op::new("QuantizeLinear", &["x", "s", "z"], &["q"]))
        .node(Op::new("DequantizeLinear", &["q", "s", "z"], &["y"]));
    Case::new("quantize, dequantize", model, vec![reals().tensor()], expected.tensor(), 0.0)
}

/// From −63.5 to 64 in halves: a range whose scale is 0.5 and whose zero point is 127, exactly.
fn halves(shape: &[usize]) -> Array {
    let mut values = Array::ramp(shape, 1).map(|x| (x * 100.0).round() / 2.0);
    values.data[0] = -63.5;
    values.data[1] = 64.0;
    values
}

fn dynamic() -> Case {
    let x = halves(&[3, 4]);
    let model = ModelBuilder::new("dynamic")
        .input("x: f32[3, 4]")
        .output("y: u8[3, 4]")
        .output("s: f32[]")
        .output("z: u8[]")
        .node(Op::new("DynamicQuantizeLinear", &["x"], &["y", "s", "z"]));
    let quantised = x.map(|x| x / 0.5 + 127.0).cast(DType::U8);
    let outputs = vec![quantised, scalar(0.5, DType::F32), scalar(127.0, DType::U8)];
    Case { name: "dynamic quantize", model, runs: vec![(vec![x.tensor()], outputs)], tolerance: 1e-6 }
}

fn matmul() -> Case {
    let (x, w) = (halves(&[3, 4]), Array::from_fn(&[4, 2], |index| index as f64 * 7.0 - 25.0));
    let expected =
        Array::from_fn(&[3, 2], |index| (0..4).map(|k| x.at(&[index / 2, k]) * w.at(&[k, index % 2])).sum());
    let model = integer_product("MatMulInteger", &x, &expected).constant("w", w.cast(DType::I8));
    Case::new("dynamic quantize, matmul integer", model, vec![x.tensor()], expected.tensor(), 1e-6)
}

fn convolution() -> Case {
    let (x, w) =
        (halves(&[1, 2, 4, 4]), Array::from_fn(&[3, 2, 3, 3], |index| (index as f64 * 5.0) % 127.0 - 60.0));
    let shape = [1, 3, 2, 2];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        let taps = (0..2).flat_map(|c| (0..9).map(move |tap| (c, tap / 3, tap % 3)));
        taps.map(|(c, i, j)| x.at(&[0, c, at[2] + i, at[3] + j]) * w.at(&[at[1], c, i, j])).sum()
    });
    let model = integer_product("ConvInteger", &x, &expected).constant("w", w.cast(DType::I8));
    Case::new("dynamic quantize, conv integer", model, vec![x.tensor()], expected.tensor(), 1e-6)
}

/// What dynamic quantisation makes of a product with weights `w`.
fn integer_product(op: &str, x: &Array, y: &Array) -> ModelBuilder {
    ModelBuilder::new("integer product")
        .input(&format!("x: f32{:?}", x.shape))
        .output(&format!("y: f32{:?}", y.shape))
        .node(Op::new("DynamicQuantizeLinear", &["x"], &["q", "s", "z"]))
        .node(Op::new(op, &["q", "w", "z"], &["sum"]))
        .node(Op::new("Cast", &["sum"], &["real"]).with("to", 1))
        .node(Op::new("Mul", &["real", "s"], &["y"]))
}
