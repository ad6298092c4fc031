//! Inputs that a model can make sense of, without anyone providing them.
//!
//! Random bits are no input: an embedding index must be in its table, a mask is zeros and ones,
//! and a quantised classifier answers the same class to all white noise. So floats with the
//! shape of pictures become smooth random fields, other floats N(0, 1), and integers stay in a
//! range that the graph tells. The same seed gives the same tensors everywhere.
//!
//! Whether pixels are normalised or 0 to 255 no graph tells. It matters: a detector made for
//! levels amplifies rounding a hundredfold on inputs around 0, until no two engines agree, and
//! not even one with itself. [`Generator::settle_pixels`] therefore tries.

mod range;

use kerf_graph::Model;
use kerf_random::Random;
use kerf_tensor::{DType, Dim, NamedTensor, Tensor, TensorError, TensorSpec};
use range::Range;
use std::collections::BTreeMap;

/// Bytes of one generated tensor; a binding that asks for more is a mistake.
const MAX_BYTES: usize = 1 << 30;

/// Makes inputs for one model.
pub struct Generator<'a> {
    model: &'a Model,
    bound: BTreeMap<String, usize>,
    batch: Option<String>,
    ranges: Vec<Range>,
    pixels: Pixels,
}

/// What floats in the shape of pictures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Around 0, spread about 1.
    Normalised,
    /// 0 to 255.
    Levels,
}

/// A change of the input by one part in a million shall change the answer by no more than twenty.
const STEADY: f64 = 20.0;
const NUDGE: f64 = 1e-6;

/// Why there are no inputs for a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputsError {
    /// A size was given for a symbol that the model lacks.
    #[error("{name} is no symbolic dimension; the model's inputs have {known}")]
    Symbol {
        /// As given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// An input takes strings.
    #[error("input {0} takes strings, which no engine here runs")]
    Strings(String),
    /// An input has no rank.
    #[error("input {0} has no shape in the model, not even a rank; export it with one")]
    Shape(String),
    /// An input would take more than a gibibyte.
    #[error("input {input} would be {shape:?}: too large to generate; --bind sets sizes")]
    TooLarge {
        /// Which one.
        input: String,
        /// Its shape as bound and guessed.
        shape: Vec<usize>,
    },
    /// A shape and its bytes do not fit.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl<'a> Generator<'a> {
    /// `bind` sets sizes of symbols; each must be one of the model's.
    ///
    /// # Errors
    /// A symbol that the model lacks; inputs of strings, or without a rank.
    pub fn new(model: &'a Model, bind: &[(String, usize)]) -> Result<Self, InputsError> {
        let symbols = model.symbols();
        for (name, _) in bind {
            if !symbols.contains(name) {
                let known = if symbols.is_empty() { "none".into() } else { symbols.join(", ") };
                return Err(InputsError::Symbol { name: name.clone(), known });
            }
        }
        if let Some(spec) = model.inputs().iter().find(|spec| spec.dtype == DType::String) {
            return Err(InputsError::Strings(spec.to_string()));
        }
        if let Some(spec) = model.inputs().iter().find(|spec| spec.shape.is_none()) {
            return Err(InputsError::Shape(spec.name.clone()));
        }
        let ranges = model.inputs().iter().map(|spec| range::of(model, spec)).collect();
        Ok(Self {
            model,
            bound: bind.iter().cloned().collect(),
            batch: batch_symbol(model),
            ranges,
            pixels: Pixels::Normalised,
        })
    }

    /// What floats in the shape of pictures are.
    pub fn pixels(&self) -> Pixels {
        self.pixels
    }

    /// The symbol that a batch's size replaces, if the model has one that the user left free.
    pub fn batch_symbol(&self) -> Option<&str> {
        self.batch.as_deref().filter(|symbol| !self.bound.contains_key(*symbol))
    }

    /// Chooses the pixels at which `amplification`, of a request and the same request nudged, is
    /// small: the first that is, else the smallest.
    ///
    /// # Errors
    /// Those of `amplification`, and of [`Generator::sample`].
    pub fn settle_pixels<E: From<InputsError>>(
        &mut self,
        mut amplification: impl FnMut(&[NamedTensor], &[NamedTensor]) -> Result<f64, E>,
    ) -> Result<(), E> {
        let is_picture = |spec: &TensorSpec| spec.dtype.is_float() && picture(&self.shape(spec, 1)).is_some();
        if !self.model.inputs().iter().any(is_picture) {
            return Ok(());
        }
        let mut best = (f64::INFINITY, Pixels::Normalised);
        for pixels in [Pixels::Normalised, Pixels::Levels] {
            self.pixels = pixels;
            let request = self.sample(0, 1)?;
            let found = amplification(&request, &nudged(&request)?)? / NUDGE;
            if found < best.0 {
                best = (found, pixels);
            }
            if found <= STEADY {
                break;
            }
        }
        self.pixels = best.1;
        Ok(())
    }

    /// One request: a batch of `batch` where that is free.
    pub fn sample(&self, seed: u64, batch: usize) -> Result<Vec<NamedTensor>, InputsError> {
        let specs = self.model.inputs().iter().zip(&self.ranges).enumerate();
        specs
            .map(|(index, (spec, range))| {
                let shape = self.shape(spec, batch);
                let bytes = shape.iter().try_fold(8usize, |product, dim| product.checked_mul(*dim));
                if bytes.is_none_or(|bytes| bytes > MAX_BYTES) {
                    return Err(InputsError::TooLarge { input: spec.to_string(), shape });
                }
                let mut random = Random::new(seed.wrapping_mul(0x1_0000).wrapping_add(index as u64));
                let tensor = fill(spec.dtype, &shape, *range, self.pixels, &mut random)?;
                Ok(NamedTensor { name: spec.name.clone(), tensor })
            })
            .collect()
    }

    fn shape(&self, spec: &TensorSpec, batch: usize) -> Vec<usize> {
        let dims = spec.shape.as_deref().unwrap_or_default();
        let size = |(axis, dim): (usize, &Dim)| match dim {
            Dim::Fixed(size) => *size,
            Dim::Symbol(name) => match self.bound.get(name) {
                Some(size) => *size,
                None if self.batch.as_ref() == Some(name) || axis == 0 => batch,
                None => guess(spec, axis),
            },
        };
        dims.iter().enumerate().map(size).collect()
    }
}

