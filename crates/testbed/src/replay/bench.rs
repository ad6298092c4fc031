//! Many scenarios, each with every policy, and what that says.

use super::baselines::{Fixed, Predictor};
use super::oracle::{Effort, search};
use super::{Done, Path, Piloted, PilotedError, Run, Scenario, Summary, World, arrivals, run};
use crate::trace::Trace;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A cell says nothing where one fixed choice is within this of the oracle.
pub const TELLING: f64 = 1.05;

/// Ranges one by one are not to the nanosecond what they are in one.
const ROUNDING: f64 = 1e-6;

/// What is the same in all cells.
#[derive(Clone, Debug)]
pub struct Settings {
    /// There and back.
    pub rtt: Duration,
    /// From the cloud.
    pub down: Trace,
    /// Compute threads of the edge.
    pub threads: usize,
    /// Compute threads of the cloud.
    pub workers: usize,
    /// Bytes that may wait for the uplink.
    pub uplink_queue: u64,
    /// Requests come for a whole period of the trace, and as much longer as it takes for this many.
    pub least: usize,
    /// At most so many.
    pub most: usize,
    /// Of the arrivals.
    pub seed: u64,
    /// Of the oracle.
    pub effort: Effort,
}

/// A pilot to judge.
#[derive(Clone, Copy, Debug)]
pub struct Contender<'c> {
    /// For people.
    pub name: &'c str,
    /// How it is set.
    pub settings: kerf_steer::Settings,
}

/// One scenario's conditions.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'c> {
    /// Of the trace.
    pub name: &'c str,
    /// To the cloud.
    pub up: &'c Trace,
    /// The edge takes so many times as long: emulated.
    pub slowdown: f64,
    /// Of the requests per second that the edge could answer alone.
    pub load: f64,
}

/// What came of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its conditions.
    pub trace: String,
    /// Mbit/s over the whole trace.
    pub megabits: f64,
    /// Emulated.
    pub slowdown: f64,
    /// Share of what the edge could answer alone.
    pub load: f64,
    /// How many came.
    pub requests: usize,
    /// Over how long.
    pub seconds: f64,
    /// All on the edge.
    pub edge: Summary,
    /// The inputs to the cloud, by the smallest codec within the agreement floor.
    pub input: Option<Summary>,
    /// The best of all fixed choices, in hindsight.
    pub best_fixed: Named,
    /// The oracle.
    pub oracle: Summary,
    /// Every policy.
    pub policies: Vec<Named>,
}

/// Whose figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// For people.
    pub name: String,
    /// Its figures.
    pub summary: Summary,
}

impl Cell {
    /// Whether any fixed choice is within [`TELLING`] of the oracle.
    pub fn says_nothing(&self) -> bool {
        self.best_fixed.summary.mean <= TELLING * self.oracle.mean
    }
}

