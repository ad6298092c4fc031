//! Mean and covariance over channels.

use crate::Samples;
use nalgebra::{DMatrix, DVector};

/// What is known of the channels' joint distribution at a position.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) mean: DVector<f64>,
    pub(crate) variance: DVector<f64>,
    /// Shrunk towards its diagonal; `None` for too many channels.
    pub(crate) covariance: Option<DMatrix<f64>>,
}

/// Channels up to which there is a transform: its time grows with their square, that of fitting
/// it with their cube.
pub(crate) const MOST_CHANNELS: usize = 768;

/// Multiplications spent on a covariance.
const EFFORT: usize = 4 << 30;

impl Moments {
    pub(crate) fn new(samples: &Samples) -> Self {
        let (channels, positions) = (samples.channels(), samples.positions().max(1));
        let mut mean: DVector<f64> = DVector::zeros(channels);
        let mut variance: DVector<f64> = DVector::zeros(channels);
        let rows =
            || samples.iter().flat_map(|sample| sample.values.chunks_exact(sample.positions()).enumerate());
        for (channel, row) in rows() {
            mean[channel] += row.iter().map(|value| f64::from(*value)).sum::<f64>() / positions as f64;
        }
        for (channel, row) in rows() {
            let square = |value: &f32| (f64::from(*value) - mean[channel]).powi(2);
            variance[channel] += row.iter().map(square).sum::<f64>() / positions as f64;
        }
        let covariance = (channels <= MOST_CHANNELS).then(|| covariance(samples, &mean, &variance));
        Self { mean, variance, covariance }
    }
}

fn covariance(samples: &Samples, mean: &DVector<f64>, variance: &DVector<f64>) -> DMatrix<f64> {
    let channels = samples.channels();
    let room = (EFFORT / (channels * channels)).max(16 * channels);
    let stride = samples.positions().div_ceil(room).max(1);
    let mut sum = DMatrix::zeros(channels, channels);
    let mut seen = 0;
    for sample in samples.iter() {
        let positions = sample.positions();
        // Different positions of each sample where not all are used.
        let chosen: Vec<usize> = (seen % stride..positions).step_by(stride).collect();
        seen += positions;
        let centred = DMatrix::from_fn(chosen.len(), channels, |row, channel| {
            sample.values[channel * positions + chosen[row]] - mean[channel] as f32
        });
        sum += (centred.transpose() * &centred).cast::<f64>() / chosen.len().max(1) as f64 * positions as f64;
    }
    let positions = samples.positions().max(1) as f64;
    let trust = 1.0 - shrinkage(channels, samples.len());
    let floor = 1e-9 * variance.mean() + f64::MIN_POSITIVE;
    DMatrix::from_fn(channels, channels, |row, column| {
        if row == column { variance[row] + floor } else { sum[(row, column)] / positions * trust }
    })
}

/// Share of the diagonal: few samples for many channels show correlations that are none. The
/// positions of a sample are alike, above all in their mean, so they do not count.
fn shrinkage(channels: usize, samples: usize) -> f64 {
    (channels as f64 / (channels as f64 + 20.0 * samples as f64)).clamp(0.01, 0.9)
}
