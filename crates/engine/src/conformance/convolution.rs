//! Windows that slide: convolutions and pooling.

use super::array::position;
use super::{Array, Case, ModelBuilder, Op};

struct Window {
    kernel: usize,
    stride: usize,
    pad: usize,
    dilation: usize,
}

impl Window {
    const fn new(kernel: usize, stride: usize, pad: usize) -> Self {
        Self { kernel, stride, pad, dilation: 1 }
    }

    fn output(&self, size: usize) -> usize {
        (size + 2 * self.pad - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
    }

    /// Row or column of the input under tap `tap` of the window at `at`; none in the padding.
    fn input(&self, at: usize, tap: usize, size: usize) -> Option<usize> {
        (at * self.stride + tap * self.dilation).checked_sub(self.pad).filter(|row| *row < size)
    }

    fn attributes(&self, op: Op) -> Op {
        let (stride, pad) = (self.stride as i64, self.pad as i64);
        let kernel = self.kernel as i64;
        let op = op.with("strides", [stride, stride]).with("pads", [pad, pad, pad, pad]);
        let op = op.with("kernel_shape", [kernel, kernel]);
        // Pooling has no dilations before opset 10, and none is the default.
        if self.dilation == 1 { op } else { op.with("dilations", [self.dilation as i64; 2]) }
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        convolution("conv 3x3", [1, 3, 8, 8], [4, 3, 3, 3], 1, &Window::new(3, 1, 1)),
        convolution("conv 1x1", [2, 8, 5, 5], [16, 8, 1, 1], 1, &Window::new(1, 1, 0)),
        convolution("conv 3x3 stride 2", [1, 3, 9, 9], [8, 3, 3, 3], 1, &Window::new(3, 2, 1)),
        convolution("conv 5x5 unpadded", [1, 1, 7, 7], [2, 1, 5, 5], 1, &Window::new(5, 1, 0)),
        convolution(
            "conv dilated",
            [1, 2, 9, 9],
            [3, 2, 3, 3],
            1,
            &Window { kernel: 3, stride: 1, pad: 2, dilation: 2 },
        ),
        convolution("conv depthwise", [1, 6, 8, 8], [6, 1, 3, 3], 6, &Window::new(3, 1, 1)),
        convolution("conv depthwise stride 2", [1, 16, 8, 8], [16, 1, 3, 3], 16, &Window::new(3, 2, 1)),
        convolution("conv grouped", [1, 4, 6, 6], [6, 2, 3, 3], 2, &Window::new(3, 1, 1)),
        convolution_1d(),
        transposed(),
        pool("max pool", "MaxPool", &Window::new(3, 2, 1)),
        pool("average pool", "AveragePool", &Window::new(2, 2, 0)),
        pool("average pool padded", "AveragePool", &Window::new(3, 1, 1)),
        global("global average pool", "GlobalAveragePool", |values| {
            values.iter().sum::<f64>() / values.len() as f64
        }),
        global("global max pool", "GlobalMaxPool", |values| values.iter().copied().fold(f64::MIN, f64::max)),
    ]
}

fn convolution(name: &'static str, x: [usize; 4], w: [usize; 4], groups: usize, window: &Window) -> Case {
    let (x, w, bias) = (Array::ramp(&x, 1), Array::ramp(&w, 2), Array::ramp(&w[..1], 3));
    let expected = convolve(&x, &w, &bias, groups, window);
    let op = window.attributes(Op::new("Conv", &["x", "w", "b"], &["y"])).with("group", groups as i64);
    let model = model(&x, &expected).constant("w", w.tensor()).constant("b", bias.tensor()).node(op);
    Case::new(name, model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn convolve(x: &Array, w: &Array, bias: &Array, groups: usize, window: &Window) -> Array {
    let (height, width) = (x.shape[2], x.shape[3]);
    let (outputs, inputs) = (w.shape[0], w.shape[1]);
    let shape = [x.shape[0], outputs, window.output(height), window.output(width)];
    Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        let first = at[1] / (outputs / groups) * inputs;
        let mut sum = bias.data[at[1]];
        for channel in 0..inputs {
            for (i, j) in (0..window.kernel).flat_map(|i| (0..window.kernel).map(move |j| (i, j))) {
                let (row, column) = (window.input(at[2], i, height), window.input(at[3], j, width));
                if let (Some(row), Some(column)) = (row, column) {
                    sum += x.at(&[at[0], first + channel, row, column]) * w.at(&[at[1], channel, i, j]);
                }
            }
        }
        sum
    })
}

fn convolution_1d() -> Case {
    let (x, w) = (Array::ramp(&[1, 2, 10], 1), Array::ramp(&[3, 2, 3], 2));
    let shape = [1, 3, 8];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        let taps = (0..2).flat_map(|channel| (0..3).map(move |tap| (channel, tap)));
        taps.map(|(channel, tap)| x.at(&[0, channel, at[2] + tap]) * w.at(&[at[1], channel, tap])).sum()
    });
    let model = model(&x, &expected).constant("w", w.tensor()).node(Op::new("Conv", &["x", "w"], &["y"]));
    Case::new("conv 1d", model, vec![x.tensor()], expected.tensor(), 1e-5)
}

