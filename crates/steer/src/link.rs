//! What is known of the way to one node and back.
//!
//! A transfer takes `round trip + (bytes ahead + bytes) · seconds per byte`. Which part of what it
//! took was which is not seen from here. The receiver sees it: bytes after the first chunk, over
//! the time from the first to the last, is the rate of the link. Where payloads are too short for
//! that, our own clock still gives an interval: the transfer took no longer than it took, and the
//! first byte no less than the least that was ever seen. Our clock has the last word in any case:
//! what a receiver reports only divides what we measured, so that a lie about one part is made up
//! for by the other.

mod delay;
mod outstanding;
mod rate;

use delay::Delay;
use kerf_planner::tiers::{self, Dist};
use kerf_planner::{MESSAGE, PACKETS};
use outstanding::{Outstanding, Sent};
use rate::{Bounds, Rate};
use std::time::Duration;

/// Bytes after the first chunk from which the arrival rate alone is used: a few packets.
const DISPERSION: f64 = 2500.0;

/// Seconds by which the times of arrivals are off: receivers wake up for several packets.
const GRAIN: f64 = 0.3e-3;

/// Bytes of a packet.
const PACKET: f64 = 1400.0;

/// What is taken to be so until something was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Seconds there and back for the first byte.
    pub round_trip: Dist,
    /// Seconds per byte to the node.
    pub up: Dist,
    /// Seconds per byte back.
    pub down: Dist,
}

impl From<&tiers::Link> for Prior {
    fn from(link: &tiers::Link) -> Self {
        Self { round_trip: link.up_delay.plus(link.down_delay), up: link.up, down: link.down }
    }
}

/// What a receiver saw of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arrival {
    /// Seconds from its first chunk to its last.
    pub first_to_last: f64,
    /// Bytes that came after the first chunk.
    pub bytes_after_first: f64,
}

/// What one answered request showed. A peer's numbers may be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transfer {
    /// Bytes of payload to the node.
    pub up_bytes: f64,
    /// Bytes of payload back.
    pub down_bytes: f64,
    /// Seconds from the beginning of the call to the end of the answer, less those that the node
    /// had the request.
    pub elapsed: f64,
    /// What the node saw arrive.
    pub arrival: Option<Arrival>,
    /// What we saw arrive.
    pub answer_arrival: Option<Arrival>,
    /// Bytes of ours that were on the way when it was sent.
    pub ahead: f64,
}

/// What to expect of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkEstimate {
    /// Seconds there and back for the first byte.
    pub round_trip: Dist,
    /// The least of late.
    pub min_round_trip: f64,
    /// Seconds per byte to the node.
    pub up: Dist,
    /// Seconds per byte to the node if it does better than expected; much better after a silence.
    pub up_at_best: f64,
    /// Seconds per byte back.
    pub down: Dist,
    /// Bytes that are on the way to it.
    pub backlog: f64,
    /// Seconds since something was learnt of the way to it; `None` before the first time.
    pub silence: Option<f64>,
}

/// The way to one node and back.
#[derive(Clone, Debug)]
pub struct Link {
    delay: Delay,
    up: Rate,
    down: Rate,
    outstanding: Outstanding,
}

impl Link {
    /// Nothing is known but a guess.
    pub fn new(prior: &Prior) -> Self {
        let guess = |it: Dist| Dist { mean: amount(it.mean), sd: amount(it.sd) };
        Self {
            delay: Delay::new(guess(prior.round_trip)),
            up: Rate::new(guess(prior.up)),
            down: Rate::new(guess(prior.down)),
            outstanding: Outstanding::default(),
        }
    }

    /// A request of `bytes` of payload began, under a number that no other has. The node is
    /// expected to take `service` seconds over it.
    pub fn sent(&mut self, now: Duration, serial: u64, bytes: f64, service: f64) {
        let bytes = wire(amount(bytes));
        self.outstanding.push(Sent { serial, at: now, bytes, service: amount(service) });
    }

    /// It was answered: it is no longer on the way. Returns whether it was; what a second answer
    /// shows is not to be used.
    pub fn answered(&mut self, serial: u64) -> bool {
        self.outstanding.remove(serial).is_some()
    }

    /// A request was given up. What it showed is that the link was at least so slow.
    pub fn lost(&mut self, now: Duration, serial: u64) -> bool {
        let round_trip = self.delay.at(now).mean;
        let low = self.outstanding.at_least(now, round_trip);
        let was_known = self.outstanding.remove(serial).is_some();
        if was_known && low > 0.0 {
            self.up.observe(now, Bounds { low, high: f64::INFINITY });
        }
        was_known
    }

