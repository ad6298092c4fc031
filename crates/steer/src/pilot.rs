//! From what was seen to what to do.
//!
//! A pilot is of one model on one edge. It is told what happened ([`sent`](Pilot::sent),
//! [`answered`](Pilot::answered), [`lost`](Pilot::lost), [`ran`](Pilot::ran)) and asked at each
//! boundary of each request. It runs in real time in an edge node, and in virtual time in a replay.

mod decide;

use crate::budget::{Budget, Timed};
use crate::excess::Excess;
use crate::load::Load;
use crate::{Arrival, Factor, Link, LinkEstimate, Prior, Queue, Race, Transfer};
use kerf_planner::online::Table;
use kerf_planner::tiers::Dist;
use kerf_planner::{MESSAGE, PACKETS};
use std::time::Duration;

pub use decide::{Choice, Reason};

/// Nodes that a pilot may choose from.
pub const MAX_NODES: usize = 16;

/// What a pilot may do beside taking the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Whether requests that were shipped may also be finished on the edge.
    pub race: Race,
    /// Requests that the edge runs at a time.
    pub threads: f64,
    /// Share of all requests' seconds that may be lost by trying links that are not known to be
    /// better. 0 never tries.
    pub explore: f64,
    /// Bytes per second that probes may take of all links together; 0 never probes.
    pub probe_rate: f64,
    /// Bytes of one probe: enough to tell a rate by.
    pub probe_bytes: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            race: Race::default(),
            threads: 1.0,
            explore: 0.005,
            probe_rate: 2000.0,
            probe_bytes: 12_000.0,
        }
    }
}

/// A request that asks what to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Situation<'a> {
    /// The boundary that it is at; the head there, if any, did not answer.
    pub at: usize,
    /// Boundaries before `at` whose tensors are still held, one bit each.
    pub held: u64,
    /// Seconds until its deadline.
    pub left: Option<f64>,
    /// Seconds until the edge would go on with it.
    pub own_wait: Dist,
    /// How many requests the edge would begin with after it.
    pub own_waiting: f64,
    /// A joule is worth this many times what the terms say, see [`Curve`](crate::Curve).
    pub energy_factor: f64,
    /// Which nodes may be shipped to, by the table's order; those beyond its end may not.
    pub available: &'a [bool],
}

/// One request on its way to one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticket {
    serial: u64,
    node: usize,
    /// Seconds that decoding and the tail are expected to take by the profile.
    tail: f64,
    ahead: f64,
    bytes: f64,
    /// Seconds from the beginning to the answer.
    expected: f64,
}

impl Ticket {
    /// To which node.
    pub fn node(&self) -> usize {
        self.node
    }
}

/// What came back, and what the node said of it. A node's numbers may be anything: they only divide
/// `elapsed`, which was measured here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer {
    /// Seconds from the beginning of the call to the end of the answer.
    pub elapsed: f64,
    /// Seconds that the request waited at the node.
    pub queue: f64,
    /// Seconds from the last byte that the node read to the first that it wrote, waiting included.
    pub total: f64,
    /// Bytes of payload that came back.
    pub bytes: f64,
    /// What the node saw arrive.
    pub arrival: Option<Arrival>,
    /// What was seen here of the answer.
    pub answer_arrival: Option<Arrival>,
}

/// Padding that should be sent to a node, to learn its link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// To which node.
    pub node: usize,
    /// Bytes of payload.
    pub bytes: f64,
}

/// Why there is no pilot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PilotError {
    /// One guess per node is what there must be.
    #[error("{priors} priors for {nodes} nodes")]
    Priors {
        /// Guesses.
        priors: usize,
        /// Nodes of the table.
        nodes: usize,
    },
    /// More than a decision has room for.
    #[error("{nodes} nodes, there may be {MAX_NODES}")]
    Nodes {
        /// Nodes of the table.
        nodes: usize,
    },
}

/// What is known of a node.
#[derive(Clone, Debug)]
struct Node {
    link: Link,
    /// Messages to it, and seconds of sending.
    traffic: Load,
    excess: Excess,
    factor: Factor,
    queue: Queue,
}

