//! Fitting a head to the whole model's answers.
//!
//! A head is small and its inputs are in memory, so plain mini-batch training with Adam is enough:
//! what takes care is that it stops before it knows the inputs by heart, and that the same seed gives
//! the same head however many threads there are. A batch is always cut into the same shards, each
//! thread takes some, and gradients are summed in the order of the shards.
//!
//! # Sources
//! Distillation: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", arXiv
//! 1503.02531. Adam with decoupled decay: Loshchilov, Hutter, "Decoupled weight decay
//! regularization", arXiv 1711.05101; the cosine schedule is theirs too (arXiv 1608.03983).

mod adam;
mod key;
mod loss;
mod options;
mod shards;

pub use options::{OptionError, Options};

use crate::head::{Head, Scaling};
use crate::{Features, Shape, ShapeError, Teacher};
use adam::Adam;
use kerf_random::Random;
use shards::Shards;
use std::ops::ControlFlow;

/// What a head is fitted to.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// A boundary's features.
    pub features: &'a Features,
    /// The whole model's answers to the same inputs.
    pub teacher: &'a Teacher,
    /// How much each row counts; 0 for what earlier heads answer. All alike where there are none.
    pub weights: Option<&'a [f32]>,
    /// How often each input was shown, 1 where there are no other [`Views`](crate::Views): rows are all
    /// inputs in one view, then all in the next. All views of an input are held out together.
    pub views: usize,
}

/// How far fitting is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Rounds over the rows that are done.
    pub epoch: usize,
    /// Rounds at most.
    pub epochs: usize,
    /// Mean loss over the rows of the last round.
    pub loss: f64,
    /// Mean divergence from the model's answers on rows held out, in nats; where labels count, with
    /// their cross-entropy in the same share.
    pub held_out: f64,
    /// Share of held-out rows whose class is the model's.
    pub agreement: f64,
}

/// A head and how it came to be.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The head.
    pub head: Head,
    /// The round that it is of.
    pub best: Progress,
    /// Rounds that were run.
    pub epochs: usize,
    /// Rows that it was fitted to, and rows held out.
    pub rows: (usize, usize),
    /// Classes that the model answers to none of its inputs: it can hardly answer them.
    pub unseen: Vec<usize>,
}

/// Why there is no head.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Rows do not belong to each other.
    #[error("{features} rows of features, {answers} answers, {weights} weights")]
    Rows {
        /// Rows of features.
        features: usize,
        /// Answers of the model.
        answers: usize,
        /// Weights given.
        weights: usize,
    },
    /// A weight is negative, NaN or infinite.
    #[error("weight {weight} of row {row} is not one")]
    Weight {
        /// The row.
        row: usize,
        /// Its weight.
        weight: f32,
    },
    /// Not as many rows in each view.
    #[error("{rows} rows are not some inputs in {views} views")]
    Views {
        /// Rows.
        rows: usize,
        /// Views of each input, as stated.
        views: usize,
    },
    /// Too few inputs count.
    #[error("{inputs} inputs to learn from, {} are needed", Lesson::MIN_INPUTS)]
    TooFew {
        /// Inputs of which some row's weight is not 0.
        inputs: usize,
    },
    /// The head cannot have that shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// An option is out of its range.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// Parameters grew without bounds.
    #[error("the loss is {loss} after round {epoch}: a smaller learning rate may help")]
    Diverged {
        /// The round.
        epoch: usize,
        /// Its loss.
        loss: f64,
    },
    /// The caller said stop.
    #[error("stopped after round {epoch}")]
    Stopped {
        /// Rounds that were done.
        epoch: usize,
    },
}

