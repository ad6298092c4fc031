//! Elements that only change place.

use super::array::{ints, position};
use super::{Array, Case, ModelBuilder, Op};
use kerf_tensor::{DType, Tensor};

pub(super) fn cases() -> Vec<Case> {
    let x = Array::ramp(&[2, 3, 4], 1);
    let pick = |shape: &[usize], source: fn(&[usize]) -> [usize; 3]| {
        Array::from_fn(shape, |index| x.at(&source(&position(shape, index))))
    };
    // Expansion repeats in front: each of the two copies is all of `x`.
    let expanded = Array::from_fn(&[2, 2, 3, 4], |index| x.data[index % 24]);
    let padded = Array::from_fn(&[2, 5, 5], |index| {
        let at = position(&[2, 5, 5], index);
        let inside = (1..4).contains(&at[1]) && at[2] < 4;
        if inside { x.at(&[at[0], at[1] - 1, at[2]]) } else { 0.5 }
    });
    let mirrored = pick(&[2, 3, 6], |at| [at[0], at[1], [1, 0, 1, 2, 3, 2][at[2]]]);
    let tiled = pick(&[2, 6, 4], |at| [at[0], at[1] % 3, at[2]]);
    vec![
        moved(
            "reshape",
            Op::new("Reshape", &["x", "s"], &["y"]),
            &[ints(&[0, -1])],
            x.clone().reshape(&[2, 12]),
        ),
        moved("flatten", Op::new("Flatten", &["x"], &["y"]).with("axis", 2), &[], x.clone().reshape(&[6, 4])),
        moved(
            "transpose",
            Op::new("Transpose", &["x"], &["y"]).with("perm", [2, 0, 1]),
            &[],
            pick(&[4, 2, 3], |at| [at[1], at[2], at[0]]),
        ),
        moved(
            "unsqueeze",
            Op::new("Unsqueeze", &["x", "s"], &["y"]),
            &[ints(&[1])],
            x.clone().reshape(&[2, 1, 3, 4]),
        ),
        moved("expand", Op::new("Expand", &["x", "s"], &["y"]), &[ints(&[2, 2, 3, 4])], expanded),
        moved("tile", Op::new("Tile", &["x", "s"], &["y"]), &[ints(&[1, 2, 1])], tiled),
        moved(
            "slice",
            Op::new("Slice", &["x", "s", "t", "u", "v"], &["y"]),
            &[ints(&[1, 0]), ints(&[3, i64::MAX]), ints(&[1, 2]), ints(&[1, 2])],
            pick(&[2, 2, 2], |at| [at[0], at[1] + 1, at[2] * 2]),
        ),
        moved(
            "slice backwards",
            Op::new("Slice", &["x", "s", "t", "u", "v"], &["y"]),
            &[ints(&[-1]), ints(&[i64::MIN + 1]), ints(&[2]), ints(&[-1])],
            pick(&[2, 3, 4], |at| [at[0], at[1], 3 - at[2]]),
        ),
        moved(
            "pad constant",
            Op::new("Pad", &["x", "s", "t"], &["y"]),
            &[ints(&[0, 1, 0, 0, 1, 1]), Array::filled(&[], 0.5).tensor()],
            padded,
        ),
        moved(
            "pad reflect",
            Op::new("Pad", &["x", "s"], &["y"]).with("mode", "reflect"),
            &[ints(&[0, 0, 1, 0, 0, 1])],
            mirrored,
        ),
        moved(
            "gather",
            Op::new("Gather", &["x", "s"], &["y"]).with("axis", 1),
            &[ints(&[2, -3])],
            pick(&[2, 2, 4], |at| [at[0], [2, 0][at[1]], at[2]]),
        ),
        concat(),
        split(),
        depth_to_space(),
        nearest(),
        bilinear(),
        shape_arithmetic(),
        channel_shuffle(),
    ]
}

/// `x` is f32[2, 3, 4]; further inputs of the operator, `s` to `v`, are constants.
fn moved(name: &'static str, op: Op, constants: &[Tensor], expected: Array) -> Case {
    let model =
        ModelBuilder::new("movement").input("x: f32[2, 3, 4]").output(&format!("y: f32{:?}", expected.shape));
    let model = ["s", "t", "u", "v"]
        .iter()
        .zip(constants)
        .fold(model, |model, (constant, value)| model.constant(constant, value.clone()));
    Case::new(name, model.node(op), vec![Array::ramp(&[2, 3, 4], 1).tensor()], expected.tensor(), 0.0)
}

fn concat() -> Case {
    let (a, b) = (Array::ramp(&[2, 1, 3], 1), Array::ramp(&[2, 2, 3], 2));
    let shape = [2, 3, 3];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        if at[1] == 0 { a.at(&at) } else { b.at(&[at[0], at[1] - 1, at[2]]) }
    });
    let op = Op::new("Concat", &["a", "b"], &["y"]).with("axis", 1);
    let model = ModelBuilder::new("concat").input("a: f32[2, 1, 3]").input("b: f32[2, 2, 3]");
    let model = model.output("y: f32[2, 3, 3]").node(op);
    Case::new("concat", model, vec![a.tensor(), b.tensor()], expected.tensor(), 0.0)
}

