//! The on-line decision against a direct recursive evaluation.

use crate::problems::Numbers;
use kerf_planner::online::{
    Action, CloudNode, Conditions, Edge, Exit, Model, NodeState, Query, Shipment, Table, TableError, decide,
};
use kerf_planner::tiers::{Ranges, Weights};
use proptest::prelude::*;

fn model(n: &mut Numbers) -> Model {
    let last = 1 + n.below(5);
    let boundaries = last + 1;
    let some = |n: &mut Numbers, scale: f64| n.chance(0.85).then(|| scale * n.unit());
    let shipment = |n: &mut Numbers| Shipment {
        bytes: 50_000.0 * n.unit(),
        encode: 1e-3 * n.unit(),
        decode: 1e-3 * n.unit(),
        agreement_loss: 0.05 * n.unit(),
    };
    let edge = Edge {
        times: Ranges::new(last, |from, to| some(n, 0.02 * (to - from) as f64)),
        busy_watts: 10.0 * n.unit(),
        wait_watts: n.unit(),
    };
    let mut exits = Vec::new();
    for boundary in 1..last {
        if n.chance(0.4) {
            let probability = [0.0, 1.0, n.unit()][n.below(3)];
            exits.push(Exit { boundary, probability, head: 1e-3 * n.unit(), agreement_loss: 0.0 });
        }
    }
    let weight = |n: &mut Numbers| if n.chance(0.5) { 0.0 } else { n.unit() };
    let nodes = (0..n.below(4)).map(|_| CloudNode {
        tails: (0..boundaries).map(|boundary| some(n, 1e-3 * (last - boundary) as f64)).collect(),
        joules_per_byte: 1e-6 * n.unit(),
        money_per_byte: 1e-6 * n.unit(),
        money_per_second: n.unit(),
    });
    let nodes = nodes.collect();
    Model {
        edge,
        nodes,
        shipments: (0..boundaries).map(|_| (0..n.below(4)).map(|_| shipment(n)).collect()).collect(),
        exits,
        result_bytes: 1000.0 * n.unit(),
        weights: Weights { latency: n.unit(), energy: weight(n), bytes: 1e-6 * weight(n), money: weight(n) },
        privacy_floor: if n.chance(0.3) { n.below(boundaries) } else { 0 },
        agreement: 1.0 - 0.05 * n.unit(),
    }
}

fn states(n: &mut Numbers, count: usize) -> Vec<NodeState> {
    let state = |n: &mut Numbers| NodeState {
        is_available: n.chance(0.9),
        round_trip: if n.chance(0.05) { f64::NAN } else { 0.03 * n.unit() },
        up: 1e-6 * n.unit(),
        down: 1e-6 * n.unit(),
        backlog: if n.chance(0.5) { 0.0 } else { 20_000.0 * n.unit() },
        queue: 0.01 * n.unit(),
        slowdown: 0.5 + n.unit(),
    };
    (0..count).map(|_| state(n)).collect()
}

/// Cost, and seconds if no head answers.
type Value = (f64, f64);

/// The definitions, with the set of what is held carried along.
struct Direct<'a> {
    model: &'a Model,
    conditions: Conditions<'a>,
}

impl Direct<'_> {
    fn ships(&self, boundary: usize) -> Vec<(Action, Value)> {
        let (model, weights) = (self.model, self.model.weights);
        let mut all = Vec::new();
        let lost: f64 = model.exits.iter().map(|exit| exit.agreement_loss).sum();
        for (node, (it, state)) in model.nodes.iter().zip(self.conditions.nodes).enumerate() {
            let Some(tail) = it.tails[boundary] else { continue };
            if !state.is_available || state.round_trip.is_nan() || boundary < model.privacy_floor {
                continue;
            }
            for (codec, shipment) in model.shipments[boundary].iter().enumerate() {
                if lost + shipment.agreement_loss > 1.0 - model.agreement + 1e-12
                    || boundary + 1 == model.shipments.len()
                {
                    continue;
                }
                let encode = shipment.encode * self.conditions.edge_slowdown;
                let cloud = (shipment.decode + tail) * state.slowdown;
                let away = (state.backlog + shipment.bytes) * state.up
                    + state.round_trip
                    + state.queue
                    + cloud
                    + model.result_bytes * state.down;
                let both = shipment.bytes + model.result_bytes;
                let energy =
                    encode * model.edge.busy_watts + away * model.edge.wait_watts + both * it.joules_per_byte;
                let money = both * it.money_per_byte + cloud * it.money_per_second;
                let cost = weights.latency * (encode + away)
                    + weights.energy * energy
                    + weights.bytes * shipment.bytes
                    + weights.money * money;
                all.push((Action::Ship { boundary, codec, node }, (cost, encode + away)));
            }
        }
        all
    }

    fn go_on(&self, from: usize, to: usize, held: &[usize]) -> Option<Value> {
        let time = (*self.model.edge.times.at(from, to))?;
        let exit = self.model.exits.iter().find(|exit| exit.boundary == to);
        let (head, fails) = exit.map_or((0.0, 1.0), |exit| (exit.head, 1.0 - exit.probability));
        let busy = (time + head) * self.conditions.edge_slowdown;
        let seconds = busy + self.conditions.edge_wait;
        let own = self.model.weights.latency * seconds
            + self.model.weights.energy * busy * self.model.edge.busy_watts;
        let mut held = held.to_vec();
        held.push(to);
        let (cost, after) = self.value(to, &held);
        Some((own + if fails > 0.0 { fails * cost } else { 0.0 }, seconds + after))
    }

    fn value(&self, at: usize, held: &[usize]) -> Value {
        let last = self.model.shipments.len() - 1;
        if at == last {
            return (0.0, 0.0);
        }
        let ships = held.iter().flat_map(|boundary| self.ships(*boundary)).map(|(_, value)| value);
        let on = (at + 1..=last).filter_map(|to| self.go_on(at, to, held));
        ships
            .chain(on)
            .fold((f64::INFINITY, f64::INFINITY), |least, it| (least.0.min(it.0), least.1.min(it.1)))
    }

    fn actions(&self, at: usize, held: &[usize]) -> Vec<(Action, Value)> {
        let last = self.model.shipments.len() - 1;
        let mut all: Vec<_> = held.iter().flat_map(|boundary| self.ships(*boundary)).collect();
        all.extend((at + 1..=last).filter_map(|to| Some((Action::GoOn { to }, self.go_on(at, to, held)?))));
        all.retain(|(_, value)| value.0.is_finite());
        all
    }
}

