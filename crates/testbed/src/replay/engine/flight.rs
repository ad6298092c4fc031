//! Messages: to the cloud, through it, and back.

use super::state::{Flight, Shipping};
use super::{Answer, Turn};
use crate::replay::policy::{Arrival, Event, Policy, Transfer};
use crate::replay::{Nanos, Path, World, nanos, seconds};
use crate::trace::PACKET;
use kerf_planner::PACKETS;
use std::time::Duration;

/// Tickets from here on are probes, before it requests.
const PROBES: u32 = 1 << 31;

impl<P: Policy + ?Sized, F: FnMut(Answer)> Turn<'_, '_, P, F> {
    /// Hands a request's message to the uplink; says whether there was room.
    pub(super) fn send(&mut self, request: usize, shipping: Shipping) -> bool {
        let Shipping { boundary, codec, race } = shipping;
        let payload = self.engine.scenario.world.codecs[boundary][codec].bytes;
        if !self.offer(request as u32, Some(request), (boundary, codec), payload) {
            self.state.counts.refused += 1;
            if let Some(live) = self.state.live(request) {
                live.refused = true;
            }
            return false;
        }
        if let Some(live) = self.state.live(request) {
            live.is_away = true;
        }
        match race {
            Some(after) if after > 0.0 => {
                let at = self.state.now.saturating_add(nanos(after.min(1e9)));
                self.state.timers.push((at, request));
            }
            Some(_) => self.state.background.push_back(request),
            None => {}
        }
        true
    }

    pub(super) fn probe(&mut self, payload: f64) {
        let ticket = PROBES + self.state.counts.probes as u32;
        self.state.counts.probes += 1;
        self.offer(ticket, None, (0, 0), payload);
    }

    pub(super) fn uplink_done(&mut self) {
        let now = self.state.now;
        let Some(through) = self.state.up.take(self.engine.scenario.up, now) else { return };
        if let Some(flight) = self.state.flight(through.ticket) {
            flight.up_spread = through.first_to_last;
        }
        self.state.to_cloud.push_back((now + self.engine.one_way, through.ticket));
    }

    pub(super) fn at_cloud(&mut self) {
        let now = self.state.now;
        let Some((_, ticket)) = self.state.to_cloud.pop_front() else { return };
        let Some(flight) = self.state.flight(ticket) else { return };
        flight.reached_cloud = now;
        if flight.request.is_none() {
            return self.answer_flight(ticket);
        }
        self.state.cloud_queue.push_back(ticket);
        self.feed_workers();
    }

    pub(super) fn worker_done(&mut self, worker: usize) {
        if let Some((_, ticket)) = self.state.workers[worker].take() {
            self.answer_flight(ticket);
        }
        self.feed_workers();
    }

    pub(super) fn downlink_done(&mut self) {
        let now = self.state.now;
        let Some(through) = self.state.down.take(self.engine.scenario.down, now) else { return };
        let Some(flight) = self.state.flight(through.ticket) else { return };
        flight.down_spread = through.first_to_last;
        self.state.to_edge.push_back((now + self.engine.one_way, through.ticket));
    }

    pub(super) fn at_edge(&mut self) {
        let Some((_, ticket)) = self.state.to_edge.pop_front() else { return };
        let Some(flight) = self.state.end_flight(ticket).filter(|flight| !flight.cancelled) else { return };
        let result = flight.request.map_or(0.0, |_| self.engine.scenario.world.result_bytes);
        let elapsed = self.state.now - flight.sent - flight.queue - flight.compute;
        let arrival = |spread: Nanos, payload: f64| Arrival {
            first_to_last: seconds(spread),
            bytes_after_first: (payload - PACKET as f64 / PACKETS).max(0.0),
        };
        let transfer = Transfer {
            sent: Duration::from_nanos(flight.sent),
            up_bytes: flight.payload,
            down_bytes: result,
            elapsed: seconds(elapsed),
            arrival: arrival(flight.up_spread, flight.payload),
            answer_arrival: arrival(flight.down_spread, result),
            ahead: flight.ahead,
            queue: seconds(flight.queue),
            compute: seconds(flight.compute),
        };
        self.tell(&Event::Answered { request: flight.request, transfer });
        if let Some(request) = flight.request {
            self.answer(request, Path::Ship { boundary: flight.boundary, codec: flight.codec });
            if let Some(live) = self.state.live(request) {
                live.is_away = false;
            }
        }
    }

    /// The request was answered here: what of it is away is not needed. A worker that has begun ends it.
    pub(super) fn take_back(&mut self, request: usize) {
        let Some(live) = self.state.live(request).filter(|live| live.is_away) else { return };
        live.is_away = false;
        let (now, ticket) = (self.state.now, request as u32);
        if self.state.up.cancel(self.engine.scenario.up, now, ticket) {
            self.state.end_flight(ticket);
        } else if let Some(flight) = self.state.flight(ticket) {
            flight.cancelled = true;
        }
        self.tell(&Event::Lost { request: Some(request), cancelled: true });
    }

    fn offer(
        &mut self,
        ticket: u32,
        request: Option<usize>,
        (boundary, codec): (usize, usize),
        payload: f64,
    ) -> bool {
        let scenario = self.engine.scenario;
        let (now, wire) = (self.state.now, World::wire(payload));
        let ahead = self.state.up.unacknowledged(scenario.up, now);
        if !self.state.up.offer(scenario.up, now, ticket, wire, scenario.uplink_queue) {
            self.tell(&Event::Lost { request, cancelled: false });
            return false;
        }
        self.state.flights.push(Flight {
            ticket,
            request,
            boundary,
            codec,
            payload,
            wire,
            sent: now,
            ahead,
            cancelled: false,
            up_spread: 0,
            down_spread: 0,
            reached_cloud: 0,
            queue: 0,
            compute: 0,
        });
        self.tell(&Event::Sent { request, boundary, codec, payload, bytes: wire });
        true
    }

    fn feed_workers(&mut self) {
        let now = self.state.now;
        while let Some(worker) = self.state.workers.iter().position(Option::is_none) {
            let Some(ticket) = self.state.cloud_queue.pop_front() else { return };
            let world = self.engine.scenario.world;
            let Some(flight) = self.state.flight(ticket) else { continue };
            if flight.cancelled {
                self.state.end_flight(ticket);
                continue;
            }
            let decode = world.codecs[flight.boundary][flight.codec].decode;
            flight.queue = now - flight.reached_cloud;
            flight.compute = nanos(decode + world.cloud[flight.boundary]);
            let ends = now + flight.compute;
            self.state.workers[worker] = Some((ends, ticket));
        }
    }

    fn answer_flight(&mut self, ticket: u32) {
        if self.state.flight(ticket).is_none_or(|flight| flight.cancelled) {
            self.state.end_flight(ticket);
            return;
        }
        let wire = if ticket >= PROBES { World::wire(0.0) } else { self.engine.down_wire };
        let now = self.state.now;
        self.state.down.offer(self.engine.scenario.down, now, ticket, wire, u64::MAX);
    }
}