fn transposed() -> Case {
    let (x, w) = (Array::ramp(&[1, 2, 4, 4], 1), Array::ramp(&[2, 3, 2, 2], 2));
    let shape = [1, 3, 8, 8];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        (0..2).map(|c| x.at(&[0, c, at[2] / 2, at[3] / 2]) * w.at(&[c, at[1], at[2] % 2, at[3] % 2])).sum()
    });
    let op =
        Op::new("ConvTranspose", &["x", "w"], &["y"]).with("strides", [2, 2]).with("kernel_shape", [2, 2]);
    let model = model(&x, &expected).constant("w", w.tensor()).node(op);
    Case::new("conv transposed", model, vec![x.tensor()], expected.tensor(), 1e-5)
}

/// Padding counts for neither maximum nor average, which is ONNX's default.
fn pool(name: &'static str, kind: &str, window: &Window) -> Case {
    let x = Array::ramp(&[1, 2, 8, 8], 5);
    let size = window.output(8);
    let shape = [1, 2, size, size];
    let expected = Array::from_fn(&shape, |index| {
        let at = position(&shape, index);
        let taps = (0..window.kernel).flat_map(|i| (0..window.kernel).map(move |j| (i, j)));
        let seen: Vec<f64> = taps
            .filter_map(|(i, j)| {
                Some(x.at(&[0, at[1], window.input(at[2], i, 8)?, window.input(at[3], j, 8)?]))
            })
            .collect();
        match kind {
            "MaxPool" => seen.iter().copied().fold(f64::MIN, f64::max),
            _ => seen.iter().sum::<f64>() / seen.len() as f64,
        }
    });
    let model = model(&x, &expected).node(window.attributes(Op::new(kind, &["x"], &["y"])));
    Case::new(name, model, vec![x.tensor()], expected.tensor(), 1e-6)
}

fn global(name: &'static str, kind: &str, fold: fn(&[f64]) -> f64) -> Case {
    let x = Array::ramp(&[2, 3, 5, 5], 6);
    let expected = x.clone().reshape(&[2, 3, 25]).reduce(2, fold).reshape(&[2, 3, 1, 1]);
    let model = model(&x, &expected).node(Op::new(kind, &["x"], &["y"]));
    Case::new(name, model, vec![x.tensor()], expected.tensor(), 1e-6)
}

/// One input `x` and one output `y` of these shapes.
fn model(x: &Array, y: &Array) -> ModelBuilder {
    let spec = |name: &str, array: &Array| format!("{name}: f32{:?}", array.shape);
    ModelBuilder::new("window").input(&spec("x", x)).output(&spec("y", y))
}
