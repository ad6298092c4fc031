//! How different, as one number that people know.

use super::reference::Reference;
use serde::{Deserialize, Serialize};

/// The population stability index of recent requests against the calibration: the sum over bins of
/// `(now − then)·ln(now/then)`. By custom less than 0.1 is nothing and more than 0.25 is much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stability {
    /// The index.
    pub psi: f64,
    /// What it would be about by chance alone, with so few requests here and there.
    pub by_chance: f64,
}

/// Bins of the last requests, the older the less.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recent {
    counts: Vec<f64>,
    /// The sum of weights, and of their squares.
    weight: f64,
    squares: f64,
    keep: f64,
}

impl Recent {
    pub(super) fn new(bins: usize, window: f64) -> Self {
        Self { counts: vec![0.0; bins], weight: 0.0, squares: 0.0, keep: 1.0 - 1.0 / window }
    }

    pub(super) fn observe(&mut self, bin: usize) {
        for (at, count) in self.counts.iter_mut().enumerate() {
            *count = *count * self.keep + f64::from(u8::from(at == bin));
        }
        self.weight = self.weight * self.keep + 1.0;
        self.squares = self.squares * self.keep * self.keep + 1.0;
    }

    pub(super) fn stability(&self, reference: &Reference) -> Stability {
        if self.weight == 0.0 {
            return Stability { psi: 0.0, by_chance: 0.0 };
        }
        let bins = self.counts.len() as f64;
        let mut before = 0.0;
        let mut psi = 0.0;
        for (at, count) in self.counts.iter().enumerate() {
            let upto = reference.quantile(at);
            let then = (upto - before).max(1e-9);
            before = upto;
            // Half a request in every bin: an empty one is not infinitely different.
            let now = (count + 0.5) / (self.weight + 0.5 * bins);
            psi += (now - then) * (now / then).ln();
        }
        let requests = self.weight * self.weight / self.squares;
        let by_chance = (bins - 1.0) * (1.0 / requests + 1.0 / reference.requests() as f64);
        Stability { psi, by_chance }
    }
}
