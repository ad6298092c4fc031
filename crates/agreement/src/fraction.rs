//! Numbers that a criterion may hold, checked where they come in.

use serde::{Deserialize, Serialize};

/// A number above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Fraction(f64);

/// A finite number above 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Positive(f64);

/// Not above 0, or above 1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0}: expected a number above 0 and at most 1")]
pub struct FractionError(f64);

/// Not above 0, or not finite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0}: expected a number above 0")]
pub struct PositiveError(f64);

impl Fraction {
    /// All of it.
    pub const ONE: Self = Self(1.0);

    /// Percent, for constants.
    pub(crate) const fn percent(of: u8) -> Self {
        assert!(of >= 1 && of <= 100);
        Self(of as f64 / 100.0)
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Positive {
    pub(crate) const HUNDREDTH: Self = Self(0.01);

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Fraction {
    type Error = FractionError;

    fn try_from(value: f64) -> Result<Self, FractionError> {
        if value > 0.0 && value <= 1.0 { Ok(Self(value)) } else { Err(FractionError(value)) }
    }
}

impl TryFrom<f64> for Positive {
    type Error = PositiveError;

    fn try_from(value: f64) -> Result<Self, PositiveError> {
        if value > 0.0 && value.is_finite() { Ok(Self(value)) } else { Err(PositiveError(value)) }
    }
}

impl From<Fraction> for f64 {
    fn from(fraction: Fraction) -> Self {
        fraction.0
    }
}

impl From<Positive> for f64 {
    fn from(positive: Positive) -> Self {
        positive.0
    }
}
