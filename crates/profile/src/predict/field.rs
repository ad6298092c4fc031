//! The Gaussian process over pairs of boundaries: prior, posterior, and what follows from it.

use super::matrix::{Cholesky, dot};
use super::pairs;
use crate::RangeTime;

/// How much of what is to be expected; all but `reach` are relative to times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Cost of a cut, over the time of the whole.
    cut: f64,
    /// What no sum explains, over the range's own time.
    rest: f64,
    /// How far along the model, as a share of its work, two boundaries are alike in that.
    reach: f64,
    /// Error of a measurement beyond its own scatter.
    noise: f64,
}

impl Shape {
    const FIRST: Self = Self { cut: 0.03, rest: 0.0, reach: 0.3, noise: 0.02 };

    pub(super) fn candidates() -> impl Iterator<Item = Self> {
        let rests = [(0.0, 0.3), (0.04, 0.2), (0.12, 0.2), (0.04, 0.8), (0.12, 0.8)];
        [0.006, 0.03].into_iter().flat_map(move |cut| {
            rests.into_iter().flat_map(move |(rest, reach)| {
                [0.006, 0.025].into_iter().map(move |noise| Self { cut, rest, reach, noise })
            })
        })
    }
}

/// The prior of one model's times, in seconds.
#[derive(Clone, Debug)]
pub(super) struct Field {
    shape: Shape,
    /// Time of the whole.
    whole: f64,
    /// Expected work of each step and its standard deviation.
    steps: Vec<(f64, f64)>,
    /// Running sums of the steps' expected shares: where boundaries lie between 0 and 1.
    position: Vec<f64>,
    /// Rough times of all pairs, by which `rest` is scaled; by rows of boundaries.
    rough: Vec<f64>,
}

impl Field {
    /// From the steps' shares of the work and the measurements' scale alone.
    pub(super) fn first(shares: &[f64], timed: &[&RangeTime]) -> Option<Self> {
        let total: f64 = shares.iter().sum();
        let share = |range: &&RangeTime| {
            shares.get(range.from..range.to).map(|steps| steps.iter().sum::<f64>() / total)
        };
        let covered: f64 = timed.iter().filter_map(share).sum();
        let whole = timed.iter().map(|range| range.p50).sum::<f64>() / covered;
        if !(whole.is_finite() && whole > 0.0) {
            return None;
        }
        let even = whole / shares.len() as f64;
        let steps = shares.iter().map(|share| {
            let expected = whole * share / total;
            (expected, expected + even)
        });
        Some(Self::with(Shape::FIRST, whole, steps.collect()))
    }

    fn with(shape: Shape, whole: f64, steps: Vec<(f64, f64)>) -> Self {
        let total: f64 = steps.iter().map(|(expected, _)| expected.max(0.0)).sum();
        let mut position = vec![0.0];
        for (expected, _) in &steps {
            position.push(position.last().copied().unwrap_or(0.0) + expected.max(0.0) / total);
        }
        let rough = vec![0.0; position.len() * position.len()];
        Self { shape, whole, steps, position, rough }
    }

    fn last(&self) -> usize {
        self.steps.len()
    }

    fn mean(&self, (from, to): Pair) -> f64 {
        self.steps[from..to].iter().map(|(expected, _)| expected).sum()
    }

    fn covariance(&self, a: Pair, b: Pair) -> f64 {
        let cut = (self.shape.cut * self.whole).powi(2);
        let shared = a.0.max(b.0)..a.1.min(b.1);
        let work: f64 = match shared.is_empty() {
            true => 0.0,
            false => self.steps[shared].iter().map(|(_, sd)| sd * sd).sum(),
        };
        let start = if a.0 == b.0 && a.0 > 0 { cut } else { 0.0 };
        let end = if a.1 == b.1 && a.1 < self.last() { cut } else { 0.0 };
        // Calling the engine at all; small beside the cuts.
        let call = cut / 16.0;
        work + start + end + call + self.rest(a, b)
    }

    fn rest(&self, a: Pair, b: Pair) -> f64 {
        if self.shape.rest == 0.0 {
            return 0.0;
        }
        let count = self.position.len();
        let apart =
            (self.position[a.0] - self.position[b.0]).abs() + (self.position[a.1] - self.position[b.1]).abs();
        let scale = self.rough[a.0 * count + a.1] * self.rough[b.0 * count + b.1];
        self.shape.rest.powi(2) * scale * (-apart / self.shape.reach).exp()
    }

    /// Variance of a measured median about the range's true one.
    fn noise(&self, range: &RangeTime) -> f64 {
        // The median's standard error is 1.25 times the mean's.
        let scatter = 1.25 * range.sd.min(range.p50) / (range.runs.max(1) as f64).sqrt();
        (self.shape.noise * range.p50).powi(2) + scatter.powi(2) + 1e-12
    }
}

type Pair = (usize, usize);

/// The prior after the measurements.
#[derive(Clone, Debug)]
pub(super) struct Posterior {
    field: Field,
    at: Vec<Pair>,
    measured: Vec<f64>,
    factored: Cholesky,
    /// K⁻¹·(measured − expected).
    weights: Vec<f64>,
}

impl Posterior {
    pub(super) fn new(field: Field, timed: &[&RangeTime]) -> Option<Self> {
        let at: Vec<Pair> = timed.iter().map(|range| (range.from, range.to)).collect();
        if at.iter().any(|(from, to)| from >= to || *to > field.last()) {
            return None;
        }
        let size = at.len();
        let mut matrix = vec![0.0; size * size];
        for row in 0..size {
            for column in 0..=row {
                matrix[row * size + column] = field.covariance(at[row], at[column]);
            }
            matrix[row * size + row] += field.noise(timed[row]);
        }
        let factored = Cholesky::new(matrix, size)?;
        let measured: Vec<f64> = timed.iter().map(|range| range.p50).collect();
        let surprise =
            measured.iter().zip(&at).map(|(measured, pair)| measured - field.mean(*pair)).collect();
        let weights = factored.solve(surprise);
        Some(Self { field, at, measured, factored, weights })
    }

