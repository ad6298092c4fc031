//! Policies to compare with: fixed choices, and what is usually done.

use super::policy::{Action, Decision, Event, Place, Policy, Situation, Transfer};
use super::{Path, World};
use std::time::Duration;

/// The same way for every request; it runs on where its exit does not answer.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'a> {
    /// Of which model.
    pub world: &'a World,
    /// Which way.
    pub path: Path,
}

impl Policy for Fixed<'_> {
    fn decide(&mut self, _: Duration, situation: &Situation) -> Decision {
        step(self.world, self.path, situation.at).into()
    }
}

/// A way for each request, made out beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Of which model.
    pub world: &'a World,
    /// By request.
    pub paths: &'a [Path],
}

impl Policy for Script<'_> {
    fn decide(&mut self, _: Duration, situation: &Situation) -> Decision {
        step(self.world, self.paths[situation.request], situation.at).into()
    }
}

/// What to do at a boundary to go that way.
pub(super) fn step(world: &World, path: Path, at: usize) -> Action {
    let stop = match path {
        Path::Local => world.last(),
        Path::Exit(exit) => world.exits[exit].boundary,
        Path::Ship { boundary, codec } if at >= boundary => {
            return Action::Ship { boundary, codec, race: None };
        }
        Path::Ship { boundary, .. } => boundary,
    };
    Action::GoOn { to: if at < stop { stop } else { world.last() } }
}

/// When a request comes, the way with the least sum of predicted parts; no spread, no second thought.
///
/// How fast the link is it knows from requests that it sent: bytes over the time beyond the round trip.
#[derive(Clone, Debug)]
pub struct Predictor<'a> {
    world: &'a World,
    paths: Vec<Path>,
    round_trip: f64,
    /// Weight of a new transfer against those before it.
    gain: f64,
    /// Whether it counts the edge's queue and its own bytes on the way.
    sees_queues: bool,
    /// Seconds per byte on the wire.
    per_byte: f64,
    /// By request.
    chosen: Vec<Path>,
}

/// Seconds per byte before anything was sent: 8 Mbit/s.
const UNKNOWN: f64 = 1e-6;

impl<'a> Predictor<'a> {
    /// The link is as the last transfer found it; the edge's queue and its own bytes on the way count.
    pub fn last_rate(world: &'a World, round_trip: Duration) -> Self {
        Self::new(world, round_trip, 1.0, true)
    }

    /// As in Neurosurgeon (Kang and others, ASPLOS 2017): a smoothed rate, no queues.
    pub fn neurosurgeon(world: &'a World, round_trip: Duration) -> Self {
        Self::new(world, round_trip, 0.3, false)
    }

    fn new(world: &'a World, round_trip: Duration, gain: f64, sees_queues: bool) -> Self {
        Self {
            world,
            paths: world.paths(),
            round_trip: round_trip.as_secs_f64(),
            gain,
            sees_queues,
            per_byte: UNKNOWN,
            chosen: Vec::new(),
        }
    }

    fn predict(&self, path: Path, situation: &Situation) -> f64 {
        let [edge, bytes, cloud] = self.world.parts(path);
        let (wait, ahead) = if self.sees_queues {
            (situation.edge_wait, situation.unacknowledged as f64)
        } else {
            (0.0, 0.0)
        };
        let edge = if edge > 0.0 { wait + edge } else { 0.0 };
        match path {
            Path::Local => edge,
            // What comes after a head that does not answer is the edge's.
            Path::Exit(exit) => {
                let exit = &self.world.exits[exit];
                edge + (1.0 - exit.probability) * self.world.range(exit.boundary, self.world.last())
            }
            Path::Ship { .. } => edge + (ahead + bytes) * self.per_byte + self.round_trip + cloud,
        }
    }
}

impl Policy for Predictor<'_> {
    fn decide(&mut self, _: Duration, situation: &Situation) -> Decision {
        if situation.place == Place::Arrival {
            let predicted = self.paths.iter().map(|path| (self.predict(*path, situation), *path));
            let best = predicted.min_by(|a, b| a.0.total_cmp(&b.0));
            self.chosen.resize(situation.request, Path::Local);
            self.chosen.push(best.map_or(Path::Local, |(_, path)| path));
        }
        step(self.world, self.chosen[situation.request], situation.at).into()
    }

    fn observe(&mut self, _: Duration, event: &Event) {
        if let Event::Answered { transfer: Transfer { up_bytes, elapsed, .. }, .. } = event {
            let seen = (elapsed - self.round_trip).max(1e-6) / World::wire(*up_bytes) as f64;
            self.per_byte += self.gain * (seen - self.per_byte);
        }
    }
}
