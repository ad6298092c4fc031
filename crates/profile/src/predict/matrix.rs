//! The one factorisation that all of it needs.

/// A symmetric positive definite matrix K, factored as L·Lᵀ.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    size: usize,
    /// L by rows; what is above the diagonal is not used.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors `matrix`, given by rows; `None` where it is not positive definite.
    pub(super) fn new(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        for row in 0..size {
            for column in 0..=row {
                let (a, b) = (row * size, column * size);
                let product = dot(&matrix[a..a + column], &matrix[b..b + column]);
                let value = matrix[a + column] - product;
                matrix[a + column] = if row > column {
                    value / matrix[b + column]
                } else if value > 0.0 && value.is_finite() {
                    value.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { size, lower: matrix })
    }

    /// L⁻¹·b.
    pub(super) fn forward(&self, mut b: Vec<f64>) -> Vec<f64> {
        for row in 0..self.size {
            let at = row * self.size;
            b[row] = (b[row] - dot(&self.lower[at..at + row], &b[..row])) / self.lower[at + row];
        }
        b
    }

    /// K⁻¹·b.
    pub(super) fn solve(&self, b: Vec<f64>) -> Vec<f64> {
        let mut b = self.forward(b);
        for row in (0..self.size).rev() {
            b[row] /= self.lower[row * self.size + row];
            let (value, at) = (b[row], row * self.size);
            for (left, factor) in b[..row].iter_mut().zip(&self.lower[at..at + row]) {
                *left -= value * factor;
            }
        }
        b
    }

    /// The diagonal of K⁻¹: sums of squares of the columns of L⁻¹.
    pub(super) fn inverse_diagonal(&self) -> Vec<f64> {
        let column = |index: usize| {
            let mut unit = vec![0.0; self.size];
            unit[index] = 1.0;
            self.forward(unit).iter().map(|value| value * value).sum()
        };
        (0..self.size).map(column).collect()
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_it_factored() {
        let matrix = vec![4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0];
        let factored = Cholesky::new(matrix.clone(), 3).unwrap();
        let solved = factored.solve(vec![1.0, -2.0, 0.5]);
        for (row, wanted) in [1.0, -2.0, 0.5].iter().enumerate() {
            assert!((dot(&matrix[row * 3..row * 3 + 3], &solved) - wanted).abs() < 1e-12);
        }
        for (index, value) in factored.inverse_diagonal().iter().enumerate() {
            let mut unit = vec![0.0; 3];
            unit[index] = 1.0;
            assert!((factored.solve(unit)[index] - value).abs() < 1e-12);
        }
        assert!(Cholesky::new(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
    }
}
