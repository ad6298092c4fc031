//! One decision, composed of what is known.

use super::{MAX_NODES, Pilot, Situation};
use crate::race::{self, Race};
use kerf_planner::online::{self, Action, Conditions, Decision, Explanation, NodeState, Offer, Query};
use kerf_planner::tiers::Dist;
use std::time::Duration;

/// A race must be expected to save at least this share of the seconds that are left: what is sent
/// and computed twice is in the way of others.
const WORTH: f64 = 0.02;

/// Why an action was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// It is the best by what is known.
    Best,
    /// With the edge going on too, it is better than the best alone.
    Race,
    /// Little is known of its link. It may be better, and if it is not, no more than this is
    /// expected to be lost.
    Trial {
        /// Cost beyond that of the best.
        regret: f64,
    },
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// What to do, and what it is expected to come to.
    pub offer: Offer,
    /// Why.
    pub reason: Reason,
    /// Where it ships: seconds from when it is sent after which the edge should go on too, from the
    /// tensors that it kept, boundary by boundary and behind all other work. `None` where it should wait for as long as the node lives.
    pub local_after: Option<f64>,
    /// The best by what is known, and what else there was.
    pub decision: Decision,
}

impl Pilot {
    /// What to do with a request, and `None` where nothing can be done or is left to do.
    pub fn decide(&mut self, now: Duration, situation: &Situation<'_>) -> Option<Choice> {
        let mut states = [UNAVAILABLE; MAX_NODES];
        let conditions = self.conditions(now, situation, &mut states);
        let query = Query { at: situation.at, held: situation.held };
        let decision = online::decide(&self.table, &conditions, query, situation.left)?;
        let local = self.local(now, situation, &conditions);
        let doubt = self.doubt(now, &conditions, &decision);
        let (offer, reason) = self.choose(situation, &conditions, &decision, local, doubt.is_some());
        self.wanted = doubt;
        let local_after = self.local_after(situation, &conditions, offer, local);
        Some(Choice { offer, reason, local_after, decision })
    }

    /// All that was open in a situation, with what it is expected to come to. For people.
    pub fn explain(&self, now: Duration, situation: &Situation<'_>) -> Explanation {
        let mut states = [UNAVAILABLE; MAX_NODES];
        let conditions = self.conditions(now, situation, &mut states);
        let query = Query { at: situation.at, held: situation.held };
        online::explain(&self.table, &conditions, query, situation.left)
    }

