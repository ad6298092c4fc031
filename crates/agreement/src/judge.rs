use crate::{Criterion, Metric, Share, boxes, classes, vectors};
use kerf_tensor::{NamedTensor, Tensor, compare};

/// What a criterion says of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Whether the answer is the same.
    pub same: bool,
    /// What was compared within the request: rows, vectors, boxes of both answers, or outputs.
    pub parts: Share,
    /// How far the answer is off, finer than `same`; 0 where it equals the reference, infinite where
    /// shapes or NaN leave nothing to compare.
    ///
    /// Top-1: the mean over rows of the Kullback-Leibler divergence of the answer's distribution from
    /// the reference's, in nats (scores become one by softmax unless they are one), or the share of
    /// values that differ where those are no floats. Cosine: 1 − the least cosine. Boxes: 1 − F1.
    /// Relative: max|a − ref| / max|ref|. The largest of all outputs.
    pub distance: f64,
}

/// Why two answers cannot be compared by a criterion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// A name that no output has.
    #[error("no output is called {name:?}; there are {known}")]
    Missing {
        /// As the criterion says.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Not one output fits.
    #[error("{metric} fits none of the outputs: {known}")]
    Nothing {
        /// The metric.
        metric: &'static str,
        /// Types and shapes.
        known: String,
    },
    /// A named output does not fit.
    #[error("output {name:?}, {tensor}: {reason}")]
    Unfit {
        /// Which.
        name: String,
        /// Its type and shape.
        tensor: String,
        /// Why.
        reason: String,
    },
}

/// What a criterion says of many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests.
    pub requests: Share,
    /// What was compared within them.
    pub parts: Share,
    /// The sum of finite distances, and how many there were.
    finite: (f64, u64),
    /// The largest distance.
    pub worst: f64,
}

impl Criterion {
    /// Compares an answer with the reference: the same names, in any order.
    ///
    /// # Errors
    /// Outputs that are missing, or that the criterion does not fit. An answer of another shape or
    /// type than the reference's is no error; it is not the same.
    pub fn judge(&self, answer: &[NamedTensor], reference: &[NamedTensor]) -> Result<Verdict, JudgeError> {
        match &self.by {
            Metric::Boxes(layout) => boxes::judge(layout, answer, reference),
            by => self.by_output(by, answer, reference),
        }
    }

    /// What an answer chooses, one a row, of the first output that [`Metric::Top1`] fits: to be
    /// compared with labels. `None` where a row has no choice; empty by other metrics.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn choices(&self, answer: &[NamedTensor]) -> Result<Vec<Option<i64>>, JudgeError> {
        let Metric::Top1(top1) = &self.by else { return Ok(Vec::new()) };
        Ok(match self.fitting(&self.by, answer)?.first() {
            Some(output) => classes::choices(top1, &output.tensor).unwrap_or_default(),
            None => Vec::new(),
        })
    }

    fn by_output(
        &self,
        by: &Metric,
        answer: &[NamedTensor],
        reference: &[NamedTensor],
    ) -> Result<Verdict, JudgeError> {
        let mut all = Verdict { same: true, parts: Share::default(), distance: 0.0 };
        for wanted in self.fitting(by, reference)? {
            let given = find(answer, &wanted.name)?;
            let one = match by {
                _ if given.tensor == wanted.tensor => Verdict::equal(parts(by, &wanted.tensor)),
                Metric::Top1(top1) => classes::judge(top1, &given.tensor, &wanted.tensor),
                Metric::Cosine(cosine) => vectors::judge(cosine, &given.tensor, &wanted.tensor),
                Metric::Relative(relative) => {
                    let off = compare(&given.tensor, &wanted.tensor).map_or(f64::INFINITY, |d| d.relative());
                    let same = off <= relative.at_most.value();
                    Verdict { same, parts: Share { same: same.into(), of: 1 }, distance: off }
                }
                Metric::Boxes(_) => Verdict::equal(0),
            };
            all = all.and(one);
        }
        Ok(all)
    }

    /// The outputs that count.
    fn fitting<'a>(
        &self,
        by: &Metric,
        outputs: &'a [NamedTensor],
    ) -> Result<Vec<&'a NamedTensor>, JudgeError> {
        if self.outputs.is_empty() {
            let found: Vec<_> = outputs.iter().filter(|output| unfit(by, &output.tensor).is_none()).collect();
            return match found.is_empty() {
                true => Err(JudgeError::Nothing { metric: by.name(), known: shapes(outputs) }),
                false => Ok(found),
            };
        }
        let named = |name: &String| {
            let output = find(outputs, name)?;
            match unfit(by, &output.tensor) {
                None => Ok(output),
                Some(reason) => Err(JudgeError::unfit(output, reason)),
            }
        };
        self.outputs.iter().map(named).collect()
    }
}

