//! What to ask an engine so that it tells how much the answer feels an error, and what its answers
//! mean.
//!
//! The derivative of a model is not at hand, only the model. So a sample's tensor is changed a
//! little in one direction over the channels, by `+ε` at some positions and `−ε` at others, and in
//! the opposite direction; the difference of the two answers is `2εJd`. With signs drawn at random
//! and *shared by all directions* of a sample, products of such differences are, on average, sums of
//! `dᵀJᵀJd'` over the positions. In the same way, patterns made of spatial frequencies, over random
//! directions, tell which frequencies are felt.
//!
//! ```text
//! let mut probe = Probe::new(&samples, passes, seed);
//! for sample in 0..probe.samples() {
//!     let changes = (0..probe.pairs()).map(|pair| {
//!         let (plus, minus) = probe.pair(sample, pair, &tensors[sample])?;
//!         softmax_change(&run(plus), &run(minus), 3.0)     // or any other measure of change
//!     });
//!     probe.learn(&changes.collect())?;
//! }
//! let sensitivity = probe.finish();
//! ```

use crate::basis::eigen;
use crate::cosine::Cosine;
use crate::moments::Moments;
use crate::samples::Layout;
use crate::{Samples, Sensitivity};
use half::{bf16, f16};
use kerf_random::Random;
use kerf_tensor::{DType, Tensor, TensorError};
use nalgebra::{DMatrix, DVector};

/// Estimates the [`Sensitivity`] of an answer to one tensor by finite differences.
#[derive(Clone, Debug)]
pub struct Probe {
    seed: u64,
    axis: usize,
    samples: usize,
    deviations: Vec<f32>,
    /// `[C, K]`, orthonormal.
    directions: DMatrix<f64>,
    rings: Option<Rings>,
    /// `[K, K]`, sums over samples.
    products: DMatrix<f64>,
    felt: Vec<f64>,
    learnt: usize,
}

/// Frequencies of a plane, those of about the same wavelength together.
#[derive(Clone, Debug)]
struct Rings {
    plane: (usize, usize),
    /// By coefficient.
    ring: Vec<usize>,
    count: usize,
}

/// Why a probe was of no use.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProbeError {
    /// The tensor is not one sample of the kind that the probe was made for.
    #[error("a tensor of shape {shape:?} is no sample of {channels} channels along axis {axis}")]
    Sample {
        /// Its shape.
        shape: Vec<usize>,
        /// Channels expected.
        channels: usize,
        /// Where.
        axis: usize,
    },
    /// There is no such pair, or there are more or fewer changes than pairs.
    #[error("{actual} of {pairs} pairs")]
    Pairs {
        /// The pair, or the number of changes.
        actual: usize,
        /// Pairs of a sample.
        pairs: usize,
    },
    /// Changes of different lengths, empty, NaN or infinite.
    #[error("the change of pair {pair} is not {len} finite numbers")]
    Change {
        /// The pair.
        pair: usize,
        /// How many numbers the first change was.
        len: usize,
    },
    /// The tensor's values cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// How far values are moved, in their standard deviations: about as far as coarse codecs do.
const REACH: f32 = 0.5;

/// Samples below which rather fewer directions are asked about.
const FEW: usize = 24;

impl Probe {
    /// Directions that are asked about, at most.
    pub const MAX_DIRECTIONS: usize = 256;

    /// Rings of spatial frequencies, at most.
    pub const MAX_RINGS: usize = 12;

