//! The small networks that heads are: forward, backward, and what they cost.
//!
//! Maps lie with their channels last, so that the window of a convolution is a few runs of memory
//! and a convolution one product of matrices.

mod conv;

use crate::Shape;
use crate::gemm::{Matrix, add_product};
pub(crate) use conv::Conv;
use kerf_random::Random;
use std::ops::Range;

/// Size of a map of features; `1 × 1` where there is no plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Map {
    pub(crate) fn cells(self) -> usize {
        self.height * self.width
    }

    pub(crate) fn len(self) -> usize {
        self.cells() * self.channels
    }
}

/// Layers one after another, from a map to scores of classes.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    input: Map,
    layers: Vec<Layer>,
    parameters: usize,
}

/// One layer, and where its parameters lie.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    /// A convolution, its bias, and what is negative made 0.
    Conv(Conv),
    /// The mean of every channel.
    Mean(Map),
    /// A linear map.
    Dense(Dense),
}

/// `weights` is `[inputs, outputs]`.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weights: Range<usize>,
    pub(crate) bias: Range<usize>,
    /// Whether what is negative is made 0.
    pub(crate) relu: bool,
}

/// What a pass over some rows leaves for the pass back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    /// The input, then what each layer made.
    values: Vec<Vec<f32>>,
    /// What each layer unfolded of its input.
    columns: Vec<Vec<f32>>,
    gradient: Vec<f32>,
    spare: Vec<f32>,
}

impl Net {
    pub(crate) fn new(shape: &Shape, input: Map, classes: usize) -> Self {
        let mut net = Self { input, layers: Vec::new(), parameters: 0 };
        match shape {
            Shape::Linear => {
                let pooled = net.pool(input);
                net.dense(pooled, classes, false);
            }
            Shape::Mlp { hidden } => {
                let pooled = net.pool(input);
                let hidden = net.dense(pooled, *hidden, true);
                net.dense(hidden, classes, false);
            }
            Shape::Conv { stages } => {
                let map = stages.iter().fold(input, |map, stage| net.conv(map, *stage));
                // Even where one cell is left: as a model it still has its axes.
                net.layers.push(Layer::Mean(map));
                net.dense(map.channels, classes, false);
            }
        }
        net
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How many numbers it has.
    pub(crate) fn parameters(&self) -> usize {
        self.parameters
    }

    /// Multiply-accumulates for one row.
    pub(crate) fn macs(&self) -> u64 {
        self.layers.iter().fold(0u64, |sum, layer| sum.saturating_add(layer.macs()))
    }

    /// Random parameters to start from, of a size that keeps the spread of what passes through
    /// (He et al., "Delving deep into rectifiers", arXiv 1502.01852). The last layer starts at 0.
    pub(crate) fn initial(&self, random: &mut Random) -> Vec<f32> {
        let mut parameters = vec![0.0; self.parameters];
        let last = self.layers.len().saturating_sub(1);
        for layer in &self.layers[..last] {
            let (weights, inputs) = match layer {
                Layer::Conv(conv) => (conv.weights.clone(), conv.window()),
                Layer::Dense(dense) => (dense.weights.clone(), dense.inputs),
                Layer::Mean(_) => continue,
            };
            let spread = (2.0 / inputs.max(1) as f32).sqrt();
            parameters[weights].iter_mut().for_each(|weight| *weight = spread * random.normal() as f32);
        }
        parameters
    }

    /// Where the weights are that decay: all but the biases.
    pub(crate) fn decaying(&self) -> Vec<Range<usize>> {
        let weights = self.layers.iter().filter_map(|layer| match layer {
            Layer::Conv(conv) => Some(conv.weights.clone()),
            Layer::Dense(dense) => Some(dense.weights.clone()),
            Layer::Mean(_) => None,
        });
        weights.collect()
    }

    /// The place for `rows` rows of input.
    pub(crate) fn input<'a>(&self, tape: &'a mut Tape, rows: usize) -> &'a mut [f32] {
        tape.values.resize_with(self.layers.len() + 1, Vec::new);
        tape.columns.resize_with(self.layers.len(), Vec::new);
        let input = &mut tape.values[0];
        input.resize(rows * self.input.len(), 0.0);
        input
    }

    /// Scores of the rows that were put into the tape's input: `[rows, classes]`.
    pub(crate) fn forward<'a>(&self, parameters: &[f32], tape: &'a mut Tape, rows: usize) -> &'a [f32] {
        for (at, layer) in self.layers.iter().enumerate() {
            let (before, after) = tape.values.split_at_mut(at + 1);
            let (input, output) = (&before[at], &mut after[0]);
            match layer {
                Layer::Conv(conv) => conv.forward(parameters, input, &mut tape.columns[at], output, rows),
                Layer::Mean(map) => mean(*map, input, output),
                Layer::Dense(dense) => dense.forward(parameters, input, output, rows),
            }
        }
        tape.values.last().map_or(&[], Vec::as_slice)
    }

    /// Adds to `gradients` what the parameters' are, after a pass forward; `change` says how the
    /// loss depends on the scores.
    pub(crate) fn backward(
        &self,
        parameters: &[f32],
        tape: &mut Tape,
        change: &[f32],
        rows: usize,
        gradients: &mut [f32],
    ) {
        tape.gradient.clear();
        tape.gradient.extend_from_slice(change);
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let (input, output) = (&tape.values[at], &tape.values[at + 1]);
            let further = (at > 0).then_some(&mut tape.spare);
            match layer {
                Layer::Conv(conv) => {
                    rectify(&mut tape.gradient, output);
                    let columns = if conv.is_pointwise() { input } else { &tape.columns[at] };
                    conv.backward(parameters, columns, &tape.gradient, rows, gradients, further);
                }
                Layer::Mean(map) => spread(*map, &tape.gradient, &mut tape.spare),
                Layer::Dense(dense) => {
                    if dense.relu {
                        rectify(&mut tape.gradient, output);
                    }
                    dense.backward(parameters, input, &tape.gradient, rows, gradients, further);
                }
            }
            std::mem::swap(&mut tape.gradient, &mut tape.spare);
        }
    }

    fn conv(&mut self, input: Map, stage: crate::Stage) -> Map {
        let conv = Conv::new(input, stage, self.parameters);
        self.parameters = conv.bias.end;
        let output = conv.output;
        self.layers.push(Layer::Conv(conv));
        output
    }

    /// Means of the input's channels, which are there already where it is one cell.
    fn pool(&mut self, map: Map) -> usize {
        if map.cells() > 1 {
            self.layers.push(Layer::Mean(map));
        }
        map.channels
    }

    fn dense(&mut self, inputs: usize, outputs: usize, relu: bool) -> usize {
        let weights = self.parameters..self.parameters + inputs * outputs;
        let bias = weights.end..weights.end + outputs;
        self.parameters = bias.end;
        self.layers.push(Layer::Dense(Dense { inputs, outputs, weights, bias, relu }));
        outputs
    }
}

