//! The whole model's answers, which heads learn to give.

use kerf_exits::Kind;
use kerf_tensor::{DType, Dim, Tensor, TensorError, TensorSpec};

/// How far the sum of probabilities may be from 1: outputs of 16 bits round each of a thousand.
const TOLERANCE: f64 = 0.03;

/// The answers of the whole model to every input, in the order of the features.
#[derive(Clone, Debug)]
pub struct Teacher {
    output: TensorSpec,
    kind: Kind,
    classes: usize,
    /// `[rows, classes]`
    log_probabilities: Vec<f32>,
    /// None at all, or one for each row.
    labels: Vec<Option<u32>>,
}

/// Why answers are not those of a classifier.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TeacherError {
    /// The output has another shape or type.
    #[error("output `{0}` is not that of a classifier: floating-point, [N, classes] with 2 classes or more")]
    NotClassifier(String),
    /// An answer is another than the model declares.
    #[error("output `{declared}` was declared, got {dtype}{shape:?}")]
    Shape {
        /// What the model says.
        declared: String,
        /// Type of what came.
        dtype: DType,
        /// Shape of what came.
        shape: Vec<usize>,
    },
    /// A score is NaN or infinite.
    #[error("output `{output}` holds {value} for class {class} in row {row} of its batch")]
    NotFinite {
        /// The output.
        output: String,
        /// The row of the batch.
        row: usize,
        /// The class.
        class: usize,
        /// What is there.
        value: f64,
    },
    /// Scores that were said to be probabilities, or their logarithms, are not.
    #[error("output `{output}` was said to hold {kind:?}, in row {row} of its batch they sum to {sum:.3}")]
    Sum {
        /// The output.
        output: String,
        /// What it was said to hold.
        kind: Kind,
        /// The row of the batch.
        row: usize,
        /// Sum of the probabilities.
        sum: f64,
    },
    /// Not one label for each row.
    #[error("{labels} labels for {rows} inputs")]
    Labels {
        /// Labels given.
        labels: usize,
        /// Rows so far.
        rows: usize,
    },
    /// A label that is no class.
    #[error("label {label} of input {row} is not one of the {classes} classes, which count from 0")]
    Label {
        /// The row.
        row: usize,
        /// Its label.
        label: u32,
        /// Classes of the model.
        classes: usize,
    },
    /// The answer's values cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Teacher {
    /// No answers yet, of a model with this output: `[N, classes]`, perhaps with axes of size 1 behind.
    pub fn new(output: &TensorSpec, kind: Kind) -> Result<Self, TeacherError> {
        let classes = match output.shape.as_deref() {
            Some([_, Dim::Fixed(classes), rest @ ..]) if rest.iter().all(|dim| *dim == Dim::Fixed(1)) => {
                *classes
            }
            _ => 0,
        };
        if classes < 2 || !output.dtype.is_float() {
            return Err(TeacherError::NotClassifier(output.to_string()));
        }
        Ok(Self { output: output.clone(), kind, classes, log_probabilities: Vec::new(), labels: Vec::new() })
    }

    /// Takes the answers to a batch. Takes none where it fails.
    pub fn push(&mut self, scores: &Tensor) -> Result<(), TeacherError> {
        let mut declared = self.output.clone();
        if let Some(first) = declared.shape.as_mut().and_then(|shape| shape.first_mut()) {
            *first = Dim::Symbol("N".to_owned());
        }
        if !declared.accepts(scores) {
            let (dtype, shape) = (scores.dtype(), scores.shape().to_vec());
            return Err(TeacherError::Shape { declared: self.output.to_string(), dtype, shape });
        }
        let values = scores.to_f64()?;
        let mut rows = Vec::with_capacity(values.len());
        for (row, scores) in values.chunks_exact(self.classes).enumerate() {
            self.check(row, scores)?;
            rows.extend(self.log_probabilities(scores));
        }
        self.log_probabilities.extend(rows);
        if !self.labels.is_empty() {
            self.labels.resize(self.rows(), None);
        }
        Ok(())
    }

    /// Sets what is right, where that is known: the class of every row so far, or `None`.
    pub fn label(&mut self, labels: &[Option<u32>]) -> Result<(), TeacherError> {
        let rows = self.rows();
        if labels.len() != rows {
            return Err(TeacherError::Labels { labels: labels.len(), rows });
        }
        let beyond = |label: &Option<u32>| label.is_some_and(|label| label as usize >= self.classes);
        if let Some((row, Some(label))) = labels.iter().enumerate().find(|(_, label)| beyond(label)) {
            return Err(TeacherError::Label { row, label: *label, classes: self.classes });
        }
        self.labels = labels.to_vec();
        Ok(())
    }

    /// How many answers there are.
    pub fn rows(&self) -> usize {
        self.log_probabilities.len() / self.classes
    }

    /// Classes of the model.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The model's output.
    pub fn output(&self) -> &TensorSpec {
        &self.output
    }

    /// What its scores are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The class of the model's answer; the first of equals.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn top1(&self, row: usize) -> usize {
        first_largest(self.row(row))
    }

    /// Classes that the model never answers, ascending: no head can learn to.
    pub fn unseen(&self) -> Vec<usize> {
        let mut seen = vec![false; self.classes];
        (0..self.rows()).for_each(|row| seen[self.top1(row)] = true);
        (0..self.classes).filter(|class| !seen[*class]).collect()
    }

    /// Log-probabilities of a row.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.log_probabilities[row * self.classes..(row + 1) * self.classes]
    }

    /// What is right of a row.
    pub(crate) fn right(&self, row: usize) -> Option<usize> {
        self.labels.get(row).copied().flatten().map(|label| label as usize)
    }

    fn check(&self, row: usize, scores: &[f64]) -> Result<(), TeacherError> {
        let bad = |value: &f64| match self.kind {
            Kind::LogProbabilities => value.is_nan() || *value == f64::INFINITY,
            Kind::Logits | Kind::Probabilities => !value.is_finite(),
        };
        let output = || self.output.name.clone();
        if let Some(class) = scores.iter().position(bad) {
            return Err(TeacherError::NotFinite { output: output(), row, class, value: scores[class] });
        }
        let sum = if self.kind == Kind::Logits { 1.0 } else { sum(self.kind, scores) };
        // NaN is not near 1 either.
        if (sum - 1.0).abs() <= TOLERANCE {
            return Ok(());
        }
        Err(TeacherError::Sum { output: output(), kind: self.kind, row, sum })
    }

    /// Normalised, and none so small that a power of it would vanish.
    fn log_probabilities(&self, scores: &[f64]) -> impl Iterator<Item = f32> {
        const LEAST: f64 = -40.0;
        let logit = |score: &f64| match self.kind {
            Kind::Probabilities => score.max(1e-12).ln(),
            Kind::Logits | Kind::LogProbabilities => *score,
        };
        let logits: Vec<f64> = scores.iter().map(logit).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
        let shift = most + sum.ln();
        logits.into_iter().map(move |logit| (logit - shift).max(LEAST) as f32)
    }
}

