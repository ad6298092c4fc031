//! A batch's gradient, by several threads and always the same.

use super::loss::Loss;
use super::{Lesson, Options};
use crate::head::Scaling;
use crate::net::{Net, Tape};
use crate::teacher::first_largest;

/// Parts of a batch: more threads than these have nothing to do.
const SHARDS: usize = 4;
/// Rows that a thread examines at once.
const EXAMINED: usize = 32;

/// What learns from a batch.
pub(super) struct Shards<'a> {
    common: Common<'a>,
    threads: usize,
    shards: Vec<Shard>,
}

/// What all shards share.
struct Common<'a> {
    net: &'a Net,
    lesson: &'a Lesson<'a>,
    scaling: &'a Scaling,
    loss: Loss<'a>,
}

/// What one part of a batch needs.
#[derive(Default)]
struct Shard {
    tape: Tape,
    gradient: Vec<f32>,
    change: Vec<f32>,
    spare: Vec<f32>,
    loss: f64,
    /// Weight of the rows that it examined.
    weight: f64,
    agreed: f64,
}

impl<'a> Shards<'a> {
    pub(super) fn new(
        net: &'a Net,
        lesson: &'a Lesson<'a>,
        scaling: &'a Scaling,
        options: &'a Options,
    ) -> Self {
        let mut shards = Vec::new();
        shards.resize_with(SHARDS, Shard::default);
        let loss = Loss::new(lesson.teacher, options);
        Self { common: Common { net, lesson, scaling, loss }, threads: options.threads, shards }
    }

    /// Finds the gradient of the mean loss over a batch; the result is the loss, weighted and summed.
    pub(super) fn learn(&mut self, parameters: &[f32], batch: &[usize]) -> f64 {
        let parts = parts(batch);
        let share = 1.0 / batch.len().max(1) as f32;
        self.run(&parts, |common, shard, rows| shard.learn(common, parameters, rows, share));
        self.sum(parts.len())
    }

    /// The gradient that [`learn`](Self::learn) found.
    pub(super) fn gradient(&self) -> &[f32] {
        &self.shards[0].gradient
    }

    /// Distance from what rows should say, mean over the rows, and the share of the model's classes.
    pub(super) fn examine(&mut self, parameters: &[f32], rows: &[usize]) -> (f64, f64) {
        let parts = parts(rows);
        self.run(&parts, |common, shard, rows| shard.examine(common, parameters, rows));
        let used = || self.shards.iter().take(parts.len());
        let weight = used().map(|shard| shard.weight).sum::<f64>().max(f64::MIN_POSITIVE);
        let (loss, agreed) =
            used().fold((0.0, 0.0), |(loss, agreed), shard| (loss + shard.loss, agreed + shard.agreed));
        (loss / weight, agreed / weight)
    }

    /// Works on each part in its shard, on as many threads as there may be.
    fn run(&mut self, parts: &[&[usize]], work: impl Fn(&Common<'_>, &mut Shard, &[usize]) + Sync) {
        let (common, work) = (&self.common, &work);
        let threads = self.threads.min(parts.len()).max(1);
        let each = parts.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let mut jobs = self.shards.chunks_mut(each).zip(parts.chunks(each));
            let own = jobs.next();
            for (shards, parts) in jobs {
                scope.spawn(move || {
                    shards.iter_mut().zip(parts).for_each(|(shard, rows)| work(common, shard, rows));
                });
            }
            if let Some((shards, parts)) = own {
                shards.iter_mut().zip(parts).for_each(|(shard, rows)| work(common, shard, rows));
            }
        });
    }

    /// Sums losses and gradients into the first shard, in order.
    fn sum(&mut self, parts: usize) -> f64 {
        let Some((first, others)) = self.shards.split_first_mut() else { return 0.0 };
        let mut loss = first.loss;
        for shard in others.iter().take(parts.saturating_sub(1)) {
            loss += shard.loss;
            first.gradient.iter_mut().zip(&shard.gradient).for_each(|(sum, value)| *sum += value);
        }
        loss
    }
}

impl Common<'_> {
    fn weight(&self, row: usize) -> f32 {
        self.lesson.weights.map_or(1.0, |weights| weights[row])
    }

    fn read(&self, tape: &mut Tape, rows: &[usize]) {
        let len = self.lesson.features.front().features();
        let input = self.net.input(tape, rows.len());
        for (row, input) in rows.iter().zip(input.chunks_exact_mut(len)) {
            self.lesson.features.read(*row, input);
            self.scaling.apply(input);
        }
    }
}

impl Shard {
    /// Gradient and loss of some rows of a batch of which each row is `share`.
    fn learn(&mut self, common: &Common<'_>, parameters: &[f32], rows: &[usize], share: f32) {
        let classes = common.lesson.teacher.classes();
        common.read(&mut self.tape, rows);
        let scores = common.net.forward(parameters, &mut self.tape, rows.len());
        self.change.clear();
        self.change.resize(scores.len(), 0.0);
        self.loss = 0.0;
        let changes = self.change.chunks_exact_mut(classes);
        for ((row, scores), change) in rows.iter().zip(scores.chunks_exact(classes)).zip(changes) {
            let weight = common.weight(*row);
            self.loss += f64::from(weight) * common.loss.of(*row, scores, change, &mut self.spare);
            change.iter_mut().for_each(|value| *value *= weight * share);
        }
        self.gradient.clear();
        self.gradient.resize(parameters.len(), 0.0);
        common.net.backward(parameters, &mut self.tape, &self.change, rows.len(), &mut self.gradient);
    }

    fn examine(&mut self, common: &Common<'_>, parameters: &[f32], rows: &[usize]) {
        let classes = common.lesson.teacher.classes();
        (self.loss, self.weight, self.agreed) = (0.0, 0.0, 0.0);
        for rows in rows.chunks(EXAMINED) {
            common.read(&mut self.tape, rows);
            let scores = common.net.forward(parameters, &mut self.tape, rows.len());
            for (row, scores) in rows.iter().zip(scores.chunks_exact(classes)) {
                let weight = f64::from(common.weight(*row));
                self.weight += weight;
                self.loss += weight * common.loss.distance(*row, scores, &mut self.spare);
                if first_largest(scores) == common.lesson.teacher.top1(*row) {
                    self.agreed += weight;
                }
            }
        }
    }
}

/// Always the same parts of the same rows.
fn parts(rows: &[usize]) -> Vec<&[usize]> {
    rows.chunks(rows.len().div_ceil(SHARDS).max(1)).collect()
}
