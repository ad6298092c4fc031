//! What could have been had, knowing the future.
//!
//! Each request goes one way from start to end ([`Path`]), none waits on purpose and none is sent twice.
//! Among such schedules one is sought with a small sum of latencies:
//!
//! 1. In order of arrival, each request takes the way that is best for it and for those that are still
//!    under way, given the queues as they are and the link as it will be ([`greedy`]). For a single
//!    request this is the optimum.
//! 2. From the best [`Effort::starts`] of that, all [`Fixed`](super::baselines::Fixed) choices and
//!    further schedules (those of the policies to be judged, say), requests in turn are moved to another
//!    way where that makes the sum over the next [`Effort::horizon`] requests smaller, in
//!    [`Effort::sweeps`] rounds. The best that comes of it is the oracle.
//!
//! So it is an upper bound of the optimum, and never worse than what it was given to start from.

use super::baselines::Script;
use super::engine::{Engine, State};
use super::{Answer, Path, Run, Scenario, run};

/// How hard to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Schedules to start from, the best of all.
    pub starts: usize,
    /// Rounds over all requests, from each of them.
    pub sweeps: usize,
    /// Later requests whose latencies count when one is moved.
    pub horizon: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { starts: 3, sweeps: 2, horizon: 16 }
    }
}

/// A schedule, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Oracle {
    /// By request.
    pub paths: Vec<Path>,
    /// All answers.
    pub run: Run,
}

impl Oracle {
    fn of(scenario: &Scenario<'_>, paths: Vec<Path>) -> Self {
        let run = run(scenario, &mut Script { world: scenario.world, paths: &paths });
        Self { paths, run }
    }

    fn sum(&self) -> u128 {
        self.run.answers.iter().map(|answer| answer.latency.as_nanos()).sum()
    }
}

/// The best schedule that was found.
pub fn search(scenario: &Scenario<'_>, seeds: &[Vec<Path>], effort: Effort) -> Oracle {
    let fixed = scenario.world.paths().into_iter().map(|path| vec![path; scenario.requests.len()]);
    let seeds = seeds.iter().filter(|seed| seed.len() == scenario.requests.len()).cloned();
    let starts = [greedy(scenario)].into_iter().chain(fixed).chain(seeds);
    let mut best: Vec<Oracle> = starts.map(|start| Oracle::of(scenario, start)).collect();
    best.sort_by_key(Oracle::sum);
    best.truncate(effort.starts.max(1));
    let improve = |mut best: Oracle| {
        for _ in 0..effort.sweeps {
            let other = Oracle::of(scenario, improved(scenario, best.paths.clone(), effort.horizon));
            if other.sum() >= best.sum() {
                break;
            }
            best = other;
        }
        best
    };
    let found = best.into_iter().map(improve).min_by_key(Oracle::sum);
    found.unwrap_or_else(|| Oracle::of(scenario, greedy(scenario)))
}

/// Each request in turn as is best for those that came.
pub fn greedy(scenario: &Scenario<'_>) -> Vec<Path> {
    improved(scenario, vec![Path::Local; scenario.requests.len()], 0)
}

/// One round.
fn improved(scenario: &Scenario<'_>, mut paths: Vec<Path>, horizon: usize) -> Vec<Path> {
    let engine = Engine::new(scenario);
    let ways = scenario.world.paths();
    let mut state = State::new(scenario);
    for request in 0..paths.len() {
        let script = &mut Script { world: scenario.world, paths: &paths };
        let arrives = scenario.requests[request].arrives();
        while engine.soonest(&state, request).is_some_and(|at| at <= arrives) {
            engine.step(&mut state, request, script, &mut |_| {});
        }
        let now = paths[request];
        let window = Window { engine: &engine, scenario, start: &state, request, horizon };
        let stay = window.outcome(&paths, None);
        let mut best = (0, now);
        for way in ways.iter().filter(|way| **way != now && window.is_open(**way)) {
            paths[request] = *way;
            let gain = window.outcome(&paths, Some(&stay)).gain;
            if gain > best.0 {
                best = (gain, *way);
            }
        }
        paths[request] = best.1;
    }
    paths
}

/// A request about to come, and those after it that count.
struct Window<'w> {
    engine: &'w Engine<'w>,
    scenario: &'w Scenario<'w>,
    start: &'w State,
    request: usize,
    horizon: usize,
}

/// What a schedule does to a window.
struct Outcome {
    /// Requests before whose arrival nothing was under way.
    quiet: Vec<usize>,
    /// Of requests from the first that was under way on.
    answers: Vec<Answer>,
    /// Nanoseconds less than the other schedule.
    gain: i128,
}

impl Window<'_> {
    fn is_open(&self, way: Path) -> bool {
        let request = &self.scenario.requests[self.request];
        !matches!(way, Path::Exit(exit) if !request.answers_at(self.scenario.world, exit))
    }

    /// Plays a schedule until all of the window is answered or, if that is sooner, until nothing is under
    /// way where nothing was in the other one: from there on both are the same.
    fn outcome(&self, paths: &[Path], other: Option<&Outcome>) -> Outcome {
        let mut state = self.start.clone();
        let limit = (self.request + 1 + self.horizon).min(paths.len());
        let mut script = Script { world: self.scenario.world, paths };
        let mut outcome = Outcome { quiet: Vec::new(), answers: Vec::new(), gain: 0 };
        let mut end = limit;
        while !(state.next == limit && state.has_answered_before(limit)) {
            let next = state.next;
            if next > self.request && outcome.quiet.last() != Some(&next) && state.is_quiet() {
                outcome.quiet.push(next);
                if other.is_some_and(|other| other.quiet.contains(&next)) {
                    end = next;
                    break;
                }
            }
            let answers = &mut outcome.answers;
            if !self.engine.step(&mut state, limit, &mut script, &mut |answer| answers.push(answer)) {
                break;
            }
        }
        if let Some(other) = other {
            let sum = |of: &Outcome| -> i128 {
                let before = of.answers.iter().filter(|answer| answer.request < end);
                before.map(|answer| answer.latency.as_nanos() as i128).sum()
            };
            outcome.gain = sum(other) - sum(&outcome);
        }
        outcome
    }
}
