//! One decision.

use super::offers::{Conditions, Query, Value, offers};
use super::table::Table;
use crate::tiers::Dist;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run to a boundary, try the head there, and ask again. The last boundary is the answer.
    GoOn {
        /// Which one.
        to: usize,
    },
    /// Send the tensors of a boundary.
    Ship {
        /// Which one: `at`, or one that is held.
        boundary: usize,
        /// How to encode them.
        codec: usize,
        /// To whom.
        node: usize,
    },
}

/// An action and what it comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// What to do.
    pub action: Action,
    /// What it is expected to cost from here on, in the terms' weights.
    pub cost: f64,
    /// Seconds from here on if no head answers and the rest is done as fast as can be.
    pub seconds: Dist,
}

/// The best action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// It.
    pub best: Offer,
    /// The next best; after a deadline that no action meets, the next fastest.
    pub runner_up: Option<Offer>,
    /// The best of those that ship now.
    pub ship: Option<Offer>,
    /// The best of those that go on.
    pub go_on: Option<Offer>,
}

/// Decides; `None` where nothing can be done, or nothing is left to do. `left` are the seconds
/// until the request's deadline. A decision takes microseconds and allocates nothing.
pub fn decide(
    table: &Table,
    conditions: &Conditions<'_>,
    query: Query,
    left: Option<f64>,
) -> Option<Decision> {
    let mut best = Best { left: left.unwrap_or(f64::INFINITY), ..Best::default() };
    offers(table, conditions, query, |action, value| best.offer(action, value));
    let made = |it: (Action, Value)| Offer { action: it.0, cost: it.1.cost, seconds: it.1.time.dist() };
    Some(Decision {
        best: best.first.map(made)?,
        runner_up: best.second.map(made),
        ship: best.ship.map(made),
        go_on: best.go_on.map(made),
    })
}

/// Whether the one is to be preferred: in time before late; then by cost, or, if late, by time.
pub(super) fn is_better(value: &Value, other: &Value, left: f64) -> bool {
    match (value.late <= left, other.late <= left) {
        (true, true) => value.cost < other.cost,
        (false, false) => value.late < other.late,
        (in_time, _) => in_time,
    }
}

#[derive(Default)]
struct Best {
    left: f64,
    first: Option<(Action, Value)>,
    second: Option<(Action, Value)>,
    ship: Option<(Action, Value)>,
    go_on: Option<(Action, Value)>,
}

impl Best {
    fn offer(&mut self, action: Action, value: &Value) {
        let left = self.left;
        let beats = |other: &Option<(Action, Value)>| {
            other.as_ref().is_none_or(|(_, other)| is_better(value, other, left))
        };
        if beats(&self.first) {
            self.second = self.first.replace((action, *value));
        } else if beats(&self.second) {
            self.second = Some((action, *value));
        }
        let kind = match action {
            Action::Ship { .. } => &mut self.ship,
            Action::GoOn { .. } => &mut self.go_on,
        };
        if beats(kind) {
            *kind = Some((action, *value));
        }
    }
}
