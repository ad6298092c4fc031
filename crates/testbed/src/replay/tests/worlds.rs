//! Small models on small links.

use crate::replay::random::Random;
use crate::replay::{Action, Codec, Decision, Exit, Policy, Request, Scenario, Situation, World};
use crate::trace::Trace;
use proptest::prelude::*;
use std::time::Duration;

/// What a [`Scenario`] borrows.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) world: World,
    pub(super) up: Trace,
    pub(super) down: Trace,
    pub(super) rtt: Duration,
    pub(super) threads: usize,
    pub(super) workers: usize,
    pub(super) uplink_queue: u64,
    pub(super) requests: Vec<Request>,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            world: world(),
            up: Trace::constant(1).unwrap(),
            down: Trace::constant(1).unwrap(),
            rtt: Duration::from_millis(20),
            threads: 1,
            workers: 4,
            uplink_queue: 1 << 20,
            requests: Vec::new(),
        }
    }
}

impl Cell {
    pub(super) fn scenario(&self) -> Scenario<'_> {
        Scenario {
            world: &self.world,
            up: &self.up,
            down: &self.down,
            rtt: self.rtt,
            threads: self.threads,
            workers: self.workers,
            uplink_queue: self.uplink_queue,
            requests: &self.requests,
        }
    }
}

/// 100 ms on the edge, 40 of them before b1; a head there.
pub(super) fn world() -> World {
    let codec =
        |name: &str, bytes, encode, decode| Codec { name: name.into(), bytes, encode, decode, loss: 0.0 };
    World {
        name: "test".into(),
        source: "made up".into(),
        edge: vec![vec![0.04, 0.1], vec![0.06]],
        cloud: vec![0.01, 0.006],
        codecs: vec![
            vec![codec("raw", 50e3, 0.0, 0.001), codec("small", 20e3, 0.005, 0.002)],
            vec![codec("raw", 4e3, 0.0, 0.0)],
        ],
        exits: vec![Exit { boundary: 1, head: 0.001, probability: 0.5, loss: 0.0 }],
        result_bytes: 100.0,
        agreement: 0.99,
        busy_watts: 5.0,
        joules_per_byte: 1e-6,
    }
}

pub(super) fn at(ms: u64, luck: &[f64]) -> Request {
    Request { arrival: Duration::from_millis(ms), luck: luck.to_vec() }
}

/// Any model of two segments on any link, with up to `most` requests.
pub(super) fn cells(most: usize) -> impl Strategy<Value = Cell> {
    let link = prop::collection::vec((1..2_000u32, 0..4u32), 1..6).prop_filter_map("nothing", |lines| {
        let mut at = 0;
        let line = |(gap, rate): &(u32, u32)| {
            at += gap;
            format!("{} {}\n", f64::from(at) / 1e3, f64::from(*rate) * 0.8)
        };
        Trace::parse(lines.iter().map(line).collect::<String>().as_bytes()).ok()
    });
    let packets = prop::collection::vec(0..400u64, 1..60).prop_filter_map("nothing", |mut times| {
        times.sort_unstable();
        Trace::parse(times.iter().map(|time| format!("{time}\n")).collect::<String>().as_bytes()).ok()
    });
    let requests = prop::collection::vec((0..300u64, 0.0..1.0f64), 1..=most).prop_map(|gaps| {
        let mut now = 0;
        let request = |(gap, luck)| {
            now += gap;
            at(now, &[luck])
        };
        gaps.into_iter().map(request).collect::<Vec<_>>()
    });
    let times = (0.001..0.2f64, 0.001..0.2f64, 100.0..60e3f64, 100.0..60e3f64, 0.0..0.02f64);
    let machines = (0..200u64, 1..3usize, 1..3usize, 1_000..200_000u64);
    (times, machines, prop_oneof![link, packets], requests).prop_map(
        |((head, tail, input, middle, encode), (rtt, threads, workers, uplink_queue), up, requests)| {
            let mut world = world();
            world.edge = vec![vec![head, head + tail], vec![tail]];
            world.codecs[0][0].bytes = input;
            world.codecs[0][1].encode = encode;
            world.codecs[1][0].bytes = middle;
            let down = Trace::constant(500_000).unwrap();
            let rtt = Duration::from_millis(rtt);
            Cell { world, up, down, rtt, threads, workers, uplink_queue, requests }
        },
    )
}

/// Four requests that get into each other's way.
pub(super) fn crowded(seed: u64) -> Cell {
    let mut random = Random::new(seed);
    let mut now = 0.0;
    let requests = (0..4).map(|_| {
        now += 60.0 * random.exponential();
        at(now as u64, &[random.unit()])
    });
    Cell {
        requests: requests.collect(),
        up: Trace::constant(200_000 + random.next() % 1_000_000).unwrap(),
        down: Trace::constant(2_000_000).unwrap(),
        ..Cell::default()
    }
}

/// Does anything, impossible things too.
pub(super) struct Erratic(Random);

impl Erratic {
    pub(super) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }
}

impl Policy for Erratic {
    fn decide(&mut self, _: Duration, _: &Situation) -> Decision {
        let mut number = |below: u64| (self.0.next() % below) as usize;
        let race = [None, Some(0.0), Some(0.05), Some(f64::INFINITY)][number(4)];
        let action = match number(2) {
            0 => Action::GoOn { to: number(5) },
            _ => Action::Ship { boundary: number(4), codec: number(3), race },
        };
        Decision { action, probe: (number(4) == 0).then_some(5e3) }
    }
}
