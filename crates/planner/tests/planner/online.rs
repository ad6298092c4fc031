//! The on-line decision against a direct recursive evaluation.

use crate::problems::Numbers;
use kerf_planner::online::{
    Action, CloudNode, Conditions, Edge, Model, NodeState, Query, Reply, Shipment, Table, TableError, Terms,
    Verdict, decide, explain,
};
use kerf_planner::tiers::{self, Constraints, Dist, Exit, Objective, Ranges, Weights};
use proptest::prelude::*;

/// How much quantities vary, relative to their means.
#[derive(Clone, Copy)]
struct Varies(f64);

impl Varies {
    fn dist(self, n: &mut Numbers, mean: f64) -> Dist {
        Dist { mean, sd: mean * self.0 * n.unit() }
    }
}

fn model(n: &mut Numbers, varies: Varies) -> Model {
    let last = 1 + n.below(5);
    let boundaries = last + 1;
    let count = n.below(4);
    let some = |n: &mut Numbers, scale: f64| {
        let mean = n.chance(0.85).then(|| scale * n.unit())?;
        Some(varies.dist(n, mean))
    };
    let any = |n: &mut Numbers, scale: f64| {
        let mean = scale * n.unit();
        varies.dist(n, mean)
    };
    let shipment = |n: &mut Numbers| Shipment {
        bytes: any(n, 50_000.0),
        encode: any(n, 1e-3),
        decode: (0..count).map(|_| any(n, 1e-3)).collect(),
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
            exits.push(Exit { boundary, probability, head: any(n, 1e-3), agreement_loss: 0.0 });
        }
    }
    let weight = |n: &mut Numbers| if n.chance(0.5) { 0.0 } else { n.unit() };
    let nodes = (0..count).map(|_| CloudNode {
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
        reply: Reply { bytes: any(n, 1000.0), decode: any(n, 1e-4) },
        terms: Terms {
            weights: Weights {
                latency: n.unit(),
                energy: weight(n),
                bytes: 1e-6 * weight(n),
                money: weight(n),
            },
            privacy_floor: if n.chance(0.3) { n.below(boundaries) } else { 0 },
            agreement: 1.0 - 0.05 * n.unit(),
            quantile: 0.5 + 0.49 * n.unit(),
        },
    }
}

fn states(n: &mut Numbers, count: usize, varies: Varies) -> Vec<NodeState> {
    let any = |n: &mut Numbers, mean: f64| varies.dist(n, mean);
    let state = |n: &mut Numbers| {
        let [trip, up, down, queue, slowdown] = [0.03, 1e-6, 1e-6, 0.01, 1.0].map(|scale| scale * n.unit());
        NodeState {
            is_available: n.chance(0.9),
            round_trip: if n.chance(0.05) { Dist::exact(f64::NAN) } else { any(n, trip) },
            up: any(n, up),
            down: any(n, down),
            backlog: if n.chance(0.5) { 0.0 } else { 20_000.0 * n.unit() },
            price: if n.chance(0.5) { 0.0 } else { n.unit() },
            queue: any(n, queue),
            slowdown: any(n, 0.5 + slowdown),
        }
    };
    (0..count).map(|_| state(n)).collect()
}

/// Cost, and seconds if no head answers.
type Value = (f64, Dist);

const NEVER: Value = (f64::INFINITY, Dist { mean: f64::INFINITY, sd: 0.0 });

/// The definitions, with the set of what is held carried along.
struct Direct<'a> {
    model: &'a Model,
    conditions: Conditions<'a>,
}

