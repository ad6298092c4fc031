//! Products of matrices: the channel transform of fitted codecs.

/// A row-major matrix.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// Adds `a · b` to `out`, which is row-major with the rows of `a` and the columns of `b`.
///
/// # Panics
/// Where a slice is not as long as its matrix, or the matrices do not fit each other.
pub(crate) fn multiply(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    assert_eq!(a.values.len(), a.rows * a.columns);
    assert_eq!(b.values.len(), b.rows * b.columns);
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    let (row, column) = (b.columns as isize, 1);
    #[allow(unsafe_code, reason = "matrixmultiply takes pointers")]
    // SAFETY: with these strides `sgemm` reads `rows · columns` elements of `a` and `b` and writes
    // `a.rows · b.columns` of `out`; the assertions above say that the slices are as long.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.values.as_ptr(),
            a.columns as isize,
            1,
            b.values.as_ptr(),
            row,
            column,
            1.0,
            out.as_mut_ptr(),
            row,
            column,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_added() {
        let a = Matrix { values: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rows: 2, columns: 3 };
        let b = Matrix { values: &[1.0, 0.0, 0.0, 1.0, 2.0, -1.0], rows: 3, columns: 2 };
        let mut out = [10.0, 20.0, 30.0, 40.0];
        multiply(a, b, &mut out);
        assert_eq!(out, [17.0, 19.0, 46.0, 39.0]);
    }
}
