//! One decision.

use super::table::{CloudNode, MAX_BOUNDARIES, Shipment, Table};

/// What is known at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    /// Seconds until the edge begins.
    pub edge_wait: f64,
    /// The edge's times are this many times those of the table (load, heat).
    pub edge_slowdown: f64,
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
    pub round_trip: f64,
    /// Seconds per byte to it, as cautious as the caller wishes.
    pub up: f64,
    /// Seconds per byte back.
    pub down: f64,
    /// Bytes ahead on the way to it.
    pub backlog: f64,
    /// Seconds until it begins.
    pub queue: f64,
    /// Its times are this many times those of the table.
    pub slowdown: f64,
}

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The boundary that it is at; the head there, if any, did not answer.
    pub at: usize,
    /// Boundaries before `at` whose tensors are still held, one bit each.
    pub held: u64,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run to a boundary, try the head there, and ask again. The last boundary is the answer.
    GoOn {
        /// Which one.
        to: usize,
    },
    /// Send the tensors of a boundary.
    Ship {
        /// Which one: `at`, or one that is held.
        boundary: usize,
        /// How to encode them.
        codec: usize,
        /// To whom.
        node: usize,
    },
}

/// The best action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// What to do.
    pub action: Action,
    /// What it is expected to cost from here on, in the table's weights.
    pub cost: f64,
    /// Seconds from here on if no head answers and the rest is done as fast as can be.
    pub seconds: f64,
    /// The next best action and its cost; after a deadline that no action meets, the next fastest.
    pub runner_up: Option<(Action, f64)>,
}

/// Decides; `None` where nothing can be done, or nothing is left to do. `left` are the seconds
/// until the request's deadline. A decision takes microseconds and allocates nothing.
pub fn decide(
    table: &Table,
    conditions: &Conditions<'_>,
    query: Query,
    left: Option<f64>,
) -> Option<Decision> {
    let last = table.last();
    if query.at >= last {
        return None;
    }
    let mut best = Best { left: left.unwrap_or(f64::INFINITY), first: None, second: None };
    let held = query.held & ((1u64 << query.at) - 1) | 1u64 << query.at;
    // By boundary, the least cost and, perhaps by another codec and node, the least time.
    let mut ships = [Value::NEVER; MAX_BOUNDARIES];
    for (node, (it, state)) in table.model.nodes.iter().zip(conditions.nodes).enumerate() {
        if !state.is_usable() {
            continue;
        }
        let rates = Rates::new(table, it, state, conditions.edge_slowdown);
        for (boundary, ship) in ships.iter_mut().enumerate().take(last) {
            let is_held = held >> boundary & 1 == 1;
            let Some(tail) = it.tails[boundary] else { continue };
            if !is_held && boundary < query.at {
                continue;
            }
            for choice in &table.choices[table.first[boundary]..table.first[boundary + 1]] {
                let value = rates.ship(&choice.shipment, tail);
                ship.lower(value);
                if is_held {
                    best.offer(Action::Ship { boundary, codec: choice.codec, node }, value);
                }
            }
        }
    }
    let mut start = Value::NEVER;
    for (boundary, ship) in ships.iter().enumerate().take(query.at + 1) {
        if held >> boundary & 1 == 1 {
            start.lower(*ship);
        }
    }
    Rest { table, conditions, ships, at: query.at, start }.offer(&mut best);
    let (action, value) = best.first?;
    let runner_up = best.second.map(|(action, value)| (action, value.cost));
    Some(Decision { action, cost: value.cost, seconds: value.seconds, runner_up })
}

/// What is still to come: expected cost, and seconds if no head answers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Value {
    cost: f64,
    seconds: f64,
}

impl Value {
    const NEVER: Self = Self { cost: f64::INFINITY, seconds: f64::INFINITY };
    const DONE: Self = Self { cost: 0.0, seconds: 0.0 };

    fn lower(&mut self, other: Self) {
        self.cost = self.cost.min(other.cost);
        self.seconds = self.seconds.min(other.seconds);
    }
}

/// The two best actions.
struct Best {
    left: f64,
    first: Option<(Action, Value)>,
    second: Option<(Action, Value)>,
}

impl Best {
    fn offer(&mut self, action: Action, value: Value) {
        if !value.cost.is_finite() {
            return;
        }
        let left = self.left;
        // In time before late; then by cost, or, if late, by time.
        let is_better = |other: &Option<(Action, Value)>| {
            let Some((_, other)) = other else { return true };
            match (value.seconds <= left, other.seconds <= left) {
                (true, true) => value.cost < other.cost,
                (false, false) => value.seconds < other.seconds,
                (in_time, _) => in_time,
            }
        };
        if is_better(&self.first) {
            self.second = self.first.replace((action, value));
        } else if is_better(&self.second) {
            self.second = Some((action, value));
        }
    }
}