fn split() -> Case {
    let x = Array::ramp(&[1, 5], 1);
    let model = ModelBuilder::new("split")
        .input("x: f32[1, 5]")
        .output("a: f32[1, 2]")
        .output("b: f32[1, 3]")
        .constant("sizes", ints(&[2, 3]))
        .node(Op::new("Split", &["x", "sizes"], &["a", "b"]).with("axis", 1));
    let parts = vec![
        Array::new(&[1, 2], x.data[..2].to_vec()).tensor(),
        Array::new(&[1, 3], x.data[2..].to_vec()).tensor(),
    ];
    Case { name: "split", model, runs: vec![(vec![x.tensor()], parts)], tolerance: 0.0 }
}

fn depth_to_space() -> Case {
    let x = Array::ramp(&[1, 4, 2, 2], 1);
    let shape = [1, 1, 4, 4];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        x.at(&[0, at[2] % 2 * 2 + at[3] % 2, at[2] / 2, at[3] / 2])
    });
    let op = Op::new("DepthToSpace", &["x"], &["y"]).with("blocksize", 2);
    let model = ModelBuilder::new("d2s").input("x: f32[1, 4, 2, 2]").output("y: f32[1, 1, 4, 4]").node(op);
    Case::new("depth to space", model, vec![x.tensor()], expected.tensor(), 0.0)
}

fn resize(name: &'static str, op: Op, expected: Array, x: &Array) -> Case {
    let scales = Array::new(&[4], vec![1.0, 1.0, 2.0, 2.0]).tensor();
    let model = ModelBuilder::new("resize").input("x: f32[1, 2, 3, 3]").output("y: f32[1, 2, 6, 6]");
    let model = model.constant("scales", scales).node(op);
    Case::new(name, model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn nearest() -> Case {
    let x = Array::ramp(&[1, 2, 3, 3], 1);
    let shape = [1, 2, 6, 6];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        x.at(&[0, at[1], at[2] / 2, at[3] / 2])
    });
    let op = Op::new("Resize", &["x", "", "scales"], &["y"])
        .with("mode", "nearest")
        .with("coordinate_transformation_mode", "asymmetric")
        .with("nearest_mode", "floor");
    resize("resize nearest", op, expected, &x)
}

fn bilinear() -> Case {
    let x = Array::ramp(&[1, 2, 3, 3], 1);
    let shape = [1, 2, 6, 6];
    // Half-pixel centres, clamped at the edges.
    let taps = |at: usize| {
        let source = ((at as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, 2.0);
        let low = source.floor() as usize;
        (low, (low + 1).min(2), source - source.floor())
    };
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        let ((top, bottom, down), (left, right, across)) = (taps(at[2]), taps(at[3]));
        let row = |row: usize| {
            x.at(&[0, at[1], row, left]) * (1.0 - across) + x.at(&[0, at[1], row, right]) * across
        };
        row(top) * (1.0 - down) + row(bottom) * down
    });
    let op = Op::new("Resize", &["x", "", "scales"], &["y"])
        .with("mode", "linear")
        .with("coordinate_transformation_mode", "half_pixel");
    resize("resize bilinear", op, expected, &x)
}

/// Flattening as PyTorch exported it: `x.view(x.shape[0], -1)`.
fn shape_arithmetic() -> Case {
    let model = ModelBuilder::new("shape arithmetic")
        .input("x: f32[N, 3, 4]")
        .output("y: f32[N, 12]")
        .constant("zero", Array::filled(&[], 0.0).cast(DType::I64))
        .constant("axis", ints(&[0]))
        .constant("rest", ints(&[-1]))
        .node(Op::new("Shape", &["x"], &["shape"]))
        .node(Op::new("Gather", &["shape", "zero"], &["batch"]))
        .node(Op::new("Unsqueeze", &["batch", "axis"], &["first"]))
        .node(Op::new("Concat", &["first", "rest"], &["target"]).with("axis", 0))
        .node(Op::new("Reshape", &["x", "target"], &["y"]));
    let runs = [1, 3].map(|batch| {
        let x = Array::ramp(&[batch, 3, 4], batch as u64);
        (vec![x.tensor()], vec![x.reshape(&[batch, 12]).tensor()])
    });
    Case { name: "shape arithmetic", model, runs: runs.to_vec(), tolerance: 0.0 }
}

fn channel_shuffle() -> Case {
    let x = Array::ramp(&[1, 4, 2, 2], 1);
    let shape = [1, 4, 2, 2];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        x.at(&[0, at[1] % 2 * 2 + at[1] / 2, at[2], at[3]])
    });
    let model = ModelBuilder::new("shuffle")
        .input("x: f32[1, 4, 2, 2]")
        .output("y: f32[1, 4, 2, 2]")
        .constant("five", ints(&[1, 2, 2, 2, 2]))
        .constant("four", ints(&[1, 4, 2, 2]))
        .node(Op::new("Reshape", &["x", "five"], &["a"]))
        .node(Op::new("Transpose", &["a"], &["b"]).with("perm", [0, 2, 1, 3, 4]))
        .node(Op::new("Reshape", &["b", "four"], &["y"]));
    Case::new("channel shuffle", model, vec![x.tensor()], expected.tensor(), 0.0)
}
