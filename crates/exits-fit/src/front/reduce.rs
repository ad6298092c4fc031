//! Tensors to maps of features, as the nodes of a head would.

use super::{Front, Keep, Part};
use crate::FeaturesError;
use half::{bf16, f16};
use kerf_tensor::{DType, Tensor, TensorError};
use std::borrow::Cow;

impl Front {
    /// The features of all rows of a boundary's tensors: `[rows, cells, channels]`. `tensors` are
    /// those of [`Front::inputs`], in that order.
    pub(crate) fn reduce(&self, tensors: &[&Tensor]) -> Result<Vec<f32>, FeaturesError> {
        let mut rows = None;
        for (part, tensor) in self.parts.iter().zip(tensors) {
            let found = part.rows(tensor)?;
            if *rows.get_or_insert(found) != found {
                return Err(FeaturesError::Batch { tensor: part.spec.name.clone(), rows: found });
            }
        }
        let mut features = vec![0.0; rows.unwrap_or(0) * self.map.len()];
        let mut offset = 0;
        for (part, tensor) in self.parts.iter().zip(tensors) {
            let values = floats(tensor)?;
            let len = values.len() / rows.unwrap_or(1).max(1);
            let rows = values.chunks_exact(len.max(1)).zip(features.chunks_exact_mut(self.map.len()));
            for (row, (values, features)) in rows.enumerate() {
                let mut target = Target { features, channels: self.map.channels, offset };
                if !part.reduce(values, tensor.shape(), &mut target) {
                    return Err(FeaturesError::NotFinite { tensor: part.spec.name.clone(), row });
                }
            }
            offset += part.kept_channels();
        }
        Ok(features)
    }
}

impl Part {
    /// Rows of a tensor that is of the declared type and shape, whatever its batch.
    fn rows(&self, tensor: &Tensor) -> Result<usize, FeaturesError> {
        let batch = tensor.shape().first().copied().unwrap_or(0);
        let mut declared = self.spec.clone();
        if let Some(first) = declared.shape.as_mut().and_then(|shape| shape.first_mut()) {
            *first = kerf_tensor::Dim::Fixed(batch);
        }
        if !declared.accepts(tensor) || tensor.is_empty() {
            let shape = tensor.shape().to_vec();
            return Err(FeaturesError::Shape {
                declared: self.spec.to_string(),
                dtype: tensor.dtype(),
                shape,
            });
        }
        Ok(batch)
    }

    /// False where a value that is read is NaN or infinite, or its mean is too large for an `f32`.
    fn reduce(&self, values: &[f32], shape: &[usize], target: &mut Target<'_>) -> bool {
        let channels = self.channels;
        let mut finite = true;
        let mut put = |cell: usize, channel: usize, value: f32| {
            finite &= value.is_finite();
            target.put(cell, channel, value);
        };
        match self.keep {
            Keep::Values => values.iter().enumerate().for_each(|(channel, value)| put(0, channel, *value)),
            Keep::Sequence => {
                for channel in 0..channels {
                    let along = values[channel..].iter().step_by(channels);
                    let (mean, most) = summary(along.copied(), values.len() / channels);
                    put(0, channel, mean);
                    put(0, channels + channel, most);
                    put(0, 2 * channels + channel, values[channel]);
                }
            }
            Keep::Plane => {
                for (channel, plane) in values.chunks_exact(values.len() / channels).enumerate() {
                    let (mean, most) = summary(plane.iter().copied(), plane.len());
                    put(0, channel, mean);
                    put(0, channels + channel, most);
                }
            }
            Keep::Cells { rows, columns } => {
                let (down, across) = self.cells();
                let width = shape[3];
                for (channel, plane) in values.chunks_exact(shape[2] * width).enumerate() {
                    for cell in 0..down * across {
                        let corner = cell / across * rows * width + cell % across * columns;
                        if (rows, columns) == (1, 1) {
                            put(cell, channel, plane[corner]);
                            continue;
                        }
                        let lines = (0..rows).map(|row| corner + row * width);
                        let inside = lines.flat_map(|start| &plane[start..start + columns]);
                        put(cell, channel, summary(inside.copied(), rows * columns).0);
                    }
                }
            }
        }
        finite
    }
}

/// A row of features, and the first of its channels to fill.
struct Target<'a> {
    features: &'a mut [f32],
    channels: usize,
    offset: usize,
}

impl Target<'_> {
    fn put(&mut self, cell: usize, channel: usize, value: f32) {
        self.features[cell * self.channels + self.offset + channel] = value;
    }
}

/// Mean and maximum.
fn summary(values: impl Iterator<Item = f32>, count: usize) -> (f32, f32) {
    let (sum, most) = values.fold((0.0f64, f32::NEG_INFINITY), |(sum, most), value| {
        (sum + f64::from(value), if value > most { value } else { most })
    });
    ((sum / count as f64) as f32, most)
}

fn floats(tensor: &Tensor) -> Result<Cow<'_, [f32]>, TensorError> {
    Ok(match tensor.dtype() {
        DType::F32 => tensor.elements::<f32>()?,
        DType::F16 => tensor.elements::<f16>()?.iter().map(|value| value.to_f32()).collect(),
        DType::Bf16 => tensor.elements::<bf16>()?.iter().map(|value| value.to_f32()).collect(),
        _ => tensor.to_f64()?.into_iter().map(|value| value as f32).collect(),
    })
}
