//! Everything that changes.

use crate::replay::pipe::Pipe;
use crate::replay::{Nanos, Scenario};
use std::collections::VecDeque;

/// What is going on at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::replay) struct State {
    pub(in crate::replay) now: Nanos,
    /// The request that comes next.
    pub(in crate::replay) next: usize,
    /// Requests that came, from `first_live` on; those answered are dropped from the front.
    live: VecDeque<Live>,
    first_live: usize,
    pub(super) threads: Vec<Option<Running>>,
    /// Requests that wait for a thread.
    pub(super) queue: VecDeque<usize>,
    /// Requests that were sent and may go on here while nothing else is to be done.
    pub(super) background: VecDeque<usize>,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    pub(super) to_cloud: VecDeque<(Nanos, u32)>,
    pub(super) to_edge: VecDeque<(Nanos, u32)>,
    pub(super) cloud_queue: VecDeque<u32>,
    pub(super) workers: Vec<Option<(Nanos, u32)>>,
    pub(super) flights: Vec<Flight>,
    /// When a request that was sent may go on here.
    pub(super) timers: Vec<(Nanos, usize)>,
    pub(super) counts: Counts,
}

/// What only adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::replay) struct Counts {
    pub(in crate::replay) busy: Nanos,
    pub(in crate::replay) refused: usize,
    pub(in crate::replay) impossible: usize,
    pub(in crate::replay) probes: usize,
}

/// A request that came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Live {
    pub(super) at: usize,
    pub(super) held: u64,
    /// What it will do with a thread, as it said when it began to wait.
    pub(super) intends: Nanos,
    pub(super) answered: bool,
    /// It was sent, and no answer is there.
    pub(super) is_away: bool,
    /// There was no room for it on the uplink.
    pub(super) refused: bool,
    /// It went on here after it was sent.
    pub(super) raced: bool,
}

impl Live {
    const NEW: Self =
        Self { at: 0, held: 1, intends: 0, answered: false, is_away: false, refused: false, raced: false };
}

/// A thread at work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Running {
    pub(super) ends: Nanos,
    pub(super) request: usize,
    pub(super) job: Job,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Job {
    Run { to: usize },
    Encode(Shipping),
}

/// What is to be sent, and when it may go on here after that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shipping {
    pub(super) boundary: usize,
    pub(super) codec: usize,
    pub(super) race: Option<f64>,
}

/// A message that was sent and not answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flight {
    pub(super) ticket: u32,
    /// `None` is a probe.
    pub(super) request: Option<usize>,
    pub(super) boundary: usize,
    pub(super) codec: usize,
    pub(super) payload: f64,
    pub(super) wire: u64,
    pub(super) sent: Nanos,
    pub(super) ahead: u64,
    /// Nobody waits for it any more.
    pub(super) cancelled: bool,
    /// From the first packet to the last, there and back.
    pub(super) up_spread: Nanos,
    pub(super) down_spread: Nanos,
    pub(super) reached_cloud: Nanos,
    pub(super) queue: Nanos,
    pub(super) compute: Nanos,
}

impl State {
    pub(in crate::replay) fn new(scenario: &Scenario<'_>) -> Self {
        Self {
            now: 0,
            next: 0,
            live: VecDeque::new(),
            first_live: 0,
            threads: vec![None; scenario.threads.max(1)],
            queue: VecDeque::new(),
            background: VecDeque::new(),
            up: Pipe::default(),
            down: Pipe::default(),
            to_cloud: VecDeque::new(),
            to_edge: VecDeque::new(),
            cloud_queue: VecDeque::new(),
            workers: vec![None; scenario.workers.max(1)],
            flights: Vec::new(),
            timers: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Whether all that came is answered.
    pub(in crate::replay) fn is_quiet(&self) -> bool {
        self.live.iter().all(|live| live.answered)
    }

    /// Whether all requests before this one, which came, are answered.
    pub(in crate::replay) fn has_answered_before(&self, request: usize) -> bool {
        self.live.iter().take(request.saturating_sub(self.first_live)).all(|live| live.answered)
    }

    pub(super) fn come(&mut self) -> usize {
        while self.live.front().is_some_and(|live| live.answered) {
            self.live.pop_front();
            self.first_live += 1;
        }
        self.live.push_back(Live::NEW);
        self.next += 1;
        self.next - 1
    }

    /// A request, unless it was answered and is forgotten.
    pub(super) fn live(&mut self, request: usize) -> Option<&mut Live> {
        self.live.get_mut(request.checked_sub(self.first_live)?)
    }

    /// As it is; what is forgotten was answered.
    pub(super) fn look(&self, request: usize) -> Live {
        let live = request.checked_sub(self.first_live).and_then(|index| self.live.get(index));
        live.copied().unwrap_or(Live { answered: true, ..Live::NEW })
    }

    pub(super) fn flight(&mut self, ticket: u32) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.ticket == ticket)
    }

    pub(super) fn end_flight(&mut self, ticket: u32) -> Option<Flight> {
        let index = self.flights.iter().position(|flight| flight.ticket == ticket)?;
        Some(self.flights.remove(index))
    }

    pub(super) fn idle_thread(&self) -> Option<usize> {
        self.threads.iter().position(Option::is_none)
    }
}
