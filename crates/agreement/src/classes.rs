//! Answers that choose.

use crate::{Share, Top1, Verdict};
use kerf_tensor::{DType, Tensor};

/// A probability below this counts as this much: the divergence from a class that the answer thinks
/// impossible would be infinite.
const LEAST: f64 = 1e-9;

/// Scores seen as rows of classes around an axis.
struct Rows {
    outer: usize,
    classes: usize,
    inner: usize,
}

/// Why an output holds no choice.
pub(crate) fn unfit(top1: &Top1, tensor: &Tensor) -> Option<&'static str> {
    if !tensor.dtype().is_float() {
        return None;
    }
    match Rows::of(top1, tensor.shape()) {
        None => Some("it has no such axis"),
        Some(rows) if rows.classes < 2 => Some("one value is no choice"),
        Some(_) => None,
    }
}

/// Choices that a tensor holds.
pub(crate) fn rows(top1: &Top1, tensor: &Tensor) -> u64 {
    match Rows::of(top1, tensor.shape()) {
        Some(rows) if tensor.dtype().is_float() => (rows.outer * rows.inner) as u64,
        _ => tensor.len() as u64,
    }
}

/// The choice of every row; `None` where there are no rows.
pub(crate) fn choices(top1: &Top1, tensor: &Tensor) -> Option<Vec<Option<i64>>> {
    if tensor.dtype() == DType::String {
        return None;
    }
    let values = tensor.to_f64().ok()?;
    if !tensor.dtype().is_float() {
        return Some(values.iter().map(|value| Some(*value as i64)).collect());
    }
    let rows = Rows::of(top1, tensor.shape())?;
    Some(rows.each().map(|row| largest(row.map(|at| values[at]))).collect())
}

pub(crate) fn judge(top1: &Top1, answer: &Tensor, reference: &Tensor) -> Verdict {
    let all = rows(top1, reference);
    if answer.dtype() != reference.dtype() || answer.shape() != reference.shape() {
        return Verdict::different(all);
    }
    if !reference.dtype().is_float() {
        let equal = equal_values(answer, reference);
        let parts = Share { same: equal, of: all };
        return Verdict { same: enough(top1, parts), parts, distance: 1.0 - parts.value().unwrap_or(1.0) };
    }
    let (Ok(given), Ok(wanted), Some(rows)) =
        (answer.to_f64(), reference.to_f64(), Rows::of(top1, reference.shape()))
    else {
        return Verdict::different(all);
    };
    let (mut parts, mut sum) = (Share::default(), 0.0);
    for row in rows.each() {
        let given: Vec<f64> = row.clone().map(|at| given[at]).collect();
        let wanted: Vec<f64> = row.map(|at| wanted[at]).collect();
        parts.add(largest(given.iter().copied()) == largest(wanted.iter().copied()));
        sum += divergence(&given, &wanted);
    }
    let distance = if parts.of == 0 { 0.0 } else { sum / parts.of as f64 };
    Verdict { same: enough(top1, parts), parts, distance }
}

impl Rows {
    fn of(top1: &Top1, shape: &[usize]) -> Option<Self> {
        let rank = i64::try_from(shape.len()).ok()?;
        let axis = i64::from(top1.axis);
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
        let classes = *shape.get(axis)?;
        Some(Self {
            outer: shape[..axis].iter().product(),
            classes,
            inner: shape[axis + 1..].iter().product(),
        })
    }

    /// The places of each row's scores.
    fn each(&self) -> impl Iterator<Item = impl Iterator<Item = usize> + Clone> {
        let Self { outer, classes, inner } = *self;
        (0..outer).flat_map(move |outer| {
            (0..inner).map(move |at| (0..classes).map(move |class| (outer * classes + class) * inner + at))
        })
    }
}

