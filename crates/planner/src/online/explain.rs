//! A decision with its reasons.

use super::decide::{Action, Offer, is_better};
use super::offers::{Conditions, Query, Value, offers};
use super::table::Table;
use std::fmt;

/// Every action that was open, the chosen one first and the others in order of preference.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The actions.
    pub considered: Vec<Considered>,
    /// Seconds until the deadline, if there was one.
    pub left: Option<f64>,
}

/// An action, what it comes to, and why it was or was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Considered {
    /// The action.
    pub offer: Offer,
    /// The quantile of its seconds that is held against the deadline.
    pub late: f64,
    /// Why, or why not.
    pub verdict: Verdict,
}

/// Why an action was or was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It costs the least of those in time.
    Cheapest,
    /// None is in time, and it is the fastest.
    LeastLate,
    /// It is in time and costs more.
    Dearer {
        /// By how much.
        by: f64,
    },
    /// It is not in time.
    Late {
        /// By how many seconds.
        by: f64,
    },
}

/// What [`decide`](super::decide()) considers in the same situation; empty where it decides
/// nothing. It allocates, and is for people.
pub fn explain(table: &Table, conditions: &Conditions<'_>, query: Query, left: Option<f64>) -> Explanation {
    let limit = left.unwrap_or(f64::INFINITY);
    let mut all: Vec<(Action, Value)> = Vec::new();
    offers(table, conditions, query, |action, value| {
        // Among equals the first offer wins, as in a decision.
        let place = all.partition_point(|(_, other)| !is_better(value, other, limit));
        all.insert(place, (action, *value));
    });
    let best = all.first().map(|(_, value)| *value);
    let verdict = |index: usize, value: &Value| match (index, best) {
        (0, _) | (_, None) if value.late <= limit => Verdict::Cheapest,
        (0, _) | (_, None) => Verdict::LeastLate,
        (_, Some(best)) if value.late <= limit => Verdict::Dearer { by: value.cost - best.cost },
        _ => Verdict::Late { by: value.late - limit },
    };
    let considered = all.iter().enumerate().map(|(index, (action, value))| Considered {
        offer: Offer { action: *action, cost: value.cost, seconds: value.time.dist() },
        late: value.late,
        verdict: verdict(index, value),
    });
    Explanation { considered: considered.collect(), left }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoOn { to } => write!(f, "go on to b{to}"),
            Self::Ship { boundary, codec, node } => {
                write!(f, "ship b{boundary} with codec {codec} to node {node}")
            }
        }
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offer { action, cost, seconds } = &self.offer;
        let milliseconds = |seconds: f64| 1e3 * seconds;
        write!(
            f,
            "{action}: {:.2} ± {:.2} ms, cost {cost:.4}, {}",
            milliseconds(seconds.mean),
            milliseconds(seconds.sd),
            self.verdict
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cheapest => write!(f, "the cheapest in time"),
            Self::LeastLate => write!(f, "late as all are, by the least"),
            Self::Dearer { by } => write!(f, "costs {by:.4} more"),
            Self::Late { by } => write!(f, "late by {:.2} ms", 1e3 * by),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, it) in self.considered.iter().enumerate() {
            writeln!(f, "{} {it}", if index == 0 { '*' } else { ' ' })?;
        }
        Ok(())
    }
}
