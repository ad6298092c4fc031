//! From event to event.

mod edge;
mod flight;
mod state;

pub(super) use state::State;

use state::Counts;

use super::policy::{Event, Policy};
use super::{Nanos, Path, Scenario, World, nanos, seconds};
use std::time::Duration;

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Which.
    pub request: usize,
    /// From its arrival.
    pub latency: Duration,
    /// Where.
    pub done: Done,
    /// Whether both ways were tried.
    pub raced: bool,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// By one of the ways, no other having been tried in vain.
    Path(Path),
    /// From the edge, because the uplink's queue had no room for it.
    Refused,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// By request.
    pub answers: Vec<Answer>,
    /// On the wire, to the cloud.
    pub up_bytes: u64,
    /// On the wire, from it.
    pub down_bytes: u64,
    /// Seconds that edge threads ran.
    pub edge_busy: f64,
    /// Modelled: those seconds and those bytes at the world's watts and joules.
    pub joules: f64,
    /// Messages for which the uplink's queue had no room.
    pub refused: usize,
    /// Actions that cannot be done; such a request finishes on the edge.
    pub impossible: usize,
    /// Probes sent.
    pub probes: usize,
}

/// Answers every request.
pub fn run<P: Policy + ?Sized>(scenario: &Scenario<'_>, policy: &mut P) -> Run {
    let engine = Engine::new(scenario);
    let mut state = State::new(scenario);
    let mut answers = Vec::with_capacity(scenario.requests.len());
    while engine.step(&mut state, scenario.requests.len(), policy, &mut |answer| answers.push(answer)) {}
    answers.sort_by_key(|answer| answer.request);
    let (up_bytes, down_bytes) = (state.up.carried, state.down.carried);
    let Counts { busy, refused, impossible, probes } = state.counts;
    let edge_busy = seconds(busy);
    let joules = edge_busy * scenario.world.busy_watts
        + (up_bytes + down_bytes) as f64 * scenario.world.joules_per_byte;
    Run { answers, up_bytes, down_bytes, edge_busy, joules, refused, impossible, probes }
}

/// What does not change from event to event.
pub(super) struct Engine<'a> {
    scenario: &'a Scenario<'a>,
    /// Half of the round trip.
    one_way: Nanos,
    /// By boundaries, with the head at the end.
    ranges: Vec<Vec<Nanos>>,
    /// By boundary, the exit there.
    exits: Vec<Option<usize>>,
    /// By boundary and codec.
    encode: Vec<Vec<Nanos>>,
    down_wire: u64,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Source {
    Worker(usize),
    Thread(usize),
    Uplink,
    AtCloud,
    Downlink,
    AtEdge,
    Timer(usize),
    Arrival,
}

impl<'a> Engine<'a> {
    pub(super) fn new(scenario: &'a Scenario<'a>) -> Self {
        let world = scenario.world;
        let last = world.last();
        let mut exits = vec![None; last + 1];
        for (index, exit) in world.exits.iter().enumerate() {
            exits[exit.boundary] = Some(index);
        }
        let head = |to: usize| exits[to].map_or(0.0, |exit: usize| world.exits[exit].head);
        let range = |from: usize, to: usize| nanos(world.range(from, to) + head(to));
        let ranges = (0..last).map(|from| (from + 1..=last).map(|to| range(from, to)).collect()).collect();
        let encode = world.codecs.iter().map(|row| row.iter().map(|it| nanos(it.encode)).collect());
        Self {
            scenario,
            one_way: (scenario.rtt / 2).as_nanos() as Nanos,
            ranges,
            encode: encode.collect(),
            down_wire: World::wire(world.result_bytes),
            exits,
        }
    }

    /// The next event, of those before the arrival of request `limit`; says whether there was one.
    pub(super) fn step<P: Policy + ?Sized>(
        &self,
        state: &mut State,
        limit: usize,
        policy: &mut P,
        answered: &mut impl FnMut(Answer),
    ) -> bool {
        let Some((at, source)) = self.next(state, limit) else { return false };
        state.now = at;
        let mut turn = Turn { engine: self, state, policy, answered };
        match source {
            Source::Worker(worker) => turn.worker_done(worker),
            Source::Thread(thread) => turn.thread_done(thread),
            Source::Uplink => turn.uplink_done(),
            Source::AtCloud => turn.at_cloud(),
            Source::Downlink => turn.downlink_done(),
            Source::AtEdge => turn.at_edge(),
            Source::Timer(timer) => turn.timer(timer),
            Source::Arrival => turn.arrive(),
        }
        true
    }

    /// When the next event is, of those before the arrival of request `limit`.
    pub(super) fn soonest(&self, state: &State, limit: usize) -> Option<Nanos> {
        self.next(state, limit).map(|(at, _)| at)
    }

    /// What comes next, and when. Of several at one time what frees something comes first.
    fn next(&self, state: &State, limit: usize) -> Option<(Nanos, Source)> {
        let mut next: Option<(Nanos, Source)> = None;
        let mut offer = |at: Nanos, source: Source| {
            if next.is_none_or(|(soonest, _)| at < soonest) {
                next = Some((at, source));
            }
        };
        for (worker, it) in state.workers.iter().enumerate() {
            if let Some((at, _)) = it {
                offer(*at, Source::Worker(worker));
            }
        }
        for (thread, it) in state.threads.iter().enumerate() {
            if let Some(it) = it {
                offer(it.ends, Source::Thread(thread));
            }
        }
        if let Some(at) = state.up.next() {
            offer(at, Source::Uplink);
        }
        if let Some((at, _)) = state.to_cloud.front() {
            offer(*at, Source::AtCloud);
        }
        if let Some(at) = state.down.next() {
            offer(at, Source::Downlink);
        }
        if let Some((at, _)) = state.to_edge.front() {
            offer(*at, Source::AtEdge);
        }
        for (timer, (at, _)) in state.timers.iter().enumerate() {
            offer(*at, Source::Timer(timer));
        }
        let arrivals = self.scenario.requests.get(..limit).unwrap_or(self.scenario.requests);
        if let Some(request) = arrivals.get(state.next) {
            offer(request.arrives(), Source::Arrival);
        }
        next
    }

    fn range(&self, from: usize, to: usize) -> Nanos {
        self.ranges[from][to - from - 1]
    }

    fn last(&self) -> usize {
        self.ranges.len()
    }
}

/// One event's work.
struct Turn<'t, 'a, P: ?Sized, F> {
    engine: &'t Engine<'a>,
    state: &'t mut State,
    policy: &'t mut P,
    answered: &'t mut F,
}

impl<P: Policy + ?Sized, F: FnMut(Answer)> Turn<'_, '_, P, F> {
    fn tell(&mut self, event: &Event) {
        self.policy.observe(Duration::from_nanos(self.state.now), event);
    }

    /// Hands out an answer, if it is the first.
    fn answer(&mut self, request: usize, path: Path) {
        let now = self.state.now;
        let Some(live) = self.state.live(request) else { return };
        if live.answered {
            return;
        }
        live.answered = true;
        let done = if live.refused { Done::Refused } else { Done::Path(path) };
        let raced = live.raced;
        let latency = Duration::from_nanos(now - self.engine.scenario.requests[request].arrives());
        (self.answered)(Answer { request, latency, done, raced });
    }
}