/// The first of the largest; `None` where nothing is a number.
fn largest(row: impl Iterator<Item = f64>) -> Option<i64> {
    let mut best: Option<(i64, f64)> = None;
    for (index, value) in (0..).zip(row) {
        if !value.is_nan() && best.is_none_or(|(_, most)| value > most) {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}

/// KL(wanted ‖ given) in nats; infinite where either is no distribution and has no softmax.
fn divergence(given: &[f64], wanted: &[f64]) -> f64 {
    let is_distribution = wanted.iter().all(|p| (0.0..=1.0 + 1e-6).contains(p))
        && (wanted.iter().sum::<f64>() - 1.0).abs() < 1e-3;
    let (given, wanted) =
        if is_distribution { (normal(given), normal(wanted)) } else { (softmax(given), softmax(wanted)) };
    let sum: f64 = wanted.iter().zip(&given).map(|(p, q)| p * (p / q).ln()).sum();
    // Rounding may make it a little less than nothing.
    if sum.is_nan() { f64::INFINITY } else { sum.max(0.0) }
}

fn normal(row: &[f64]) -> Vec<f64> {
    let floored: Vec<f64> = row.iter().map(|p| if *p < LEAST { LEAST } else { *p }).collect();
    let sum: f64 = floored.iter().sum();
    floored.into_iter().map(|p| p / sum).collect()
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    normal(&shares(scores.iter().map(|score| (score - most).exp()).collect()))
}

fn shares(weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn equal_values(answer: &Tensor, reference: &Tensor) -> u64 {
    let count = |pairs: usize| pairs as u64;
    match reference.dtype().size() {
        Some(size) => {
            let pairs = answer.data().chunks_exact(size).zip(reference.data().chunks_exact(size));
            count(pairs.filter(|(a, b)| a == b).count())
        }
        None => match (answer.strings(), reference.strings()) {
            (Ok(a), Ok(b)) => count(a.iter().zip(&b).filter(|(a, b)| a == b).count()),
            _ => 0,
        },
    }
}

fn enough(top1: &Top1, parts: Share) -> bool {
    parts.value().is_none_or(|share| share >= top1.at_least.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fraction;
    use proptest::prelude::*;

    const NAN: f32 = f32::NAN;

    fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_vec(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn ties_and_nan() {
        for (row, choice) in [
            (&[1.0, 3.0, 3.0][..], Some(1)),
            (&[NAN, -1.0, NAN, 0.0], Some(3)),
            (&[NAN, NAN], None),
            (&[f32::NEG_INFINITY, f32::NEG_INFINITY], Some(0)),
            (&[1.0, f32::INFINITY, f32::INFINITY], Some(1)),
            (&[-0.0, 0.0], Some(0)),
        ] {
            let found = choices(&Top1::default(), &tensor(&[row.len()], row)).unwrap();
            assert_eq!(found, [choice], "{row:?}");
        }
    }

    #[test]
    fn rows_of_any_axis() {
        // [1, 2 classes, 3 pixels]
        let reference = tensor(&[1, 2, 3], &[0.0, 5.0, 1.0, 1.0, 0.0, 2.0]);
        let answer = tensor(&[1, 2, 3], &[0.0, 5.0, 3.0, 1.0, 0.0, 2.0]);
        let by_pixel = Top1 { axis: 1, at_least: Fraction::percent(60) };
        assert_eq!(choices(&by_pixel, &reference).unwrap(), [Some(1), Some(0), Some(1)]);
        let verdict = judge(&by_pixel, &answer, &reference);
        assert_eq!((verdict.same, verdict.parts), (true, Share { same: 2, of: 3 }));
        assert!(!judge(&Top1 { at_least: Fraction::ONE, ..by_pixel }, &answer, &reference).same);
        assert!(unfit(&Top1 { axis: 3, ..by_pixel }, &reference).is_some());
        assert!(unfit(&Top1 { axis: -4, ..by_pixel }, &reference).is_some());
    }

    #[test]
    fn values_that_are_no_floats_are_equal_or_not() {
        let (a, b) = (Tensor::from_vec(&[3], vec![1i64, 2, 3]), Tensor::from_vec(&[3], vec![1i64, 2, 4]));
        let verdict = judge(&Top1::default(), &a.unwrap(), &b.unwrap());
        assert_eq!((verdict.same, verdict.parts), (false, Share { same: 2, of: 3 }));
        assert!((verdict.distance - 1.0 / 3.0).abs() < 1e-12);
        let strings = |text: [&str; 2]| Tensor::from_strings(&[2], &text).unwrap();
        let verdict = judge(&Top1::default(), &strings(["cat", "dog"]), &strings(["cat", "cow"]));
        assert_eq!((verdict.same, verdict.parts), (false, Share { same: 1, of: 2 }));
    }

    #[test]
    fn divergence_of_scores_and_of_distributions() {
        let ln = |a: f64| a.ln();
        // Scores are logarithms up to a constant.
        let scores = divergence(&[ln(0.5), ln(0.5)], &[ln(0.9) + 7.0, ln(0.1) + 7.0]);
        let shares = divergence(&[0.5, 0.5], &[0.9, 0.1]);
        let wanted = 0.9 * ln(1.8) + 0.1 * ln(0.2);
        assert!((scores - wanted).abs() < 1e-6 && (shares - wanted).abs() < 1e-6, "{scores} {shares}");
        assert!(divergence(&[1.0, 0.0], &[0.0, 1.0]) < 25.0, "no class is impossible");
        assert_eq!(divergence(&[f64::NAN, 0.0], &[0.3, 2.0]), f64::INFINITY);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn divergence_is_never_negative(a in prop::collection::vec(-90f64..90.0, 6), b in prop::collection::vec(-90f64..90.0, 6)) {
            prop_assert!(divergence(&a, &b) >= 0.0);
            prop_assert!(divergence(&a, &a) < 1e-12);
        }

        #[test]
        fn any_values_have_a_verdict(bits in prop::collection::vec(any::<u32>(), 12), axis in -3i32..4) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let (a, b) = (tensor(&[3, 2], &values[..6]), tensor(&[3, 2], &values[6..]));
            let verdict = judge(&Top1 { axis, ..Top1::default() }, &a, &b);
            prop_assert!(verdict.distance >= 0.0 && verdict.parts.same <= verdict.parts.of);
        }
    }
}
