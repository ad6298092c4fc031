//! Answers that are directions.

use crate::{Cosine, Pool, Share, Verdict};
use kerf_tensor::Tensor;

/// Why an output holds no vectors.
pub(crate) fn unfit(tensor: &Tensor) -> Option<&'static str> {
    match Vectors::of(tensor.shape()) {
        _ if !tensor.dtype().is_float() => Some("its values are no floats"),
        Some(vectors) if vectors.length > 1 => None,
        _ => Some("one value is no direction"),
    }
}

/// Vectors that a tensor holds.
pub(crate) fn count(cosine: &Cosine, tensor: &Tensor) -> u64 {
    Vectors::of(tensor.shape()).map_or(0, |vectors| vectors.count(cosine.pool) as u64)
}

pub(crate) fn judge(cosine: &Cosine, answer: &Tensor, reference: &Tensor) -> Verdict {
    let all = count(cosine, reference);
    let (Ok(given), Ok(wanted), Some(vectors)) =
        (answer.to_f64(), reference.to_f64(), Vectors::of(reference.shape()))
    else {
        return Verdict::different(all);
    };
    if answer.dtype() != reference.dtype() || answer.shape() != reference.shape() {
        return Verdict::different(all);
    }
    let (mut parts, mut distance) = (Share::default(), 0f64);
    for (given, wanted) in vectors.pooled(cosine.pool, &given).zip(vectors.pooled(cosine.pool, &wanted)) {
        let found = between(&given, &wanted);
        parts.add(found >= cosine.at_least.value());
        distance = distance.max(if found.is_nan() { f64::INFINITY } else { (1.0 - found).max(0.0) });
    }
    Verdict { same: parts.same == parts.of, parts, distance }
}

/// A tensor as samples of positions of vectors.
struct Vectors {
    samples: usize,
    positions: usize,
    length: usize,
}

impl Vectors {
    fn of(shape: &[usize]) -> Option<Self> {
        let kept = shape.iter().rposition(|dim| *dim != 1).map_or(0, |last| last + 1).max(shape.len().min(2));
        match &shape[..kept] {
            [] => None,
            [length] => Some(Self { samples: 1, positions: 1, length: *length }),
            [samples, positions @ .., length] => {
                Some(Self { samples: *samples, positions: positions.iter().product(), length: *length })
            }
        }
    }

    fn count(&self, pool: Pool) -> usize {
        match pool {
            Pool::None => self.samples * self.positions,
            Pool::Mean | Pool::First if self.positions == 0 => 0,
            Pool::Mean | Pool::First => self.samples,
        }
    }

    fn pooled(&self, pool: Pool, values: &[f64]) -> impl Iterator<Item = Vec<f64>> {
        let Self { positions, length, .. } = *self;
        let taken = match pool {
            Pool::Mean => positions,
            Pool::First | Pool::None => 1,
        };
        let step = if pool == Pool::None { length } else { positions * length };
        values.chunks_exact(step.max(1)).map(move |sample| {
            // A mean points where the sum does.
            let mut sum = vec![0.0; length];
            for vector in sample.chunks_exact(length.max(1)).take(taken) {
                sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
            }
            sum
        })
    }
}

/// The cosine; 1 of two vectors of zeros, 0 where only one is, NaN where a value is not finite.
fn between(a: &[f64], b: &[f64]) -> f64 {
    // Scaled first: squares of large values overflow, those of small ones vanish.
    let scaled = |v: &[f64]| {
        let most = v.iter().fold(0f64, |most, value| most.max(value.abs()));
        (most, v.iter().map(|value| if most > 0.0 { value / most } else { *value }).collect::<Vec<f64>>())
    };
    let ((a_most, a), (b_most, b)) = (scaled(a), scaled(b));
    if a.iter().chain(&b).any(|value| !value.is_finite()) {
        return f64::NAN;
    }
    if a_most == 0.0 || b_most == 0.0 {
        return if a_most == b_most { 1.0 } else { 0.0 };
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fraction;
    use proptest::prelude::*;

    fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_vec(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn cosines() {
        for (a, b, cosine) in [
            (&[1.0, 0.0][..], &[2.0, 0.0][..], 1.0),
            (&[1.0, 0.0], &[1.0, 1.0], 0.5f64.sqrt()),
            (&[1.0, 0.0], &[-3.0, 0.0], -1.0),
            (&[0.0, 0.0], &[0.0, 0.0], 1.0),
            (&[0.0, 0.0], &[0.0, 1.0], 0.0),
            (&[1e300, 1e300], &[1e-300, 1e-300], 1.0),
        ] {
            assert!((between(a, b) - cosine).abs() < 1e-12, "{a:?} {b:?}: {}", between(a, b));
        }
        assert!(between(&[f64::INFINITY, 0.0], &[1.0, 0.0]).is_nan());
        assert!(between(&[f64::NAN, 1.0], &[1.0, 0.0]).is_nan());
    }

    #[test]
    fn pools() {
        // Two positions, of which the second turns round.
        let reference = tensor(&[1, 2, 2], &[4.0, 0.0, 0.0, 1.0]);
        let answer = tensor(&[1, 2, 2], &[4.0, 0.0, 0.0, -1.0]);
        let by = |pool| judge(&Cosine { at_least: Fraction::percent(80), pool }, &answer, &reference);
        let (mean, first, none) = (by(Pool::Mean), by(Pool::First), by(Pool::None));
        assert!(mean.same && (mean.distance - (1.0 - 15.0 / 17.0)).abs() < 1e-9, "{mean:?}");
        assert!(first.same && first.distance.abs() < 1e-9, "{first:?}");
        assert_eq!((none.same, none.parts), (false, Share { same: 1, of: 2 }));
        assert!((none.distance - 2.0).abs() < 1e-9);
    }

    #[test]
    fn shapes_of_embeddings() {
        for (shape, vectors) in
            [(&[8][..], 1), (&[2, 8], 2), (&[2, 8, 1, 1], 2), (&[2, 3, 8], 6), (&[0, 8], 0), (&[2, 0, 8], 0)]
        {
            let pool = Cosine { at_least: Fraction::ONE, pool: Pool::None };
            let zeros = tensor(shape, &vec![0.0; shape.iter().product()]);
            assert_eq!((unfit(&zeros), count(&pool, &zeros)), (None, vectors), "{shape:?}");
            let verdict = judge(&pool, &zeros, &zeros);
            assert_eq!((verdict.same, verdict.parts.of), (true, vectors), "{shape:?}");
        }
        for shape in [&[][..], &[1], &[1, 1, 1], &[3, 0], &[8, 1]] {
            assert!(unfit(&tensor(shape, &vec![0.0; shape.iter().product()])).is_some(), "{shape:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_values_have_a_verdict(bits in prop::collection::vec(any::<u32>(), 24)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let (a, b) = (tensor(&[2, 2, 3], &values[..12]), tensor(&[2, 2, 3], &values[12..]));
            for pool in [Pool::Mean, Pool::First, Pool::None] {
                let cosine = Cosine { at_least: Fraction::percent(99), pool };
                let verdict = judge(&cosine, &a, &b);
                prop_assert!(verdict.distance >= 0.0 && verdict.parts.of == count(&cosine, &a));
            }
        }
    }
}
