use crate::{DType, Tensor};

/// How far one tensor is from a reference of the same type and shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// max |a − ref|; infinite where only one of the two is not a number.
    pub max_abs: f64,
    /// max |ref|, over finite elements.
    pub max_ref: f64,
}

impl Difference {
    /// `max_abs / max_ref`; 0 where both are 0, infinite where only the reference is.
    pub fn relative(&self) -> f64 {
        match (self.max_abs == 0.0, self.max_ref == 0.0) {
            (true, _) => 0.0,
            (false, true) => f64::INFINITY,
            (false, false) => self.max_abs / self.max_ref,
        }
    }

    /// The larger of the two, part by part.
    pub fn worst(self, other: Self) -> Self {
        Self { max_abs: self.max_abs.max(other.max_abs), max_ref: self.max_ref.max(other.max_ref) }
    }
}

/// Compares element by element; `None` where type or shape differ. Equal infinities and
/// equal NaNs count as equal; strings are equal or infinitely far apart.
pub fn compare(tensor: &Tensor, reference: &Tensor) -> Option<Difference> {
    if tensor.dtype() != reference.dtype() || tensor.shape() != reference.shape() {
        return None;
    }
    if tensor.dtype() == DType::String {
        let max_abs = if tensor == reference { 0.0 } else { f64::INFINITY };
        return Some(Difference { max_abs, max_ref: 1.0 });
    }
    let (values, wanted) = (tensor.to_f64().ok()?, reference.to_f64().ok()?);
    Some(values.iter().zip(&wanted).fold(Difference::default(), |worst, (a, b)| {
        let max_abs = if a == b || (a.is_nan() && b.is_nan()) {
            0.0
        } else if a.is_finite() && b.is_finite() {
            (a - b).abs()
        } else {
            f64::INFINITY
        };
        let max_ref = if b.is_finite() { b.abs() } else { 0.0 };
        worst.worst(Difference { max_abs, max_ref })
    }))
}

/// Index of the largest element along the last axis, one per row; first wins a tie, NaN never wins.
/// Empty where there is no last axis, or the tensor holds strings.
pub fn top1(tensor: &Tensor) -> Vec<usize> {
    let Some(classes) = tensor.shape().last().copied().filter(|classes| *classes > 0) else {
        return Vec::new();
    };
    let Ok(values) = tensor.to_f64() else { return Vec::new() };
    values
        .chunks(classes)
        .map(|row| {
            let mut best = 0;
            for (index, value) in row.iter().enumerate() {
                if *value > row[best] || row[best].is_nan() {
                    best = index;
                }
            }
            best
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_vec(&[values.len()], values.to_vec()).unwrap()
    }

    #[test]
    fn differences() {
        let inf = f32::INFINITY;
        for (a, b, max_abs) in [
            (&[1.0, 2.0][..], &[1.0, 2.5][..], 0.5),
            (&[inf], &[inf], 0.0),
            (&[f32::NAN], &[f32::NAN], 0.0),
            (&[f32::NAN], &[1.0], f64::INFINITY),
            (&[], &[], 0.0),
        ] {
            assert_eq!(compare(&tensor(a), &tensor(b)).unwrap().max_abs, max_abs, "{a:?} against {b:?}");
        }
        assert_eq!(compare(&tensor(&[1.0]), &tensor(&[1.0, 2.0])), None);
    }

    #[test]
    fn top1_by_row() {
        let rows = Tensor::from_vec(&[2, 3], vec![0.0f32, 2.0, 1.0, f32::NAN, -1.0, -2.0]).unwrap();
        assert_eq!(top1(&rows), [1, 1]);
        assert_eq!(top1(&Tensor::from_vec(&[], vec![1.0f32]).unwrap()), [0usize; 0]);
    }
}