/// Sum of the probabilities; NaN where one is outside `[0, 1]`.
fn sum(kind: Kind, row: &[f64]) -> f64 {
    let probability = |score: &f64| match kind {
        Kind::Probabilities => *score,
        Kind::Logits | Kind::LogProbabilities => score.exp(),
    };
    let inside = |value: f64| if (-1e-3..=1.0 + 1e-2).contains(&value) { value } else { f64::NAN };
    row.iter().map(|score| inside(probability(score))).sum()
}

pub(crate) fn first_largest(row: &[f32]) -> usize {
    let better = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
    (0..row.len()).fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dtype: DType, dims: &str) -> TensorSpec {
        let dim = |dim: &str| dim.parse().map_or_else(|_| Dim::Symbol(dim.to_owned()), Dim::Fixed);
        let shape = Some(dims.split_whitespace().map(dim).collect());
        TensorSpec { name: "y".to_owned(), dtype, shape }
    }

    fn rows(values: &[f32]) -> Tensor {
        Tensor::from_vec(&[values.len() / 2, 2], values.to_vec()).unwrap()
    }

    fn teacher(kind: Kind) -> Teacher {
        Teacher::new(&spec(DType::F32, "N 2"), kind).unwrap()
    }

    #[test]
    fn only_classifiers_teach() {
        for (dtype, dims, classes) in [
            (DType::F32, "N 10", Some(10)),
            (DType::F16, "1 2", Some(2)),
            (DType::F32, "N 1000 1 1", Some(1000)),
            (DType::F32, "N 1", None),
            (DType::F32, "N classes", None),
            (DType::F32, "10", None),
            (DType::F32, "1 3549 85", None),
            (DType::I64, "N 10", None),
        ] {
            let teacher = Teacher::new(&spec(dtype, dims), Kind::Logits);
            assert_eq!(teacher.ok().map(|teacher| teacher.classes()), classes, "{dtype} {dims}");
        }
    }

    #[test]
    fn answers_are_the_same_in_any_form() {
        let (kinds, expected) = (
            [
                (Kind::Logits, [5.0, 5.0 + 3.0f32.ln()]),
                (Kind::Probabilities, [0.25, 0.75]),
                (Kind::LogProbabilities, [0.25f32.ln(), 0.75f32.ln()]),
            ],
            [0.25f32.ln(), 0.75f32.ln()],
        );
        for (kind, scores) in kinds {
            let mut teacher = teacher(kind);
            teacher.push(&rows(&scores)).unwrap();
            let apart = teacher.row(0).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-6, "{kind:?} {:?}", teacher.row(0));
            assert_eq!((teacher.top1(0), teacher.unseen()), (1, vec![0]));
        }
    }

    #[test]
    fn bad_answers_leave_nothing_behind() {
        let nan = f32::NAN;
        for (kind, scores, message) in [
            (Kind::Logits, [0.0, 1.0, nan, 0.0], "output `y` holds NaN for class 0 in row 1 of its batch"),
            (
                Kind::Logits,
                [0.0, f32::INFINITY, 0.0, 0.0],
                "output `y` holds inf for class 1 in row 0 of its batch",
            ),
            (
                Kind::Probabilities,
                [0.5, 0.5, 0.9, 0.9],
                "output `y` was said to hold Probabilities, in row 1 of its batch they sum to 1.800",
            ),
            (
                Kind::LogProbabilities,
                [3.0, 1.0, 0.0, 0.0],
                "output `y` was said to hold LogProbabilities, in row 0 of its batch they sum to NaN",
            ),
        ] {
            let mut teacher = teacher(kind);
            assert_eq!(teacher.push(&rows(&scores)).unwrap_err().to_string(), message);
            assert_eq!(teacher.rows(), 0);
        }
        let other = teacher(Kind::Logits).push(&Tensor::from_vec(&[1, 3], vec![0.0f32; 3]).unwrap());
        assert_eq!(other.unwrap_err().to_string(), "output `y: f32[N, 2]` was declared, got f32[1, 3]");
        teacher(Kind::LogProbabilities).push(&rows(&[0.0, f32::NEG_INFINITY])).unwrap();
    }

    #[test]
    fn labels_are_classes_one_for_each_row() {
        let mut teacher = teacher(Kind::Logits);
        teacher.push(&rows(&[0.0, 1.0, 2.0, 0.0])).unwrap();
        let few = teacher.label(&[Some(1)]).unwrap_err();
        assert_eq!(few.to_string(), "1 labels for 2 inputs");
        let high = teacher.label(&[None, Some(2)]).unwrap_err();
        assert_eq!(high.to_string(), "label 2 of input 1 is not one of the 2 classes, which count from 0");
        teacher.label(&[None, Some(1)]).unwrap();
        teacher.push(&rows(&[0.0, 1.0])).unwrap();
        assert_eq!([0, 1, 2].map(|row| teacher.right(row)), [None, Some(1), None]);
    }
}