    /// Plans questions that take about `passes` runs of the model behind the tensor.
    pub fn new(samples: &Samples, passes: usize, seed: u64) -> Self {
        let moments = Moments::new(samples);
        let rings = samples.plane().and_then(Rings::new);
        let channels = samples.channels();
        let most = if moments.covariance.is_some() { channels.min(Self::MAX_DIRECTIONS) } else { 0 };
        let of_rings = rings.as_ref().map_or(0, |rings| rings.count);
        let affordable = (passes / (2 * FEW.min(samples.len().max(1)))).saturating_sub(of_rings);
        let count = most.min(affordable);
        let directions = match moments.covariance {
            Some(covariance) if count < channels => eigen(covariance).1.columns(0, count).into_owned(),
            _ => DMatrix::identity(channels, count),
        };
        let pairs = count + of_rings;
        Self {
            seed,
            axis: samples.axis().into(),
            samples: if pairs == 0 { 0 } else { (passes / (2 * pairs)).clamp(1, samples.len().max(1)) },
            deviations: moments.variance.iter().map(|variance| variance.sqrt() as f32).collect(),
            felt: vec![0.0; of_rings],
            products: DMatrix::zeros(count, count),
            directions,
            rings,
            learnt: 0,
        }
    }

    /// How many samples to ask about; the first of those given will do.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Pairs of tensors for each sample: two passes each.
    pub fn pairs(&self) -> usize {
        self.directions.ncols() + self.felt.len()
    }

    /// The two tensors of a pair, of the type of `tensor`, the sample `sample` by itself.
    pub fn pair(&self, sample: usize, pair: usize, tensor: &Tensor) -> Result<(Tensor, Tensor), ProbeError> {
        let (shape, channels) = (tensor.shape(), self.deviations.len());
        let batch = usize::from(shape.len() >= 2 && self.axis != 0);
        let single = shape.get(self.axis) == Some(&channels) && shape[..batch].iter().all(|size| *size == 1);
        if !single || !tensor.dtype().is_float() {
            return Err(ProbeError::Sample { shape: shape.to_vec(), channels, axis: self.axis });
        }
        if pair >= self.pairs() {
            return Err(ProbeError::Pairs { actual: pair, pairs: self.pairs() });
        }
        let layout = Layout {
            outer: shape[batch..self.axis].iter().product(),
            channels,
            inner: shape[self.axis + 1..].iter().product(),
        };
        let positions = layout.outer * layout.inner;
        let (direction, pattern) = self.question(sample, pair, positions);
        if pattern.len() != positions {
            return Err(ProbeError::Sample { shape: shape.to_vec(), channels, axis: self.axis });
        }
        let values = tensor.to_f64()?;
        let moved = |by: f32| {
            let mut values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            for (channel, share) in direction.iter().enumerate() {
                for (position, weight) in pattern.iter().enumerate() {
                    values[layout.at(channel, position)] += by * share * weight;
                }
            }
            narrow(shape, values, tensor.dtype())
        };
        Ok((moved(1.0)?, moved(-1.0)?))
    }

    /// Takes the changes of the answer, from the second tensor of each pair to its first, for the
    /// next sample.
    pub fn learn(&mut self, changes: &[Vec<f32>]) -> Result<(), ProbeError> {
        if changes.len() != self.pairs() {
            return Err(ProbeError::Pairs { actual: changes.len(), pairs: self.pairs() });
        }
        let len = changes.first().map_or(0, Vec::len);
        let odd = |change: &Vec<f32>| change.len() != len || change.iter().any(|value| !value.is_finite());
        if let Some(pair) = changes.iter().position(odd) {
            return Err(ProbeError::Change { pair, len });
        }
        let (channels, rings) = changes.split_at(self.directions.ncols());
        let slopes = DMatrix::from_fn(channels.len(), len, |direction, at| {
            channels[direction][at] / (2.0 * self.reach(direction))
        });
        self.products += (&slopes * slopes.transpose()).cast::<f64>();
        for (felt, change) in self.felt.iter_mut().zip(rings) {
            *felt += change.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        }
        self.learnt += 1;
        Ok(())
    }

