//! Every action that is open now, and what it comes to.

use super::decide::Action;
use super::model::CloudNode;
use super::table::{Choice, MAX_BOUNDARIES, Moments, Table};
use crate::tiers::Dist;

/// What is known at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    /// Seconds until the edge begins.
    pub edge_wait: Dist,
    /// The edge's times are this many times those of the table (load, heat).
    pub edge_slowdown: Dist,
    /// What a second of the edge's computing costs other requests, in seconds: how many wait for it.
    pub edge_price: f64,
    /// A joule is worth this many times what the terms say (a battery that runs low).
    pub energy_factor: f64,
    /// One for each node of the table, in its order.
    pub nodes: &'a [NodeState],
}

/// What is known of a cloud node and the link to it. A node with a number that is negative,
/// infinite or none is passed over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeState {
    /// Whether it may be shipped to at all.
    pub is_available: bool,
    /// Seconds there and back for the first byte.
    pub round_trip: Dist,
    /// Seconds per byte to it.
    pub up: Dist,
    /// Seconds per byte back.
    pub down: Dist,
    /// Bytes ahead on the way to it.
    pub backlog: f64,
    /// What a second of sending to it costs other requests, in seconds: how many will wait for that.
    pub price: f64,
    /// Seconds until it begins.
    pub queue: Dist,
    /// Its times are this many times those of the table.
    pub slowdown: Dist,
}

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The boundary that it is at; the head there, if any, did not answer.
    pub at: usize,
    /// Boundaries before `at` whose tensors are still held, one bit each.
    pub held: u64,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    /// Expected, in the terms' weights.
    pub(super) cost: f64,
    /// Seconds if no head answers and the rest is done as fast as can be.
    pub(super) time: Moments,
    /// The quantile of those seconds.
    pub(super) late: f64,
}

impl Value {
    const NEVER: Self = Self {
        cost: f64::INFINITY,
        time: Moments { mean: f64::INFINITY, variance: 0.0 },
        late: f64::INFINITY,
    };
    const DONE: Self = Self { cost: 0.0, time: Moments { mean: 0.0, variance: 0.0 }, late: 0.0 };

    fn new(cost: f64, time: Moments, z: f64) -> Self {
        Self { cost, time, late: time.mean + z * time.variance.sqrt() }
    }

    fn lower(&mut self, other: &Self) {
        self.cost = self.cost.min(other.cost);
        if other.late < self.late {
            (self.time, self.late) = (other.time, other.late);
        }
    }
}

/// Offers every action to `offer`; to ship first, then to go on.
pub(super) fn offers(
    table: &Table,
    conditions: &Conditions<'_>,
    query: Query,
    mut offer: impl FnMut(Action, &Value),
) {
    let (at, last) = (query.at, table.last());
    if at >= last {
        return;
    }
    let held = query.held & ((1u64 << at) - 1) | 1u64 << at;
    // By boundary, the least cost and, perhaps by another codec and node, the least time.
    let mut ships = [Value::NEVER; MAX_BOUNDARIES];
    let slowdown = Moments::from(conditions.edge_slowdown);
    for (node, (it, state)) in table.model.nodes.iter().zip(conditions.nodes).enumerate() {
        if !state.is_usable() {
            continue;
        }
        let rates = Rates::new(table, it, state, conditions);
        let clouds = &table.clouds[node * table.choices.len()..];
        for (boundary, ship) in ships.iter_mut().enumerate().take(last) {
            let is_held = held >> boundary & 1 == 1;
            if !is_held && boundary < at {
                continue;
            }
            let choices = table.first[boundary]..table.first[boundary + 1];
            for (choice, cloud) in table.choices[choices.clone()].iter().zip(&clouds[choices]) {
                let Some(cloud) = *cloud else { continue };
                let value = rates.ship(choice, cloud, slowdown, table.z);
                ship.lower(&value);
                if is_held && value.cost.is_finite() {
                    offer(Action::Ship { boundary, codec: choice.codec, node }, &value);
                }
            }
        }
    }
    let mut start = Value::NEVER;
    for (boundary, ship) in ships.iter().enumerate().take(at + 1) {
        if held >> boundary & 1 == 1 {
            start.lower(ship);
        }
    }
    let rest = Rest::new(table, conditions, ships, at, start);
    match last {
        ..16 => rest.offer::<16>(&mut offer),
        _ => rest.offer::<MAX_BOUNDARIES>(&mut offer),
    }
}

impl NodeState {
    fn is_usable(&self) -> bool {
        let is_amount = |value: f64| value.is_finite() && value >= 0.0;
        let all = [self.round_trip, self.up, self.down, self.queue, self.slowdown];
        self.is_available
            && is_amount(self.backlog)
            && is_amount(self.price)
            && all.iter().all(|it| is_amount(it.mean) && is_amount(it.sd))
    }
}

/// Shipping to one node: what does not depend on what is shipped.
struct Rates {
    /// Seconds whatever is shipped.
    fixed: Moments,
    up: Moments,
    backlog: f64,
    slowdown: Moments,
    /// Costs: whatever is shipped, of a byte beside the time for which its own request waits, and of
    /// a second of each kind.
    cost: f64,
    byte: f64,
    encoding: f64,
    away: f64,
    computing: f64,
}