/// The policy of one model on one edge.
#[derive(Clone, Debug)]
pub struct Pilot {
    table: Table,
    settings: Settings,
    nodes: Vec<Node>,
    edge: Factor,
    load: Load,
    serial: u64,
    /// Costs that trying links may lead to.
    trials: Budget,
    probes: Timed,
    /// The node whose link the last decision turned on.
    wanted: Option<usize>,
}

impl Pilot {
    /// Knows the table, and a guess of each node's link.
    ///
    /// # Errors
    /// Guesses that do not fit the table, too many nodes.
    pub fn new(table: Table, priors: &[Prior], settings: Settings) -> Result<Self, PilotError> {
        let nodes = table.model().nodes.len();
        if priors.len() != nodes {
            return Err(PilotError::Priors { priors: priors.len(), nodes });
        }
        if nodes > MAX_NODES {
            return Err(PilotError::Nodes { nodes });
        }
        let node = |prior: &Prior| Node {
            link: Link::new(prior),
            traffic: Load::default(),
            excess: Excess::default(),
            factor: Factor::new(),
            queue: Queue::default(),
        };
        let trials = Self::trials(&table);
        Ok(Self {
            table,
            settings,
            nodes: priors.iter().map(node).collect(),
            edge: Factor::new(),
            load: Load::default(),
            serial: 0,
            trials,
            probes: Timed::new(settings.probe_rate, 4.0 * settings.probe_bytes),
            wanted: None,
        })
    }

    /// Another table of the same nodes: of other codecs, thresholds or profiles. What was learnt
    /// of links stays.
    ///
    /// # Errors
    /// A table of another number of nodes.
    pub fn retable(&mut self, table: Table) -> Result<(), PilotError> {
        let (priors, nodes) = (self.nodes.len(), table.model().nodes.len());
        if priors != nodes {
            return Err(PilotError::Priors { priors, nodes });
        }
        (self.trials, self.table) = (Self::trials(&table), table);
        Ok(())
    }

    /// At most what one request costs on the edge alone is lost by trying at once.
    fn trials(table: &Table) -> Budget {
        let whole = table.local(0).map_or(1.0, |it| it.mean);
        Budget::new(whole * table.model().terms.weights.latency)
    }

    /// The table that it decides by.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What is known of a node's link.
    pub fn link(&self, now: Duration, node: usize) -> Option<LinkEstimate> {
        Some(self.nodes.get(node)?.link.estimate(now))
    }

    /// The factor on the edge's times.
    pub fn edge_factor(&self, now: Duration) -> Dist {
        self.edge.value(now)
    }

    /// The factor on a node's times.
    pub fn node_factor(&self, now: Duration, node: usize) -> Option<Dist> {
        Some(self.nodes.get(node)?.factor.value(now))
    }

    /// A node's queue wait.
    pub fn node_queue(&self, now: Duration, node: usize) -> Option<Dist> {
        Some(self.nodes.get(node)?.queue.value(now))
    }

    /// A request came to the edge, whatever becomes of it.
    pub fn arrived(&mut self, now: Duration) {
        self.load.came(now);
    }

    /// A boundary was shipped by a codec to a node, as `bytes` of payload. `trial` is the regret of
    /// a [`Choice`] that was made to learn, 0 otherwise.
    pub fn sent(
        &mut self,
        now: Duration,
        (boundary, codec, node): (usize, usize, usize),
        bytes: f64,
        trial: f64,
    ) -> Option<Ticket> {
        let model = self.table.model();
        let tail = (*model.nodes.get(node)?.tails.get(boundary)?)?.mean;
        let tail = tail + model.shipments.get(boundary)?.get(codec)?.decode.get(node)?.mean;
        self.trials.spend(trial);
        self.begin(now, node, tail, bytes)
    }

    /// A probe of `bytes` of payload was sent.
    pub fn probed(&mut self, now: Duration, probe: Probe) -> Option<Ticket> {
        self.probes.spend(now, probe.bytes);
        self.wanted = None;
        self.begin(now, probe.node, 0.0, probe.bytes)
    }

