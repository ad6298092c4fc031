//! What there is to know about a row of scores without knowing the classes.

use super::Kind;

/// Classes that are likelier by less than this factor's logarithm count as impossible: a double would
/// not see them in a sum.
const NEGLIGIBLE: f64 = -40.0;

/// The least logarithm of a probability: that of the least normal `f32`.
const LEAST_LOG: f64 = -87.3;

/// A row of scores, of which every measure of confidence is a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// The first of the largest.
    pub(super) class: u32,
    /// By how much its logit is more than the next, after the temperature.
    pub(super) gap: f64,
    /// What all others are worth together where it is worth 1.
    pub(super) rest: f64,
    /// The sum over all others of worth times its logarithm; not above 0.
    weighted: f64,
    /// The largest logit, after the temperature.
    largest: f64,
    /// The logarithm of the number of classes.
    log_classes: f64,
}

impl Spread {
    /// `None` where a score is not what its kind can be.
    pub(super) fn of(kind: Kind, temperature: f64, scores: &[f32]) -> Option<Self> {
        let (first, others) = scores.split_first()?;
        if others.is_empty() || !scores.iter().fold(true, |fit, score| fit & is_fit(kind, *score)) {
            return None;
        }
        let (mut at, mut largest, mut next) = (0, *first, f32::NEG_INFINITY);
        for (index, score) in scores.iter().enumerate().skip(1) {
            if *score > largest {
                (at, next, largest) = (index, largest, *score);
            } else if *score > next {
                next = *score;
            }
        }
        let coldness = 1.0 / temperature;
        let logit = |score: f32| log(kind, score) * coldness;
        let most = logit(largest);
        let (mut rest, mut weighted) = (0.0, 0.0);
        for score in scores[..at].iter().chain(&scores[at + 1..]) {
            let below = logit(*score) - most;
            if below > NEGLIGIBLE {
                // Of single precision as the scores are, and twice as fast.
                let worth = f64::from((below as f32).exp());
                rest += worth;
                weighted += worth * below;
            }
        }
        Some(Self {
            class: u32::try_from(at).ok()?,
            gap: most - logit(next),
            rest,
            weighted,
            largest: most,
            log_classes: (scores.len() as f64).ln(),
        })
    }

    /// The probability of the likeliest class.
    pub(super) fn top(&self) -> f64 {
        1.0 / (1.0 + self.rest)
    }

    /// By how much that is more than the probability of the next.
    pub(super) fn margin(&self) -> f64 {
        -(-self.gap).exp_m1() / (1.0 + self.rest)
    }

    /// Over that of a guess, 0 to 1.
    pub(super) fn entropy(&self) -> f64 {
        let nats = self.rest.ln_1p() - self.weighted / (1.0 + self.rest);
        (nats / self.log_classes).clamp(0.0, 1.0)
    }

    /// The logarithm of the sum of exponentials of all logits.
    pub(super) fn energy(&self) -> f64 {
        self.largest + self.rest.ln_1p()
    }
}

fn is_fit(kind: Kind, score: f32) -> bool {
    match kind {
        Kind::Logits => score.is_finite(),
        // Rounded probabilities may be a little outside.
        Kind::Probabilities => (-1e-2..=1.01).contains(&score),
        Kind::LogProbabilities => score <= 1e-2,
    }
}

fn log(kind: Kind, score: f32) -> f64 {
    match kind {
        Kind::Logits => f64::from(score),
        Kind::Probabilities => f64::from(score.max(f32::MIN_POSITIVE).ln()),
        Kind::LogProbabilities => f64::from(score).max(LEAST_LOG),
    }
}
