//! What every head would have answered to every input of a set.

use crate::thresholds::MOST_EXITS;
use crate::{Loss, Thresholds};

/// Confidence and error of every exit for every request. Every head is asked, whatever the ones before it
/// said: so that any policy, and any thresholds, can be judged from the same run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    exits: usize,
    /// Rows of requests. Below 0 where a head could not say.
    confidence: Vec<f64>,
    wrong: Vec<bool>,
}

/// What one head made of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// 0 to 1; `None` where the gate could not judge its scores.
    pub confidence: Option<f64>,
    /// Whether its answer would be a loss ([`Loss::is_wrong`]).
    pub wrong: bool,
}

/// Why a request has no such outcomes.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum OutcomesError {
    /// Not one outcome for every exit.
    #[error("request {request} has outcomes of {found} exits, there are {exits}")]
    Length {
        /// Which request, from 0.
        request: usize,
        /// How many there are.
        exits: usize,
        /// How many were given.
        found: usize,
    },
    /// Not a confidence.
    #[error("request {request}, exit {exit}: {value} is no confidence from 0 to 1")]
    Confidence {
        /// Which request, from 0.
        request: usize,
        /// Which exit, from 0.
        exit: usize,
        /// What was given.
        value: f64,
    },
    /// More exits than a model can have boundaries.
    #[error("{0} exits: a model has {MOST_EXITS} at most")]
    TooMany(usize),
}

/// Why it cannot be said what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    /// The error increase is measured against labels.
    #[error("an increase of errors needs labels; without, promise a risk of disagreement")]
    NoLabels,
    /// Not one for every request.
    #[error(
        "{heads} answers of the head, {wholes} of the whole model, {labels} labels: expected as many of each"
    )]
    Lengths {
        /// Answers of the head.
        heads: usize,
        /// Answers of the whole model.
        wholes: usize,
        /// Labels.
        labels: usize,
    },
    /// A label that is no class.
    #[error("label {label} of request {request}: the classes are 0 to {}", classes.saturating_sub(1))]
    Label {
        /// Which request, from 0.
        request: usize,
        /// Its label.
        label: u32,
        /// How many classes there are.
        classes: u32,
    },
}

impl Loss {
    /// Whether this answer of a head is a loss.
    pub fn is_wrong(self, head: u32, whole: u32, label: u32) -> bool {
        match self {
            Self::Disagreement => head != whole,
            Self::ErrorIncrease => whole == label && head != label,
        }
    }

    /// Which answers of a head are losses. A head that could not say (`None`) is wrong, though never
    /// confident. `labels` are ignored where only disagreement counts.
    pub fn wrong(
        self,
        heads: &[Option<u32>],
        wholes: &[u32],
        labels: Option<&[u32]>,
        classes: u32,
    ) -> Result<Vec<bool>, LossError> {
        let labels = match self {
            Self::Disagreement => wholes,
            Self::ErrorIncrease => labels.ok_or(LossError::NoLabels)?,
        };
        if heads.len() != wholes.len() || heads.len() != labels.len() {
            let (heads, wholes, labels) = (heads.len(), wholes.len(), labels.len());
            return Err(LossError::Lengths { heads, wholes, labels });
        }
        if let Some((request, label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
            return Err(LossError::Label { request, label: *label, classes });
        }
        let each = heads.iter().zip(wholes).zip(labels);
        Ok(each
            .map(|((head, whole), label)| head.is_none_or(|head| self.is_wrong(head, *whole, *label)))
            .collect())
    }
}

/// Classes out of 0 to `classes` less one that `answers` never name, in order: what is measured says
/// nothing of them.
pub fn unseen(answers: &[u32], classes: u32) -> Vec<u32> {
    let mut seen: Vec<u32> = answers.to_vec();
    seen.sort_unstable();
    seen.dedup();
    (0..classes).filter(|class| seen.binary_search(class).is_err()).collect()
}

impl Outcomes {
    /// Of no request yet, at this many exits.
    pub fn new(exits: usize) -> Result<Self, OutcomesError> {
        if exits > MOST_EXITS {
            return Err(OutcomesError::TooMany(exits));
        }
        Ok(Self { exits, confidence: Vec::new(), wrong: Vec::new() })
    }

    /// One more request, with an outcome for every exit in order.
    pub fn push(&mut self, outcomes: &[Outcome]) -> Result<(), OutcomesError> {
        let request = self.len();
        if outcomes.len() != self.exits {
            return Err(OutcomesError::Length { request, exits: self.exits, found: outcomes.len() });
        }
        for (exit, outcome) in outcomes.iter().enumerate() {
            if let Some(value) = outcome.confidence.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(OutcomesError::Confidence { request, exit, value });
            }
        }
        self.confidence.extend(outcomes.iter().map(|outcome| outcome.confidence.unwrap_or(-1.0)));
        self.wrong.extend(outcomes.iter().map(|outcome| outcome.wrong));
        Ok(())
    }

    /// How many exits.
    pub fn exits(&self) -> usize {
        self.exits
    }

    /// How many requests.
    pub fn len(&self) -> usize {
        self.confidence.len() / self.exits.max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One head and one request; `None` outside of them.
    pub fn of(&self, request: usize, exit: usize) -> Option<Outcome> {
        let at = request.checked_mul(self.exits)?.checked_add(exit).filter(|_| exit < self.exits)?;
        let confidence = *self.confidence.get(at)?;
        Some(Outcome { confidence: (confidence >= 0.0).then_some(confidence), wrong: *self.wrong.get(at)? })
    }

    /// The requests that no open exit before `exit` would answer.
    pub fn survivors<'a>(
        &'a self,
        thresholds: &'a Thresholds,
        exit: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let by = self.answered_by(thresholds).enumerate();
        by.filter_map(move |(request, by)| by.is_none_or(|by| by >= exit).then_some(request))
    }

    /// The exit that answers each request where every open one is asked in turn; `None` where the whole
    /// model does.
    pub fn answered_by<'a>(&'a self, thresholds: &'a Thresholds) -> impl Iterator<Item = Option<usize>> + 'a {
        self.rows().map(|(confidence, _)| {
            confidence.iter().enumerate().position(|(exit, confidence)| thresholds.admits(exit, *confidence))
        })
    }

    /// The requests for which some open exit is confident and wrong.
    pub(crate) fn losses(&self, thresholds: &Thresholds) -> u64 {
        let lost = |(confidence, wrong): &(&[f64], &[bool])| {
            confidence
                .iter()
                .zip(*wrong)
                .enumerate()
                .any(|(exit, (confidence, wrong))| *wrong && thresholds.admits(exit, *confidence))
        };
        self.rows().filter(lost).count() as u64
    }

    /// Confidences, below 0 where a head could not say, and errors, request by request.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = (&[f64], &[bool])> {
        let exits = self.exits.max(1);
        self.confidence.chunks_exact(exits).zip(self.wrong.chunks_exact(exits))
    }
}

#[cfg(test)]
mod tests;