impl Direct<'_> {
    fn late(&self, seconds: Dist) -> f64 {
        seconds.mean + Dist::normal_quantile(self.model.terms.quantile) * seconds.sd
    }

    fn energy(&self) -> f64 {
        self.model.terms.weights.energy * self.conditions.energy_factor
    }

    fn ships(&self, boundary: usize) -> Vec<(Action, Value)> {
        let (model, weights) = (self.model, self.model.terms.weights);
        let mut all = Vec::new();
        let lost: f64 = model.exits.iter().map(|exit| exit.agreement_loss).sum();
        for (node, (it, state)) in model.nodes.iter().zip(self.conditions.nodes).enumerate() {
            let Some(tail) = it.tails[boundary] else { continue };
            if !state.is_available || state.round_trip.mean.is_nan() || boundary < model.terms.privacy_floor {
                continue;
            }
            for (codec, shipment) in model.shipments[boundary].iter().enumerate() {
                if lost + shipment.agreement_loss > 1.0 - model.terms.agreement + 1e-12
                    || boundary + 1 == model.shipments.len()
                {
                    continue;
                }
                let encode = shipment.encode.times(self.conditions.edge_slowdown);
                let decode = model.reply.decode.times(self.conditions.edge_slowdown);
                let cloud = shipment.decode[node].plus(tail).times(state.slowdown);
                let away = Dist::exact(state.backlog)
                    .plus(shipment.bytes)
                    .times(state.up)
                    .plus(state.round_trip)
                    .plus(state.queue)
                    .plus(cloud)
                    .plus(model.reply.bytes.times(state.down));
                let both = shipment.bytes.mean + model.reply.bytes.mean;
                let busy = encode.plus(decode);
                let energy = busy.mean * model.edge.busy_watts
                    + away.mean * model.edge.wait_watts
                    + both * it.joules_per_byte;
                let money = both * it.money_per_byte + cloud.mean * it.money_per_second;
                let seconds = busy.plus(away);
                let sending = shipment.bytes.mean * state.up.mean;
                let priced = self.conditions.edge_price * busy.mean + state.price * sending;
                let cost = weights.latency * (seconds.mean + priced)
                    + self.energy() * energy
                    + weights.bytes * shipment.bytes.mean
                    + weights.money * money;
                all.push((Action::Ship { boundary, codec, node }, (cost, seconds)));
            }
        }
        all
    }

    fn go_on(&self, from: usize, to: usize, held: &[usize]) -> Option<Value> {
        let time = (*self.model.edge.times.at(from, to))?;
        let exit = self.model.exits.iter().find(|exit| exit.boundary == to);
        let (head, fails) = exit.map_or((Dist::default(), 1.0), |exit| (exit.head, 1.0 - exit.probability));
        let busy = time.plus(head).times(self.conditions.edge_slowdown);
        let seconds = busy.plus(self.conditions.edge_wait);
        let own = self.model.terms.weights.latency * (seconds.mean + self.conditions.edge_price * busy.mean)
            + self.energy() * busy.mean * self.model.edge.busy_watts;
        let mut held = held.to_vec();
        held.push(to);
        let (cost, after) = self.value(to, &held);
        Some((own + if fails > 0.0 { fails * cost } else { 0.0 }, seconds.plus(after)))
    }

    /// The least cost, and the seconds whose quantile is the least.
    fn value(&self, at: usize, held: &[usize]) -> Value {
        let last = self.model.shipments.len() - 1;
        if at == last {
            return (0.0, Dist::default());
        }
        let ships = held.iter().flat_map(|boundary| self.ships(*boundary)).map(|(_, value)| value);
        let on = (at + 1..=last).filter_map(|to| self.go_on(at, to, held));
        ships.chain(on).fold(NEVER, |least, it| {
            let faster = self.late(it.1) < self.late(least.1);
            (least.0.min(it.0), if faster { it.1 } else { least.1 })
        })
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
        // Half of all have no spreads: seconds are then plain sums.
        let varies = Varies(if n.chance(0.5) { 0.0 } else { 1.0 });
        let model = model(n, varies);
        let nodes = states(n, model.nodes.len(), varies);
        let (wait, slowdown) = (0.005 * n.unit(), 0.5 + n.unit());
        let conditions = Conditions {
            edge_wait: varies.dist(n, wait),
            edge_slowdown: varies.dist(n, slowdown),
            edge_price: if n.chance(0.5) { 0.0 } else { n.unit() },
            energy_factor: if n.chance(0.5) { 1.0 } else { 2.0 * n.unit() },
            nodes: &nodes,
        };
        let table = Table::new(model.clone()).unwrap();
        let at = n.below(table.last());
        let query = Query { at, held: (n.unit() * 64.0) as u64 };
        let held: Vec<usize> = (0..=at).filter(|it| *it == at || query.held >> it & 1 == 1).collect();
        let left = n.chance(0.5).then(|| 0.05 * n.unit());
        let direct = Direct { model: &model, conditions };
        let mut actions = direct.actions(at, &held);
        let limit = left.unwrap_or(f64::INFINITY);
        let rank = |value: &Value| {
            let late = direct.late(value.1);
            if late <= limit { (0, value.0) } else { (1, late) }
        };
        actions.sort_by(|a, b| rank(&a.1).partial_cmp(&rank(&b.1)).unwrap());
        let found = decide(&table, &conditions, query, left);
        let explained = explain(&table, &conditions, query, left);
        prop_assert_eq!(explained.considered.len(), actions.len());
        match (found, actions.first()) {
            (None, None) => {}
            (Some(decision), Some((_, wanted))) => {
                let best = decision.best;
                prop_assert!(is_close(best.cost, wanted.0));
                prop_assert!(is_close(direct.late(best.seconds), direct.late(wanted.1)));
                let (_, own) = actions.iter().find(|(action, _)| *action == best.action).unwrap();
                prop_assert!(is_close(own.0, wanted.0));
                let next = decision.runner_up;
                prop_assert_eq!(next.is_some(), actions.len() > 1);
                prop_assert!(next.is_none_or(|next| is_close(next.cost, actions[1].1.0)));
                let of_kind = |ships: bool| {
                    actions.iter().find(|(action, _)| matches!(action, Action::Ship { .. }) == ships)
                };
                for (found, wanted) in [(decision.ship, of_kind(true)), (decision.go_on, of_kind(false))] {
                    prop_assert_eq!(found.map(|it| it.action).is_some(), wanted.is_some());
                    prop_assert!(found.zip(wanted).is_none_or(|(it, wanted)| is_close(it.cost, wanted.1.0)));
                }
                let first = &explained.considered[0];
                prop_assert_eq!(first.offer, best);
                prop_assert_eq!(first.verdict == Verdict::Cheapest, first.late <= limit);
            }
            (found, wanted) => prop_assert!(false, "{found:?} is not {wanted:?}"),
        }
    }

    /// What the planner makes of two tiers, a decision at the inputs makes of the model of them.
    #[test]
    fn at_the_inputs_it_is_the_planners_best_plan(
        problem in crate::problems::problem(2, 5).prop_filter("two tiers", |it| it.tiers.len() == 2),
        seed in any::<u64>(),
    ) {
        let (n, mut problem) = (&mut Numbers::new(seed), problem);
        problem.exits.clear();
        // A decision counts the edge's joules and the cloud's money, and no memory; in a plan,
        // machines that have not begun draw no power and cost no money.
        (problem.tiers[0].money_per_second, problem.tiers[1].busy_watts) = (0.0, 0.0);
        problem.tiers.iter_mut().for_each(|tier| tier.memory = None);
        let (mut energy, mut money) = (0.0, 0.0);
        if n.chance(0.5) {
            (energy, money) = (n.unit(), n.unit());
            problem.tiers.iter_mut().for_each(|tier| tier.queue = Dist::default());
        }
        let weights = Weights { latency: 0.1 + n.unit(), energy, bytes: 1e-6 * n.unit(), money };
        let terms = Terms { weights, ..Terms::default() };
        let model = Model::of(std::slice::from_ref(&problem), terms).unwrap();
        let link = &problem.links[0];
        let node = NodeState {
            is_available: true,
            round_trip: link.up_delay.plus(link.down_delay),
            up: link.up,
            down: link.down,
            backlog: 0.0,
price: 0.0,
            queue: Dist::default(),
            slowdown: Dist::exact(1.0),
        };
        let one = Dist::exact(1.0);
        let conditions =
            Conditions { edge_wait: Dist::default(), edge_slowdown: one, edge_price: 0.0, energy_factor: 1.0, nodes: &[node] };
        let table = Table::new(model).unwrap();
        let found = decide(&table, &conditions, Query { at: 0, held: 0 }, None);
        match (found, tiers::plan(&problem, &Objective::Weighted(weights), &Constraints::default())) {
            (Some(decision), Ok(plans)) => {
                let cost = plans.best.score;
                // A plan runs one range, a decision may chain several.
                prop_assert!(decision.best.cost <= cost * (1.0 + 1e-9), "{:?} {:?}", decision.best, plans.best);
                if let Action::Ship { boundary: 0, .. } = decision.best.action {
                    prop_assert!(is_close(decision.best.cost, cost));
                }
            }
            (None, Err(_)) => {}
            (found, wanted) => prop_assert!(false, "{found:?} is not {wanted:?}"),
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let good = || {
        let mut seed = 1;
        loop {
            let model = model(&mut Numbers::new(seed), Varies(0.0));
            if model.shipments.len() == 5 && !model.nodes.is_empty() && !model.exits.is_empty() {
                return model;
            }
            seed += 2;
        }
    };
    type Spoil = fn(&mut Model);
    let cases: [(Spoil, &str); 9] = [
        (|model| model.shipments.truncate(1), "1 boundaries, there must be 2 to 33"),
        (|model| model.shipments.truncate(4), "the edge's table of times is for 5 boundaries, there are 4"),
        (|model| model.nodes[0].tails.truncate(2), "the list of tails of node 0 is for 2 boundaries"),
        (|model| model.reply.bytes.mean = f64::NAN, "result bytes is NaN"),
        (|model| model.nodes[0].tails[1] = Some(Dist::exact(-1.0)), "node 0: seconds from b1 is -1"),
        (|model| model.edge.busy_watts = -1.0, "busy watts is -1"),
        (|model| model.terms.quantile = 1.0, "the deadline's quantile is 1"),
        (|model| model.exits[0].boundary = 4, "exit 0 cannot be at b4"),
        (
            |model| (model.terms.agreement, model.exits[0].agreement_loss) = (0.75, 0.5),
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