impl Layer {
    fn macs(&self) -> u64 {
        match self {
            Self::Conv(conv) => conv.macs(),
            Self::Mean(_) => 0,
            Self::Dense(dense) => (dense.inputs as u64).saturating_mul(dense.outputs as u64),
        }
    }
}

impl Dense {
    fn forward(&self, parameters: &[f32], input: &[f32], output: &mut Vec<f32>, rows: usize) {
        repeat(&parameters[self.bias.clone()], rows, output);
        let weights = Matrix::new(&parameters[self.weights.clone()], self.inputs, self.outputs);
        add_product(Matrix::new(input, rows, self.inputs), weights, output);
        if self.relu {
            output.iter_mut().for_each(|value| *value = value.max(0.0));
        }
    }

    fn backward(
        &self,
        parameters: &[f32],
        input: &[f32],
        change: &[f32],
        rows: usize,
        gradients: &mut [f32],
        further: Option<&mut Vec<f32>>,
    ) {
        let change_of = Matrix::new(change, rows, self.outputs);
        add_product(
            Matrix::transposed(input, rows, self.inputs),
            change_of,
            &mut gradients[self.weights.clone()],
        );
        add_columns(change, &mut gradients[self.bias.clone()]);
        if let Some(further) = further {
            further.clear();
            further.resize(rows * self.inputs, 0.0);
            let weights = &parameters[self.weights.clone()];
            add_product(change_of, Matrix::transposed(weights, self.inputs, self.outputs), further);
        }
    }
}

/// `[rows, cells, channels]` to `[rows, channels]`.
fn mean(map: Map, input: &[f32], output: &mut Vec<f32>) {
    output.clear();
    let share = 1.0 / map.cells() as f32;
    for row in input.chunks_exact(map.len()) {
        let start = output.len();
        output.resize(start + map.channels, 0.0);
        let sum = &mut output[start..];
        add_columns(row, sum);
        sum.iter_mut().for_each(|value| *value *= share);
    }
}

/// How a loss depends on a map, of how it depends on its means.
fn spread(map: Map, change: &[f32], further: &mut Vec<f32>) {
    further.clear();
    let share = 1.0 / map.cells() as f32;
    for row in change.chunks_exact(map.channels) {
        for _ in 0..map.cells() {
            further.extend(row.iter().map(|value| value * share));
        }
    }
}

/// No change where the output was cut off at 0.
fn rectify(change: &mut [f32], output: &[f32]) {
    for (change, output) in change.iter_mut().zip(output) {
        *change = if *output > 0.0 { *change } else { 0.0 };
    }
}