    /// The time of a round trip without payload, as the transport measured it.
    pub fn round_trip(&mut self, now: Duration, seconds: f64) {
        self.delay.observe(now, seconds);
    }

    /// What an answered request showed.
    pub fn observe(&mut self, now: Duration, transfer: &Transfer) {
        let elapsed = transfer.elapsed;
        if !(elapsed.is_finite() && elapsed > 0.0) {
            return;
        }
        let (up_bytes, down_bytes) = (amount(transfer.up_bytes), amount(transfer.down_bytes));
        let ahead = amount(transfer.ahead);
        let up = dispersion(transfer.arrival, up_bytes, elapsed);
        let down = dispersion(transfer.answer_arrival, down_bytes, elapsed);
        let (rate_up, rate_down) = (self.up.at(now).dist().mean, self.down.at(now).dist().mean);
        let seconds = |seen: Option<(f64, f64)>, bytes: f64, rate: f64| match seen {
            Some((span, after)) => span + (wire(bytes) - PACKETS * after).max(0.0) * span / after,
            None => wire(bytes) * rate,
        };
        let (up_seconds, down_seconds) =
            (seconds(up, up_bytes, rate_up), seconds(down, down_bytes, rate_down));
        let trip = self.delay.at(now);
        // What is left for bytes on the way up: at most, and by what is usual.
        let at_most = elapsed - self.delay.minimum().min(0.9 * elapsed);
        let usual = elapsed - trip.mean - 2.0 * trip.sd - down_seconds;
        let goodput =
            Bounds { low: (usual / (wire(up_bytes) + ahead)).max(0.0), high: at_most / wire(up_bytes) };
        if up_bytes > 0.0 {
            self.up.observe(now, up.map_or(goodput, |seen| sharpened(seen, ahead, goodput.high)));
        }
        if down_bytes > 0.0 {
            let high = at_most / wire(down_bytes);
            let left = (elapsed - trip.mean - 2.0 * trip.sd - up_seconds - ahead * rate_up).max(0.0);
            let goodput = Bounds { low: (left / wire(down_bytes)).min(high), high };
            self.down.observe(now, down.map_or(goodput, |seen| sharpened(seen, 0.0, high)));
        }
        self.delay.observe(now, elapsed - up_seconds - down_seconds - ahead * rate_up);
    }

    /// What to expect now, given who has waited for how long.
    pub fn estimate(&self, now: Duration) -> LinkEstimate {
        let round_trip = self.delay.at(now);
        let log = self.up.at(now);
        let log = if self.outstanding.is_empty() {
            log
        } else {
            log.above(self.outstanding.at_least(now, round_trip.mean + round_trip.sd))
        };
        let up = log.dist();
        LinkEstimate {
            round_trip,
            min_round_trip: self.delay.minimum(),
            up,
            up_at_best: self.up.at_best(now),
            down: self.down.at(now).dist(),
            backlog: self.outstanding.backlog(now, up.mean),
            silence: self.up.silence(now),
        }
    }

    /// Whether something is on the way.
    pub fn is_busy(&self) -> bool {
        !self.outstanding.is_empty()
    }
}

/// Bytes on the wire of a payload, headers included: what plans count.
fn wire(payload: f64) -> f64 {
    PACKETS * (payload + MESSAGE)
}

fn amount(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

/// The seconds over which a message's bytes after the first chunk came, and those bytes, where that
/// is enough to tell a rate by and possible at all.
fn dispersion(arrival: Option<Arrival>, bytes: f64, elapsed: f64) -> Option<(f64, f64)> {
    let Arrival { first_to_last, bytes_after_first } = arrival?;
    // Of more bytes than were sent, or in more time than passed, nothing is believed.
    let is_possible =
        (DISPERSION..=bytes).contains(&bytes_after_first) && first_to_last > 0.0 && first_to_last <= elapsed;
    is_possible.then_some((first_to_last, bytes_after_first))
}

/// What a dispersion says: other streams may have taken a part of the link while bytes of them were
/// ahead, and few packets, or a short time, tell little.
fn sharpened((span, after): (f64, f64), ahead: f64, at_most: f64) -> Bounds {
    let error = (0.05 + 0.5 * PACKET / after + GRAIN / span).min(2.0).exp();
    let low = span / (after + ahead) / error;
    let high = span / after * error;
    Bounds { low: low.min(at_most), high: high.min(at_most) }
}

#[cfg(test)]
mod tests;
