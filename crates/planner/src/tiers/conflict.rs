//! Which constraints exclude each other, and how far each would have to give way.

use super::plan::{Outcome, Plan, time_within};
use super::problem::Problem;
use super::search::{Search, resident};
use super::{Constraints, Objective, ranked};
use std::fmt;

/// Constraints that no plan keeps to together, though one does to any all but one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Infeasible {
    /// Empty where no tier can run the model even without constraints.
    pub conflicts: Vec<Conflict>,
}

/// One of the constraints.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Which one.
    pub constraint: Constraint,
    /// What it asks for, in its own unit; for a pin, its tier.
    pub wanted: f64,
    /// The best that there is if the other conflicting constraints stay; `None` for a pin.
    pub best: Option<f64>,
}

/// A constraint by name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Constraint {
    /// Seconds at a quantile.
    Deadline {
        /// The quantile.
        quantile: f64,
    },
    /// Share of answers that agree.
    Agreement,
    /// Joules per inference.
    Energy,
    /// Bytes upward per inference.
    Bytes,
    /// Units of currency per inference.
    Money,
    /// Bytes of a tier's memory.
    Memory {
        /// The tier's name.
        tier: String,
        /// Its index.
        index: usize,
    },
    /// The first boundary that may leave the first tier.
    PrivacyFloor,
    /// A pinned range.
    Pin {
        /// Its index.
        index: usize,
        /// From this boundary.
        from: usize,
        /// To this one.
        to: usize,
    },
}

pub(super) fn explain(problem: &Problem, constraints: &Constraints) -> Infeasible {
    let mut kept = named(problem, constraints);
    // What can go without making a plan possible is not needed for the conflict.
    let mut at = 0;
    while at < kept.len() {
        let dropped = kept.remove(at);
        let (problem, constraints) = only(problem, constraints, &kept);
        if is_feasible(&problem, &constraints) {
            kept.insert(at, dropped);
            at += 1;
        }
    }
    let conflicts = kept.iter().enumerate().map(|(index, (constraint, wanted))| {
        let mut others = kept.clone();
        others.remove(index);
        let (problem, constraints) = only(problem, constraints, &others);
        Conflict {
            constraint: constraint.clone(),
            wanted: *wanted,
            best: best(&problem, constraints, constraint),
        }
    });
    Infeasible { conflicts: conflicts.collect() }
}

/// Every constraint that is set, and what it asks for.
fn named(problem: &Problem, constraints: &Constraints) -> Vec<(Constraint, f64)> {
    let mut all = Vec::new();
    if let Some(deadline) = constraints.deadline {
        all.push((Constraint::Deadline { quantile: deadline.quantile }, deadline.seconds));
    }
    all.extend(constraints.agreement.map(|floor| (Constraint::Agreement, floor)));
    all.extend(constraints.energy.map(|cap| (Constraint::Energy, cap)));
    all.extend(constraints.bytes.map(|cap| (Constraint::Bytes, cap)));
    all.extend(constraints.money.map(|cap| (Constraint::Money, cap)));
    for (index, tier) in problem.tiers.iter().enumerate() {
        all.extend(tier.memory.map(|cap| (Constraint::Memory { tier: tier.name.clone(), index }, cap)));
    }
    if constraints.privacy_floor > 0 {
        all.push((Constraint::PrivacyFloor, constraints.privacy_floor as f64));
    }
    for (index, pin) in constraints.pins.iter().enumerate() {
        all.push((Constraint::Pin { index, from: pin.from, to: pin.to }, pin.tier as f64));
    }
    all
}

/// The same question with these constraints alone.
fn only(problem: &Problem, constraints: &Constraints, kept: &[(Constraint, f64)]) -> (Problem, Constraints) {
    let (mut problem, all) = (problem.clone(), constraints);
    let mut constraints = Constraints::default();
    problem.tiers.iter_mut().for_each(|tier| tier.memory = None);
    for (constraint, wanted) in kept {
        match constraint {
            Constraint::Deadline { .. } => constraints.deadline = all.deadline,
            Constraint::Agreement => constraints.agreement = all.agreement,
            Constraint::Energy => constraints.energy = all.energy,
            Constraint::Bytes => constraints.bytes = all.bytes,
            Constraint::Money => constraints.money = all.money,
            Constraint::Memory { index, .. } => problem.tiers[*index].memory = Some(*wanted),
            Constraint::PrivacyFloor => constraints.privacy_floor = all.privacy_floor,
            Constraint::Pin { index, .. } => constraints.pins.push(all.pins[*index]),
        }
    }
    (problem, constraints)
}