fn repeat(row: &[f32], rows: usize, output: &mut Vec<f32>) {
    output.clear();
    output.reserve(rows * row.len());
    (0..rows).for_each(|_| output.extend_from_slice(row));
}

/// Adds every row of `rows` to `sum`.
fn add_columns(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len().max(1)) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stage;

    const MAP: Map = Map { height: 5, width: 4, channels: 3 };

    fn shapes() -> Vec<Shape> {
        let stage = |channels, kernel, stride| Stage { channels, kernel, stride };
        vec![
            Shape::Linear,
            Shape::Mlp { hidden: 7 },
            Shape::Conv { stages: vec![stage(4, 3, 1)] },
            Shape::Conv { stages: vec![stage(6, 3, 2), stage(5, 3, 2)] },
            Shape::Conv { stages: vec![stage(4, 1, 1), stage(5, 5, 1), stage(3, 1, 2)] },
        ]
    }

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::keyed(&[seed]);
        (0..len).map(|_| random.normal() as f32).collect()
    }

    /// How a weighted sum of the scores depends on each parameter, and what differences say.
    #[test]
    fn gradients_are_slopes() {
        const ROWS: usize = 3;
        for shape in shapes() {
            let net = Net::new(&shape, MAP, 4);
            let parameters = random(net.parameters(), 1);
            let (input, change) = (random(ROWS * MAP.len(), 2), random(ROWS * 4, 3));
            let mut tape = Tape::default();
            let mut scores = |parameters: &[f32]| {
                net.input(&mut tape, ROWS).copy_from_slice(&input);
                let scores = net.forward(parameters, &mut tape, ROWS);
                scores.iter().zip(&change).map(|(score, change)| f64::from(score * change)).sum::<f64>()
            };
            let at = |parameter: usize, by: f32| {
                let mut moved = parameters.clone();
                moved[parameter] += by;
                moved
            };
            let slopes: Vec<f64> = (0..parameters.len())
                .map(|parameter| (scores(&at(parameter, 1e-3)) - scores(&at(parameter, -1e-3))) / 2e-3)
                .collect();
            scores(&parameters);
            let mut gradients = vec![0.0; parameters.len()];
            net.backward(&parameters, &mut tape, &change, ROWS, &mut gradients);
            let size = slopes.iter().map(|slope| slope.abs()).fold(0.0, f64::max);
            // A step may cross the edge of a rectifier; few do.
            let off = |(slope, gradient): (&f64, &f32)| (slope - f64::from(*gradient)).abs() > 0.01 * size;
            let off = slopes.iter().zip(&gradients).filter(|pair| off(*pair)).count();
            assert!(off <= parameters.len() / 50, "{shape:?}: {off} of {} are off", parameters.len());
        }
    }

    /// Every output of a convolution by its definition.
    #[test]
    fn convolutions_are_sums_over_windows() {
        let stage = |kernel, stride| Stage { channels: 2, kernel, stride };
        for stage in [stage(3, 1), stage(3, 2), stage(5, 2), stage(1, 1), stage(1, 2)] {
            let net = Net::new(&Shape::Conv { stages: vec![stage] }, MAP, 2);
            let (parameters, input) = (random(net.parameters(), 4), random(MAP.len(), 5));
            let mut tape = Tape::default();
            net.input(&mut tape, 1).copy_from_slice(&input);
            net.forward(&parameters, &mut tape, 1);
            let Layer::Conv(conv) = &net.layers()[0] else { panic!("no convolution") };
            let (kernel, padding) = (conv.kernel, conv.padding());
            for y in 0..conv.output.height {
                for (x, output) in (0..conv.output.width).flat_map(|x| [(x, 0), (x, 1)]) {
                    let mut sum = parameters[conv.bias.start + output];
                    for (row, column) in
                        (0..kernel).flat_map(|row| (0..kernel).map(move |column| (row, column)))
                    {
                        let from = (y * stage.stride + row).checked_sub(padding).filter(|y| *y < MAP.height);
                        let to = (x * stage.stride + column).checked_sub(padding).filter(|x| *x < MAP.width);
                        let Some((from, to)) = from.zip(to) else { continue };
                        for channel in 0..MAP.channels {
                            let weight = ((row * kernel + column) * MAP.channels + channel) * 2 + output;
                            sum +=
                                input[(from * MAP.width + to) * MAP.channels + channel] * parameters[weight];
                        }
                    }
                    let found = tape.values[1][(y * conv.output.width + x) * 2 + output];
                    assert!((found - sum.max(0.0)).abs() < 1e-4, "{stage:?} at {y}, {x}: {found} for {sum}");
                }
            }
        }
    }
}