impl NodeState {
    fn is_usable(&self) -> bool {
        let all = [self.round_trip, self.up, self.down, self.backlog, self.queue, self.slowdown];
        self.is_available && all.iter().all(|value| value.is_finite() && *value >= 0.0)
    }
}

/// Shipping to one node, as constants.
struct Rates {
    /// Seconds whatever is shipped, and their cost with that of the result.
    fixed: Value,
    byte: Value,
    encode: Value,
    /// A second of the table on the node.
    cloud: Value,
}

impl Rates {
    fn new(table: &Table, node: &CloudNode, state: &NodeState, edge_slowdown: f64) -> Self {
        let (weights, edge, result) = (&table.model.weights, &table.model.edge, table.model.result_bytes);
        let waiting = weights.latency + weights.energy * edge.wait_watts;
        let carried = weights.energy * node.joules_per_byte + weights.money * node.money_per_byte;
        let fixed = state.backlog * state.up + state.round_trip + state.queue + result * state.down;
        Self {
            fixed: Value { seconds: fixed, cost: fixed * waiting + result * carried },
            byte: Value { seconds: state.up, cost: state.up * waiting + carried + weights.bytes },
            encode: Value {
                seconds: edge_slowdown,
                cost: edge_slowdown * (weights.latency + weights.energy * edge.busy_watts),
            },
            cloud: Value {
                seconds: state.slowdown,
                cost: state.slowdown * (waiting + weights.money * node.money_per_second),
            },
        }
    }

    fn ship(&self, shipment: &Shipment, tail: f64) -> Value {
        let cloud = shipment.decode + tail;
        let sum = |of: fn(&Value) -> f64| {
            of(&self.fixed)
                + shipment.bytes * of(&self.byte)
                + shipment.encode * of(&self.encode)
                + cloud * of(&self.cloud)
        };
        Value { cost: sum(|value| value.cost), seconds: sum(|value| value.seconds) }
    }
}

/// Everything after this moment.
struct Rest<'a> {
    table: &'a Table,
    conditions: &'a Conditions<'a>,
    ships: [Value; MAX_BOUNDARIES],
    at: usize,
    /// Shipping what is held now.
    start: Value,
}

impl Rest<'_> {
    /// Offers to go on, to each later boundary.
    fn offer(&self, best: &mut Best) {
        let last = self.table.last();
        // By where the request is and which boundary is the cheapest to ship, `at` standing for
        // all that are held now; the same with the fastest.
        let mut to_go = [[Value::NEVER; MAX_BOUNDARIES]; MAX_BOUNDARIES];
        to_go[last] = [Value::DONE; MAX_BOUNDARIES];
        for here in (self.at + 1..last).rev() {
            // The states at `here`: it is the best itself, or an earlier one is better.
            for held in self.at..=here {
                let ship = self.ship(held);
                let mut value = ship;
                for to in here + 1..=last {
                    value.lower(self.go_on(&to_go, here, to, ship, held));
                }
                to_go[here][held] = value;
            }
        }
        for to in self.at + 1..=last {
            best.offer(Action::GoOn { to }, self.go_on(&to_go, self.at, to, self.start, self.at));
        }
    }

    fn ship(&self, held: usize) -> Value {
        if held == self.at { self.start } else { self.ships[held] }
    }

    /// Running to `to` and what follows, where shipping costs `ship` by way of `held`.
    fn go_on(
        &self,
        to_go: &[[Value; MAX_BOUNDARIES]; MAX_BOUNDARIES],
        from: usize,
        to: usize,
        ship: Value,
        held: usize,
    ) -> Value {
        let Some(time) = *self.table.model.edge.times.at(from, to) else { return Value::NEVER };
        let (head, fails) = self.table.heads[to];
        let weights = &self.table.model.weights;
        let busy = (time + head) * self.conditions.edge_slowdown;
        let seconds = self.conditions.edge_wait + busy;
        let own = weights.latency * seconds + weights.energy * self.table.model.edge.busy_watts * busy;
        let arrived = self.ships[to];
        let cheapest = if arrived.cost < ship.cost { to } else { held };
        let fastest = if arrived.seconds < ship.seconds { to } else { held };
        let cost = if fails > 0.0 { fails * to_go[to][cheapest].cost } else { 0.0 };
        Value { cost: own + cost, seconds: seconds + to_go[to][fastest].seconds }
    }
}
