//! What a plan amounts to, step by step. The search and the breakdown of a plan take the same
//! steps, so that they cannot disagree.

use super::dist::Dist;
use super::plan::{Outcome, Part, PartKind, Ship, Stage};
use super::problem::Problem;

/// Sums along a plan. All but `reach`, `mean`, `variance`, `loss` and `watts` are expected values:
/// what happens after an exit counts by how likely the request gets there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Totals {
    /// How likely no exit has answered.
    pub(super) reach: f64,
    /// Seconds of a request that no exit answered.
    pub(super) mean: f64,
    pub(super) variance: f64,
    /// Seconds of those that one did, by probability.
    pub(super) exited: f64,
    pub(super) energy: f64,
    pub(super) bytes: f64,
    pub(super) money: f64,
    pub(super) loss: f64,
    /// What the tiers that passed the request on draw while they wait for it.
    pub(super) watts: f64,
}

impl Totals {
    pub(super) const START: Self = Self {
        reach: 1.0,
        mean: 0.0,
        variance: 0.0,
        exited: 0.0,
        energy: 0.0,
        bytes: 0.0,
        money: 0.0,
        loss: 0.0,
        watts: 0.0,
    };

    pub(super) fn latency(&self) -> f64 {
        self.exited + self.reach * self.mean
    }

    /// Of a request that no exit answered.
    pub(super) fn path(&self) -> Dist {
        Dist { mean: self.mean, sd: self.variance.sqrt() }
    }
}

/// A request on its way.
pub(super) struct Walk<'a> {
    problem: &'a Problem,
    pub(super) totals: Totals,
    /// Kept only where a breakdown is wanted.
    pub(super) record: Option<Record>,
}

/// What a breakdown needs.
#[derive(Default)]
pub(super) struct Record {
    pub(super) parts: Vec<Part>,
    pub(super) back: Vec<Part>,
    pub(super) exits: Vec<Outcome>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(problem: &'a Problem, totals: Totals, record: Option<Record>) -> Self {
        Self { problem, totals, record }
    }

    /// All of a plan; `None` where a tier cannot run its range.
    pub(super) fn all(problem: &'a Problem, stages: &[Stage]) -> Option<Self> {
        let mut walk = Self::new(problem, Totals::START, Some(Record::default()));
        for (index, stage) in stages.iter().enumerate() {
            walk.run(stage.tier, stage.from, stage.to)?;
            if let (Some(ship), Some(next)) = (stage.ship, stages.get(index + 1)) {
                walk.ship(stage.tier, next.tier, ship);
            }
        }
        Some(walk)
    }

    /// Runs `from..to` on a tier, and on the first one every exit up to `to`.
    pub(super) fn run(&mut self, tier: usize, from: usize, to: usize) -> Option<()> {
        if from == to {
            return Some(());
        }
        self.wait(PartKind::Queue { tier }, self.problem.tiers[tier].queue);
        let mut at = from;
        if tier == 0 {
            let exits = self.problem.exits.iter().take_while(|exit| exit.boundary <= to);
            for exit in exits {
                self.compute(tier, at, exit.boundary)?;
                self.busy(PartKind::Head { boundary: exit.boundary }, tier, exit.head);
                at = exit.boundary;
                let totals = &mut self.totals;
                let probability = totals.reach * exit.probability;
                totals.exited += probability * totals.mean;
                totals.reach *= 1.0 - exit.probability;
                totals.loss += exit.agreement_loss;
                let outcome = Outcome { exit: Some(exit.boundary), probability, latency: totals.path() };
                if let Some(record) = &mut self.record {
                    record.exits.push(outcome);
                }
            }
        }
        if at < to {
            self.compute(tier, at, to)?;
        }
        if tier > 0 && to == self.problem.last() {
            self.reply(tier);
        }
        Some(())
    }

    /// The result, where it was not made on the first tier. The links were paid on the way there.
    fn reply(&mut self, tier: usize) {
        let reply = &self.problem.reply;
        self.totals.loss += reply.agreement_loss;
        self.busy(PartKind::EncodeResult { tier }, tier, reply.encode[tier]);
        // From here on nobody waits for others.
        self.totals.watts = 0.0;
        self.busy(PartKind::DecodeResult, 0, reply.decode);
    }

    /// Encodes on one tier, crosses the links to another, decodes there. The way back over the
    /// same links is paid at once: the result crosses each link that the request crossed, and the
    /// same tiers wait for it.
    pub(super) fn ship(&mut self, from: usize, to: usize, ship: Ship) {
        let problem = self.problem;
        let shipment = &problem.shipments[ship.boundary][ship.codec];
        self.totals.loss += shipment.agreement_loss;
        self.busy(PartKind::Encode { tier: from }, from, shipment.encode[from]);
        self.totals.watts += problem.tiers[from].wait_watts;
        for (link, it) in problem.links.iter().enumerate().take(to).skip(from) {
            self.wait(PartKind::Up { link }, it.up_delay.plus(shipment.bytes.times(it.up)));
            self.wait(PartKind::Back { link }, it.down_delay.plus(problem.reply.bytes.times(it.down)));
            let totals = &mut self.totals;
            let both = totals.reach * (shipment.bytes.mean + problem.reply.bytes.mean);
            totals.energy += both * it.joules_per_byte;
            totals.money += both * it.money_per_byte;
            totals.bytes += totals.reach * shipment.bytes.mean;
        }
        self.busy(PartKind::Decode { tier: to }, to, shipment.decode[to]);
    }

    fn compute(&mut self, tier: usize, from: usize, to: usize) -> Option<()> {
        let time = (*self.problem.tiers[tier].times.at(from, to))?;
        self.busy(PartKind::Compute { tier, from, to }, tier, time);
        Some(())
    }

    fn busy(&mut self, kind: PartKind, tier: usize, time: Dist) {
        let tier = &self.problem.tiers[tier];
        let expected = self.totals.reach * time.mean;
        self.totals.energy += expected * tier.busy_watts;
        self.totals.money += expected * tier.money_per_second;
        self.wait(kind, time);
    }

    fn wait(&mut self, kind: PartKind, time: Dist) {
        let totals = &mut self.totals;
        totals.mean += time.mean;
        totals.variance += time.sd * time.sd;
        totals.energy += totals.reach * time.mean * totals.watts;
        let part = Part { kind, probability: totals.reach, time };
        if let Some(record) = &mut self.record {
            match kind {
                PartKind::Back { .. } => record.back.push(part),
                // What is noted of the way back is turned round.
                PartKind::DecodeResult => record.back.insert(0, part),
                _ => record.parts.push(part),
            }
        }
    }
}
