//! Convolutions as products of matrices: windows of the input are unfolded into rows.

use super::{Map, add_columns, repeat};
use crate::Stage;
use crate::gemm::{Matrix, add_product};
use std::ops::Range;

/// A square convolution with a stride, padded with zeros so that a stride of 1 keeps the size, and
/// what is negative made 0. `weights` is `[kernel, kernel, input channels, output channels]`.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    pub(crate) input: Map,
    pub(crate) output: Map,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) weights: Range<usize>,
    pub(crate) bias: Range<usize>,
}

impl Conv {
    /// Parameters lie from `start` on. The kernel is odd.
    pub(super) fn new(input: Map, stage: Stage, start: usize) -> Self {
        let Stage { channels, kernel, stride } = stage;
        let size = |size: usize| size.div_ceil(stride);
        let output = Map { height: size(input.height), width: size(input.width), channels };
        let weights = start..start + kernel * kernel * input.channels * channels;
        let bias = weights.end..weights.end + channels;
        Self { input, output, kernel, stride, weights, bias }
    }

    /// Inputs of one output.
    pub(super) fn window(&self) -> usize {
        self.kernel * self.kernel * self.input.channels
    }

    pub(super) fn macs(&self) -> u64 {
        (self.output.len() as u64).saturating_mul(self.window() as u64)
    }

    /// Whether the input is its own unfolding.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    /// Zeros before the first row and column. Behind the last there are as many or fewer.
    pub(crate) fn padding(&self) -> usize {
        self.kernel / 2
    }

    pub(super) fn forward(
        &self,
        parameters: &[f32],
        input: &[f32],
        columns: &mut Vec<f32>,
        output: &mut Vec<f32>,
        rows: usize,
    ) {
        let columns = if self.is_pointwise() {
            input
        } else {
            self.unfold(input, columns);
            columns.as_slice()
        };
        let (positions, channels) = (rows * self.output.cells(), self.output.channels);
        repeat(&parameters[self.bias.clone()], positions, output);
        let weights = Matrix::new(&parameters[self.weights.clone()], self.window(), channels);
        add_product(Matrix::new(columns, positions, self.window()), weights, output);
        output.iter_mut().for_each(|value| *value = value.max(0.0));
    }

    pub(super) fn backward(
        &self,
        parameters: &[f32],
        columns: &[f32],
        change: &[f32],
        rows: usize,
        gradients: &mut [f32],
        further: Option<&mut Vec<f32>>,
    ) {
        let (positions, channels) = (rows * self.output.cells(), self.output.channels);
        let change_of = Matrix::new(change, positions, channels);
        let unfolded = Matrix::transposed(columns, positions, self.window());
        add_product(unfolded, change_of, &mut gradients[self.weights.clone()]);
        add_columns(change, &mut gradients[self.bias.clone()]);
        let Some(further) = further else { return };
        let weights = Matrix::transposed(&parameters[self.weights.clone()], self.window(), channels);
        let mut unfolded = vec![0.0; positions * self.window()];
        add_product(change_of, weights, &mut unfolded);
        if self.is_pointwise() {
            *further = unfolded;
        } else {
            self.fold(&unfolded, further, rows);
        }
    }

    /// `[rows, output cells, window]` of `[rows, input cells, channels]`.
    fn unfold(&self, input: &[f32], columns: &mut Vec<f32>) {
        columns.clear();
        let rows = input.len() / self.input.len().max(1);
        columns.resize(rows * self.output.cells() * self.window(), 0.0);
        let channels = self.input.channels;
        let maps = input.chunks_exact(self.input.len());
        let unfolded = columns.chunks_exact_mut(self.output.cells() * self.window());
        for (map, unfolded) in maps.zip(unfolded) {
            for (cell, window) in unfolded.chunks_exact_mut(self.window()).enumerate() {
                for (of_map, of_window) in self.runs(cell) {
                    let len = of_map.len() * channels;
                    let (from, to) = (of_map.start * channels, of_window * channels);
                    window[to..to + len].copy_from_slice(&map[from..from + len]);
                }
            }
        }
    }

    /// Sums what windows say of the cells that they share.
    fn fold(&self, unfolded: &[f32], further: &mut Vec<f32>, rows: usize) {
        further.clear();
        further.resize(rows * self.input.len(), 0.0);
        let channels = self.input.channels;
        let maps = further.chunks_exact_mut(self.input.len());
        let unfolded = unfolded.chunks_exact(self.output.cells() * self.window());
        for (map, unfolded) in maps.zip(unfolded) {
            for (cell, window) in unfolded.chunks_exact(self.window()).enumerate() {
                for (of_map, of_window) in self.runs(cell) {
                    let len = of_map.len() * channels;
                    let (from, to) = (of_map.start * channels, of_window * channels);
                    let sums = map[from..from + len].iter_mut();
                    sums.zip(&window[to..to + len]).for_each(|(sum, value)| *sum += value);
                }
            }
        }
    }

    /// The cells of the input that an output cell sees, one run for each row of its window, and
    /// where in the window each run starts.
    fn runs(&self, cell: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
        let Map { height, width, .. } = self.input;
        let (kernel, padding) = (self.kernel, self.padding());
        let corner = |at: usize| at * self.stride;
        let (top, left) = (corner(cell / self.output.width), corner(cell % self.output.width));
        // Columns of the window inside the plane, which is padded by `padding` on the left.
        let first = padding.saturating_sub(left);
        let last = kernel.min((width + padding).saturating_sub(left));
        (0..kernel).filter_map(move |row| {
            let y = (top + row).checked_sub(padding).filter(|y| *y < height)?;
            let x = left + first - padding;
            (first < last).then(|| (y * width + x..y * width + x + last - first, row * kernel + first))
        })
    }
}