fn is_feasible(problem: &Problem, constraints: &Constraints) -> bool {
    !met(problem, Search::fastest(problem, constraints), constraints).is_empty()
}

fn met(problem: &Problem, search: Search<'_>, constraints: &Constraints) -> Vec<Plan> {
    let plans = search.complete().into_iter();
    let plans = plans.filter_map(|stages| Plan::new(problem, stages, |plan| plan.latency.mean));
    plans.filter(|plan| constraints.are_met(plan)).collect()
}

/// The best value that a constraint could ask for beside the given ones.
fn best(problem: &Problem, mut constraints: Constraints, constraint: &Constraint) -> Option<f64> {
    let least = |objective: Objective, of: fn(&Plan) -> f64| {
        ranked(problem, &objective, &constraints, 1).first().map(of)
    };
    match constraint {
        Constraint::Deadline { quantile } => {
            let plans = met(problem, Search::fastest(problem, &constraints), &constraints);
            let time = |outcomes: &[Outcome]| time_within(outcomes, *quantile);
            plans.iter().map(|plan| time(&plan.outcomes)).min_by(f64::total_cmp)
        }
        Constraint::Agreement => {
            let search = Search::front(problem, &constraints);
            let plans = met(problem, search, &constraints);
            plans.iter().map(|plan| plan.agreement).max_by(f64::total_cmp)
        }
        Constraint::Energy => least(Objective::Energy, |plan| plan.energy),
        Constraint::Bytes => least(Objective::Bytes, |plan| plan.egress_bytes),
        Constraint::Money => least(Objective::Money, |plan| plan.money),
        Constraint::Memory { index, .. } => {
            let mut problem = problem.clone();
            let last = problem.last();
            let ranges = (0..last).flat_map(|from| (from + 1..=last).map(move |to| (from, to)));
            let sizes = ranges.map(|(from, to)| resident(&problem, *index, from, to)).chain([0.0]);
            let mut sizes: Vec<f64> = sizes.collect();
            sizes.sort_by(f64::total_cmp);
            let at = sizes.partition_point(|size| {
                problem.tiers[*index].memory = Some(*size);
                !is_feasible(&problem, &constraints)
            });
            sizes.get(at).copied()
        }
        Constraint::PrivacyFloor => {
            let floors = (0..=problem.last()).rev();
            let mut allowed = floors.filter(|floor| {
                constraints.privacy_floor = *floor;
                is_feasible(problem, &constraints)
            });
            allowed.next().map(|floor| floor as f64)
        }
        Constraint::Pin { .. } => None,
    }
}

impl std::error::Error for Infeasible {}

impl fmt::Display for Infeasible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conflicts.is_empty() {
            return f.write_str("no tier, alone or with others, can run the model to its end");
        }
        f.write_str("no plan keeps to all of: ")?;
        for (index, conflict) in self.conflicts.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{conflict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        match &self.constraint {
            Constraint::Deadline { quantile } => {
                write!(f, "deadline {:.3} ms at p{}", wanted * 1e3, quantile * 100.0)
            }
            Constraint::Agreement => write!(f, "agreement {wanted}"),
            Constraint::Energy => write!(f, "energy {wanted} J"),
            Constraint::Bytes => write!(f, "egress {wanted} bytes"),
            Constraint::Money => write!(f, "money {wanted}"),
            Constraint::Memory { tier, .. } => write!(f, "memory of `{tier}` {wanted} bytes"),
            Constraint::PrivacyFloor => write!(f, "privacy floor b{wanted}"),
            Constraint::Pin { from, to, .. } => write!(f, "{from}..{to} on tier {wanted}"),
        }?;
        match (&self.constraint, self.best) {
            (_, None) => Ok(()),
            (Constraint::Deadline { .. }, Some(best)) => {
                write!(f, " (with the others at best {:.3} ms)", best * 1e3)
            }
            (Constraint::PrivacyFloor, Some(best)) => write!(f, " (with the others at best b{best})"),
            (_, Some(best)) => write!(f, " (with the others at best {best})"),
        }
    }
}
