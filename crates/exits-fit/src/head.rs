//! A fitted head.

mod onnx;

pub use onnx::ExportError;

use crate::net::{Net, Tape};
use crate::{Features, Front, Shape, ShapeError};

/// A classifier on the tensors of a boundary.
#[derive(Clone, Debug)]
pub struct Head {
    pub(crate) front: Front,
    pub(crate) shape: Shape,
    pub(crate) classes: usize,
    pub(crate) net: Net,
    pub(crate) scaling: Scaling,
    pub(crate) parameters: Vec<f32>,
}

/// Means and spreads of a cell's features over the inputs, taken out before the first layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scaling {
    pub(crate) mean: Vec<f32>,
    /// One over the spread.
    pub(crate) factor: Vec<f32>,
}

/// Why numbers are not those of a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The head cannot have that shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Too many or too few numbers.
    #[error("{actual} numbers for a head of {expected}")]
    Length {
        /// How many it has.
        expected: usize,
        /// How many came.
        actual: usize,
    },
    /// A number is NaN or infinite.
    #[error("number {0} of the head is NaN or infinite")]
    NotFinite(usize),
}

impl Head {
    /// Rows that are scored at once.
    const BATCH: usize = 32;

    /// How many [`numbers`](Self::numbers) a head has.
    pub fn count(front: &Front, shape: &Shape, classes: usize) -> Result<usize, ShapeError> {
        Ok(2 * front.channels() + shape.net(front, classes)?.parameters())
    }

    /// The head whose [`numbers`](Self::numbers) were kept.
    pub fn restore(front: Front, shape: Shape, classes: usize, numbers: &[f32]) -> Result<Self, HeadError> {
        let net = shape.net(&front, classes)?;
        let channels = front.channels();
        let expected = 2 * channels + net.parameters();
        if numbers.len() != expected {
            return Err(HeadError::Length { expected, actual: numbers.len() });
        }
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(HeadError::NotFinite(at));
        }
        let (mean, rest) = numbers.split_at(channels);
        let (factor, parameters) = rest.split_at(channels);
        let scaling = Scaling { mean: mean.to_vec(), factor: factor.to_vec() };
        Ok(Self { front, shape, classes, net, scaling, parameters: parameters.to_vec() })
    }

    /// Everything that fitting found: with front, shape and classes it is the head again.
    pub fn numbers(&self) -> Vec<f32> {
        [self.scaling.mean.as_slice(), &self.scaling.factor, &self.parameters].concat()
    }

    /// What it keeps of its boundary.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Its layers.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Classes that it tells apart.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Multiply-accumulates for one input.
    pub fn macs(&self) -> u64 {
        self.net.macs()
    }

    /// Logits of all rows: `[rows, classes]`. `None` where the features are those of another front.
    pub fn logits(&self, features: &Features) -> Option<Vec<f32>> {
        if *features.front() != self.front {
            return None;
        }
        let mut tape = Tape::default();
        let mut logits = Vec::with_capacity(features.rows() * self.classes);
        let rows: Vec<usize> = (0..features.rows()).collect();
        for rows in rows.chunks(Self::BATCH) {
            let input = self.net.input(&mut tape, rows.len());
            for (row, input) in rows.iter().zip(input.chunks_exact_mut(features.front().features())) {
                features.read(*row, input);
                self.scaling.apply(input);
            }
            logits.extend_from_slice(self.net.forward(&self.parameters, &mut tape, rows.len()));
        }
        Some(logits)
    }
}

impl Scaling {
    /// Scales the cells of a row.
    pub(crate) fn apply(&self, row: &mut [f32]) {
        for cell in row.chunks_exact_mut(self.mean.len().max(1)) {
            for ((value, mean), factor) in cell.iter_mut().zip(&self.mean).zip(&self.factor) {
                *value = (*value - mean) * factor;
            }
        }
    }
}
