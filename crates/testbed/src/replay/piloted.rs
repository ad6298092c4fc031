//! Kerf's own policy in virtual time: the same [`Pilot`] that steers an edge node.

use super::World;
use super::policy::{Action, Decision, Event, Place, Policy, Situation};
use kerf_planner::online::{self, CloudNode, Edge, Model, Reply, Table, TableError, Terms};
use kerf_planner::tiers::{self, Dist, Ranges};
use kerf_steer::{Answer, Arrival, Pilot, PilotError, Prior, Probe, Reason, Settings, Ticket};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// A pilot, and the requests that it knows of.
#[derive(Debug)]
pub struct Piloted {
    pilot: Pilot,
    /// Regret of what is about to be sent, by request.
    trials: HashMap<usize, f64>,
    tickets: HashMap<usize, Ticket>,
    /// Probes are answered in order.
    probes: VecDeque<Ticket>,
    probe: Option<Probe>,
}

/// Why there is no such policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PilotedError {
    /// The world makes no table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The table makes no pilot.
    #[error(transparent)]
    Pilot(#[from] PilotError),
}

impl Piloted {
    /// Knows the world as a profile has it, and the round trip; of the link's rate nothing but that it is
    /// some 8 Mbit/s.
    pub fn new(world: &World, round_trip: Duration, settings: Settings) -> Result<Self, PilotedError> {
        let unknown = Dist { mean: 1e-6, sd: 1e-6 };
        let prior = Prior {
            round_trip: Dist::exact(round_trip.as_secs_f64()),
            up: unknown,
            down: Dist { mean: 2e-7, sd: 2e-7 },
        };
        Ok(Self {
            pilot: Pilot::new(Table::new(model(world))?, &[prior], settings)?,
            trials: HashMap::new(),
            tickets: HashMap::new(),
            probes: VecDeque::new(),
            probe: None,
        })
    }
}

impl Policy for Piloted {
    fn decide(&mut self, now: Duration, situation: &Situation) -> Decision {
        if situation.place == Place::Arrival {
            self.pilot.arrived(now);
        }
        let asked = kerf_steer::Situation {
            at: situation.at,
            held: situation.held,
            left: None,
            own_wait: Dist::exact(situation.edge_wait),
            // Those that wait are before it when it comes.
            own_waiting: if situation.place == Place::Arrival { 0.0 } else { situation.edge_queue as f64 },
            energy_factor: 1.0,
            available: &[true],
        };
        let finish = Action::GoOn { to: self.pilot.table().last() };
        let Some(choice) = self.pilot.decide(now, &asked) else { return finish.into() };
        let action = match choice.offer.action {
            online::Action::GoOn { to } => Action::GoOn { to },
            online::Action::Ship { boundary, codec, .. } => {
                let regret = if let Reason::Trial { regret } = choice.reason { regret } else { 0.0 };
                self.trials.insert(situation.request, regret);
                Action::Ship { boundary, codec, race: choice.local_after }
            }
        };
        self.probe = self.pilot.probe(now);
        Decision { action, probe: self.probe.map(|probe| probe.bytes) }
    }

    fn observe(&mut self, now: Duration, event: &Event) {
        match *event {
            Event::Sent { request: Some(request), boundary, codec, payload, .. } => {
                let trial = self.trials.remove(&request).unwrap_or(0.0);
                let ticket = self.pilot.sent(now, (boundary, codec, 0), payload, trial);
                self.tickets.extend(ticket.map(|ticket| (request, ticket)));
            }
            Event::Sent { request: None, .. } => {
                let ticket = self.probe.take().and_then(|probe| self.pilot.probed(now, probe));
                self.probes.extend(ticket);
            }
            Event::Answered { request, transfer } => {
                let ticket = match request {
                    Some(request) => self.tickets.remove(&request),
                    None => self.probes.pop_front(),
                };
                let Some(ticket) = ticket else { return };
                let total = transfer.queue + transfer.compute;
                let arrival = |it: super::Arrival| Arrival {
                    first_to_last: it.first_to_last,
                    bytes_after_first: it.bytes_after_first,
                };
                let answer = Answer {
                    elapsed: transfer.elapsed + total,
                    queue: transfer.queue,
                    total,
                    bytes: transfer.down_bytes,
                    arrival: Some(arrival(transfer.arrival)),
                    answer_arrival: Some(arrival(transfer.answer_arrival)),
                };
                self.pilot.answered(now, ticket, &answer);
            }
            Event::Lost { request: Some(request), cancelled } => {
                let Some(ticket) = self.tickets.remove(&request) else { return };
                if cancelled { self.pilot.lost(now, ticket) } else { self.pilot.refused(ticket) }
            }
            Event::Lost { request: None, .. } => {}
            Event::Ran { from, to, with_head, as_race: true, seconds } => {
                self.pilot.raced(now, (from, to), with_head, seconds);
            }
            Event::Ran { from, to, with_head, as_race: false, seconds } => {
                self.pilot.ran(now, (from, to), with_head, seconds);
            }
        }
    }
}

/// The planner's model of a world with one cloud node; only seconds count.
fn model(world: &World) -> Model {
    let exact = Dist::exact;
    let last = world.last();
    let shipment = |codec: &super::Codec| online::Shipment {
        bytes: exact(World::wire(codec.bytes) as f64),
        encode: exact(codec.encode),
        decode: vec![exact(codec.decode)],
        agreement_loss: codec.loss,
    };
    let exit = |exit: &super::Exit| tiers::Exit {
        boundary: exit.boundary,
        probability: exit.probability,
        head: exact(exit.head),
        agreement_loss: exit.loss,
    };
    let tails = world.cloud.iter().map(|tail| Some(exact(*tail)));
    Model {
        edge: Edge {
            times: Ranges::new(last, |from, to| Some(exact(world.range(from, to)))),
            busy_watts: world.busy_watts,
            wait_watts: 0.0,
        },
        shipments: world
            .codecs
            .iter()
            .map(|codecs| codecs.iter().map(shipment).collect())
            .chain([Vec::new()])
            .collect(),
        nodes: vec![CloudNode {
            tails: tails.chain([Some(exact(0.0))]).collect(),
            joules_per_byte: world.joules_per_byte,
            money_per_byte: 0.0,
            money_per_second: 0.0,
        }],
        exits: world.exits.iter().map(exit).collect(),
        reply: Reply { bytes: exact(World::wire(world.result_bytes) as f64), decode: exact(0.0) },
        terms: Terms { agreement: world.agreement, ..Terms::default() },
    }
}
