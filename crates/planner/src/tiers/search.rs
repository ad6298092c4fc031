//! The search over partial plans.

use super::plan::{Ship, Stage};
use super::problem::Problem;
use super::walk::{Totals, Walk};
use super::{Constraints, Objective, Weights};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Search<'a> {
    problem: &'a Problem,
    constraints: &'a Constraints,
    wanted: Wanted,
    /// A label goes when this many others that cut at different places are as good.
    keep: usize,
    labels: Vec<Label>,
    /// Labels by tier, boundary and the exits tried before: those are equally likely to get here.
    places: BTreeMap<(usize, usize, usize), Vec<usize>>,
    /// Names of (label's cuts so far, next stage without its codec, next tier).
    cuts: BTreeMap<(usize, usize, usize, usize), usize>,
    complete: Vec<(usize, Stage)>,
}

/// What one label must be no worse in to dominate another.
#[derive(Clone, Copy)]
struct Wanted {
    weights: Weights,
    score: bool,
    mean: bool,
    variance: bool,
    energy: bool,
    bytes: bool,
    money: bool,
    loss: bool,
    watts: bool,
}

/// A request that has arrived somewhere.
struct Label {
    totals: Totals,
    before: Option<(usize, Stage)>,
    cuts: usize,
}

impl<'a> Search<'a> {
    /// For the `keep` best plans that cut at different places.
    pub(super) fn best(
        problem: &'a Problem,
        objective: &Objective,
        constraints: &'a Constraints,
        keep: usize,
    ) -> Self {
        let weights = objective.weights();
        let energy = constraints.energy.is_some();
        let wanted = Wanted {
            weights,
            score: true,
            mean: constraints.deadline.is_some(),
            variance: constraints.deadline.is_some(),
            energy,
            bytes: constraints.bytes.is_some(),
            money: constraints.money.is_some(),
            loss: constraints.agreement.is_some(),
            watts: energy || weights.energy > 0.0,
        };
        Self::new(problem, constraints, wanted, keep)
    }

    /// For all plans that may be the best at something: sums without weights, times with their
    /// spread.
    pub(super) fn front(problem: &'a Problem, constraints: &'a Constraints) -> Self {
        let wanted = Wanted {
            weights: Weights::default(),
            score: false,
            mean: true,
            variance: constraints.deadline.is_some(),
            energy: true,
            bytes: true,
            money: constraints.money.is_some(),
            loss: true,
            watts: true,
        };
        Self::new(problem, constraints, wanted, 1)
    }

    /// For all plans that may meet a deadline, and whatever else is asked.
    pub(super) fn fastest(problem: &'a Problem, constraints: &'a Constraints) -> Self {
        let mut search = Self::best(problem, &Objective::Latency, constraints, 1);
        (search.wanted.mean, search.wanted.variance) = (true, true);
        search
    }

    fn new(problem: &'a Problem, constraints: &'a Constraints, wanted: Wanted, keep: usize) -> Self {
        let start = Label { totals: Totals::START, before: None, cuts: 0 };
        Self {
            problem,
            constraints,
            wanted,
            keep,
            labels: vec![start],
            places: BTreeMap::from([((0, 0, 0), vec![0])]),
            cuts: BTreeMap::new(),
            complete: Vec::new(),
        }
    }

    /// Stages of all plans that were not dropped; the constraints on sums are not checked yet.
    pub(super) fn complete(mut self) -> Vec<Vec<Stage>> {
        // A request moves to later tiers only, so the first place is final.
        while let Some(((tier, from, exits), labels)) = self.places.pop_first() {
            for label in self.undominated(labels) {
                self.extend(tier, from, exits, label);
            }
        }
        self.complete.iter().map(|(label, stage)| self.stages(*label, *stage)).collect()
    }

    fn extend(&mut self, tier: usize, from: usize, exits: usize, label: usize) {
        let last = self.problem.last();
        for to in from..=last {
            // Only the first tier may pass on what it was given.
            if (to == from && tier > 0) || !self.may_run(tier, from, to) {
                continue;
            }
            let mut walk = Walk::new(self.problem, self.labels[label].totals, None);
            if walk.run(tier, from, to).is_none() {
                continue;
            }
            if to == last {
                self.complete.push((label, Stage { tier, from, to, ship: None }));
                continue;
            }
            let tried = self.problem.exits.iter().filter(|exit| exit.boundary <= to).count();
            let tried = if tier == 0 { tried } else { exits };
            for boundary in 0..=to {
                if self.may_ship(tier, boundary, to) {
                    self.send(label, Stage { tier, from, to, ship: None }, boundary, tried, walk.totals);
                }
            }
        }
    }

