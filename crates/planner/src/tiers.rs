//! Which tier runs which range of a model, and how is what lies between them sent?
//!
//! Ranges are as they were measured, so any plan's cost is known exactly and the question is only
//! which of the many plans to take. [`plan`] answers for an objective under constraints, with the
//! best plans that cut elsewhere as runners-up; where nothing will do, it names constraints that
//! exclude each other. [`pareto`] gives every plan that no other beats in latency, energy, bytes
//! and agreement at once. [`sensitivity`] says how far conditions must change for a runner-up to
//! win. [`routes()`] tells what early answers would save, before it is decided which exits there are.
//!
//! All come from one search: partial plans are labels at (tier, boundary), and a label is dropped
//! when another one at the same place is no worse in anything that the objective, the constraints
//! or the rest of the way may ask for (label setting for multi-objective shortest paths, Martins
//! 1984). That is exact, as everything that follows costs both the same.

mod check;
mod conflict;
mod dist;
mod plan;
mod problem;
mod routes;
mod search;
mod sensitivity;
mod walk;

pub use check::ProblemError;
pub use conflict::{Conflict, Constraint, Infeasible};
pub use dist::Dist;
pub use plan::{Outcome, Part, PartKind, Plan, Ship, Stage};
pub use problem::{Exit, Link, Problem, Ranges, Reply, Shipment, Tier};
pub use routes::{Passed, Route, routes};
pub use sensitivity::{Change, Parameter, sensitivity};

use search::Search;

/// Runners-up beside the best plan.
const RUNNERS_UP: usize = 5;

/// What is to be small.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Objective {
    /// Expected seconds.
    #[default]
    Latency,
    /// Expected joules.
    Energy,
    /// Expected bytes sent upward.
    Bytes,
    /// Expected units of currency.
    Money,
    /// A sum of all four.
    Weighted(Weights),
}

/// What a second, a joule, a byte and a unit of currency are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// Per second.
    pub latency: f64,
    /// Per joule.
    pub energy: f64,
    /// Per byte.
    pub bytes: f64,
    /// Per unit of currency.
    pub money: f64,
}

/// What a plan must keep to. The default asks for nothing. Memory is a property of a
/// [`Tier`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// By when an answer is there.
    pub deadline: Option<Deadline>,
    /// Least share of answers that equal the whole model's.
    pub agreement: Option<f64>,
    /// Most joules per inference, expected.
    pub energy: Option<f64>,
    /// Most bytes sent upward per inference, expected.
    pub bytes: Option<f64>,
    /// Most units of currency per inference, expected.
    pub money: Option<f64>,
    /// Boundaries before this one never leave the first tier.
    pub privacy_floor: usize,
    /// Ranges that run on one tier only.
    pub pins: Vec<Pin>,
}

/// A time, and how often it must be kept.
///
/// Quantiles do not add up, so means and variances are summed along each way for a request to
/// end, and the sum is taken to be normal; its parts are taken to be independent. The shares of
/// the ways are then summed: a share of 0.9 that leaves through an exit in time, and one of 0.1
/// that does so half of the time, make 0.95. A way whose mean is late counts as late always.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadline {
    /// Until the answer is on the first tier.
    pub seconds: f64,
    /// Share of requests that must be in time: 0.5 to below 1.
    pub quantile: f64,
}

/// A range that must run on one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// From this boundary.
    pub from: usize,
    /// To this one.
    pub to: usize,
    /// The tier.
    pub tier: usize,
}

