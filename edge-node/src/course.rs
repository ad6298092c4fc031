//! Where a request goes next: on, to which boundary, or away, from which and how.
//!
//! Asked at the inputs and again at each boundary that the request stops at.

use crate::steer::{Asking, Chosen, Flight, Steered};
use kerf_bundle::Coding;
use std::sync::Arc;

/// What requests to a model do.
#[derive(Clone, Debug)]
pub(crate) enum Course {
    /// The same for all: to one split, past the exits before it.
    Fixed(Way),
    /// Each decides by what is known then.
    Steered(Arc<Steered>),
}

/// The way of a request that leaves the node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Way {
    /// Boundary to ship from: 0 ships the inputs, the last one nothing.
    pub(crate) split: usize,
    /// How its tensors travel.
    pub(crate) there: Coding,
    /// How the answer may.
    pub(crate) back: Coding,
    /// What was decided, where requests decide.
    pub(crate) chosen: Option<Chosen>,
}

/// What a request does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Run to a boundary, and ask the exit there if there is one.
    GoOn {
        /// Which one; the last is the answer.
        to: usize,
    },
    /// Leave.
    Ship(Way),
}

impl Course {
    /// What a request does next; `exits` are their boundaries. Nobody asks at the last boundary.
    pub(crate) fn next(&self, asking: &Asking<'_>, exits: impl Iterator<Item = usize>) -> Step {
        match self {
            Self::Fixed(way) if asking.at >= way.split => Step::Ship(*way),
            Self::Fixed(way) => {
                let next = exits.filter(|exit| *exit > asking.at && *exit < way.split).min();
                Step::GoOn { to: next.unwrap_or(way.split) }
            }
            Self::Steered(steered) => steered.next(asking),
        }
    }

    /// A request leaves, as so many bytes of tensors.
    pub(crate) fn begin(&self, way: &Way, bytes: f64) -> Option<Flight> {
        match (self, &way.chosen) {
            (Self::Steered(steered), Some(chosen)) => Some(steered.sent(chosen, bytes)),
            _ => None,
        }
    }

    /// Where requests leave: all of them, or one over the link that is expected.
    pub(crate) fn way(&self) -> Way {
        match self {
            Self::Fixed(way) => *way,
            Self::Steered(steered) => steered.planned(),
        }
    }

    /// Where a request that goes on here may be stopped next, after boundary `at`.
    pub(crate) fn next_stop(&self, at: usize, last: usize) -> usize {
        match self {
            Self::Steered(steered) => steered.stops().iter().copied().find(|stop| *stop > at).unwrap_or(last),
            Self::Fixed(_) => last,
        }
    }

    /// Ranges that requests run here.
    pub(crate) fn ranges(&self, exits: impl Iterator<Item = usize>, last: usize) -> Vec<(usize, usize)> {
        let stops: Vec<usize> = match self {
            Self::Fixed(way) => exits.filter(|exit| *exit < way.split).chain([way.split, last]).collect(),
            Self::Steered(steered) => steered.stops().to_vec(),
        };
        let chain = stops.into_iter().scan(0, |from, to| Some((std::mem::replace(from, to), to)));
        chain.filter(|(from, to)| from < to).collect()
    }
}
