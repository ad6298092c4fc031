//! The transform over channels: what is left are components that are uncorrelated, and equally
//! felt by the answer.
//!
//! With `Σ` the covariance of the channels and `W` how much the answer feels an error in them, the
//! eigenvectors `U` of `√W Σ √W` give `forward = Uᵀ √W` and `inverse = √W⁻¹ U`: the Karhunen-Loève
//! transform of the weighted channels. One step size for all components is then right: it spends
//! bits where an error would be felt (reverse water-filling), and components that vary by less
//! than a step cost nothing.

use crate::moments::Moments;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// A transform over channels and its inverse, components by falling variance.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    /// `[K, C]`
    pub(crate) forward: DMatrix<f64>,
    /// `[C, K]`
    pub(crate) inverse: DMatrix<f64>,
}

impl Basis {
    /// `None` where there are too many channels for one. `weights` must be positive definite.
    pub(crate) fn new(moments: &Moments, weights: Option<&DMatrix<f64>>) -> Option<Self> {
        let covariance = moments.covariance.clone()?;
        let Some(weights) = weights else {
            let (_, vectors) = eigen(covariance);
            return Some(Self { forward: vectors.transpose(), inverse: vectors });
        };
        let (values, vectors) = eigen(weights.clone());
        let power = |exponent: f64| {
            let powers = values.map(|value| value.max(values[0] * 1e-9).powf(exponent));
            &vectors * DMatrix::from_diagonal(&powers) * vectors.transpose()
        };
        let (root, back) = (power(0.5), power(-0.5));
        let (_, vectors) = eigen(&root * covariance * &root);
        Some(Self { forward: vectors.transpose() * root, inverse: back * vectors })
    }
}

/// Eigenvalues, falling, and eigenvectors, signs chosen so that equal input gives equal output.
pub(crate) fn eigen(matrix: DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
    // Rounding errors would break the symmetry that the algorithm counts on.
    let symmetric = (&matrix + matrix.transpose()) * 0.5;
    let eigen = SymmetricEigen::new(symmetric);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let values = DVector::from_iterator(order.len(), order.iter().map(|at| eigen.eigenvalues[*at]));
    let columns: Vec<_> = order
        .iter()
        .map(|at| {
            let column = eigen.eigenvectors.column(*at);
            let sign = if column[column.icamax()] < 0.0 { -1.0 } else { 1.0 };
            column * sign
        })
        .collect();
    (values, DMatrix::from_columns(&columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn positive(size: usize, values: &[f64]) -> DMatrix<f64> {
        let root = DMatrix::from_fn(size, size, |row, column| values[(row * size + column) % values.len()]);
        &root * root.transpose() + DMatrix::identity(size, size) * 0.1
    }

    fn moments(covariance: DMatrix<f64>) -> Moments {
        let size = covariance.nrows();
        Moments { mean: DVector::zeros(size), variance: covariance.diagonal(), covariance: Some(covariance) }
    }

    fn distance(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
        (a - b).abs().max()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn components_are_uncorrelated_and_come_back(
            size in 1usize..12,
            values in prop::collection::vec(-2.0..2.0f64, 40),
            other in prop::collection::vec(-2.0..2.0f64, 31),
        ) {
            let (covariance, weights) = (positive(size, &values), positive(size, &other));
            let basis = Basis::new(&moments(covariance.clone()), Some(&weights)).unwrap();
            let identity = DMatrix::identity(size, size);
            prop_assert!(distance(&(&basis.inverse * &basis.forward), &identity) < 1e-6);
            let components = &basis.forward * &covariance * basis.forward.transpose();
            let diagonal = DMatrix::from_diagonal(&components.diagonal());
            prop_assert!(distance(&components, &diagonal) < 1e-6 * components.trace());
            let variances = components.diagonal();
            prop_assert!(variances.as_slice().windows(2).all(|pair| pair[0] >= pair[1] * (1.0 - 1e-9)));
            // An error of one step in any component is felt alike.
            let felt = basis.inverse.transpose() * &weights * &basis.inverse;
            prop_assert!(distance(&felt, &identity) < 1e-6);
        }

        #[test]
        fn equal_weights_are_none(size in 1usize..10, values in prop::collection::vec(-2.0..2.0f64, 37)) {
            let moments = moments(positive(size, &values));
            let plain = Basis::new(&moments, None).unwrap();
            let weighted = Basis::new(&moments, Some(&DMatrix::identity(size, size))).unwrap();
            let project = |basis: &Basis| &basis.forward * moments.covariance.as_ref().unwrap() * basis.forward.transpose();
            prop_assert!(distance(&project(&plain), &project(&weighted)) < 1e-6 * plain.forward.nrows() as f64);
            let orthogonal = &plain.forward * plain.forward.transpose();
            prop_assert!(distance(&orthogonal, &DMatrix::identity(size, size)) < 1e-9);
        }
    }
}
