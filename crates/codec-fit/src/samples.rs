//! Calibration values of one tensor, sample by sample, as planes of channels.

use kerf_codec::Fitted;
use kerf_tensor::{Dim, Tensor, TensorError, TensorSpec};

/// The values that one tensor of a boundary takes, over the samples of a calibration set.
///
/// A sample is `[channels, height, width]`: `width` is the last axis that is neither batch nor
/// channels, `height` all others together. Planes of samples may differ in size.
#[derive(Clone, Debug)]
pub struct Samples {
    axis: u8,
    channels: usize,
    planes: Vec<Sample>,
    values: usize,
}

/// One sample, channel by channel.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[channels, height, width]`
    pub(crate) values: Vec<f32>,
}

impl Sample {
    pub(crate) fn positions(&self) -> usize {
        self.height * self.width
    }
}

/// Why a tensor is no sample.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SamplesError {
    /// Codes for integers and strings are lossless and need no samples.
    #[error("{0} tensors are not fitted, only floating-point ones")]
    NotFloat(kerf_tensor::DType),
    /// The tensor lacks the axis, or its size there is another.
    #[error("shape {shape:?} has no axis {axis} of {channels} channels")]
    Channels {
        /// The tensor's shape.
        shape: Vec<usize>,
        /// The channel axis.
        axis: u8,
        /// Its size.
        channels: usize,
    },
    /// NaN or infinity.
    #[error("value {index} is {value}")]
    NotFinite {
        /// Place in the tensor.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// The tensor's values cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Samples {
    /// Values that are kept at most; later samples are left out.
    pub const MAX_VALUES: usize = 1 << 24;

    /// No samples yet, of tensors with so many channels along `axis` (batch included).
    pub fn new(axis: u8, channels: usize) -> Self {
        Self { axis, channels, planes: Vec::new(), values: 0 }
    }

    /// Takes the samples of a tensor, whose axis 0 is the batch if it has two axes or more.
    /// Empty samples are passed over.
    pub fn push(&mut self, tensor: &Tensor) -> Result<(), SamplesError> {
        if !tensor.dtype().is_float() {
            return Err(SamplesError::NotFloat(tensor.dtype()));
        }
        let (shape, axis) = (tensor.shape(), usize::from(self.axis));
        if shape.get(axis) != Some(&self.channels) {
            let (axis, channels) = (self.axis, self.channels);
            return Err(SamplesError::Channels { shape: shape.to_vec(), axis, channels });
        }
        if tensor.is_empty() {
            return Ok(());
        }
        let values: Vec<f32> = tensor.to_f64()?.into_iter().map(|value| value as f32).collect();
        if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(SamplesError::NotFinite { index, value: *value });
        }
        let batch = usize::from(shape.len() >= 2 && axis != 0);
        let (outer, inner) = (shape[batch..axis].iter().product(), shape[axis + 1..].iter().product());
        let last = shape.iter().enumerate().skip(batch).rfind(|(at, _)| *at != axis);
        let width = last.map_or(1, |(_, size)| *size);
        let layout = Layout { outer, channels: self.channels, inner };
        for sample in values.chunks_exact(layout.len()) {
            if self.values + sample.len() > Self::MAX_VALUES && !self.planes.is_empty() {
                break;
            }
            self.values += sample.len();
            let height = outer * inner / width;
            self.planes.push(Sample { height, width, values: layout.planar(sample) });
        }
        Ok(())
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.planes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.planes.is_empty()
    }

    /// The channel axis, batch included.
    pub fn axis(&self) -> u8 {
        self.axis
    }

    /// Size of that axis.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of every sample, where all are alike.
    pub fn plane(&self) -> Option<(usize, usize)> {
        let first = self.planes.first().map(|sample| (sample.height, sample.width))?;
        self.planes.iter().all(|sample| (sample.height, sample.width) == first).then_some(first)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Sample> {
        self.planes.iter()
    }

    /// Positions of all samples together.
    pub(crate) fn positions(&self) -> usize {
        self.values / self.channels.max(1)
    }
}

