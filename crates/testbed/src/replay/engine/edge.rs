//! Requests on the edge: they come, wait for a thread, run, and are asked about.

use super::state::{Job, Live, Running, Shipping};
use super::{Answer, Turn};
use crate::replay::policy::{Action, Decision, Event, Place, Policy, Situation};
use crate::replay::{Path, seconds};
use std::time::Duration;

impl<P: Policy + ?Sized, F: FnMut(Answer)> Turn<'_, '_, P, F> {
    pub(super) fn arrive(&mut self) {
        let request = self.state.come();
        let action = self.ask(request, Place::Arrival);
        if let Some(shipping) = self.needs_no_thread(action) {
            if !self.send(request, shipping) {
                self.wait(request, Action::GoOn { to: self.engine.last() });
            }
        } else if let (true, Some(thread)) = (self.state.queue.is_empty(), self.state.idle_thread()) {
            self.act(thread, request, action);
        } else {
            self.wait(request, action);
        }
        self.feed_idle();
    }

    pub(super) fn thread_done(&mut self, thread: usize) {
        let Some(Running { request, job, .. }) = self.state.threads[thread].take() else { return };
        match job {
            Job::Encode(shipping) => self.ship(thread, request, shipping),
            Job::Run { to } => self.ran(thread, request, to),
        }
        self.feed_idle();
    }

    /// A request that was sent may go on here.
    pub(super) fn timer(&mut self, timer: usize) {
        let (_, request) = self.state.timers.swap_remove(timer);
        let live = self.state.look(request);
        if live.is_away && !live.answered {
            self.state.background.push_back(request);
            self.feed_idle();
        }
    }

    /// To the end of the queue.
    fn wait(&mut self, request: usize, action: Action) {
        let at = self.state.look(request).at;
        let intends = match action {
            Action::GoOn { to } => self.engine.range(at, to),
            Action::Ship { boundary, codec, .. } => self.engine.encode[boundary][codec],
        };
        if let Some(live) = self.state.live(request) {
            live.intends = intends;
        }
        self.state.queue.push_back(request);
    }

    /// Work for threads that have none: what waits, else what may run in the background.
    fn feed_idle(&mut self) {
        while let Some(thread) = self.state.idle_thread() {
            if let Some(request) = self.state.queue.pop_front() {
                let action = self.ask(request, Place::Thread);
                self.act(thread, request, action);
            } else if let Some(request) = self.state.background.pop_front() {
                if let Some(live) = self.state.live(request).filter(|live| live.is_away) {
                    live.raced = true;
                    let to = live.at + 1;
                    self.start(thread, request, Job::Run { to });
                }
            } else {
                return;
            }
        }
    }

    fn ran(&mut self, thread: usize, request: usize, to: usize) {
        let Live { at: from, raced: as_race, .. } = self.state.look(request);
        if from < to {
            let seconds = seconds(self.engine.range(from, to));
            let with_head = self.engine.exits[to].is_some();
            self.tell(&Event::Ran { from, to, with_head, as_race, seconds });
        }
        let Some(live) = self.state.live(request).filter(|live| !live.answered) else { return };
        live.at = to;
        live.held |= 1 << to;
        let is_away = live.is_away;
        if to == self.engine.last() {
            return self.answer_here(request, Path::Local);
        }
        let scenario = self.engine.scenario;
        let exit = self.engine.exits[to];
        if let Some(exit) = exit.filter(|exit| scenario.requests[request].answers_at(scenario.world, *exit)) {
            return self.answer_here(request, Path::Exit(exit));
        }
        if is_away {
            // Behind other work, but before others like it: it is nearer to its end.
            self.state.background.push_front(request);
        } else {
            let action = self.ask(request, Place::Boundary);
            self.act(thread, request, action);
        }
    }

    fn answer_here(&mut self, request: usize, path: Path) {
        self.answer(request, path);
        self.take_back(request);
    }

    /// Does it with a thread, which is idle after this where it was not needed.
    fn act(&mut self, thread: usize, request: usize, action: Action) {
        match (self.needs_no_thread(action), action) {
            (Some(shipping), _) => self.ship(thread, request, shipping),
            (None, Action::GoOn { to }) => self.start(thread, request, Job::Run { to }),
            (None, Action::Ship { boundary, codec, race }) => {
                self.start(thread, request, Job::Encode(Shipping { boundary, codec, race }));
            }
        }
    }

    fn ship(&mut self, thread: usize, request: usize, shipping: Shipping) {
        if !self.send(request, shipping) {
            self.start(thread, request, Job::Run { to: self.engine.last() });
        }
    }

    fn start(&mut self, thread: usize, request: usize, job: Job) {
        let takes = match job {
            Job::Run { to } => self.engine.range(self.state.look(request).at, to),
            Job::Encode(Shipping { boundary, codec, .. }) => self.engine.encode[boundary][codec],
        };
        self.state.counts.busy += takes;
        self.state.threads[thread] = Some(Running { ends: self.state.now + takes, request, job });
    }

    fn needs_no_thread(&self, action: Action) -> Option<Shipping> {
        match action {
            Action::Ship { boundary, codec, race } if self.engine.encode[boundary][codec] == 0 => {
                Some(Shipping { boundary, codec, race })
            }
            _ => None,
        }
    }

    /// The policy's action, if it can be done; a request that found no room on the uplink just finishes.
    fn ask(&mut self, request: usize, place: Place) -> Action {
        let finish = Action::GoOn { to: self.engine.last() };
        let live = self.state.look(request);
        if live.refused {
            return finish;
        }
        let situation = self.situation(request, place);
        let Decision { action, probe } = self.policy.decide(Duration::from_nanos(self.state.now), &situation);
        if let Some(payload) = probe {
            self.probe(payload);
        }
        let can = match action {
            Action::GoOn { to } => (live.at + 1..=self.engine.last()).contains(&to),
            Action::Ship { boundary, codec, .. } => {
                let codecs = self.engine.encode.get(boundary);
                live.held >> boundary & 1 == 1 && codecs.is_some_and(|codecs| codec < codecs.len())
            }
        };
        if can {
            return action;
        }
        self.state.counts.impossible += 1;
        finish
    }

    fn situation(&self, request: usize, place: Place) -> Situation {
        let (engine, state) = (self.engine, &*self.state);
        let live = state.look(request);
        let then = state.now.saturating_sub(2 * engine.one_way);
        let waited_for = state.flights.iter().filter(|flight| !flight.cancelled);
        Situation {
            request,
            place,
            at: live.at,
            held: live.held,
            age: Duration::from_nanos(state.now - engine.scenario.requests[request].arrives()),
            edge_wait: if place == Place::Arrival { self.edge_wait() } else { 0.0 },
            edge_queue: state.queue.len(),
            unanswered: waited_for.clone().count(),
            unanswered_bytes: waited_for.map(|flight| flight.wire).sum(),
            unacknowledged: state.up.unacknowledged(engine.scenario.up, then),
        }
    }

    /// Seconds until a thread has nothing before this to do; exact for one thread if all do what they
    /// said.
    fn edge_wait(&self) -> f64 {
        let state = &*self.state;
        let left = |running: &Option<Running>| running.map_or(0, |it| it.ends - state.now);
        let soonest = state.threads.iter().map(left).min().unwrap_or(0);
        let queued: u64 = state.queue.iter().map(|request| state.look(*request).intends).sum();
        seconds(soonest) + seconds(queued) / state.threads.len() as f64
    }
}
