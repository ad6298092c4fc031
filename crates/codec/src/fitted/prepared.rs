use super::{Entropy, Fitted, Quantiser, packed};
use crate::gemm::{Matrix, multiply};
use crate::grid::{Plane, View};
use crate::kernel;
use crate::{CoderError, DecodeError, EncodeError, SpecError};

/// A [`Fitted`] that was checked, with what can be computed beforehand.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) axis: usize,
    channels: usize,
    transform: Option<Affine>,
    quantisers: Vec<Quantiser>,
}

/// `y = forward · x + bias`, `x = inverse · y + mean`
#[derive(Debug)]
struct Affine {
    forward: Vec<f32>,
    bias: Vec<f32>,
    inverse: Vec<f32>,
    mean: Vec<f32>,
}

impl Prepared {
    pub(crate) fn new(fitted: &Fitted) -> Result<Self, SpecError> {
        fitted.validate()?;
        let transform = fitted.transform.as_ref().map(|transform| {
            let row = |row: &[f32]| -> f64 {
                row.iter().zip(&transform.mean).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            Affine {
                bias: transform.forward.chunks_exact(fitted.channels).map(|r| -row(r) as f32).collect(),
                forward: transform.forward.clone(),
                inverse: transform.inverse.clone(),
                mean: transform.mean.clone(),
            }
        });
        let Entropy::Packed = fitted.entropy;
        Ok(Self {
            axis: fitted.axis.into(),
            channels: fitted.channels,
            transform,
            quantisers: fitted.quantisers.clone(),
        })
    }

    /// Whether tensors of this view have the channels that the codec was fitted to.
    pub(crate) fn check(&self, view: &View) -> Result<(), CoderError> {
        if view.channels == self.channels {
            return Ok(());
        }
        Err(CoderError::Channels { axis: self.axis, fitted: self.channels, actual: view.channels })
    }

    /// The longest that a block gets.
    pub(crate) fn max_len(&self, positions: usize) -> usize {
        packed::len(&self.quantisers, positions)
    }

    /// Appends a block: `values` are rows of one channel each.
    pub(crate) fn encode(&self, values: &[f32], plane: Plane, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let components;
        let components = match &self.transform {
            None => values,
            Some(affine) => {
                components = affine.forward(values, plane.len, self.quantisers.len());
                &components
            }
        };
        // NaN and infinities of the input are in every component that has a share in them.
        if !kernel::finite(components) {
            return Err(EncodeError::NotFinite);
        }
        let mut symbols = vec![0; components.len()];
        let rows = components.chunks_exact(plane.len).zip(symbols.chunks_exact_mut(plane.len));
        for ((values, symbols), quantiser) in rows.zip(&self.quantisers) {
            kernel::symbols(values, quantiser, symbols);
        }
        packed::encode(&self.quantisers, &symbols, out);
        Ok(())
    }

    /// A block's values, rows of one channel each.
    pub(crate) fn decode(&self, block: &[u8], plane: Plane) -> Result<Vec<f32>, DecodeError> {
        let mut symbols = vec![0; self.quantisers.len() * plane.len];
        packed::decode(&self.quantisers, block, &mut symbols)?;
        let mut components = vec![0.0; symbols.len()];
        let rows = components.chunks_exact_mut(plane.len).zip(symbols.chunks_exact(plane.len));
        for ((values, symbols), quantiser) in rows.zip(&self.quantisers) {
            kernel::values(symbols, quantiser, values);
        }
        Ok(match &self.transform {
            None => components,
            Some(affine) => affine.inverse(&components, plane.len),
        })
    }
}

impl Affine {
    fn forward(&self, values: &[f32], positions: usize, components: usize) -> Vec<f32> {
        let mut out = rows_of(&self.bias, positions);
        let channels = self.mean.len();
        multiply(
            Matrix { values: &self.forward, rows: components, columns: channels },
            Matrix { values, rows: channels, columns: positions },
            &mut out,
        );
        out
    }

    fn inverse(&self, components: &[f32], positions: usize) -> Vec<f32> {
        let mut out = rows_of(&self.mean, positions);
        multiply(
            Matrix { values: &self.inverse, rows: self.mean.len(), columns: self.bias.len() },
            Matrix { values: components, rows: self.bias.len(), columns: positions },
            &mut out,
        );
        out
    }
}

/// Rows of `positions` values, all of a row alike.
fn rows_of(values: &[f32], positions: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len() * positions);
    values.iter().for_each(|value| out.resize(out.len() + positions, *value));
    out
}