/// The first dimension of the first input that has a symbol there.
pub fn batch_symbol(model: &Model) -> Option<String> {
    model.inputs().iter().find_map(|spec| match spec.shape.as_deref()?.first()? {
        Dim::Symbol(name) => Some(name.clone()),
        Dim::Fixed(_) => None,
    })
}

/// A symbol that is no batch: a side of a picture, samples of a signal, tokens of a text.
fn guess(spec: &TensorSpec, axis: usize) -> usize {
    let rank = spec.shape.as_ref().map_or(0, Vec::len);
    match (spec.dtype.is_float() || spec.dtype == DType::U8, rank) {
        (true, 4 | 5) if axis == 1 => 3,
        (true, 4 | 5) => 224,
        (true, _) => 512,
        (false, _) => 16,
    }
}

fn fill(
    dtype: DType,
    shape: &[usize],
    range: Range,
    pixels: Pixels,
    random: &mut Random,
) -> Result<Tensor, TensorError> {
    let count: usize = shape.iter().product();
    let level = |value: f64| (value * 64.0 + 128.0).clamp(0.0, 255.0).floor();
    let values: Vec<f64> = match (range, picture(shape)) {
        (Range::Integers(below), _) => (0..count).map(|_| random.below(below) as f64).collect(),
        (Range::Always(value), _) => vec![value as f64; count],
        (Range::Levels, Some(layout)) => field(&layout, random).into_iter().map(level).collect(),
        (Range::Levels, None) => (0..count).map(|_| random.below(256) as f64).collect(),
        (Range::Reals, Some(layout)) => match pixels {
            Pixels::Normalised => field(&layout, random),
            Pixels::Levels => field(&layout, random).into_iter().map(level).collect(),
        },
        (Range::Reals, None) => (0..count).map(|_| random.normal()).collect(),
    };
    let mut data = Vec::with_capacity(count * dtype.size().unwrap_or(1));
    for value in values {
        push(&mut data, dtype, value);
    }
    Tensor::new(dtype, shape.to_vec(), data.into())
}

/// The same request with its 32-bit floats changed in their last digits.
fn nudged(request: &[NamedTensor]) -> Result<Vec<NamedTensor>, InputsError> {
    let mut random = Random::new(u64::MAX);
    let nudge = |named: &NamedTensor| {
        if named.tensor.dtype() != DType::F32 {
            return Ok(named.clone());
        }
        let values = named.tensor.elements::<f32>()?;
        let values = values.iter().map(|value| (f64::from(*value) * (1.0 + NUDGE * random.normal())) as f32);
        let tensor = Tensor::from_vec(named.tensor.shape(), values.collect::<Vec<f32>>())?;
        Ok(NamedTensor { name: named.name.clone(), tensor })
    };
    request.iter().map(nudge).collect()
}

fn push(data: &mut Vec<u8>, dtype: DType, value: f64) {
    match dtype {
        DType::F32 => data.extend((value as f32).to_le_bytes()),
        DType::F64 => data.extend(value.to_le_bytes()),
        DType::F16 => data.extend(half::f16::from_f64(value).to_le_bytes()),
        DType::Bf16 => data.extend(half::bf16::from_f64(value).to_le_bytes()),
        DType::I8 => data.extend((value as i8).to_le_bytes()),
        DType::I16 => data.extend((value as i16).to_le_bytes()),
        DType::I32 => data.extend((value as i32).to_le_bytes()),
        DType::I64 => data.extend((value as i64).to_le_bytes()),
        DType::U8 => data.push(value as u8),
        DType::U16 => data.extend((value as u16).to_le_bytes()),
        DType::U32 => data.extend((value as u32).to_le_bytes()),
        DType::U64 => data.extend((value as u64).to_le_bytes()),
        DType::Bool => data.push(u8::from(value != 0.0)),
        // Refused when the generator was made.
        DType::String => {}
    }
}