    /// To every later tier, in every encoding.
    fn send(&mut self, label: usize, stage: Stage, boundary: usize, exits: usize, totals: Totals) {
        for next in stage.tier + 1..self.problem.tiers.len() {
            let name = (self.labels[label].cuts, stage.to, boundary, next);
            let fresh = self.cuts.len() + 1;
            let cuts = *self.cuts.entry(name).or_insert(fresh);
            for codec in 0..self.problem.shipments[boundary].len() {
                let ship = Ship { boundary, codec };
                let mut walk = Walk::new(self.problem, totals, None);
                walk.ship(stage.tier, next, ship);
                let stage = Stage { ship: Some(ship), ..stage };
                self.labels.push(Label { totals: walk.totals, before: Some((label, stage)), cuts });
                self.places.entry((next, boundary, exits)).or_default().push(self.labels.len() - 1);
            }
        }
    }

    /// Whether memory and pins let a tier run a range.
    pub(super) fn may_run(&self, tier: usize, from: usize, to: usize) -> bool {
        if from == to {
            return true;
        }
        let it = &self.problem.tiers[tier];
        let fits = it.memory.is_none_or(|memory| resident(self.problem, tier, from, to) <= memory);
        let touches = |a: usize, b: usize| from.max(a) < to.min(b);
        fits && self.constraints.pins.iter().all(|pin| pin.tier == tier || !touches(pin.from, pin.to))
    }

    /// The boundary that was reached, or an earlier one that the first tier would have sent at
    /// once, had an exit not been worth a try.
    fn may_ship(&self, tier: usize, boundary: usize, to: usize) -> bool {
        let exits = &self.problem.exits;
        let after_exit =
            || tier == 0 && exits.iter().any(|exit| boundary < exit.boundary && exit.boundary <= to);
        (boundary == to || after_exit()) && (tier > 0 || boundary >= self.constraints.privacy_floor)
    }

    fn undominated(&self, mut labels: Vec<usize>) -> Vec<usize> {
        let values: BTreeMap<usize, [f64; 8]> =
            labels.iter().map(|label| (*label, self.wanted.values(&self.labels[*label].totals))).collect();
        // What dominates another comes before it.
        let compare = |a: &[f64; 8], b: &[f64; 8]| {
            let orders = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        };
        labels.sort_by(|a, b| compare(&values[a], &values[b]).then(a.cmp(b)));
        let mut kept: Vec<usize> = Vec::new();
        for label in labels {
            let own = &values[&label];
            let mut better = BTreeSet::new();
            let is_dominated = kept.iter().any(|other| {
                let is_better = values[other].iter().zip(own).all(|(other, own)| other <= own);
                let cuts = self.labels[*other].cuts;
                is_better
                    && (cuts == self.labels[label].cuts || better.insert(cuts) && better.len() >= self.keep)
            });
            if !is_dominated {
                kept.push(label);
            }
        }
        kept
    }

    fn stages(&self, mut label: usize, last: Stage) -> Vec<Stage> {
        let mut stages = vec![last];
        while let Some((before, stage)) = self.labels[label].before {
            stages.push(stage);
            label = before;
        }
        stages.reverse();
        stages
    }
}

impl Wanted {
    /// What is not wanted is 0.
    fn values(&self, totals: &Totals) -> [f64; 8] {
        let Weights { latency, energy, bytes, money } = self.weights;
        let score =
            latency * totals.latency() + energy * totals.energy + bytes * totals.bytes + money * totals.money;
        let all = [
            (self.score, score),
            (self.mean, totals.mean),
            (self.variance, totals.variance),
            (self.energy, totals.energy),
            (self.bytes, totals.bytes),
            (self.money, totals.money),
            (self.loss, totals.loss),
            (self.watts, totals.watts),
        ];
        all.map(|(is_wanted, value)| if is_wanted { value } else { 0.0 })
    }
}

/// Bytes that a tier keeps to run `from..to`; the first one runs it in pieces where exits are tried.
pub(super) fn resident(problem: &Problem, tier: usize, from: usize, to: usize) -> f64 {
    let exits = problem.exits.iter().map(|exit| exit.boundary);
    let stops = exits.filter(|stop| tier == 0 && from < *stop && *stop < to);
    let mut bytes = 0.0;
    let mut at = from;
    for stop in stops.chain([to]) {
        bytes += problem.tiers[tier].resident.at(at, stop);
        at = stop;
    }
    bytes
}
