//! Steps down a gradient that is known only roughly.

use super::Options;
use crate::net::Net;
use std::ops::Range;

/// Adam with decoupled weight decay, a short rise and a cosine fall of the learning rate.
pub(super) struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    decaying: Vec<Range<usize>>,
    step: usize,
    steps: usize,
    rate: f32,
    decay: f32,
}

impl Adam {
    const KEEP_MEAN: f32 = 0.9;
    const KEEP_SQUARE: f32 = 0.99;
    /// Share of the steps in which the rate rises.
    const RISE: f32 = 0.1;

    pub(super) fn new(net: &Net, options: &Options, rows: usize) -> Self {
        let (mean, square) = (vec![0.0; net.parameters()], vec![0.0; net.parameters()]);
        let steps = options.epochs * rows.div_ceil(options.batch);
        let decaying = net.decaying();
        Self { mean, square, decaying, step: 0, steps, rate: options.rate, decay: options.decay }
    }

    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        let rate = self.rate();
        self.step += 1;
        let power = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (of_mean, of_square) =
            (1.0 / (1.0 - Self::KEEP_MEAN.powi(power)), 1.0 / (1.0 - Self::KEEP_SQUARE.powi(power)));
        for range in &self.decaying {
            let keep = 1.0 - rate * self.decay;
            parameters[range.clone()].iter_mut().for_each(|value| *value *= keep);
        }
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for (((mean, square), value), gradient) in moments.zip(parameters).zip(gradient) {
            *mean = Self::KEEP_MEAN * *mean + (1.0 - Self::KEEP_MEAN) * gradient;
            *square = Self::KEEP_SQUARE * *square + (1.0 - Self::KEEP_SQUARE) * gradient * gradient;
            *value -= rate * (*mean * of_mean) / ((*square * of_square).sqrt() + 1e-8);
        }
    }

    fn rate(&self) -> f32 {
        let done = self.step as f32 / self.steps.max(1) as f32;
        let rise = ((self.step + 1) as f32 / (Self::RISE * self.steps as f32).max(1.0)).min(1.0);
        self.rate * rise * 0.5 * (1.0 + (std::f32::consts::PI * done.min(1.0)).cos())
    }
}