impl Verdict {
    pub(crate) fn equal(parts: u64) -> Self {
        Self { same: true, parts: Share { same: parts, of: parts }, distance: 0.0 }
    }

    pub(crate) fn different(parts: u64) -> Self {
        Self { same: false, parts: Share { same: 0, of: parts }, distance: f64::INFINITY }
    }

    fn and(self, other: Self) -> Self {
        Self {
            same: self.same && other.same,
            parts: self.parts.and(other.parts),
            distance: self.distance.max(other.distance),
        }
    }
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict) {
        self.requests.add(verdict.same);
        self.parts = self.parts.and(verdict.parts);
        if verdict.distance.is_finite() {
            self.finite = (self.finite.0 + verdict.distance, self.finite.1 + 1);
        }
        self.worst = self.worst.max(verdict.distance);
    }

    /// Mean of the finite distances; for boxes 1 − this is the mean F1. `None` without any.
    pub fn mean_distance(&self) -> Option<f64> {
        let (sum, count) = self.finite;
        (count > 0).then(|| sum / count as f64)
    }
}

impl Metric {
    /// `top1`, `cosine`, `boxes` or `relative`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Top1(_) => "top1",
            Self::Cosine(_) => "cosine",
            Self::Boxes(_) => "boxes",
            Self::Relative(_) => "relative",
        }
    }
}

impl JudgeError {
    pub(crate) fn unfit(output: &NamedTensor, reason: impl Into<String>) -> Self {
        let tensor = format!("{}{:?}", output.tensor.dtype(), output.tensor.shape());
        Self::Unfit { name: output.name.clone(), tensor, reason: reason.into() }
    }
}

pub(crate) fn find<'a>(outputs: &'a [NamedTensor], name: &str) -> Result<&'a NamedTensor, JudgeError> {
    outputs.iter().find(|output| output.name == name).ok_or_else(|| {
        let known: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
        JudgeError::Missing { name: name.into(), known: known.join(", ") }
    })
}

fn unfit(by: &Metric, tensor: &Tensor) -> Option<&'static str> {
    match by {
        Metric::Top1(top1) => classes::unfit(top1, tensor),
        Metric::Cosine(_) => vectors::unfit(tensor),
        Metric::Boxes(_) | Metric::Relative(_) => None,
    }
}

fn parts(by: &Metric, tensor: &Tensor) -> u64 {
    match by {
        Metric::Top1(top1) => classes::rows(top1, tensor),
        Metric::Cosine(cosine) => vectors::count(cosine, tensor),
        Metric::Boxes(_) | Metric::Relative(_) => 1,
    }
}

