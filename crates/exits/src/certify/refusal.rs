//! Why a promise is not made, in words that tell what would help.

use crate::promise::{Percent, required_with};
use crate::{Promise, binomial};

/// Why these data cannot carry the promise.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Even without a single error there would be too few.
    #[error(
        "{promise} needs {needed} calibration inputs even if not one shows an error; there are {given}, \
         which carry {} at most",
        Percent(*.carries)
    )]
    TooFew {
        /// What was asked for.
        promise: Promise,
        /// How many inputs it needs at least.
        needed: u64,
        /// How many there are.
        given: u64,
        /// The least risk that could be promised with them at this confidence; 1 where that is none.
        carries: f64,
    },
    /// Even the strictest thresholds show too many errors, though at a rate below the promise.
    #[error(
        "{promise}: even at the strictest thresholds {errors} of {given} calibration inputs are answered \
         wrongly with confidence, which carries {}; at this rate about {needed} inputs are needed",
        Percent(*.carries)
    )]
    TooUncertain {
        /// What was asked for.
        promise: Promise,
        /// Errors at the strictest thresholds.
        errors: u64,
        /// How many inputs there are.
        given: u64,
        /// The least risk that could be promised at this confidence.
        carries: f64,
        /// How many inputs would do if errors go on like this.
        needed: u64,
    },
    /// Even the strictest thresholds are wrong more often than promised.
    #[error(
        "{promise}: even at the strictest thresholds {errors} of {given} calibration inputs are answered \
         wrongly with confidence, which carries {}; more inputs would not help, better heads or a larger risk \
         would",
        Percent(*.carries)
    )]
    TooWrong {
        /// What was asked for.
        promise: Promise,
        /// Errors at the strictest thresholds.
        errors: u64,
        /// How many inputs there are.
        given: u64,
        /// The least risk that could be promised at this confidence.
        carries: f64,
    },
    /// The path is empty.
    #[error("no exit saves more than its head costs, so there are no thresholds to certify")]
    NoExit,
    /// A vector is about other exits.
    #[error("vector {at} of the path has {found} thresholds, the outcomes are of {exits} exits")]
    Exits {
        /// Which vector, from 0.
        at: usize,
        /// Its thresholds.
        found: usize,
        /// Exits of the outcomes.
        exits: usize,
    },
    /// A vector is stricter than the one before it.
    #[error("vector {at} of the path does not admit all that the one before it admits")]
    NotNested {
        /// Which vector, from 0.
        at: usize,
    },
}

impl Refusal {
    /// How many calibration inputs would do, where more of them would.
    pub fn needed(&self) -> Option<u64> {
        match self {
            Self::TooFew { needed, .. } | Self::TooUncertain { needed, .. } => Some(*needed),
            Self::TooWrong { .. } | Self::NoExit | Self::Exits { .. } | Self::NotNested { .. } => None,
        }
    }
}

/// Errors at the strictest thresholds.
pub(super) struct TooWrong {
    pub(super) promise: Promise,
    pub(super) errors: u64,
    pub(super) given: u64,
}

impl TooWrong {
    pub(super) fn refusal(self) -> Refusal {
        let Self { promise, errors, given } = self;
        let carries = binomial::upper_limit(errors, given, promise.tail());
        match self.needed() {
            Some(needed) => Refusal::TooUncertain { promise, errors, given, carries, needed },
            None => Refusal::TooWrong { promise, errors, given, carries },
        }
    }

    /// The least multiple of what there is that would pass with as many times the errors.
    fn needed(&self) -> Option<u64> {
        let rate = self.errors as f64 / self.given as f64;
        if rate >= self.promise.risk() {
            return None;
        }
        // More errors need more inputs, which bring more errors; below the promised rate that ends.
        let mut needed = self.given;
        for _ in 0..1000 {
            let errors = (rate * needed as f64).ceil() as u64;
            let next = required_with(&self.promise, errors)?;
            if next <= needed {
                return Some(needed);
            }
            needed = next;
        }
        None
    }
}
