use crate::{FORMAT, OLDEST_FORMAT};

/// Why a file is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// More bytes than any profile has.
    #[error("{bytes} bytes; a profile has at most {limit}")]
    TooLarge {
        /// Bytes that came.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not JSON, or keys that are missing or unknown.
    #[error("not a profile: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Written by another release.
    #[error("format {0}: this release reads formats {OLDEST_FORMAT} to {FORMAT}; profile the device again")]
    Format(u64),
    /// A value that cannot be.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// Where: `range 2..5, batch 1`, `sizes, b3`.
        place: String,
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The same range twice.
    #[error("range {from}..{to}, batch {batch} is there twice")]
    Duplicate {
        /// Boundary at which it starts.
        from: usize,
        /// Boundary at which it ends.
        to: usize,
        /// Batch.
        batch: usize,
    },
}

/// Why a profile does not speak of a given model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Of another model.
    #[error("a profile of model {found}, not of {wanted}")]
    Model {
        /// The profile's.
        found: String,
        /// The one at hand.
        wanted: String,
    },
    /// Of the same name, packed otherwise.
    #[error(
        "a profile of {model} as packed with digest {}…, not with {}…: profile it again",
        head(.found), head(.wanted)
    )]
    Digest {
        /// The model.
        model: String,
        /// The profile's.
        found: String,
        /// The one at hand.
        wanted: String,
    },
    /// Cut at other places.
    #[error("a profile with {found} boundaries of a model with {wanted}")]
    Boundaries {
        /// The profile's.
        found: usize,
        /// The one at hand.
        wanted: usize,
    },
}

fn head(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