fn is_close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-15
}

proptest! {
    #![proptest_config(crate::cases(5000))]

    #[test]
    fn decisions_equal_direct_recursion(seed in any::<u64>()) {
        let n = &mut Numbers::new(seed);
        let model = model(n);
        let nodes = states(n, model.nodes.len());
        let conditions = Conditions { edge_wait: 0.005 * n.unit(), edge_slowdown: 0.5 + n.unit(), nodes: &nodes };
        let table = Table::new(model.clone()).unwrap();
        let at = n.below(table.last());
        let query = Query { at, held: (n.unit() * 64.0) as u64 };
        let held: Vec<usize> = (0..=at).filter(|it| *it == at || query.held >> it & 1 == 1).collect();
        let left = n.chance(0.5).then(|| 0.05 * n.unit());
        let mut actions = Direct { model: &model, conditions }.actions(at, &held);
        let limit = left.unwrap_or(f64::INFINITY);
        let rank = |value: &Value| if value.1 <= limit { (0, value.0) } else { (1, value.1) };
        actions.sort_by(|a, b| rank(&a.1).partial_cmp(&rank(&b.1)).unwrap());
        match (decide(&table, &conditions, query, left), actions.first()) {
            (None, None) => {}
            (Some(decision), Some((_, wanted))) => {
                prop_assert!(is_close(decision.cost, wanted.0) && is_close(decision.seconds, wanted.1));
                let (_, own) = actions.iter().find(|(action, _)| *action == decision.action).unwrap();
                prop_assert!(is_close(own.0, wanted.0));
                let next = decision.runner_up.map(|(_, cost)| cost);
                prop_assert_eq!(next.is_some(), actions.len() > 1);
                prop_assert!(next.is_none_or(|cost| is_close(cost, actions[1].1.0)));
            }
            (found, wanted) => prop_assert!(false, "{found:?} is not {wanted:?}"),
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let good = || {
        let mut seed = 1;
        loop {
            let model = model(&mut Numbers::new(seed));
            if model.shipments.len() == 5 && !model.nodes.is_empty() && !model.exits.is_empty() {
                return model;
            }
            seed += 2;
        }
    };
    type Spoil = fn(&mut Model);
    let cases: [(Spoil, &str); 7] = [
        (|model| model.shipments.truncate(1), "1 boundaries, there must be 2 to 33"),
        (|model| model.shipments.truncate(4), "the edge's table of times is for 5 boundaries, there are 4"),
        (|model| model.nodes[0].tails.truncate(2), "the list of tails of node 0 is for 2 boundaries"),
        (|model| model.result_bytes = f64::NAN, "result bytes is NaN"),
        (|model| model.nodes[0].tails[1] = Some(-1.0), "node 0: seconds from b1 is -1"),
        (|model| model.exits[0].boundary = 4, "exit 0 cannot be at b4"),
        (
            |model| (model.agreement, model.exits[0].agreement_loss) = (0.75, 0.5),
            "exits lose 0.5 of agreement, the floor allows 0.25",
        ),
    ];
    for (spoil, wanted) in cases {
        let mut model = good();
        spoil(&mut model);
        let error: TableError = Table::new(model).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error} is not {wanted}");
    }
}
