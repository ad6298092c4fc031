//! A small learnt guess of whether an answer is right.
//!
//! The largest probability forgets how the rest is spread: one rival, or all of them a little? And it
//! forgets how large the logits were before they were made to sum to one. A logistic regression on five
//! such numbers is as cheap as the measures that it combines, and needs few examples.

use super::spread::Spread;
use serde::{Deserialize, Serialize};

pub(super) const FEATURES: usize = 5;

/// The log-odds that an answer is right, as a weighted sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictor {
    /// Where every feature is 0.
    pub bias: f64,
    /// Of the log-odds of the likeliest class, its gap to the next in logits, the entropy over that of a
    /// guess, the energy (log-sum-exp of the logits), and the next class's part of what the likeliest
    /// leaves.
    pub weights: [f64; FEATURES],
}

/// Features with whether the answer was right, for fitting.
#[derive(Clone, Copy)]
pub(super) struct Example {
    pub(super) features: [f64; FEATURES],
    pub(super) right: bool,
}

impl Predictor {
    /// How likely the answer is right, 0 to 1.
    pub(super) fn right(&self, spread: &Spread) -> f64 {
        sigmoid(self.log_odds(&features(spread)))
    }

    fn log_odds(&self, features: &[f64; FEATURES]) -> f64 {
        self.bias + features.iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f64>()
    }

    pub(super) fn check(&self) -> Result<(), f64> {
        let odd = |weight: &&f64| !weight.is_finite() || weight.abs() > 1e9;
        match self.weights.iter().chain([&self.bias]).find(odd) {
            Some(weight) => Err(*weight),
            None => Ok(()),
        }
    }

    /// The most likely weights with a normal prior of unit variance on the standardised features, by
    /// Newton's method. `None` where it does not come to rest.
    pub(super) fn fit(examples: &[Example]) -> Option<Self> {
        let scale = Scale::of(examples);
        let rows: Vec<([f64; FEATURES + 1], f64)> = examples
            .iter()
            .map(|example| (scale.apply(&example.features), f64::from(u8::from(example.right))))
            .collect();
        let mut weights = [0.0; FEATURES + 1];
        let mut loss = objective(&rows, &weights);
        for _ in 0..100 {
            let step = newton(&rows, &weights)?;
            let mut length = 1.0;
            let next = loop {
                let tried: [f64; FEATURES + 1] = std::array::from_fn(|at| weights[at] - length * step[at]);
                let value = objective(&rows, &tried);
                if value <= loss {
                    break Some((tried, value));
                }
                length /= 2.0;
                if length < 1e-6 {
                    break None;
                }
            };
            let Some((tried, value)) = next else { break };
            let gained = loss - value;
            (weights, loss) = (tried, value);
            if gained <= 1e-10 * (1.0 + loss.abs()) {
                break;
            }
        }
        let found = scale.unscaled(&weights);
        found.check().is_ok().then_some(found)
    }
}

/// All of them bounded, so that no weight can be thrown by an outlier.
pub(super) fn features(spread: &Spread) -> [f64; FEATURES] {
    let rival = if spread.rest > 0.0 { (-spread.gap).exp() / spread.rest } else { 1.0 };
    [
        -spread.rest.max(1e-17).ln(),
        spread.gap.min(60.0),
        spread.entropy(),
        spread.energy().clamp(-1e3, 1e3),
        rival.clamp(0.0, 1.0),
    ]
}

pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Mean and spread of each feature.
struct Scale {
    mean: [f64; FEATURES],
    sd: [f64; FEATURES],
}

impl Scale {
    fn of(examples: &[Example]) -> Self {
        let n = examples.len().max(1) as f64;
        let mean = std::array::from_fn(|at| examples.iter().map(|one| one.features[at]).sum::<f64>() / n);
        let sd = std::array::from_fn(|at| {
            let squares: f64 = examples.iter().map(|one| (one.features[at] - mean[at]).powi(2)).sum();
            let sd: f64 = (squares / n).sqrt();
            // A feature that does not vary says nothing.
            if sd > 1e-9 * (1.0 + mean[at].abs()) { sd } else { f64::INFINITY }
        });
        Self { mean, sd }
    }

    /// Standardised, with a one for the bias at the end.
    fn apply(&self, features: &[f64; FEATURES]) -> [f64; FEATURES + 1] {
        std::array::from_fn(
            |at| {
                if at < FEATURES { (features[at] - self.mean[at]) / self.sd[at] } else { 1.0 }
            },
        )
    }

    fn unscaled(&self, weights: &[f64; FEATURES + 1]) -> Predictor {
        let of: [f64; FEATURES] = std::array::from_fn(|at| weights[at] / self.sd[at]);
        let shift: f64 = of.iter().zip(&self.mean).map(|(weight, mean)| weight * mean).sum();
        Predictor { bias: weights[FEATURES] - shift, weights: of }
    }
}

fn dot(row: &[f64; FEATURES + 1], weights: &[f64; FEATURES + 1]) -> f64 {
    row.iter().zip(weights).map(|(x, w)| x * w).sum()
}

/// The bias has a prior too, a wide one: else it would run away where every answer is right.
fn prior(at: usize) -> f64 {
    if at < FEATURES { 1.0 } else { 1e-3 }
}

fn objective(rows: &[([f64; FEATURES + 1], f64)], weights: &[f64; FEATURES + 1]) -> f64 {
    let data: f64 = rows
        .iter()
        .map(|(row, right)| {
            let odds = dot(row, weights);
            // ln(1 + e^odds) − right·odds, without overflow.
            odds.max(0.0) + (-odds.abs()).exp().ln_1p() - right * odds
        })
        .sum();
    data + weights.iter().enumerate().map(|(at, w)| 0.5 * prior(at) * w * w).sum::<f64>()
}

/// The inverse of the second derivatives times the first.
fn newton(rows: &[([f64; FEATURES + 1], f64)], weights: &[f64; FEATURES + 1]) -> Option<[f64; FEATURES + 1]> {
    const N: usize = FEATURES + 1;
    let mut slope: [f64; N] = std::array::from_fn(|at| prior(at) * weights[at]);
    let mut curve = [[0.0; N]; N];
    for (at, row) in curve.iter_mut().enumerate() {
        row[at] = prior(at);
    }
    for (row, right) in rows {
        let guess = sigmoid(dot(row, weights));
        let sway = guess * (1.0 - guess);
        for i in 0..N {
            slope[i] += (guess - right) * row[i];
            for j in 0..=i {
                curve[i][j] += sway * row[i] * row[j];
            }
        }
    }
    solve(curve, slope)
}

/// By Cholesky's decomposition of the lower triangle; `None` where the matrix is not positive.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> Option<[f64; N]> {
    for i in 0..N {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let left = matrix[i][j] - known;
            matrix[i][j] = if i == j {
                if left <= 0.0 || !left.is_finite() {
                    return None;
                }
                left.sqrt()
            } else {
                left / matrix[j][j]
            };
        }
    }
    for i in 0..N {
        let known: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    Some(right)
}
