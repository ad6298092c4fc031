//! From answers to figures.

use super::{Answer, Done, Path, Run, Scenario, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Of one policy in one scenario. Seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Latencies.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// On the wire, to the cloud and back, all requests.
    pub bytes: u64,
    /// Modelled, of the edge, all requests.
    pub joules: f64,
    /// Share of the time that edge threads ran, until the last arrival.
    pub edge_busy: f64,
    /// Share of requests that both ways were tried for.
    pub raced: f64,
    /// Messages for which the uplink's queue had no room.
    pub refused: usize,
    /// Probes sent.
    pub probes: usize,
    /// What answered, most often first.
    pub shares: Vec<Share>,
}

/// How often one way answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// As [`World::name_of`] has it.
    pub way: String,
    /// Of all requests.
    pub share: f64,
}

impl Summary {
    /// Of all requests of a run; zeros where there is none. `seconds` is how long they came.
    pub fn new(world: &World, run: &Run, seconds: f64) -> Self {
        let mut latencies: Vec<f64> = run.answers.iter().map(|answer| answer.latency.as_secs_f64()).collect();
        latencies.sort_by(f64::total_cmp);
        let count = latencies.len().max(1) as f64;
        let quantile = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            latencies.get(rank.max(1) - 1).copied().unwrap_or(0.0)
        };
        Self {
            mean: latencies.iter().sum::<f64>() / count,
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            bytes: run.up_bytes + run.down_bytes,
            joules: run.joules,
            edge_busy: if seconds > 0.0 { run.edge_busy / seconds } else { 0.0 },
            raced: run.answers.iter().filter(|answer| answer.raced).count() as f64 / count,
            refused: run.refused,
            probes: run.probes,
            shares: shares(world, &run.answers),
        }
    }
}

/// What was decided in one stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds since the start.
    pub at: f64,
    /// Requests that came.
    pub requests: usize,
    /// Their mean latency, seconds.
    pub mean: f64,
    /// What answered them.
    pub shares: Vec<Share>,
}

/// Decisions over time, in stretches of `step` in which requests came.
pub fn moments(scenario: &Scenario<'_>, run: &Run, step: Duration) -> Vec<Moment> {
    let stretch = |answer: &Answer| {
        let arrival = scenario.requests[answer.request].arrival;
        arrival.as_nanos() / step.as_nanos().max(1)
    };
    let moment = |answers: &[Answer]| Moment {
        at: stretch(&answers[0]) as f64 * step.as_secs_f64(),
        requests: answers.len(),
        mean: answers.iter().map(|it| it.latency.as_secs_f64()).sum::<f64>() / answers.len() as f64,
        shares: shares(scenario.world, answers),
    };
    run.answers.chunk_by(|a, b| stretch(a) == stretch(b)).map(moment).collect()
}

fn shares(world: &World, answers: &[Answer]) -> Vec<Share> {
    let mut counts: BTreeMap<Option<Path>, usize> = BTreeMap::new();
    for answer in answers {
        let path = match answer.done {
            Done::Path(path) => Some(path),
            Done::Refused => None,
        };
        *counts.entry(path).or_default() += 1;
    }
    let name = |path: Option<Path>| path.map_or_else(|| "edge, no room".into(), |path| world.name_of(path));
    let share = |count: usize| count as f64 / answers.len() as f64;
    let mut shares: Vec<Share> =
        counts.into_iter().map(|(path, count)| Share { way: name(path), share: share(count) }).collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share));
    shares
}
