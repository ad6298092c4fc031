//! Products of matrices: the linear transforms of fitted codecs.

/// A matrix in a slice: element `(i, j)` is at `i · down + j · right`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) down: usize,
    pub(crate) right: usize,
}

impl Layout {
    pub(crate) fn row_major(rows: usize, columns: usize) -> Self {
        Self { rows, columns, down: columns, right: 1 }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, down: self.right, right: self.down }
    }

    /// Elements from the first to the last.
    fn extent(&self) -> usize {
        match (self.rows, self.columns) {
            (0, _) | (_, 0) => 0,
            (rows, columns) => (rows - 1) * self.down + (columns - 1) * self.right + 1,
        }
    }
}

/// Adds `a · b` to `out`.
///
/// # Panics
/// Where a slice is shorter than its matrix, the matrices do not fit each other, or elements of
/// `out` share a place.
pub(crate) fn multiply(a: (&[f32], Layout), b: (&[f32], Layout), out: (&mut [f32], Layout)) {
    let ((a, of_a), (b, of_b), (out, of_out)) = (a, b, out);
    assert!(of_a.extent() <= a.len() && of_b.extent() <= b.len() && of_out.extent() <= out.len());
    assert_eq!((of_a.columns, of_a.rows, of_b.columns), (of_b.rows, of_out.rows, of_out.columns));
    let (rows, columns) = (of_out.rows, of_out.columns);
    let apart = |far: usize, near: usize, count: usize| near > 0 && far > near * count.saturating_sub(1);
    assert!(apart(of_out.down, of_out.right, columns) || apart(of_out.right, of_out.down, rows));
    let stride = |stride: usize| stride as isize;
    #[allow(unsafe_code, reason = "matrixmultiply takes pointers")]
    // SAFETY: `sgemm` reads the elements of `a` and `b` and reads and writes those of `out`, at these
    // strides; the assertions say that all of them are inside their slices and those of `out` are
    // different places. Slices are never longer than `isize::MAX`, so strides fit.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            of_a.columns,
            columns,
            1.0,
            a.as_ptr(),
            stride(of_a.down),
            stride(of_a.right),
            b.as_ptr(),
            stride(of_b.down),
            stride(of_b.right),
            1.0,
            out.as_mut_ptr(),
            stride(of_out.down),
            stride(of_out.right),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_added_whatever_the_layout() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 2.0, -1.0]);
        let (of_a, of_b) = (Layout::row_major(2, 3), Layout::row_major(3, 2));
        let square = Layout::row_major(2, 2);
        let mut out = [10.0, 20.0, 30.0, 40.0];
        multiply((&a, of_a), (&b, of_b), (&mut out, square));
        assert_eq!(out, [17.0, 19.0, 46.0, 39.0]);
        let mut out = [0.0; 4];
        multiply((&a, of_a), (&b, of_b), (&mut out, square.transposed()));
        assert_eq!(out, [7.0, 16.0, -1.0, -1.0]);
        let mut out = [0.0; 9];
        multiply((&a, of_a.transposed()), (&b, of_b.transposed()), (&mut out, Layout::row_major(3, 3)));
        assert_eq!(out, [1.0, 4.0, -2.0, 2.0, 5.0, -1.0, 3.0, 6.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "extent")]
    fn slices_must_be_long_enough() {
        multiply(
            (&[1.0], Layout::row_major(1, 1)),
            (&[1.0; 2], Layout::row_major(1, 2)),
            (&mut [0.0], Layout::row_major(1, 2)),
        );
    }

    #[test]
    #[should_panic(expected = "apart")]
    fn results_must_not_overlap() {
        let overlapping = Layout { rows: 2, columns: 2, down: 1, right: 1 };
        multiply(
            (&[1.0; 2], Layout::row_major(2, 1)),
            (&[1.0; 2], Layout::row_major(1, 2)),
            (&mut [0.0; 4], overlapping),
        );
    }
}
