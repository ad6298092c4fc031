//! What happens to whoever decides: requests, machines, links.

use super::random::Random;
use super::{Nanos, World, nanos};
use crate::trace::Trace;
use std::time::Duration;

/// One run's world.
#[derive(Clone, Debug)]
pub struct Scenario<'a> {
    /// The model, its edge as slow as it is here.
    pub world: &'a World,
    /// To the cloud.
    pub up: &'a Trace,
    /// Back.
    pub down: &'a Trace,
    /// There and back for the first byte; what the nodes take to handle a message is part of it.
    pub rtt: Duration,
    /// Compute threads of the edge.
    pub threads: usize,
    /// Compute threads of the cloud.
    pub workers: usize,
    /// Bytes on the wire that may wait for the uplink; a message beyond is refused, and its request
    /// finishes on the edge.
    pub uplink_queue: u64,
    /// In order of arrival.
    pub requests: &'a [Request],
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Since the start.
    pub arrival: Duration,
    /// By exit, from 0 to below 1: a head answers where this is less than its probability.
    pub luck: Vec<f64>,
}

impl Request {
    pub(super) fn arrives(&self) -> Nanos {
        self.arrival.as_nanos() as Nanos
    }

    /// Whether the head answers, if it is asked.
    pub fn answers_at(&self, world: &World, exit: usize) -> bool {
        self.luck[exit] < world.exits[exit].probability
    }
}

/// Poisson arrivals at `rate` per second for `long`, `most` at most, by seed.
pub fn arrivals(world: &World, rate: f64, long: Duration, most: usize, seed: u64) -> Vec<Request> {
    let mut random = Random::new(seed);
    let mut at = 0.0;
    let mut requests = Vec::new();
    while requests.len() < most {
        at += random.exponential() / rate;
        if at.is_nan() || at >= long.as_secs_f64() {
            break;
        }
        let luck = world.exits.iter().map(|_| random.unit()).collect();
        requests.push(Request { arrival: Duration::from_nanos(nanos(at)), luck });
    }
    requests
}
