//! Whether a split answer is the whole model's answer.

use kerf_bundle::Metric;
use kerf_tensor::{Difference, NamedTensor, compare, top1};

/// Answers of which this share has the top class of the whole model's pass for quantised models.
pub(crate) const AGREEMENT: f64 = 0.99;

/// What was seen at one boundary, over all samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// By output: a small answer of one sample is measured against the largest of all.
    outputs: Vec<Difference>,
    rows: usize,
    equal_rows: usize,
    /// An output that has another type or shape than the reference's.
    pub(crate) misshapen: Option<String>,
}

impl Verdict {
    /// Adds one answer.
    pub(crate) fn add(&mut self, answer: &[NamedTensor], reference: &[NamedTensor]) {
        self.outputs.resize(reference.len(), Difference::default());
        for ((output, wanted), worst) in answer.iter().zip(reference).zip(&mut self.outputs) {
            match compare(&output.tensor, &wanted.tensor) {
                Some(difference) => *worst = worst.worst(difference),
                None => {
                    self.misshapen = Some(format!(
                        "output {}: {:?} where the whole model gives {:?}",
                        wanted.name, output.tensor, wanted.tensor
                    ));
                }
            }
            // One value is no choice.
            if wanted.tensor.shape().last().is_some_and(|classes| *classes > 1) {
                let (mine, theirs) = (top1(&output.tensor), top1(&wanted.tensor));
                self.rows += theirs.len();
                self.equal_rows += mine.iter().zip(&theirs).filter(|(a, b)| a == b).count();
            }
        }
    }

    /// Largest max|a − ref| / max|ref| of all outputs.
    pub(crate) fn error(&self) -> f64 {
        self.outputs.iter().map(Difference::relative).fold(0.0, f64::max)
    }

    /// Share of equal top classes; `None` where no output holds a choice.
    pub(crate) fn agreement(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.equal_rows as f64 / self.rows as f64)
    }

    /// Choices compared.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether this passes.
    pub(crate) fn passes(&self, metric: Metric, tolerance: f64) -> bool {
        self.misshapen.is_none()
            && match (metric, self.agreement()) {
                (Metric::Top1, Some(agreement)) => agreement >= AGREEMENT,
                (Metric::Top1 | Metric::Numeric, _) => self.error() <= tolerance,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::Tensor;

    fn named(values: &[f32]) -> Vec<NamedTensor> {
        vec![NamedTensor {
            name: "y".into(),
            tensor: Tensor::from_vec(&[1, values.len()], values.to_vec()).unwrap(),
        }]
    }

    #[test]
    fn metrics() {
        let reference = named(&[1.0, 2.0]);
        for (answer, numeric, top1) in [
            (named(&[1.0, 2.0]), true, true),
            (named(&[1.0, 2.0001]), true, true),
            (named(&[1.0, 2.1]), false, true),
            (named(&[2.0, 1.0]), false, false),
            (named(&[f32::NAN, 2.0]), false, true),
            (named(&[1.0, 2.0, 3.0]), false, false),
        ] {
            let mut verdict = Verdict::default();
            verdict.add(&answer, &reference);
            let found = (verdict.passes(Metric::Numeric, 1e-4), verdict.passes(Metric::Top1, 1e-4));
            assert_eq!(found, (numeric, top1), "{answer:?}");
        }
    }

    #[test]
    fn one_answer_in_fifty_that_differs_fails_agreement() {
        let mut verdict = Verdict::default();
        for _ in 0..49 {
            verdict.add(&named(&[1.0, 2.0]), &named(&[1.0, 2.0]));
        }
        verdict.add(&named(&[2.0, 1.0]), &named(&[1.0, 2.0]));
        assert_eq!((verdict.rows(), verdict.agreement()), (50, Some(0.98)));
        assert!(!verdict.passes(Metric::Top1, 1.0));
    }
}