/// The answer of [`plan`].
#[derive(Clone, Debug, PartialEq)]
pub struct Plans {
    /// The plan whose score is the least.
    pub best: Plan,
    /// The best plans that cut elsewhere, by rising score.
    pub runners_up: Vec<Plan>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The question makes no sense.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// No plan keeps to all constraints.
    #[error(transparent)]
    Infeasible(#[from] Infeasible),
}

/// The best plan and its runners-up: exact, by the numbers given.
///
/// # Errors
/// Numbers that make no sense, or constraints that exclude each other.
pub fn plan(problem: &Problem, objective: &Objective, constraints: &Constraints) -> Result<Plans, PlanError> {
    check::problem(problem)?;
    check::constraints(problem, constraints)?;
    check::objective(objective)?;
    let mut plans = ranked(problem, objective, constraints, 1 + RUNNERS_UP).into_iter();
    match plans.next() {
        Some(best) => Ok(Plans { best, runners_up: plans.collect() }),
        None => Err(conflict::explain(problem, constraints).into()),
    }
}

/// Every plan that no other beats in latency, energy, egress bytes and agreement at once, by
/// rising latency.
///
/// # Errors
/// Numbers that make no sense.
pub fn pareto(problem: &Problem) -> Result<Vec<Plan>, ProblemError> {
    check::problem(problem)?;
    let constraints = Constraints::default();
    let search = Search::front(problem, &constraints);
    let plans = search
        .complete()
        .into_iter()
        .filter_map(|stages| Plan::new(problem, stages, |plan| Objective::Latency.score(plan)));
    let mut plans: Vec<Plan> = plans.collect();
    let values = |plan: &Plan| [plan.latency.mean, plan.energy, plan.egress_bytes, -plan.agreement];
    plans.sort_by(|a, b| values(a).partial_cmp(&values(b)).unwrap_or(std::cmp::Ordering::Equal));
    let mut front: Vec<Plan> = Vec::new();
    for plan in plans {
        let is_beaten = |other: &Plan| values(other).iter().zip(values(&plan)).all(|(a, b)| *a <= b);
        if !front.iter().any(is_beaten) {
            front.push(plan);
        }
    }
    Ok(front)
}

/// The best `count` plans that cut at different places, each with its best codecs.
fn ranked(problem: &Problem, objective: &Objective, constraints: &Constraints, count: usize) -> Vec<Plan> {
    let search = Search::best(problem, objective, constraints, count);
    let plans = search.complete().into_iter();
    let plans = plans.filter_map(|stages| Plan::new(problem, stages, |plan| objective.score(plan)));
    let mut plans: Vec<Plan> = plans.filter(|plan| constraints.are_met(plan)).collect();
    let ties = |plan: &Plan| [plan.score, plan.latency.mean, plan.egress_bytes, -plan.agreement];
    plans.sort_by(|a, b| {
        let order = ties(a).partial_cmp(&ties(b)).unwrap_or(std::cmp::Ordering::Equal);
        order.then_with(|| a.stages.cmp(&b.stages))
    });
    let mut distinct: Vec<Plan> = Vec::new();
    for plan in plans {
        if distinct.len() < count && !distinct.iter().any(|other| cuts(other).eq(cuts(&plan))) {
            distinct.push(plan);
        }
    }
    distinct
}

/// A plan without its codecs.
fn cuts(plan: &Plan) -> impl Iterator<Item = (usize, usize, Option<usize>)> {
    plan.stages.iter().map(|stage| (stage.tier, stage.to, stage.ship.map(|ship| ship.boundary)))
}

impl Objective {
    /// The weights that say the same.
    pub fn weights(&self) -> Weights {
        let none = Weights::default();
        match self {
            Self::Latency => Weights { latency: 1.0, ..none },
            Self::Energy => Weights { energy: 1.0, ..none },
            Self::Bytes => Weights { bytes: 1.0, ..none },
            Self::Money => Weights { money: 1.0, ..none },
            Self::Weighted(weights) => *weights,
        }
    }

    fn score(&self, plan: &Plan) -> f64 {
        let weights = self.weights();
        weights.latency * plan.latency.mean
            + weights.energy * plan.energy
            + weights.bytes * plan.egress_bytes
            + weights.money * plan.money
    }
}

/// Limits forgive what sums of floating-point numbers are wrong by.
const ROUNDING: f64 = 1e-12;

impl Constraints {
    /// Whether a plan keeps to what can be told from its sums; where it may run is the search's
    /// part.
    fn are_met(&self, plan: &Plan) -> bool {
        let at_most = |value: f64, cap: Option<f64>| cap.is_none_or(|cap| value <= cap * (1.0 + ROUNDING));
        at_most(plan.energy, self.energy)
            && at_most(plan.egress_bytes, self.bytes)
            && at_most(plan.money, self.money)
            && self.agreement.is_none_or(|floor| plan.agreement >= floor - ROUNDING)
            && self.deadline.is_none_or(|deadline| {
                plan.within(deadline.seconds * (1.0 + ROUNDING)) >= deadline.quantile - ROUNDING
            })
    }
}
