//! How far conditions must change for another plan to win.
//!
//! Every objective is a sum of expected values, so under a factor on one kind of time the score of
//! a plan is a straight line, and where two plans change places is where two lines cross. What is
//! not known is which *other* plan may overtake both on the way: so each crossing is planned
//! again, and where a plan turns up that was not looked at, it joins the lines. There are finitely
//! many. Limits only tighten as times grow, so each plan is allowed up to one factor and not
//! beyond, which bisection finds.

use super::dist::Dist;
use super::plan::{Plan, Stage};
use super::problem::Problem;
use super::{Constraints, Objective, PlanError, ranked};

/// Times are changed by no more than this factor, either way.
const FARTHEST: f64 = 1e4;

/// How far beyond a crossing to look, so that the winner is the sole one.
const BEYOND: f64 = 1e-6;

/// What may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameter {
    /// Bytes per second to the next tier, on every link.
    UpBandwidth,
    /// Bytes per second back, on every link.
    DownBandwidth,
    /// Delay of every link, both ways.
    RoundTrip,
    /// How fast the first tier computes, encodes and decodes.
    FirstTierSpeed,
    /// How fast the last tier does.
    LastTierSpeed,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::UpBandwidth, Self::DownBandwidth, Self::RoundTrip, Self::FirstTierSpeed, Self::LastTierSpeed];

    /// The factor on the parameter itself, of one on the times that it stands for; and back.
    fn factor(self, times: f64) -> f64 {
        if self == Self::RoundTrip { times } else { 1.0 / times }
    }
}

/// A change after which a plan is the best one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Of what.
    pub parameter: Parameter,
    /// The parameter times this is where the plan draws level: 0.5 is half of the bandwidth.
    pub factor: f64,
}

impl Problem {
    /// The same with a parameter changed by a factor above 0: twice the bandwidth is a factor of 2.
    #[must_use]
    pub fn with(&self, parameter: Parameter, factor: f64) -> Self {
        let times = parameter.factor(factor);
        let mut problem = self.clone();
        match parameter {
            Parameter::UpBandwidth => {
                problem.links.iter_mut().for_each(|link| link.up = link.up.scaled(times));
            }
            Parameter::DownBandwidth => {
                problem.links.iter_mut().for_each(|link| link.down = link.down.scaled(times));
            }
            Parameter::RoundTrip => problem.links.iter_mut().for_each(|link| {
                link.up_delay = link.up_delay.scaled(times);
                link.down_delay = link.down_delay.scaled(times);
            }),
            Parameter::FirstTierSpeed => problem.slow(0, times),
            Parameter::LastTierSpeed => problem.slow(self.tiers.len().saturating_sub(1), times),
        }
        problem
    }

    fn slow(&mut self, tier: usize, times: f64) {
        if let Some(tier) = self.tiers.get_mut(tier) {
            tier.times = tier.times.map(|time| time.map(|time| time.scaled(times)));
        }
        for shipment in self.shipments.iter_mut().flatten() {
            shipment.encode[tier] = shipment.encode[tier].scaled(times);
            shipment.decode[tier] = shipment.decode[tier].scaled(times);
        }
        if let Some(encode) = self.reply.encode.get_mut(tier) {
            *encode = encode.scaled(times);
        }
        if tier == 0 {
            self.reply.decode = self.reply.decode.scaled(times);
            self.exits.iter_mut().for_each(|exit| exit.head = exit.head.scaled(times));
        }
    }
}

/// For each parameter the smallest change, as a ratio, that makes `plan` the best; a parameter is
/// left out where none does between a ten-thousandth and ten thousand times its value.
///
/// # Errors
/// A question that [`plan`](super::plan) would refuse.
pub fn sensitivity(
    problem: &Problem,
    objective: &Objective,
    constraints: &Constraints,
    plan: &Plan,
) -> Result<Vec<Change>, PlanError> {
    let best = super::plan(problem, objective, constraints)?.best;
    let mut changes = Vec::new();
    for parameter in Parameter::ALL {
        let question = Question { problem, objective, constraints, parameter };
        let up = question.nearest(plan, &best, true);
        let down = question.nearest(plan, &best, false);
        let nearest = up.into_iter().chain(down).min_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs()));
        changes.extend(nearest.map(|times| Change { parameter, factor: parameter.factor(times) }));
    }
    Ok(changes)
}