/// Runs everything in one scenario.
pub fn cell(
    world: &World,
    conditions: &Conditions<'_>,
    settings: &Settings,
    contenders: &[Contender<'_>],
) -> Result<Cell, PilotedError> {
    let Conditions { name, up, slowdown, load } = *conditions;
    let world = &world.slowed(slowdown);
    let rate = load * settings.threads as f64 / world.range(0, world.last());
    let long = up.period().max(Duration::from_secs_f64(settings.least as f64 / rate));
    let requests = &arrivals(world, rate, long, settings.most, settings.seed);
    let scenario = &Scenario {
        world,
        up,
        down: &settings.down,
        rtt: settings.rtt,
        threads: settings.threads,
        workers: settings.workers,
        uplink_queue: settings.uplink_queue,
        requests,
    };
    let seconds = requests.last().map_or(0.0, |last| last.arrival.as_secs_f64());
    let summary = |run: &Run| Summary::new(world, run, seconds);
    let fixed = |path| summary(&run(scenario, &mut Fixed { world, path }));
    let all_fixed =
        world.paths().into_iter().map(|path| Named { name: world.name_of(path), summary: fixed(path) });
    let edge = fixed(Path::Local);
    let local = Named { name: world.name_of(Path::Local), summary: edge.clone() };
    let best_fixed =
        all_fixed.fold(local, |best, it| if it.summary.mean < best.summary.mean { it } else { best });
    let mut runs = vec![
        ("last rate", run(scenario, &mut Predictor::last_rate(world, settings.rtt))),
        ("neurosurgeon", run(scenario, &mut Predictor::neurosurgeon(world, settings.rtt))),
    ];
    for contender in contenders {
        let mut policy = Piloted::new(world, settings.rtt, contender.settings)?;
        runs.push((contender.name, run(scenario, &mut policy)));
    }
    let seeds: Vec<Vec<Path>> = runs.iter().map(|(_, run)| taken(run)).collect();
    let oracle = search(scenario, &seeds, settings.effort);
    Ok(Cell {
        trace: name.into(),
        megabits: up.mean_rate() * 8e-6,
        slowdown,
        load,
        requests: requests.len(),
        seconds,
        edge,
        input: world.smallest_input().map(fixed),
        best_fixed,
        oracle: summary(&oracle.run),
        policies: runs
            .iter()
            .map(|(name, run)| Named { name: (*name).into(), summary: summary(run) })
            .collect(),
    })
}

/// The ways by which a run's requests were answered.
fn taken(run: &Run) -> Vec<Path> {
    let path = |done| if let Done::Path(path) = done { path } else { Path::Local };
    run.answers.iter().map(|answer| path(answer.done)).collect()
}

/// One policy over many cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// For people.
    pub name: String,
    /// Mean latency over the oracle's, in cells that say something: median.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Worst.
    pub worst: f64,
    /// Where that is.
    pub worst_cell: String,
    /// Mean latency over that of the best fixed choice, in all cells: worst.
    pub over_fixed: f64,
    /// Cells where it is more than 1.05.
    pub above_fixed: usize,
    /// Mean latency over that of all-edge, in all cells: worst.
    pub over_edge: f64,
    /// Cells where it is more than 1.03.
    pub above_edge: usize,
    /// Cells where it is better than the oracle.
    pub beats_oracle: usize,
}

/// Every policy over the cells, and in how many of them no fixed choice is near the oracle.
pub fn verdicts(cells: &[Cell]) -> (Vec<Verdict>, usize) {
    let telling = cells.iter().filter(|cell| !cell.says_nothing()).count();
    let Some(first) = cells.first() else { return (Vec::new(), telling) };
    let mut all: Vec<Verdict> = (0..first.policies.len())
        .map(|index| {
            verdict(&first.policies[index].name, cells, |cell| cell.policies.get(index).map(|it| &it.summary))
        })
        .collect();
    all.push(verdict("all-edge", cells, |cell| Some(&cell.edge)));
    all.push(verdict("input to the cloud", cells, |cell| cell.input.as_ref()));
    all.push(verdict("best fixed choice", cells, |cell| Some(&cell.best_fixed.summary)));
    (all, telling)
}

fn verdict<'c>(name: &str, cells: &'c [Cell], of: impl Fn(&'c Cell) -> Option<&'c Summary>) -> Verdict {
    let mut verdict = Verdict { name: name.into(), ..Verdict::default() };
    let mut ratios = Vec::new();
    for cell in cells {
        let Some(summary) = of(cell) else { continue };
        let (fixed, edge) = (summary.mean / cell.best_fixed.summary.mean, summary.mean / cell.edge.mean);
        verdict.over_fixed = verdict.over_fixed.max(fixed);
        verdict.above_fixed += usize::from(fixed > 1.05);
        verdict.over_edge = verdict.over_edge.max(edge);
        verdict.above_edge += usize::from(edge > 1.03);
        let ratio = summary.mean / cell.oracle.mean;
        verdict.beats_oracle += usize::from(ratio < 1.0 - ROUNDING);
        if !cell.says_nothing() {
            if ratio > verdict.worst {
                verdict.worst = ratio;
                verdict.worst_cell = format!("{}, {}x, {}", cell.trace, cell.slowdown, cell.load);
            }
            ratios.push(ratio);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let rank = (share * ratios.len() as f64).ceil() as usize;
        ratios.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    };
    (verdict.median, verdict.p90) = (quantile(0.5), quantile(0.9));
    verdict
}