struct PictureShape {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    interleaved: bool,
}

/// Whether a shape is that of pictures: four dimensions, one to four channels, sides of 8 or more.
fn picture(shape: &[usize]) -> Option<PictureShape> {
    let [batch, a, b, c] = *shape else { return None };
    let of = |channels, height, width, interleaved| {
        let fits = (1..=4).contains(&channels) && height >= 8 && width >= 8;
        fits.then_some(PictureShape { batch, channels, height, width, interleaved })
    };
    of(a, b, c, false).or_else(|| of(c, a, b, true))
}

/// A sum of a few waves for each channel, with some noise: roughly N(0, 1), and different enough
/// from picture to picture that a classifier answers different classes.
fn field(shape: &PictureShape, random: &mut Random) -> Vec<f64> {
    const WAVES: usize = 4;
    let (rows, columns) = (shape.height, shape.width);
    let mut out = vec![0.0; shape.batch * shape.channels * rows * columns];
    for item in 0..shape.batch {
        let shared: Vec<[f64; 3]> = (0..WAVES)
            .map(|_| [random.normal() * 4.0, random.normal() * 4.0, random.unit() * std::f64::consts::TAU])
            .collect();
        for channel in 0..shape.channels {
            let offset = random.normal() * 0.5;
            let weights: Vec<f64> = (0..WAVES).map(|_| random.normal() * 0.6).collect();
            for row in 0..rows {
                for column in 0..columns {
                    let (y, x) = (row as f64 / rows as f64, column as f64 / columns as f64);
                    let waves = shared.iter().zip(&weights).map(|([fy, fx, phase], weight)| {
                        weight * (std::f64::consts::TAU * (fy * y + fx * x) * 0.5 + phase).sin()
                    });
                    let value = offset + waves.sum::<f64>() + random.normal() * 0.2;
                    let pixel = (item * rows + row) * columns + column;
                    let at = if shape.interleaved {
                        pixel * shape.channels + channel
                    } else {
                        ((item * shape.channels + channel) * rows + row) * columns + column
                    };
                    out[at] = value;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_graph::NoExternalData;

    #[test]
    fn pixels_are_those_at_which_the_model_is_steady() {
        let model = Model::load(kerf_testbed::models::tiny_classifier(), &NoExternalData).unwrap();
        let is_normalised =
            |request: &[NamedTensor]| request[0].tensor.to_f64().unwrap().iter().any(|value| *value < 0.0);
        for (normalised, levels, chosen) in
            [(1.0, 1.0, Pixels::Normalised), (50.0, 5.0, Pixels::Levels), (30.0, 40.0, Pixels::Normalised)]
        {
            let mut generator = Generator::new(&model, &[]).unwrap();
            let settle = |request: &[NamedTensor], nudged: &[NamedTensor]| {
                assert_ne!(request, nudged);
                Ok::<_, InputsError>(if is_normalised(request) { normalised * NUDGE } else { levels * NUDGE })
            };
            generator.settle_pixels(settle).unwrap();
            assert_eq!(generator.pixels, chosen);
        }
    }

    #[test]
    fn tensors_are_what_their_type_can_hold() {
        for (dtype, range, low, high) in [
            (DType::F32, Range::Reals, -8.0, 8.0),
            (DType::Bf16, Range::Reals, -8.0, 8.0),
            (DType::U8, Range::Levels, 0.0, 255.0),
            (DType::I64, Range::Integers(7), 0.0, 6.0),
            (DType::I32, Range::Always(16_000), 16_000.0, 16_000.0),
            (DType::Bool, Range::Integers(2), 0.0, 1.0),
        ] {
            for shape in [&[2, 3, 16, 16][..], &[1, 16, 16, 3], &[5, 40], &[]] {
                let make =
                    |seed| fill(dtype, shape, range, Pixels::Normalised, &mut Random::new(seed)).unwrap();
                let tensor = make(1);
                assert_eq!((tensor.dtype(), tensor.shape()), (dtype, shape));
                let values = tensor.to_f64().unwrap();
                assert!(values.iter().all(|v| (low..=high).contains(v)), "{dtype}{shape:?}: {values:?}");
                assert_eq!(make(1), tensor);
                if !matches!(range, Range::Always(_)) && shape.len() == 4 {
                    assert_ne!(make(2), tensor, "{dtype}{shape:?}");
                }
            }
        }
    }
}