struct Question<'a> {
    problem: &'a Problem,
    objective: &'a Objective,
    constraints: &'a Constraints,
    parameter: Parameter,
}

/// A plan's score over the factor on times, and up to where it is allowed.
struct Line {
    at_none: f64,
    slope: f64,
    until: f64,
}

impl Line {
    fn at(&self, times: f64) -> f64 {
        self.at_none + self.slope * times
    }
}

impl Question<'_> {
    /// The nearest factor on times at which the plan is the best, going one way from 1.
    fn nearest(&self, plan: &Plan, best: &Plan, rises: bool) -> Option<f64> {
        let own = self.line(&plan.stages)?;
        let mut others = vec![(best.stages.clone(), self.line(&best.stages)?)];
        loop {
            let times = self.candidates(&own, &others, rises).find(|times| {
                let times = beyond(*times, rises);
                let beats = |other: &Line| own.at(times) <= other.at(times) || other.until < times;
                times <= own.until && others.iter().all(|(_, other)| beats(other))
            })?;
            let winner = self.winner(beyond(times, rises))?;
            if winner.stages == plan.stages || others.iter().any(|(stages, _)| *stages == winner.stages) {
                return Some(times);
            }
            let line = self.line(&winner.stages)?;
            others.push((winner.stages, line));
        }
    }

    /// Where anything changes places, from 1 outward.
    fn candidates(
        &self,
        own: &Line,
        others: &[(Vec<Stage>, Line)],
        rises: bool,
    ) -> impl Iterator<Item = f64> {
        let crossing = |other: &Line| (other.at_none - own.at_none) / (own.slope - other.slope);
        let ends = others.iter().flat_map(move |(_, other)| [crossing(other), other.until]);
        let mut all: Vec<f64> = ends.chain([own.until, 1.0]).collect();
        all.retain(|times| {
            let is_beyond = if rises { *times >= 1.0 } else { *times <= 1.0 };
            is_beyond && (1.0 / FARTHEST..=FARTHEST).contains(times)
        });
        all.sort_by(f64::total_cmp);
        if !rises {
            all.reverse();
        }
        all.into_iter()
    }

    /// From a plan at two factors, and a bisection for where limits are reached.
    fn line(&self, stages: &[Stage]) -> Option<Line> {
        let (one, two) = (self.at(stages, 1.0)?, self.at(stages, 2.0)?);
        let is_allowed = |times: f64| self.constraints.are_met(&along(&one, &two, times));
        let until = if is_allowed(FARTHEST * 2.0) {
            f64::INFINITY
        } else {
            let (mut low, mut high) = (0.0, FARTHEST * 2.0);
            for _ in 0..100 {
                let middle = (low + high) / 2.0;
                if is_allowed(middle) { low = middle } else { high = middle }
            }
            low
        };
        Some(Line { at_none: 2.0 * one.score - two.score, slope: two.score - one.score, until })
    }

    fn at(&self, stages: &[Stage], times: f64) -> Option<Plan> {
        let problem = self.problem.with(self.parameter, self.parameter.factor(times));
        Plan::new(&problem, stages.to_vec(), |plan| self.objective.score(plan))
    }

    fn winner(&self, times: f64) -> Option<Plan> {
        let problem = self.problem.with(self.parameter, self.parameter.factor(times));
        ranked(&problem, self.objective, self.constraints, 1).into_iter().next()
    }
}

/// What limits look at, of a plan known at the factors 1 and 2: sums of expected values are
/// straight, and so are variances over the square of the factor, as a time varies in proportion.
fn along(one: &Plan, two: &Plan, times: f64) -> Plan {
    let straight = |one: f64, two: f64| one + (two - one) * (times - 1.0);
    let mut plan = one.clone();
    plan.energy = straight(one.energy, two.energy);
    plan.money = straight(one.money, two.money);
    for (outcome, two) in plan.outcomes.iter_mut().zip(&two.outcomes) {
        let (one, two) = (outcome.latency, two.latency);
        let variance = one.sd.powi(2) + (two.sd.powi(2) - one.sd.powi(2)) / 3.0 * (times * times - 1.0);
        outcome.latency = Dist { mean: straight(one.mean, two.mean), sd: variance.max(0.0).sqrt() };
    }
    plan
}

fn beyond(times: f64, rises: bool) -> f64 {
    if rises { times * (1.0 + BEYOND) } else { times * (1.0 - BEYOND) }
}