impl Rates {
    fn new(table: &Table, node: &CloudNode, state: &NodeState, conditions: &Conditions<'_>) -> Self {
        let (weights, edge, reply) = (&table.model.terms.weights, &table.model.edge, &table.model.reply);
        let energy = weights.energy * conditions.energy_factor;
        let encoding = weights.latency * (1.0 + conditions.edge_price) + energy * edge.busy_watts;
        let away = weights.latency + energy * edge.wait_watts;
        let carried = energy * node.joules_per_byte + weights.money * node.money_per_byte;
        let travel = Moments::from(state.round_trip)
            .plus(state.queue.into())
            .plus(Moments::from(reply.bytes).times(state.down.into()));
        let decode = Moments::from(reply.decode).times(conditions.edge_slowdown.into());
        Self {
            fixed: travel.plus(decode),
            up: state.up.into(),
            backlog: state.backlog,
            slowdown: state.slowdown.into(),
            cost: travel.mean * away + decode.mean * encoding + reply.bytes.mean * carried,
            byte: carried + weights.bytes + weights.latency * state.price * state.up.mean,
            encoding,
            away,
            computing: away + weights.money * node.money_per_second,
        }
    }

    #[inline]
    fn ship(&self, choice: &Choice, cloud: Moments, slowdown: Moments, z: f64) -> Value {
        let encode = choice.encode.times(slowdown);
        let ahead = Moments { mean: self.backlog + choice.bytes.mean, variance: choice.bytes.variance };
        let (sending, cloud) = (ahead.times(self.up), cloud.times(self.slowdown));
        let cost = self.cost
            + choice.bytes.mean * self.byte
            + encode.mean * self.encoding
            + sending.mean * self.away
            + cloud.mean * self.computing;
        Value::new(cost, self.fixed.plus(encode).plus(sending).plus(cloud), z)
    }
}

/// Everything after this moment.
struct Rest<'a> {
    table: &'a Table,
    ships: [Value; MAX_BOUNDARIES],
    at: usize,
    /// Shipping what is held now.
    start: Value,
    wait: Moments,
    slowdown: Moments,
    /// Costs of a second of waiting for the edge, and of its computing.
    waiting: f64,
    computing: f64,
}

impl<'a> Rest<'a> {
    fn new(
        table: &'a Table,
        conditions: &Conditions<'_>,
        ships: [Value; MAX_BOUNDARIES],
        at: usize,
        start: Value,
    ) -> Self {
        let weights = &table.model.terms.weights;
        let energy = weights.energy * conditions.energy_factor;
        Self {
            table,
            ships,
            at,
            start,
            wait: conditions.edge_wait.into(),
            slowdown: conditions.edge_slowdown.into(),
            waiting: weights.latency,
            computing: weights.latency * (1.0 + conditions.edge_price) + energy * table.model.edge.busy_watts,
        }
    }

    /// Offers to go on, to each later boundary. There is room for `ROOM` boundaries.
    fn offer<const ROOM: usize>(&self, offer: &mut impl FnMut(Action, &Value)) {
        let last = self.table.last();
        // By where the request is and which boundary is the cheapest to ship, `at` standing for
        // all that are held now; the same with the fastest.
        let mut to_go = [[Value::NEVER; ROOM]; ROOM];
        to_go[last] = [Value::DONE; ROOM];
        for here in (self.at + 1..last).rev() {
            let (rows, after) = to_go.split_at_mut(here + 1);
            let Some(values) = rows.last_mut() else { continue };
            // The states at `here`: it is the best itself, or an earlier one is better.
            let (mut states, mut count) = ([0; ROOM], 0);
            for (held, value) in values.iter_mut().enumerate().take(here + 1).skip(self.at) {
                let (ship, arrived) = (self.ship(held), &self.ships[here]);
                if held == here || ship.cost < arrived.cost || ship.late < arrived.late {
                    (states[count], *value) = (held, *ship);
                    count += 1;
                }
            }
            for (to, after) in (here + 1..=last).zip(after) {
                let Some(step) = self.step(here, to) else { continue };
                for &held in &states[..count] {
                    values[held].lower(&self.then(after, &step, to, held));
                }
            }
        }
        for (to, after) in to_go.iter().enumerate().take(last + 1).skip(self.at + 1) {
            let Some(step) = self.step(self.at, to) else { continue };
            let value = self.then(after, &step, to, self.at);
            if value.cost.is_finite() {
                offer(Action::GoOn { to }, &value);
            }
        }
    }

    #[inline]
    fn ship(&self, held: usize) -> &Value {
        if held == self.at { &self.start } else { &self.ships[held] }
    }

    /// Running to `to` and trying its head: seconds and cost.
    fn step(&self, from: usize, to: usize) -> Option<(Moments, f64)> {
        let time = Moments::from((*self.table.model.edge.times.at(from, to))?);
        let busy = time.plus(self.table.heads[to].0).times(self.slowdown);
        Some((self.wait.plus(busy), self.wait.mean * self.waiting + busy.mean * self.computing))
    }

    /// A step and what follows, where `held` is the cheapest, or fastest, to ship before it.
    #[inline]
    fn then(&self, after: &[Value], step: &(Moments, f64), to: usize, held: usize) -> Value {
        let (arrived, ship) = (&self.ships[to], self.ship(held));
        let cheapest = if ship.cost < arrived.cost { held } else { to };
        let fastest = if ship.late < arrived.late { held } else { to };
        let fails = self.table.heads[to].1;
        let cost = if fails > 0.0 { fails * after[cheapest].cost } else { 0.0 };
        Value::new(step.1 + cost, step.0.plus(after[fastest].time), self.table.z)
    }
}