    /// Mean and standard deviation of a range's median.
    pub(super) fn at(&self, pair: Pair) -> (f64, f64) {
        let cross = self.cross(pair);
        let mean = self.field.mean(pair) + dot(&cross, &self.weights);
        let known = self.factored.forward(cross);
        (mean, (self.field.covariance(pair, pair) - dot(&known, &known)).max(0.0).sqrt())
    }

    /// What the cuts of a range cost, never less than nothing.
    pub(super) fn cuts(&self, (from, to): Pair) -> f64 {
        let variance = (self.field.shape.cut * self.field.whole).powi(2);
        let cost = |is_there: &dyn Fn(Pair) -> bool| {
            let weights = self.at.iter().zip(&self.weights).filter(|(pair, _)| is_there(**pair));
            (variance * weights.map(|(_, weight)| weight).sum::<f64>()).max(0.0)
        };
        let start = if from > 0 { cost(&|pair| pair.0 == from) } else { 0.0 };
        let end = if to < self.field.last() { cost(&|pair| pair.1 == to) } else { 0.0 };
        start + end
    }

    /// The work of each step, never less than a thousandth of an even share.
    pub(super) fn steps(&self) -> Vec<f64> {
        let least = 1e-3 * self.field.whole / self.field.last() as f64;
        let step = |(index, (expected, sd)): (usize, &(f64, f64))| {
            let covers = |pair: &Pair| pair.0 <= index && index < pair.1;
            let weights = self.at.iter().zip(&self.weights).filter(|(pair, _)| covers(pair));
            (expected + sd * sd * weights.map(|(_, weight)| weight).sum::<f64>()).max(least)
        };
        self.field.steps.iter().enumerate().map(step).collect()
    }

    /// The prior under another shape, with what is known now as its scale.
    pub(super) fn refined(&self, shape: Shape) -> Field {
        let work = self.steps();
        let mut position = vec![0.0];
        for step in &work {
            position.push(position.last().copied().unwrap_or(0.0) + step / work.iter().sum::<f64>());
        }
        let mut field = Field { shape, position, ..self.field.clone() };
        let (count, least) = (field.last() + 1, 1e-3 * field.whole);
        for (from, to) in pairs(field.last()) {
            field.rough[from * count + to] =
                (work[from..to].iter().sum::<f64>() + self.cuts((from, to))).max(least);
        }
        field
    }

    /// Mean and standard deviation of each measurement, had it not been made.
    pub(super) fn left_out(&self) -> Vec<(f64, f64)> {
        let inverse = self.factored.inverse_diagonal();
        let each = self.measured.iter().zip(&self.weights).zip(inverse);
        each.map(|((measured, weight), inverse)| (measured - weight / inverse, (1.0 / inverse).sqrt()))
            .collect()
    }

    /// Surprise of the measurements, each left out in turn: the less the better. One that is far off
    /// counts as four standard deviations, so that a disturbed one does not choose the prior.
    pub(super) fn score(&self) -> f64 {
        let each = self.left_out().into_iter().zip(&self.measured);
        each.map(|((mean, sd), measured)| {
            ((measured - mean) / sd).abs().min(4.0).powi(2) / 2.0 + (sd / measured).ln()
        })
        .sum()
    }

    /// `open` in the order in which measuring them takes the most relative variance from all of it.
    pub(super) fn order(&self, open: &[Pair]) -> Vec<Pair> {
        let size = open.len();
        let known: Vec<Vec<f64>> = open.iter().map(|pair| self.factored.forward(self.cross(*pair))).collect();
        let mut covariance = vec![0.0; size * size];
        for a in 0..size {
            for b in 0..=a {
                let value = self.field.covariance(open[a], open[b]) - dot(&known[a], &known[b]);
                covariance[a * size + b] = value;
                covariance[b * size + a] = value;
            }
        }
        // Below half a millisecond relative errors matter less and less.
        let scale: Vec<f64> = open.iter().map(|pair| self.at(*pair).0.max(0.0) + 5e-4).collect();
        let mut left: Vec<usize> = (0..size).collect();
        let mut order = Vec::with_capacity(size);
        while !left.is_empty() {
            let gain = |candidate: usize| {
                let noise = (self.field.shape.noise * scale[candidate]).powi(2);
                let taken = |other: &usize| (covariance[candidate * size + other] / scale[*other]).powi(2);
                left.iter().map(taken).sum::<f64>() / (covariance[candidate * size + candidate] + noise)
            };
            let best = (0..left.len()).max_by(|a, b| gain(left[*a]).total_cmp(&gain(left[*b]))).unwrap_or(0);
            let chosen = left.swap_remove(best);
            let variance =
                covariance[chosen * size + chosen] + (self.field.shape.noise * scale[chosen]).powi(2);
            let column: Vec<f64> = (0..size).map(|row| covariance[row * size + chosen]).collect();
            for row in &left {
                for other in &left {
                    covariance[row * size + other] -= column[*row] * column[*other] / variance;
                }
            }
            order.push(open[chosen]);
        }
        order
    }

    fn cross(&self, pair: Pair) -> Vec<f64> {
        self.at.iter().map(|other| self.field.covariance(pair, *other)).collect()
    }
}