    fn begin(&mut self, now: Duration, index: usize, tail: f64, bytes: f64) -> Option<Ticket> {
        let node = self.nodes.get_mut(index)?;
        let service = tail * node.factor.value(now).mean + node.queue.value(now).mean;
        let link = node.link.estimate(now);
        let (ahead, wire) = (link.backlog, PACKETS * (bytes + MESSAGE));
        node.traffic.came(now);
        node.traffic.worked(now, wire * link.up.mean);
        let reply = if tail > 0.0 { self.table.model().reply.bytes.mean * link.down.mean } else { 0.0 };
        let expected = link.round_trip.mean + (ahead + wire) * link.up.mean + service + reply;
        let serial = self.serial;
        self.serial += 1;
        node.link.sent(now, serial, bytes, service);
        Some(Ticket { serial, node: index, tail, ahead, bytes, expected })
    }

    /// Its answer is complete. A second answer, or one after it was given up, is passed over.
    pub fn answered(&mut self, now: Duration, ticket: Ticket, answer: &Answer) {
        let Some(node) = self.nodes.get_mut(ticket.node) else { return };
        let elapsed = answer.elapsed;
        let is_first = node.link.answered(ticket.serial);
        if !(is_first && elapsed.is_finite() && elapsed > 0.0) {
            return;
        }
        self.trials.earn(self.settings.explore * elapsed * self.table.model().terms.weights.latency);
        node.excess.observe(now, elapsed - ticket.expected);
        // The node had it for no longer than it was away.
        let bounded = |it: f64, most: f64| if it.is_nan() { 0.0 } else { it.clamp(0.0, most) };
        let total = bounded(answer.total, elapsed);
        let queue = bounded(answer.queue, total);
        node.queue.observe(now, queue, elapsed);
        node.factor.observe(now, ticket.tail, total - queue);
        let transfer = Transfer {
            up_bytes: ticket.bytes,
            down_bytes: answer.bytes,
            elapsed: elapsed - total,
            arrival: answer.arrival,
            answer_arrival: answer.answer_arrival,
            ahead: ticket.ahead,
        };
        node.link.observe(now, &transfer);
    }

    /// It was given up, or taken back because the edge was first: the link is at least so slow.
    pub fn lost(&mut self, now: Duration, ticket: Ticket) {
        if let Some(node) = self.nodes.get_mut(ticket.node) {
            node.link.lost(now, ticket.serial);
        }
    }

    /// It was refused, here or there, or failed in a way that says nothing of the link.
    pub fn refused(&mut self, ticket: Ticket) {
        if let Some(node) = self.nodes.get_mut(ticket.node) {
            node.link.answered(ticket.serial);
        }
    }

    /// The transport measured a round trip to a node without payload.
    pub fn round_trip(&mut self, now: Duration, node: usize, seconds: f64) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.link.round_trip(now, seconds);
        }
    }

    /// The edge ran a segment, and the head behind it if it tried that, in so many seconds.
    pub fn ran(&mut self, now: Duration, range: (usize, usize), with_head: bool, seconds: f64) {
        self.load.worked(now, seconds);
        self.raced(now, range, with_head, seconds);
    }

    /// As [`ran`](Self::ran), of a request whose answer is awaited, while there was nothing else to do:
    /// nobody waits for that, so it is no load.
    pub fn raced(&mut self, now: Duration, (from, to): (usize, usize), with_head: bool, seconds: f64) {
        let model = self.table.model();
        if from >= to || to > self.table.last() {
            return;
        }
        let Some(time) = *model.edge.times.at(from, to) else { return };
        let head = model.exits.iter().find(|exit| with_head && exit.boundary == to);
        let expected = time.mean + head.map_or(0.0, |exit| exit.head.mean);
        self.trials.earn(self.settings.explore * seconds * model.terms.weights.latency);
        self.edge.observe(now, expected, seconds);
    }

    /// Padding that is worth sending now: the last decision turned on a link of which too little is
    /// known, nothing is on the way there, and there are bytes to spend.
    pub fn probe(&self, now: Duration) -> Option<Probe> {
        let node = self.wanted?;
        let bytes = self.settings.probe_bytes;
        let may = bytes > 0.0 && self.probes.left(now) >= bytes && !self.nodes.get(node)?.link.is_busy();
        may.then_some(Probe { node, bytes })
    }
}

#[cfg(test)]
mod tests;
