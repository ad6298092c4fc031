use half::f16;
use kerf_tensor::{DType, Tensor};

/// Numbers in a shape, in double precision: what expected values are worked out with.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

#[allow(clippy::expect_used, reason = "shapes and data are written next to each other in this suite")]
impl Array {
    /// These numbers in this shape.
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape: shape.to_vec(), data }
    }

    /// One number everywhere.
    pub fn filled(shape: &[usize], value: f64) -> Self {
        Self::from_fn(shape, |_| value)
    }

    /// Numbers in −1..1 that look random, are the same on every machine, and are exact in `f32`.
    pub fn ramp(shape: &[usize], seed: u64) -> Self {
        Self::from_fn(shape, |index| {
            // The finaliser of SplitMix64.
            let mut state = (seed << 32 | index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((state >> 44) as f64 - 524_288.0) / 524_288.0
        })
    }

    /// A number for each index in row-major order.
    pub fn from_fn(shape: &[usize], value: impl FnMut(usize) -> f64) -> Self {
        Self::new(shape, (0..shape.iter().product()).map(value).collect())
    }

    /// The same numbers through `f`.
    pub fn map(&self, f: impl FnMut(f64) -> f64) -> Self {
        Self::new(&self.shape, self.data.iter().copied().map(f).collect())
    }

    /// Combines with another array; dimensions of size 1 are repeated, missing ones added in front.
    pub fn zip(&self, other: &Self, mut f: impl FnMut(f64, f64) -> f64) -> Self {
        let rank = self.shape.len().max(other.shape.len());
        let padded = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
        let (a, b) = (padded(&self.shape), padded(&other.shape));
        let shape: Vec<usize> = a.iter().zip(&b).map(|(a, b)| if *a == 1 { *b } else { *a }).collect();
        Self::from_fn(&shape.clone(), |index| {
            let position = position(&shape, index);
            f(self.data[offset_of(&a, &position)], other.data[offset_of(&b, &position)])
        })
    }

    /// The number at a position.
    pub fn at(&self, position: &[usize]) -> f64 {
        self.data[offset_of(&self.shape, position)]
    }

    /// Folds away one axis, kept with size 1.
    pub fn reduce(&self, axis: usize, f: impl Fn(&[f64]) -> f64) -> Self {
        let mut shape = self.shape.clone();
        shape[axis] = 1;
        Self::from_fn(&shape.clone(), |index| {
            let mut position = position(&shape, index);
            let values: Vec<f64> = (0..self.shape[axis])
                .map(|along| {
                    position[axis] = along;
                    self.at(&position)
                })
                .collect();
            f(&values)
        })
    }

    /// Under another shape.
    pub fn reshape(mut self, shape: &[usize]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), self.data.len());
        self.shape = shape.to_vec();
        self
    }

    /// As an `f32` tensor.
    pub fn tensor(&self) -> Tensor {
        self.cast(DType::F32)
    }

    /// As a tensor of numbers of a type.
    pub fn cast(&self, dtype: DType) -> Tensor {
        fn of<T: kerf_tensor::Element>(array: &Array, f: impl Fn(f64) -> T) -> Tensor {
            let values = array.data.iter().map(|value| f(*value)).collect();
            Tensor::from_vec(&array.shape, values).expect("as many numbers as the shape says")
        }
        match dtype {
            DType::F32 => of(self, |v| v as f32),
            DType::F64 => of(self, |v| v),
            DType::F16 => of(self, f16::from_f64),
            DType::Bf16 => of(self, half::bf16::from_f64),
            DType::I8 => of(self, |v| v as i8),
            DType::I16 => of(self, |v| v as i16),
            DType::I32 => of(self, |v| v as i32),
            DType::I64 => of(self, |v| v as i64),
            DType::U8 => of(self, |v| v as u8),
            DType::U16 => of(self, |v| v as u16),
            DType::U32 => of(self, |v| v as u32),
            DType::U64 => of(self, |v| v as u64),
            DType::Bool => {
                let bytes: Vec<u8> = self.data.iter().map(|value| u8::from(*value != 0.0)).collect();
                Tensor::new(DType::Bool, self.shape.clone(), bytes.into()).expect("bytes are 0 or 1")
            }
            DType::String => {
                let strings: Vec<String> = self.data.iter().map(f64::to_string).collect();
                Tensor::from_strings(&self.shape, &strings).expect("as many as the shape says")
            }
        }
    }
}

/// A list of integers, as shape arguments are.
pub(crate) fn ints(values: &[i64]) -> Tensor {
    Array::new(&[values.len()], values.iter().map(|value| *value as f64).collect()).cast(DType::I64)
}

/// Row-major position of an index.
pub(crate) fn position(shape: &[usize], mut index: usize) -> Vec<usize> {
    let mut position = vec![0; shape.len()];
    for (axis, size) in shape.iter().enumerate().rev() {
        position[axis] = index % size;
        index /= size;
    }
    position
}

/// Row-major index of a position; axes of size 1 are repeated.
fn offset_of(shape: &[usize], position: &[usize]) -> usize {
    shape.iter().zip(position).fold(0, |offset, (size, at)| offset * size + if *size == 1 { 0 } else { *at })
}