    /// What was learnt; `None` where the answer never changed, or nothing was asked.
    pub fn finish(self) -> Option<Sensitivity> {
        let (channels, count) = self.directions.shape();
        let weights = if count == 0 {
            DMatrix::identity(channels, channels)
        } else {
            let products = self.products / self.learnt.max(1) as f64;
            // Of directions that were not asked about, only that they vary less is known.
            let rest = if count < channels { products.trace() / count as f64 } else { 0.0 };
            let asked = &self.directions * self.directions.transpose();
            &self.directions * products * self.directions.transpose()
                + (DMatrix::identity(channels, channels) - asked) * rest
        };
        // Symmetric: column-major is row-major.
        let sensitivity = Sensitivity::new(channels, weights.as_slice(), self.learnt).ok()?;
        let Some(rings) = &self.rings else { return Some(sensitivity) };
        let shares: Vec<f64> = rings.ring.iter().map(|ring| self.felt[*ring]).collect();
        Some(sensitivity.clone().with_frequencies(rings.plane, &shares).unwrap_or(sensitivity))
    }

    /// Direction over the channels and pattern over the positions of a question.
    fn question(&self, sample: usize, pair: usize, positions: usize) -> (Vec<f32>, Vec<f32>) {
        if let Some(ring) = pair.checked_sub(self.directions.ncols()) {
            let mut random = Random::keyed(&[self.seed, 1, sample as u64, ring as u64]);
            let direction =
                self.deviations.iter().map(|deviation| random.normal() as f32 * deviation * REACH).collect();
            let pattern = self.rings.as_ref().map(|rings| rings.pattern(ring, &mut random));
            return (direction, pattern.unwrap_or_default());
        }
        let mut random = Random::keyed(&[self.seed, 0, sample as u64]);
        let reach = self.reach(pair);
        let direction = self.directions.column(pair).iter().map(|share| *share as f32 * reach).collect();
        (direction, (0..positions).map(|_| random.sign()).collect())
    }

    fn reach(&self, direction: usize) -> f32 {
        let variances = DVector::from_iterator(
            self.deviations.len(),
            self.deviations.iter().map(|deviation| f64::from(*deviation).powi(2)),
        );
        let along = self.directions.column(direction).map(|share| share * share).dot(&variances);
        // A channel that never varies is moved all the same: it may in use.
        let least = 1e-6 * variances.mean() + 1e-12;
        REACH * along.max(least).sqrt() as f32
    }
}

impl Rings {
    fn new(plane: (usize, usize)) -> Option<Self> {
        let (height, width) = plane;
        let count = height.max(width).min(Probe::MAX_RINGS);
        (height * width > 1).then(|| {
            let part = |at: usize, size: usize| at as f64 / size as f64;
            let radius = |at: usize| part(at / width, height).hypot(part(at % width, width)) * count as f64;
            // Only the mean over the plane is in the first.
            let ring =
                |at: usize| if at == 0 { 0 } else { (radius(at).round() as usize).clamp(1, count - 1) };
            Self { plane, ring: (0..height * width).map(ring).collect(), count }
        })
    }

    /// All frequencies of a ring, their signs at random; mean square 1 over the positions.
    fn pattern(&self, ring: usize, random: &mut Random) -> Vec<f32> {
        let mut pattern: Vec<f32> =
            self.ring.iter().map(|of| if *of == ring { random.sign() } else { 0.0 }).collect();
        let members = pattern.iter().filter(|value| **value != 0.0).count().max(1);
        let scale = (pattern.len() as f32 / members as f32).sqrt();
        Cosine::new(self.plane.0, self.plane.1).inverse(&mut pattern);
        pattern.iter().map(|value| value * scale).collect()
    }
}

fn narrow(shape: &[usize], values: Vec<f32>, dtype: DType) -> Result<Tensor, TensorError> {
    let values = values.into_iter();
    match dtype {
        DType::F16 => Tensor::from_vec(shape, values.map(f16::from_f32).collect()),
        DType::Bf16 => Tensor::from_vec(shape, values.map(bf16::from_f32).collect()),
        DType::F64 => Tensor::from_vec(shape, values.map(f64::from).collect()),
        _ => Tensor::from_vec(shape, values.collect::<Vec<f32>>()),
    }
}