    fn conditions<'a>(
        &self,
        now: Duration,
        situation: &Situation<'_>,
        states: &'a mut [NodeState; MAX_NODES],
    ) -> Conditions<'a> {
        for (index, (state, node)) in states.iter_mut().zip(&self.nodes).enumerate() {
            let link = node.link.estimate(now);
            let Dist { mean, sd } = link.round_trip;
            // Of what it adds itself, half is ahead on average.
            let ahead = link.backlog * link.up.mean + node.traffic.usual() / 2.0;
            *state = NodeState {
                is_available: situation.available.get(index).copied().unwrap_or(false),
                round_trip: Dist { mean: mean + node.excess.value(now), sd },
                price: amount(node.traffic.price(now, 0.0, ahead, 1.0)),
                up: link.up,
                down: link.down,
                backlog: link.backlog,
                queue: node.queue.value(now),
                slowdown: node.factor.value(now),
            };
        }
        let slowdown = self.edge.value(now);
        let rest = self.table.local(situation.at).map_or(0.0, |rest| rest.mean * slowdown.mean);
        let waiting = amount(situation.own_waiting) * self.load.usual();
        let ahead = situation.own_wait.mean + waiting + rest / 2.0;
        let price = self.load.price(now, situation.own_waiting, ahead, self.settings.threads);
        Conditions {
            edge_wait: situation.own_wait,
            edge_slowdown: slowdown,
            edge_price: amount(price),
            energy_factor: situation.energy_factor,
            nodes: &states[..self.nodes.len()],
        }
    }

    /// The rest on the edge alone, behind all other work: of those that wait, and, boundary by boundary,
    /// of those that come.
    fn local(&self, now: Duration, situation: &Situation<'_>, conditions: &Conditions<'_>) -> Option<Dist> {
        let rest = self.table.local(situation.at)?.times(conditions.edge_slowdown);
        let threads = self.settings.threads;
        let waiting = Dist::exact(amount(situation.own_waiting) * self.load.usual() / threads);
        let rest = rest.scaled(1.0 / (1.0 - self.load.busy(now, threads)));
        Some(rest.plus(waiting).plus(situation.own_wait))
    }

    /// The best, or one that ships although it is not: because the edge races it, or to learn.
    fn choose(
        &self,
        situation: &Situation<'_>,
        conditions: &Conditions<'_>,
        decision: &Decision,
        local: Option<Dist>,
        is_in_doubt: bool,
    ) -> (Offer, Reason) {
        let best = decision.best;
        let (Action::GoOn { .. }, Some(ship)) = (best.action, decision.ship) else {
            return (best, Reason::Best);
        };
        let latency = self.table.model().terms.weights.latency;
        if let (Race::Always, Some(local)) = (self.settings.race, local) {
            let price = self.price(conditions);
            let (encode, answer) = self.away(conditions, &ship);
            if let Some(start) = race::start(answer, local, price) {
                let (until, computing) = race::expected(answer, local, start);
                let saved = latency * (ship.seconds.mean - encode - until - price * computing);
                if ship.cost - saved < best.cost - WORTH * latency * local.mean {
                    return (ship, Reason::Race);
                }
            }
        }
        let late = ship.seconds.mean + self.table.deviations() * ship.seconds.sd;
        let is_in_time = situation.left.is_none_or(|left| late <= left);
        let regret = ship.cost - best.cost;
        let has_budget = self.settings.explore > 0.0 && regret <= self.trials.left();
        if is_in_doubt && is_in_time && has_budget {
            return (ship, Reason::Trial { regret });
        }
        (best, Reason::Best)
    }

    /// The node to which shipping would be the best if its link did well, although it is not by
    /// what is expected: the decision turns on what is not known.
    fn doubt(&self, now: Duration, conditions: &Conditions<'_>, decision: &Decision) -> Option<usize> {
        let (Action::GoOn { .. }, Some(ship)) = (decision.best.action, decision.ship) else { return None };
        let Action::Ship { boundary, codec, node } = ship.action else { return None };
        let (state, link) = (conditions.nodes.get(node)?, &self.nodes.get(node)?.link);
        if link.is_busy() {
            return None;
        }
        let model = self.table.model();
        let waiting = model.terms.weights.energy * conditions.energy_factor * model.edge.wait_watts;
        let bytes = model.shipments[boundary][codec].bytes.mean + state.backlog;
        let saved = bytes * (state.up.mean - link.estimate(now).up_at_best);
        let cost = ship.cost - saved * (model.terms.weights.latency + waiting);
        (cost < decision.best.cost).then_some(node)
    }

    /// Seconds until a shipment is encoded, and then until its answer.
    fn away(&self, conditions: &Conditions<'_>, ship: &Offer) -> (f64, Dist) {
        let Action::Ship { boundary, codec, .. } = ship.action else { return (0.0, ship.seconds) };
        let encode = self.table.model().shipments[boundary][codec].encode.mean;
        let encode = encode * conditions.edge_slowdown.mean;
        (encode, Dist { mean: ship.seconds.mean - encode, sd: ship.seconds.sd })
    }

    /// What a second of the edge's computing is worth in seconds of waiting, where nobody waits for it.
    fn price(&self, conditions: &Conditions<'_>) -> f64 {
        let (edge, weights) = (&self.table.model().edge, &self.table.model().terms.weights);
        let energy = weights.energy * conditions.energy_factor * (edge.busy_watts - edge.wait_watts).max(0.0);
        if weights.latency > 0.0 { amount(energy / weights.latency) } else { 0.0 }
    }

    fn local_after(
        &self,
        situation: &Situation<'_>,
        conditions: &Conditions<'_>,
        offer: Offer,
        local: Option<Dist>,
    ) -> Option<f64> {
        let Action::Ship { .. } = offer.action else { return None };
        let (local, (encode, answer)) = (local?, self.away(conditions, &offer));
        let deadline = situation.left.map(|left| race::latest(local, left - encode, self.table.deviations()));
        match self.settings.race {
            Race::Never => None,
            Race::Deadline => deadline,
            Race::Always => {
                let start = race::start(answer, local, self.price(conditions));
                [start, deadline].into_iter().flatten().reduce(f64::min)
            }
        }
    }
}

fn amount(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

const UNAVAILABLE: NodeState = NodeState {
    is_available: false,
    round_trip: Dist::exact(0.0),
    up: Dist::exact(0.0),
    down: Dist::exact(0.0),
    backlog: 0.0,
    price: 0.0,
    queue: Dist::exact(0.0),
    slowdown: Dist::exact(1.0),
};
