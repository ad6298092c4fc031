use crate::RequestId;

/// A node's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The request refused.
    pub id: RequestId,
    /// The node that refuses.
    pub node: String,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people: one sentence.
    pub message: String,
}

/// Why a node refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The node holds no model of that name.
    ModelMissing,
    /// The node holds the model in another version.
    DigestMismatch {
        /// Digest of the version that it holds.
        have: [u8; 32],
    },
    /// Its queue or its memory is full.
    Overloaded,
    /// The deadline passed before there was an answer.
    DeadlinePassed,
    /// The request makes no sense: bytes, names, types or shapes do not fit.
    BadRequest,
    /// The request uses what this version of the node does not know.
    Unsupported,
    /// The node is going away.
    Draining,
    /// The node tried and could not. Also what an unknown, later reason reads as.
    Failed,
}

/// What a refused caller may still try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Another node, now; this one may well accept the next request.
    ElsewhereNow,
    /// Another node, and not this one for this model for a while.
    ElsewhereAvoid,
    /// Nothing: every node would say the same.
    Never,
}

impl Reason {
    /// What a caller may still try.
    pub fn retry(&self) -> Retry {
        match self {
            Self::ModelMissing | Self::DigestMismatch { .. } | Self::Unsupported => Retry::ElsewhereAvoid,
            Self::Overloaded | Self::Draining | Self::Failed => Retry::ElsewhereNow,
            Self::DeadlinePassed | Self::BadRequest => Retry::Never,
        }
    }

    /// Short name for logs and metric labels.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ModelMissing => "model-missing",
            Self::DigestMismatch { .. } => "digest-mismatch",
            Self::Overloaded => "overloaded",
            Self::DeadlinePassed => "deadline-passed",
            Self::BadRequest => "bad-request",
            Self::Unsupported => "unsupported",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::ModelMissing => 1,
            Self::DigestMismatch { .. } => 2,
            Self::Overloaded => 3,
            Self::DeadlinePassed => 4,
            Self::BadRequest => 5,
            Self::Unsupported => 6,
            Self::Draining => 7,
            Self::Failed => 8,
        }
    }

    /// The reason of a code; [`Reason::Failed`] for one that a later version added, so
    /// that its caller still goes elsewhere.
    pub(crate) fn from_code(code: u16, have: [u8; 32]) -> Self {
        match code {
            1 => Self::ModelMissing,
            2 => Self::DigestMismatch { have },
            3 => Self::Overloaded,
            4 => Self::DeadlinePassed,
            5 => Self::BadRequest,
            6 => Self::Unsupported,
            7 => Self::Draining,
            _ => Self::Failed,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        let have = [7; 32];
        for code in 1..=8 {
            assert_eq!(Reason::from_code(code, have).code(), code);
        }
        assert_eq!(Reason::from_code(900, have), Reason::Failed);
    }
}