fn shapes(outputs: &[NamedTensor]) -> String {
    let each = outputs.iter().map(|o| format!("{}: {}{:?}", o.name, o.tensor.dtype(), o.tensor.shape()));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
        NamedTensor { name: name.into(), tensor: Tensor::from_vec(shape, values.to_vec()).unwrap() }
    }

    fn criterion(text: &str) -> Criterion {
        text.parse().unwrap()
    }

    #[test]
    fn all_outputs_that_fit_count() {
        let reference = [
            named("a", &[1, 3], &[1.0, 2.0, 3.0]),
            named("b", &[1, 2], &[0.0, 1.0]),
            named("c", &[1, 1], &[7.0]),
        ];
        let mut answer = reference.clone();
        answer[2] = named("c", &[1, 1], &[9.0]);
        assert!(criterion("top1").judge(&answer, &reference).unwrap().same, "one value is no choice");
        answer[1] = named("b", &[1, 2], &[1.0, 0.0]);
        answer.reverse();
        let verdict = criterion("top1").judge(&answer, &reference).unwrap();
        assert_eq!((verdict.same, verdict.parts), (false, Share { same: 1, of: 2 }));
        assert!(criterion("top1@a").judge(&answer, &reference).unwrap().same);
        let relative = criterion("relative:0.3").judge(&answer, &reference).unwrap();
        assert_eq!(
            (relative.same, relative.parts, relative.distance),
            (false, Share { same: 2, of: 3 }, 1.0)
        );
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let outputs = [named("a", &[2], &[1.0, 2.0]), named("p", &[1, 1], &[1.0])];
        for (text, message) in [
            ("top1@x", "no output is called \"x\"; there are a, p"),
            ("top1@p", "output \"p\", f32[1, 1]: one value is no choice"),
        ] {
            let error = criterion(text).judge(&outputs, &outputs).unwrap_err().to_string();
            assert_eq!(error, message);
        }
        let error = criterion("cosine:0.9").judge(&outputs[1..], &outputs[1..]).unwrap_err().to_string();
        assert_eq!(error, "cosine fits none of the outputs: p: f32[1, 1]");
        let missing = criterion("top1").judge(&outputs[1..], &outputs).unwrap_err().to_string();
        assert_eq!(missing, "no output is called \"a\"; there are p");
    }

    #[test]
    fn equal_answers_are_the_same_whatever_they_hold() {
        let outputs = [named("a", &[2, 2], &[f32::NAN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY])];
        for text in ["top1", "cosine:1", "relative:1e-9"] {
            let verdict = criterion(text).judge(&outputs, &outputs).unwrap();
            assert!(verdict.same && verdict.distance == 0.0, "{text}");
        }
    }

    #[test]
    fn other_shapes_are_not_the_same() {
        let (two, three) = ([named("a", &[1, 2], &[0.0, 1.0])], [named("a", &[1, 3], &[0.0, 1.0, 0.0])]);
        for text in ["top1", "cosine:0.1", "relative:9"] {
            let verdict = criterion(text).judge(&three, &two).unwrap();
            assert!(!verdict.same && verdict.distance == f64::INFINITY, "{text}: {verdict:?}");
        }
    }

    #[test]
    fn many_requests() {
        let mut tally = Tally::default();
        assert_eq!(tally.mean_distance(), None);
        let off = Verdict { same: false, parts: Share { same: 1, of: 2 }, distance: 0.5 };
        for verdict in [Verdict::equal(2), off, Verdict::different(2)] {
            tally.add(&verdict);
        }
        assert_eq!((tally.requests, tally.parts), (Share { same: 1, of: 3 }, Share { same: 3, of: 6 }));
        assert_eq!((tally.mean_distance(), tally.worst), (Some(0.25), f64::INFINITY));
    }

    #[test]
    fn choices_are_those_of_the_first_output_that_fits() {
        let answer =
            [named("p", &[2, 1], &[0.1, 0.9]), named("a", &[2, 3], &[0.0, 1.0, 1.0, f32::NAN, -1.0, -2.0])];
        assert_eq!(criterion("top1").choices(&answer).unwrap(), [Some(1), Some(1)]);
        assert!(criterion("relative:1").choices(&answer).unwrap().is_empty());
    }
}
