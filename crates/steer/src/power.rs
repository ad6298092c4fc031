//! What a joule is worth by the state of the power supply.

/// A line through points, level before the first and after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<(f64, f64)>,
}

/// Why there is no curve.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveError {
    /// There is nothing to go through.
    #[error("a curve needs a point")]
    Empty,
    /// A point that is not after the one before, or a factor that is negative or no number.
    #[error("point {index} is {at}: {factor}; points must increase, factors be 0 or more")]
    Point {
        /// Which one.
        index: usize,
        /// Where it is.
        at: f64,
        /// Its factor.
        factor: f64,
    },
}

impl Curve {
    /// Through points of a battery's level (0 empty, 1 full), or of measured watts, and the factor
    /// on the energy weight there.
    ///
    /// # Errors
    /// Points that are in no order, or no numbers.
    pub fn new(points: Vec<(f64, f64)>) -> Result<Self, CurveError> {
        if points.is_empty() {
            return Err(CurveError::Empty);
        }
        let mut before = f64::NEG_INFINITY;
        for (index, &(at, factor)) in points.iter().enumerate() {
            let is_factor = factor.is_finite() && factor >= 0.0;
            if !(at.is_finite() && at > before && is_factor) {
                return Err(CurveError::Point { index, at, factor });
            }
            before = at;
        }
        Ok(Self { points })
    }

    /// The factor at a level or at watts; 1 where that is no number: a sensor that fails changes
    /// nothing.
    pub fn at(&self, x: f64) -> f64 {
        if x.is_nan() {
            return 1.0;
        }
        let after = self.points.partition_point(|(at, _)| *at <= x);
        match (after.checked_sub(1).and_then(|it| self.points.get(it)), self.points.get(after)) {
            (Some(&(a, from)), Some(&(b, to))) => from + (to - from) * (x - a) / (b - a),
            (Some(&(_, factor)), None) | (None, Some(&(_, factor))) => factor,
            (None, None) => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_line_through_its_points() {
        let curve = Curve::new(vec![(0.1, 5.0), (0.5, 1.0), (1.0, 0.0)]).unwrap();
        for (at, wanted) in [
            (-1.0, 5.0),
            (0.1, 5.0),
            (0.3, 3.0),
            (0.5, 1.0),
            (0.75, 0.5),
            (1.0, 0.0),
            (7.0, 0.0),
            (f64::NAN, 1.0),
        ] {
            assert!((curve.at(at) - wanted).abs() < 1e-12, "{at}: {}", curve.at(at));
        }
    }

    #[test]
    fn points_that_make_no_curve_are_named() {
        assert_eq!(Curve::new(Vec::new()), Err(CurveError::Empty));
        for points in [vec![(0.5, 1.0), (0.5, 2.0)], vec![(0.0, -1.0)], vec![(f64::NAN, 1.0)]] {
            assert!(matches!(Curve::new(points), Err(CurveError::Point { .. })));
        }
    }
}
