//! What heads learn from, small enough to be held for every input.

use crate::Front;
use half::f16;
use half::slice::HalfFloatSliceExt;
use kerf_tensor::{DType, NamedTensor, Tensor, TensorError};

/// The reduced tensors of a boundary, row by row.
///
/// A row takes 2 bytes for each feature: 10,000 rows of [`Front::MAX_FEATURES`] are 82 MB.
#[derive(Clone, Debug)]
pub struct Features {
    front: Front,
    /// `[rows, cells, channels]`, each row in units of its scale.
    values: Vec<f16>,
    /// Powers of two.
    scales: Vec<f32>,
}

/// Why tensors are no rows of a boundary.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FeaturesError {
    /// A tensor that heads read is not there.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// It is another than the model declares.
    #[error("`{declared}` was declared, got {dtype}{shape:?}")]
    Shape {
        /// What the model says.
        declared: String,
        /// Type of what came.
        dtype: DType,
        /// Shape of what came.
        shape: Vec<usize>,
    },
    /// Tensors of one boundary have the same rows.
    #[error("tensor `{tensor}` has {rows} rows, others of its boundary have another number")]
    Batch {
        /// The tensor.
        tensor: String,
        /// Its rows.
        rows: usize,
    },
    /// A value is NaN or infinite.
    #[error("tensor `{tensor}` holds NaN or infinity in row {row} of its batch")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The row of the batch.
        row: usize,
    },
    /// The tensor's values cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Features {
    /// No rows yet.
    pub fn new(front: Front) -> Self {
        Self { front, values: Vec::new(), scales: Vec::new() }
    }

    /// Makes room for so many further rows, and no more: growing by doubling takes up to three times as
    /// much for a while.
    pub fn reserve(&mut self, rows: usize) {
        self.values.reserve_exact(rows.saturating_mul(self.front.features()));
        self.scales.reserve_exact(rows);
    }

    /// Takes all rows of a boundary's tensors, which may hold others too. Takes none where it fails.
    pub fn push(&mut self, tensors: &[NamedTensor]) -> Result<(), FeaturesError> {
        let find = |name: &str| tensors.iter().find(|tensor| tensor.name == name).map(|found| &found.tensor);
        let missing = |name: &str| FeaturesError::Missing(name.to_owned());
        let inputs = self.front.inputs().map(|spec| find(&spec.name).ok_or_else(|| missing(&spec.name)));
        let inputs = inputs.collect::<Result<Vec<&Tensor>, _>>()?;
        let reduced = self.front.reduce(&inputs)?;
        for row in reduced.chunks_exact(self.front.features()) {
            let most = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let scale = scale(most);
            self.scales.push(scale);
            self.values.extend(row.iter().map(|value| f16::from_f32(value / scale)));
        }
        Ok(())
    }

    /// What is kept of the boundary.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Memory that the rows take.
    pub fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice()) + size_of_val(self.scales.as_slice())
    }

    /// Writes one row: `[cells, channels]`.
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) {
        let len = self.front.features();
        self.values[row * len..(row + 1) * len].convert_to_f32_slice(out);
        let scale = self.scales[row];
        if scale != 1.0 {
            out.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

/// 1 where values of up to `most` have a place in an `f16`, otherwise the power of two that makes
/// room for them.
fn scale(most: f32) -> f32 {
    const LARGEST: f32 = 32768.0;
    let mut scale = 1.0f32;
    while most / scale > LARGEST {
        scale *= 2.0;
    }
    // What is all tiny would lose its digits.
    while most > 0.0 && most / scale < 1.0 / 64.0 && scale > f32::MIN_POSITIVE {
        scale /= 2.0;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::{Dim, TensorSpec};
    use proptest::prelude::*;

    fn spec(name: &str, dims: &[usize]) -> TensorSpec {
        let batch = std::iter::once(Dim::Symbol("N".to_owned()));
        let shape = Some(batch.chain(dims.iter().map(|dim| Dim::Fixed(*dim))).collect());
        TensorSpec { name: name.to_owned(), dtype: DType::F32, shape }
    }

    fn tensor(name: &str, shape: &[usize], values: Vec<f32>) -> NamedTensor {
        NamedTensor { name: name.to_owned(), tensor: Tensor::from_vec(shape, values).unwrap() }
    }

    fn row(features: &Features, row: usize) -> Vec<f32> {
        let mut out = vec![0.0; features.front().features()];
        features.read(row, &mut out);
        out
    }

    #[test]
    fn what_is_kept() {
        let count =
            |shape: &[usize]| (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
        for (dims, shape, wanted) in [
            (&[3usize][..], &[2usize, 3][..], vec![3.0f32, 4.0, 5.0]),
            (&[2, 2, 1], &[2, 2, 2, 1], vec![4.0, 6.0, 5.0, 7.0]),
            (&[2, 3], &[2, 2, 3], vec![7.5, 8.5, 9.5, 9.0, 10.0, 11.0, 6.0, 7.0, 8.0]),
            (&[2, 1, 2, 2], &[2, 2, 1, 2, 2], vec![9.5, 13.5, 11.0, 15.0]),
        ] {
            let mut features = Features::new(Front::new(&[spec("x", dims)]).unwrap());
            features.push(&[tensor("x", shape, count(shape))]).unwrap();
            assert_eq!(features.rows(), 2);
            assert_eq!(row(&features, 1), wanted, "{shape:?}");
        }
        let mut features = Features::new(Front::new(&[spec("x", &[1, 16, 16])]).unwrap());
        features.push(&[tensor("x", &[1, 1, 16, 16], count(&[256]))]).unwrap();
        assert_eq!(row(&features, 0)[..4], [8.5, 10.5, 12.5, 14.5]);
        assert_eq!(row(&features, 0)[8..10], [40.5, 42.5]);
    }

    #[test]
    fn tensors_of_one_plane_lie_side_by_side() {
        let front = Front::new(&[spec("a", &[1, 2, 2]), spec("b", &[2, 2, 2])]).unwrap();
        let mut features = Features::new(front);
        let b = tensor("b", &[1, 2, 2, 2], (4..12).map(|value| value as f32).collect());
        let a = tensor("a", &[1, 1, 2, 2], vec![0.0, 1.0, 2.0, 3.0]);
        features.push(&[b, a]).unwrap();
        assert_eq!(row(&features, 0), [0.0, 4.0, 8.0, 1.0, 5.0, 9.0, 2.0, 6.0, 10.0, 3.0, 7.0, 11.0]);
    }

    #[test]
    fn bad_tensors_leave_nothing_behind() {
        let front = Front::new(&[spec("a", &[2]), spec("b", &[2])]).unwrap();
        let mut features = Features::new(front);
        let (a, b) = (tensor("a", &[2, 2], vec![1.0; 4]), tensor("b", &[2, 2], vec![2.0; 4]));
        let cases = [
            (vec![a.clone()], "tensor `b` is missing"),
            (
                vec![a.clone(), tensor("b", &[2, 3], vec![0.0; 6])],
                "`b: f32[N, 2]` was declared, got f32[2, 3]",
            ),
            (
                vec![a.clone(), tensor("b", &[1, 2], vec![0.0; 2])],
                "tensor `b` has 1 rows, others of its boundary have another number",
            ),
            (
                vec![a.clone(), tensor("b", &[2, 2], vec![0.0, 0.0, f32::NAN, 0.0])],
                "tensor `b` holds NaN or infinity in row 1 of its batch",
            ),
            (
                vec![tensor("a", &[2, 2], vec![0.0, f32::NEG_INFINITY, 0.0, 0.0]), b.clone()],
                "tensor `a` holds NaN or infinity in row 0 of its batch",
            ),
        ];
        for (tensors, message) in cases {
            assert_eq!(features.push(&tensors).unwrap_err().to_string(), message);
            assert_eq!(features.rows(), 0);
        }
        features.push(&[a, b]).unwrap();
        assert_eq!((features.rows(), features.bytes()), (2, 2 * (4 * 2 + 4)));
    }

    proptest! {
        /// Whatever the range of a row, its large values keep three digits.
        #[test]
        fn rows_keep_their_digits(values in proptest::collection::vec(-1.0f32..1.0, 8), power in -100i32..100) {
            let values: Vec<f32> = values.iter().map(|value| value * (power as f32).exp2()).collect();
            let mut features = Features::new(Front::new(&[spec("x", &[8])]).unwrap());
            features.push(&[tensor("x", &[1, 8], values.clone())]).unwrap();
            let most = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            for (value, kept) in values.iter().zip(row(&features, 0)) {
                prop_assert!((value - kept).abs() <= most / 1024.0, "{value} {kept}");
            }
        }
    }
}
