//! The cosine transform of planes, as [`kerf_codec::Spatial`] has it.

use nalgebra::DMatrix;

/// Orthonormal DCT-II of planes of one size.
pub(crate) struct Cosine {
    rows: DMatrix<f32>,
    columns: DMatrix<f32>,
}

impl Cosine {
    pub(crate) fn new(height: usize, width: usize) -> Self {
        Self { rows: matrix(height), columns: matrix(width) }
    }

    /// Replaces every plane of `planes`, row-major, by its coefficients.
    pub(crate) fn forward(&self, planes: &mut [f32]) {
        self.apply(planes, |plane| &self.columns * plane * self.rows.transpose());
    }

    /// Replaces coefficients by their plane.
    pub(crate) fn inverse(&self, planes: &mut [f32]) {
        self.apply(planes, |plane| self.columns.transpose() * plane * &self.rows);
    }

    fn apply(&self, planes: &mut [f32], product: impl Fn(DMatrix<f32>) -> DMatrix<f32>) {
        let (height, width) = (self.rows.nrows(), self.columns.nrows());
        for plane in planes.chunks_exact_mut(height * width) {
            // Row-major is the transpose of what nalgebra reads.
            let product = product(DMatrix::from_column_slice(width, height, plane));
            plane.copy_from_slice(product.as_slice());
        }
    }
}

/// `[frequency, place]`
fn matrix(size: usize) -> DMatrix<f32> {
    DMatrix::from_fn(size, size, |frequency, place| {
        let scale = if frequency == 0 { 1.0 } else { 2.0 } / size as f64;
        let angle = std::f64::consts::PI * (place as f64 + 0.5) * frequency as f64 / size as f64;
        (scale.sqrt() * angle.cos()) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_plane_is_one_coefficient_and_comes_back() {
        let cosine = Cosine::new(2, 3);
        let mut plane = vec![2.0f32; 6];
        cosine.forward(&mut plane);
        assert!((plane[0] - 2.0 * 6f32.sqrt()).abs() < 1e-5);
        assert!(plane[1..].iter().all(|value| value.abs() < 1e-5), "{plane:?}");
        cosine.inverse(&mut plane);
        assert!(plane.iter().all(|value| (value - 2.0).abs() < 1e-5));
    }

    #[test]
    fn columns_vary_along_rows() {
        let cosine = Cosine::new(3, 4);
        let mut coefficients = vec![0.0f32; 24];
        coefficients[12 + 1] = 1.0;
        cosine.inverse(&mut coefficients);
        assert!(coefficients[..12].iter().all(|value| *value == 0.0));
        assert_eq!(coefficients[12..16], coefficients[16..20]);
        assert!(coefficients[12] > coefficients[13] && coefficients[14] > coefficients[15]);
    }
}