/// The axis along which a tensor's values belong together, where it has one of fixed size: axis 1
/// of images (and of whatever has more axes than a sequence), the last axis of sequences and rows.
/// `None` for integers, scalars, and where that axis is dynamic.
pub fn channel_axis(spec: &TensorSpec) -> Option<(u8, usize)> {
    if !spec.dtype.is_float() {
        return None;
    }
    let shape = spec.shape.as_ref()?;
    let axis = match shape.len() {
        0 => return None,
        rank @ 1..=3 => rank - 1,
        _ => 1,
    };
    let Dim::Fixed(channels) = &shape[axis] else { return None };
    (1..=Fitted::MAX_CHANNELS).contains(channels).then_some((axis as u8, *channels))
}

/// A sample as it lies in its tensor.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) outer: usize,
    pub(crate) channels: usize,
    pub(crate) inner: usize,
}

impl Layout {
    pub(crate) fn len(self) -> usize {
        self.outer * self.channels * self.inner
    }

    /// Where channel `channel` at position `position` lies.
    pub(crate) fn at(self, channel: usize, position: usize) -> usize {
        (position / self.inner * self.channels + channel) * self.inner + position % self.inner
    }

    fn planar(self, sample: &[f32]) -> Vec<f32> {
        let positions = self.outer * self.inner;
        let place = |index: usize| sample[self.at(index / positions, index % positions)];
        (0..sample.len()).map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::DType;

    #[test]
    fn axes() {
        let fixed = |dims: &[usize]| dims.iter().map(|dim| Dim::Fixed(*dim)).collect::<Vec<_>>();
        let named = || Dim::Symbol("n".to_owned());
        for (dtype, shape, wanted) in [
            (DType::F32, fixed(&[1, 64, 7, 7]), Some((1, 64))),
            (DType::F16, vec![named(), named(), Dim::Fixed(384)], Some((2, 384))),
            (DType::F32, fixed(&[1, 1280]), Some((1, 1280))),
            (DType::F32, fixed(&[5]), Some((0, 5))),
            (DType::F32, fixed(&[1, 8, 2, 3, 4]), Some((1, 8))),
            (DType::F32, vec![named(), named(), named(), Dim::Fixed(3)], None),
            (DType::F32, fixed(&[]), None),
            (DType::F32, fixed(&[1, 0]), None),
            (DType::I64, fixed(&[1, 64]), None),
        ] {
            let spec = TensorSpec { name: "t".to_owned(), dtype, shape: Some(shape) };
            assert_eq!(channel_axis(&spec), wanted, "{spec:?}");
        }
    }

    #[test]
    fn values_are_gathered_by_channel() {
        for (shape, axis, first, plane) in [
            (&[2, 3, 1, 2][..], 1, [0.0, 1.0, 2.0], (1, 2)),
            (&[2, 2, 3], 2, [0.0, 3.0, 1.0], (1, 2)),
            (&[2, 2, 3, 1], 2, [0.0, 3.0, 1.0], (2, 1)),
            (&[4, 3], 1, [0.0, 1.0, 2.0], (1, 1)),
        ] {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
            let mut samples = Samples::new(axis, 3);
            samples.push(&Tensor::from_vec(shape, values).unwrap()).unwrap();
            assert_eq!(samples.len(), shape[0]);
            assert_eq!(samples.planes[0].values[..3], first, "{shape:?} around {axis}");
            assert_eq!(samples.plane(), Some(plane));
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let mut samples = Samples::new(1, 2);
        let tensor = |values: Vec<f32>| Tensor::from_vec(&[1, values.len()], values).unwrap();
        let refused = [
            tensor(vec![1.0, f32::NAN]),
            tensor(vec![1.0, f32::NEG_INFINITY]),
            tensor(vec![1.0; 3]),
            Tensor::from_vec(&[2], vec![1.0f32; 2]).unwrap(),
            Tensor::from_vec(&[1, 2], vec![1i64; 2]).unwrap(),
        ];
        for tensor in refused {
            assert!(samples.push(&tensor).is_err(), "{tensor:?}");
        }
        samples.push(&Tensor::from_vec(&[0, 2], Vec::<f32>::new()).unwrap()).unwrap();
        assert!(samples.is_empty());
        assert_eq!(samples.plane(), None);
    }
}
