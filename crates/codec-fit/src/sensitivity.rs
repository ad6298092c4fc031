//! How much the answer feels an error in a tensor.

use nalgebra::DMatrix;

/// How much the answer feels errors: `W = E[Jᵀ J]` over channels, `J` the derivative of the answer
/// (in units in which all its changes matter alike) by the tensor, and how that is shared among
/// spatial frequencies.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Positive definite.
    pub(crate) channels: DMatrix<f64>,
    /// `[height, width]`: relative to the mean over all frequencies; `None` where not known.
    pub(crate) frequencies: Option<Vec<f64>>,
}

/// Why numbers are no sensitivity.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SensitivityError {
    /// Not as many as they must be.
    #[error("{actual} {what}, {expected} expected")]
    Length {
        /// Which list.
        what: &'static str,
        /// How many there are.
        actual: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Negative, NaN, infinite; or all are 0.
    #[error("{what} are not finite and positive")]
    Value {
        /// Which list.
        what: &'static str,
    },
}

impl Sensitivity {
    /// From `E[Jᵀ J]`, `[channels, channels]`, estimated from so many `samples`: the fewer, the more
    /// it is pulled towards equal sensitivity of all channels.
    pub fn new(channels: usize, weights: &[f64], samples: usize) -> Result<Self, SensitivityError> {
        let (what, expected) = ("weights", channels.saturating_mul(channels));
        if weights.len() != expected {
            return Err(SensitivityError::Length { what, actual: weights.len(), expected });
        }
        let weights = DMatrix::from_row_slice(channels, channels, weights);
        let mean = weights.trace() / channels.max(1) as f64;
        let usable = mean.is_finite() && mean > 0.0 && weights.diagonal().iter().all(|value| *value >= 0.0);
        if !usable || !weights.iter().all(|value| value.is_finite()) {
            return Err(SensitivityError::Value { what });
        }
        let trust = 1.0 - (6.0 / (samples as f64 + 6.0)).clamp(0.1, 0.9);
        let equal = DMatrix::identity(channels, channels) * (mean * (1.0 - trust));
        Ok(Self { channels: weights * trust + equal, frequencies: None })
    }

    /// With the share of every coefficient of the cosine transform of `height` by `width`, row-major,
    /// in any unit.
    pub fn with_frequencies(
        mut self,
        plane: (usize, usize),
        shares: &[f64],
    ) -> Result<Self, SensitivityError> {
        let (what, expected) = ("frequencies", plane.0.saturating_mul(plane.1));
        if shares.len() != expected {
            return Err(SensitivityError::Length { what, actual: shares.len(), expected });
        }
        let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        if !(mean.is_finite() && mean > 0.0) || shares.iter().any(|share| *share < 0.0) {
            return Err(SensitivityError::Value { what });
        }
        // No frequency may be dropped altogether for what a few samples say.
        self.frequencies = Some(shares.iter().map(|share| 0.95 * share / mean + 0.05).collect());
        Ok(self)
    }

    /// Mean over channels.
    pub(crate) fn mean(&self) -> f64 {
        self.channels.trace() / self.channels.nrows().max(1) as f64
    }
}

/// The change of a classifier's answer in units in which the Kullback-Leibler divergence of the
/// answers is about half its square: logits weighted by the Fisher metric of their softmax, after
/// division by `temperature`. 3 is a good temperature: classes that are only nearly as likely as
/// the first then count too, and fewer samples are needed to know which directions matter.
///
/// `plus` and `minus` are the logits of one sample with the two perturbed tensors.
pub fn softmax_change(plus: &[f32], minus: &[f32], temperature: f32) -> Vec<f32> {
    let middle: Vec<f32> = plus.iter().zip(minus).map(|(a, b)| (a + b) / 2.0 / temperature).collect();
    let highest = middle.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f32> = middle.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f32 = shares.iter().sum();
    let change: Vec<f32> = plus.iter().zip(minus).map(|(a, b)| a - b).collect();
    let mean: f32 = change.iter().zip(&shares).map(|(change, share)| change * share / total).sum();
    change.iter().zip(&shares).map(|(change, share)| (change - mean) * (share / total).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        for (weights, samples) in [
            (&[1.0, 0.0, 0.0][..], 9),
            (&[0.0; 4], 9),
            (&[1.0, 0.0, 0.0, f64::NAN], 9),
            (&[1.0, f64::INFINITY, 0.0, 1.0], 9),
            (&[1.0, 0.0, 0.0, -0.5], 9),
        ] {
            assert!(Sensitivity::new(2, weights, samples).is_err(), "{weights:?}");
        }
        let sensitivity = Sensitivity::new(2, &[1.0, 0.0, 0.0, 3.0], 9).unwrap();
        for shares in [&[1.0][..], &[0.0, 0.0], &[1.0, -1.0], &[f64::NAN, 1.0]] {
            assert!(sensitivity.clone().with_frequencies((1, 2), shares).is_err(), "{shares:?}");
        }
    }

    #[test]
    fn few_samples_are_trusted_less() {
        let ratio = |samples| {
            let channels = Sensitivity::new(2, &[1.0, 0.0, 0.0, 9.0], samples).unwrap().channels;
            channels[(1, 1)] / channels[(0, 0)]
        };
        assert!(ratio(1) < ratio(10) && ratio(10) < ratio(100) && ratio(100) < 9.0);
    }

    #[test]
    fn change_is_twice_the_divergence() {
        let (plus, minus) = ([1.0f32, 0.3, -0.5], [0.98f32, 0.31, -0.46]);
        let logs = |logits: &[f32]| {
            let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
            logits.iter().map(|logit| f64::from(*logit) - total.ln()).collect::<Vec<_>>()
        };
        let (p, q) = (logs(&plus), logs(&minus));
        let divergence: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        let change: f32 = softmax_change(&plus, &minus, 1.0).iter().map(|change| change * change).sum();
        assert!((f64::from(change) / 2.0 / divergence - 1.0).abs() < 0.02, "{change} {divergence}");
    }
}
