//! How far a head's scores are from what they should say.

use super::Options;
use crate::Teacher;

/// The loss of single rows.
///
/// It is the divergence between the model's answer and the head's, both made flatter by the
/// temperature `t`, times `t²`, so that its slopes are as large at any temperature; and where there is
/// a label, in some share, the label's cross-entropy.
pub(super) struct Loss<'a> {
    teacher: &'a Teacher,
    temperature: f32,
    labels: f32,
}

impl<'a> Loss<'a> {
    pub(super) fn new(teacher: &'a Teacher, options: &Options) -> Self {
        Self { teacher, temperature: options.temperature, labels: options.labels }
    }

    /// Loss of a row's scores, and into `slopes` how it depends on each.
    pub(super) fn of(&self, row: usize, scores: &[f32], slopes: &mut [f32], spare: &mut Vec<f32>) -> f64 {
        let (temperature, answer) = (self.temperature, self.teacher.row(row));
        let label = self.label(row);
        let (of_label, of_answer) = label.map_or((0.0, 1.0), |_| (self.labels, 1.0 - self.labels));
        spare.resize(scores.len(), 0.0);
        let theirs = softmax(answer, temperature, spare);
        let ours = softmax(scores, temperature, slopes);
        let mut divergence = 0.0;
        for (((score, answer), slope), wanted) in
            scores.iter().zip(answer).zip(&mut *slopes).zip(spare.iter())
        {
            divergence += wanted * ((answer - score) / temperature - (theirs - ours));
            *slope = of_answer * temperature * (*slope - wanted);
        }
        let mut loss = of_answer * temperature * temperature * divergence;
        if let Some(label) = label {
            let log = softmax(scores, 1.0, spare);
            loss += of_label * (log - scores[label]);
            spare[label] -= 1.0;
            slopes.iter_mut().zip(spare).for_each(|(slope, value)| *slope += of_label * *value);
        }
        loss.into()
    }

    /// The same without temperature, in nats: what heads are compared by.
    pub(super) fn distance(&self, row: usize, scores: &[f32], spare: &mut Vec<f32>) -> f64 {
        spare.resize(scores.len(), 0.0);
        let (log, answer) = (softmax(scores, 1.0, spare), self.teacher.row(row));
        let terms = scores.iter().zip(answer).map(|(score, answer)| answer.exp() * (answer - score + log));
        let divergence: f64 = terms.map(f64::from).sum();
        self.label(row).map_or(divergence, |label| {
            let of_label = f64::from(self.labels);
            (1.0 - of_label) * divergence + of_label * f64::from(log - scores[label])
        })
    }

    /// What is right, where that counts.
    fn label(&self, row: usize) -> Option<usize> {
        self.teacher.right(row).filter(|_| self.labels > 0.0)
    }
}

/// Probabilities at a temperature, and the logarithm of what they were divided by.
fn softmax(scores: &[f32], temperature: f32, probabilities: &mut [f32]) -> f32 {
    probabilities.iter_mut().zip(scores).for_each(|(value, score)| *value = score / temperature);
    let most = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in probabilities.iter_mut() {
        *value = (*value - most).exp();
        sum += *value;
    }
    probabilities.iter_mut().for_each(|value| *value /= sum);
    most + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_exits::Kind;
    use kerf_tensor::{DType, Dim, Tensor, TensorSpec};

    const ANSWER: [f32; 3] = [2.0, 0.5, -1.0];

    fn teacher() -> Teacher {
        let shape = Some(vec![Dim::Symbol("N".to_owned()), Dim::Fixed(3)]);
        let output = TensorSpec { name: "y".to_owned(), dtype: DType::F32, shape };
        let mut teacher = Teacher::new(&output, Kind::Logits).unwrap();
        teacher.push(&Tensor::from_vec(&[1, 3], ANSWER.to_vec()).unwrap()).unwrap();
        teacher.label(&[Some(2)]).unwrap();
        teacher
    }

    #[test]
    fn slopes_are_those_of_the_loss() {
        let (teacher, scores) = (teacher(), [0.3, 1.0, -0.4]);
        for (temperature, labels) in [(1.0, 0.0), (4.0, 0.0), (0.5, 0.3), (3.0, 1.0)] {
            let loss = Loss::new(&teacher, &Options { temperature, labels, ..Options::default() });
            let (mut slopes, mut spare) = ([0.0; 3], Vec::new());
            loss.of(0, &scores, &mut slopes, &mut spare);
            for class in 0..3 {
                let mut at = |by: f32| {
                    let mut moved = scores;
                    moved[class] += by;
                    loss.of(0, &moved, &mut [0.0; 3], &mut spare)
                };
                let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
                let found = f64::from(slopes[class]);
                assert!((slope - found).abs() < 2e-3, "{temperature} {labels}: {found} for {slope}");
            }
        }
    }

    #[test]
    fn the_model_itself_loses_nothing() {
        let teacher = teacher();
        let shifted = ANSWER.map(|score| score + 7.0);
        for (labels, wanted) in
            [(0.0, 0.0), (1.0, (2.0f64.exp() + 0.5f64.exp() + (-1.0f64).exp()).ln() + 1.0)]
        {
            let loss = Loss::new(&teacher, &Options { labels, ..Options::default() });
            let found = [
                loss.of(0, &shifted, &mut [0.0; 3], &mut Vec::new()),
                loss.distance(0, &shifted, &mut Vec::new()),
            ];
            assert!(found.iter().all(|found| (found - wanted).abs() < 1e-5), "{found:?} for {wanted}");
        }
    }
}