impl Lesson<'_> {
    /// Inputs that must count for there to be a head.
    pub const MIN_INPUTS: usize = 64;

    /// Fits a head. `progress` hears of each round, and may end the fit.
    ///
    /// A fit takes seconds to a minute, so finished heads are what an interrupted run keeps
    /// ([`Head::numbers`]); there is nothing to go on from in the midst of one.
    pub fn fit(
        &self,
        shape: &Shape,
        options: &Options,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Fitted, FitError> {
        options.check()?;
        let rows = self.rows()?;
        let net = shape.net(self.features.front(), self.teacher.classes())?;
        let (train, held_out) = split(rows, self.features.rows() / self.views, options);
        let scaling = self.scaling(&train);
        let mut parameters = net.initial(&mut Random::keyed(&[options.seed, 1]));
        let mut adam = Adam::new(&net, options, train.len());
        let mut shards = Shards::new(&net, self, &scaling, options);
        let mut best: Option<(Progress, Vec<f32>)> = None;
        let mut ran = 0;
        let mut order = train.clone();
        let weight = self
            .weights
            .map_or(train.len() as f64, |weights| train.iter().map(|row| f64::from(weights[*row])).sum());
        for epoch in 1..=options.epochs {
            Random::keyed(&[options.seed, 2, epoch as u64]).shuffle(&mut order);
            let mut loss = 0.0;
            for batch in order.chunks(options.batch) {
                loss += shards.learn(&parameters, batch);
                adam.step(&mut parameters, shards.gradient());
            }
            let loss = loss / weight;
            ran = epoch;
            let (held, agreement) = shards.examine(&parameters, &held_out);
            let done = Progress { epoch, epochs: options.epochs, loss, held_out: held, agreement };
            if !loss.is_finite() || !held.is_finite() {
                return Err(FitError::Diverged { epoch, loss });
            }
            if best.as_ref().is_none_or(|(best, _)| held < best.held_out) {
                best = Some((done, parameters.clone()));
            }
            if progress(done).is_break() {
                return Err(FitError::Stopped { epoch });
            }
            let since = best.as_ref().map_or(0, |(best, _)| epoch - best.epoch);
            if since >= options.patience {
                break;
            }
        }
        let (best, parameters) = best.ok_or(FitError::Stopped { epoch: 0 })?;
        let (front, classes) = (self.features.front().clone(), self.teacher.classes());
        Ok(Fitted {
            head: Head { front, shape: shape.clone(), classes, net, scaling, parameters },
            best,
            epochs: ran,
            rows: (train.len(), held_out.len()),
            unseen: self.teacher.unseen(),
        })
    }

    /// Rows that count.
    fn rows(&self) -> Result<Vec<usize>, FitError> {
        let (features, answers) = (self.features.rows(), self.teacher.rows());
        let weights = self.weights.map_or(features, <[f32]>::len);
        if features != answers || features != weights {
            return Err(FitError::Rows { features, answers, weights });
        }
        if self.views == 0 || features % self.views != 0 {
            return Err(FitError::Views { rows: features, views: self.views });
        }
        let weight = |row: &usize| self.weights.map_or(1.0, |weights| weights[*row]);
        let bad = (0..features).find(|row| !(0.0..=1e6).contains(&weight(row)));
        if let Some(row) = bad {
            return Err(FitError::Weight { row, weight: weight(&row) });
        }
        let rows: Vec<usize> = (0..features).filter(|row| weight(row) > 0.0).collect();
        let inputs = counting(&rows, features / self.views).len();
        if inputs < Self::MIN_INPUTS {
            return Err(FitError::TooFew { inputs });
        }
        Ok(rows)
    }

    /// Means and spreads of a cell's features.
    fn scaling(&self, rows: &[usize]) -> Scaling {
        let front = self.features.front();
        let mut row = vec![0.0; front.features()];
        let mut sums = vec![(0.0f64, 0.0f64); front.channels()];
        for at in rows {
            self.features.read(*at, &mut row);
            for cell in row.chunks_exact(front.channels()) {
                for ((sum, square), value) in sums.iter_mut().zip(cell) {
                    let value = f64::from(*value);
                    *sum += value;
                    *square += value * value;
                }
            }
        }
        let count = (rows.len() * front.features() / front.channels()).max(1) as f64;
        let moments = sums.into_iter().map(|(sum, square)| {
            let mean = sum / count;
            (mean, (square / count - mean * mean).max(0.0).sqrt())
        });
        let (mean, spread): (Vec<f64>, Vec<f64>) = moments.unzip();
        // What hardly varies among these inputs is not blown up when it does among others.
        let least = 1e-3 * spread.iter().sum::<f64>() / spread.len().max(1) as f64;
        let factor = spread.into_iter().map(|spread| match spread.max(least) {
            spread if spread > 1e-30 => (1.0 / spread) as f32,
            _ => 0.0,
        });
        Scaling { mean: mean.into_iter().map(|mean| mean as f32).collect(), factor: factor.collect() }
    }
}

/// Rows to learn from, and rows to stop by, of so many inputs; both in the order of memory.
fn split(rows: Vec<usize>, inputs: usize, options: &Options) -> (Vec<usize>, Vec<usize>) {
    let mut order = counting(&rows, inputs);
    Random::keyed(&[options.seed, 0]).shuffle(&mut order);
    let count = (order.len() as f32 * options.held_out).ceil() as usize;
    let mut is_held_out = vec![false; inputs];
    order.iter().take(count).for_each(|input| is_held_out[*input] = true);
    rows.into_iter().partition(|row| !is_held_out[row % inputs])
}

/// The inputs, of so many, of which some row counts.
fn counting(rows: &[usize], inputs: usize) -> Vec<usize> {
    let mut counts = vec![false; inputs];
    rows.iter().for_each(|row| counts[row % inputs] = true);
    (0..inputs).filter(|input| counts[*input]).collect()
}
