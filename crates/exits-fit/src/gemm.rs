//! Products of matrices that lie in slices, row by row.

/// A row-major matrix, or the transpose of one.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Columns as they lie in memory.
    stored: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `values` is `[rows, columns]`.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { values, rows, columns, stored: columns, transposed: false }
    }

    /// `values` is `[rows, columns]`; this is `[columns, rows]`.
    pub(crate) fn transposed(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { values, rows: columns, columns: rows, stored: columns, transposed: true }
    }

    /// Distance from one row to the next, and from one column to the next.
    fn strides(self) -> (usize, usize) {
        if self.transposed { (1, self.stored) } else { (self.stored, 1) }
    }

    fn check(&self) {
        assert!(self.rows.checked_mul(self.columns).is_some_and(|len| len == self.values.len()));
    }
}

/// Adds `a · b` to `out`, row-major.
///
/// # Panics
/// Where a slice is not as long as its matrix, or the matrices do not fit each other.
pub(crate) fn add_product(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    a.check();
    b.check();
    assert_eq!(a.columns, b.rows);
    assert!(a.rows.checked_mul(b.columns).is_some_and(|len| len == out.len()));
    let stride = |(down, right): (usize, usize)| (down as isize, right as isize);
    let ((a_down, a_right), (b_down, b_right)) = (stride(a.strides()), stride(b.strides()));
    #[allow(unsafe_code, reason = "matrixmultiply takes pointers")]
    // SAFETY: `sgemm` reads all elements of `a` and `b` and reads and writes those of `out`, at these
    // strides. The assertions say that each slice has as many elements as its matrix, so rows
    // and columns, one next to another, are all inside; no slice is longer than `isize::MAX`.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.values.as_ptr(),
            a_down,
            a_right,
            b.values.as_ptr(),
            b_down,
            b_right,
            1.0,
            out.as_mut_ptr(),
            b.columns as isize,
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_added() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 2.0, -1.0]);
        let mut out = [10.0; 4];
        add_product(Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), &mut out);
        assert_eq!(out, [17.0, 9.0, 26.0, 9.0]);
        let mut out = [0.0; 9];
        add_product(Matrix::transposed(&a, 2, 3), Matrix::transposed(&b, 3, 2), &mut out);
        assert_eq!(out, [1.0, 4.0, -2.0, 2.0, 5.0, -1.0, 3.0, 6.0, 0.0]);
    }
}
