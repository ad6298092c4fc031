//! Tiny models for tests: small enough to run in a debug build, rich enough to be cut.

pub use kerf_engine::conformance::{Array, Attribute, ModelBuilder, Op};

use bytes::Bytes;
use kerf_tensor::{DType, Tensor};

/// A classifier of 16×16 RGB images into ten classes: two convolution stages, pooling,
/// a linear head. `x: f32[N, 3, 16, 16]` → `logits: f32[N, 10]`.
///
/// Single-tensor boundaries everywhere; those after a pooling are smaller than the input.
pub fn tiny_classifier() -> Bytes {
    ModelBuilder::new("tiny_classifier")
        .input("x: f32[N, 3, 16, 16]")
        .output("logits: f32[N, 10]")
        .constant("w1", weights(&[8, 3, 3, 3], 1))
        .constant("b1", weights(&[8], 2))
        .constant("w2", weights(&[4, 8, 3, 3], 3))
        .constant("b2", weights(&[4], 4))
        .constant("w3", weights(&[10, 64], 5))
        .constant("b3", weights(&[10], 6))
        .node(Op::new("Conv", &["x", "w1", "b1"], &["conv1"]).with("pads", [1, 1, 1, 1]))
        .node(Op::new("Relu", &["conv1"], &["relu1"]))
        .node(max_pool("relu1", "pool1"))
        .node(Op::new("Conv", &["pool1", "w2", "b2"], &["conv2"]).with("pads", [1, 1, 1, 1]))
        .node(Op::new("Relu", &["conv2"], &["relu2"]))
        .node(max_pool("relu2", "pool2"))
        .node(Op::new("Flatten", &["pool2"], &["features"]))
        .node(Op::new("Gemm", &["features", "w3", "b3"], &["logits"]).with("transB", 1))
        .build()
}

/// A residual block, two branches that stay apart, and an output on the way: boundaries of several
/// tensors, and one output that is known long before the other.
/// `x: f32[N, 4, 8, 8]` → `early: f32[N, 4]`, `late: f32[N, 8, 8, 8]`.
pub fn branchy() -> Bytes {
    ModelBuilder::new("branchy")
        .input("x: f32[N, 4, 8, 8]")
        .output("early: f32[N, 4]")
        .output("late: f32[N, 8, 8, 8]")
        .constant("w1", weights(&[4, 4, 3, 3], 1))
        .constant("w2", weights(&[4, 4, 1, 1], 2))
        .constant("w3", weights(&[4, 4, 3, 3], 3))
        .node(Op::new("Conv", &["x", "w1"], &["conv1"]).with("pads", [1, 1, 1, 1]))
        .node(Op::new("Add", &["conv1", "x"], &["residual"]))
        .node(Op::new("GlobalAveragePool", &["residual"], &["pooled"]))
        .node(Op::new("Flatten", &["pooled"], &["early"]))
        .node(Op::new("Conv", &["residual", "w2"], &["left"]))
        .node(Op::new("Conv", &["residual", "w3"], &["right"]).with("pads", [1, 1, 1, 1]))
        .node(Op::new("Relu", &["left"], &["left_relu"]))
        .node(Op::new("Sigmoid", &["right"], &["right_sigmoid"]))
        .node(Op::new("Concat", &["left_relu", "right_sigmoid"], &["late"]).with("axis", 1))
        .build()
}

/// An `If` whose branches use a value of the graph around them.
/// `x: f32[N, 4]`, `negate: bool[]` → `y: f32[N, 4]`: 2x + 1 or −2x + 1.
pub fn with_if() -> Bytes {
    let branch = |name: &str, op: &str| {
        let result = format!("{name}_result");
        let body = ModelBuilder::new(name).output(&format!("{result}: f32[N, 4]"));
        body.node(Op::new(op, &["doubled"], &[&result]))
    };
    ModelBuilder::new("with_if")
        .input("x: f32[N, 4]")
        .input("negate: bool[]")
        .output("y: f32[N, 4]")
        .constant("one", Array::filled(&[1], 1.0).tensor())
        .node(Op::new("Add", &["x", "x"], &["doubled"]))
        .node(
            Op::new("If", &["negate"], &["chosen"])
                .with("then_branch", branch("negated", "Neg"))
                .with("else_branch", branch("kept", "Identity")),
        )
        .node(Op::new("Add", &["chosen", "one"], &["y"]))
        .build()
}

/// An image-like input of [`tiny_classifier`]; another one for each seed.
pub fn tiny_image(batch: usize, seed: u64) -> Tensor {
    Array::ramp(&[batch, 3, 16, 16], seed).tensor()
}

fn max_pool(input: &str, output: &str) -> Op {
    Op::new("MaxPool", &[input], &[output]).with("kernel_shape", [2, 2]).with("strides", [2, 2])
}

/// Weights that keep activations near one.
fn weights(shape: &[usize], seed: u64) -> Tensor {
    let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f64;
    Array::ramp(shape, seed).map(|weight| weight * (3.0 / fan_in).sqrt()).cast(DType::F32)
}
