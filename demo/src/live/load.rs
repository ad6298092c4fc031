//! The application: asks at random times, so many a second on average, whatever the answers take.

use super::window::{Answer, Figures, Outcome, Route, Window};
use crate::client::{Client, NoAnswer, Reply};
use crate::run::{Script, same_answer};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Requests under way; the node admits fewer, and refuses the others itself.
const IN_FLIGHT: usize = 256;
/// Stages as answers name them, on the edge, on the network and in the cloud.
const STAGES: [&[&str]; 3] = [
    &["queue_us", "preprocess_us", "head_us", "exits_us", "encode_us", "decode_us", "tail_us"],
    &["network_us"],
    &["cloud_queue_us", "cloud_decode_us", "cloud_compute_us", "cloud_encode_us"],
];

/// Who asks, and what came of it.
pub(crate) struct Load {
    address: SocketAddr,
    script: Arc<Script>,
    origin: Instant,
    seen: Mutex<Seen>,
    /// Connections without a request.
    idle: Mutex<Vec<Client>>,
    room: Arc<Semaphore>,
    next: AtomicUsize,
    in_flight: AtomicU64,
}

#[derive(Default)]
struct Seen {
    window: Window,
    totals: Totals,
    why: Option<String>,
}

/// Since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Totals {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) in_flight: u64,
    /// Arrivals for which this application itself had no room.
    pub(crate) unsent: u64,
    /// Why the last one failed.
    pub(crate) failure: Option<String>,
}

impl Load {
    /// Asks an edge node what the script says; outcomes are dated from `origin`.
    pub(crate) fn new(address: SocketAddr, script: Arc<Script>, origin: Instant) -> Self {
        Self {
            address,
            script,
            origin,
            seen: Mutex::default(),
            idle: Mutex::default(),
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            next: AtomicUsize::new(0),
            in_flight: AtomicU64::new(0),
        }
    }

    /// The last few seconds, and all.
    pub(crate) fn look(&self, now: Duration) -> (Figures, Totals) {
        let mut seen = locked(&self.seen);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        (seen.window.figures(now), Totals { in_flight, ..seen.totals.clone() })
    }

    /// What the request that was answered last could have done, the best first, as its node expected it.
    pub(crate) fn why(&self) -> Option<String> {
        locked(&self.seen).why.clone()
    }

    async fn ask(&self) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.script.inputs.len();
        locked(&self.seen).totals.sent += 1;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let asked = self.exchange(index).await;
        let latency = start.elapsed().as_secs_f64();
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut seen = locked(&self.seen);
        let outcome = match asked {
            Ok(reply) => {
                seen.totals.answered += 1;
                seen.why = text(&reply.parameters, "explanation");
                let agrees = same_answer(&reply.output, &self.script.answers[index]);
                Outcome::Answered(Answer { latency, agrees, ..told(&reply.parameters) })
            }
            Err(error) if error.downcast_ref().is_some_and(NoAnswer::is_refusal) => {
                seen.totals.refused += 1;
                Outcome::Refused
            }
            Err(error) => {
                seen.totals.failed += 1;
                seen.totals.failure = Some(format!("{error:#}"));
                Outcome::Failed
            }
        };
        seen.window.add(self.origin.elapsed(), outcome);
    }

    async fn exchange(&self, index: usize) -> anyhow::Result<Reply> {
        let idle = locked(&self.idle).pop();
        let mut client = match idle {
            Some(client) => client,
            None => Client::connect(self.address).await?,
        };
        let image = Bytes::clone(&self.script.inputs[index].image);
        let asked = client.ask(&self.script.question, &image).await;
        // After a refusal in the protocol's own words the connection is as good as before.
        if asked.as_ref().map_or_else(|error| error.is::<NoAnswer>(), |_| true) {
            locked(&self.idle).push(client);
        }
        asked
    }
}

/// Asks until it is told to stop, and waits for the answers.
pub(crate) async fn run(load: Arc<Load>, mut rate: watch::Receiver<f64>, mut stopped: watch::Receiver<bool>) {
    loop {
        let gap = gap(*rate.borrow_and_update(), rand::random());
        tokio::select! {
            () = tokio::time::sleep(gap) => {
                let Ok(permit) = Arc::clone(&load.room).try_acquire_owned() else {
                    locked(&load.seen).totals.unsent += 1;
                    continue;
                };
                let load = Arc::clone(&load);
                tokio::spawn(async move {
                    load.ask().await;
                    drop(permit);
                });
            }
            // The time to the next arrival has no memory: it may be drawn again.
            changed = rate.changed() => if changed.is_err() { break },
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    // Fails only where the semaphore is closed, which nobody does.
    let _ = load.room.acquire_many(IN_FLIGHT as u32).await;
}

/// Time between arrivals of a Poisson process; `uniform` is from 0 to below 1.
fn gap(per_second: f64, uniform: f64) -> Duration {
    Duration::try_from_secs_f64(-(1.0 - uniform).ln() / per_second).unwrap_or(Duration::MAX)
}

/// What the node says of how an answer was made.
fn told(parameters: &Map<String, Value>) -> Answer {
    let text = |key: &str| text(parameters, key);
    let number = |key: &&str| parameters.get(*key).and_then(Value::as_f64).unwrap_or(0.0);
    let bytes = parameters.get("shipped_bytes").and_then(Value::as_u64).unwrap_or(0);
    let split = text("split").and_then(|split| split.strip_prefix('b')?.parse().ok()).unwrap_or(0);
    let route = match (text("exit"), text("fallback"), text("raced").as_deref(), bytes) {
        (Some(_), ..) => Route::Exit,
        (None, Some(_), ..) => Route::Fallback,
        (None, None, Some("edge"), _) => Route::Race,
        (None, None, _, 0) => Route::Edge,
        (None, None, ..) => Route::Cloud(split),
    };
    let spent = STAGES.map(|stages| stages.iter().map(number).sum::<f64>() / 1e6);
    let node = text("node").unwrap_or_default();
    Answer { route, node, codec: text("codec"), latency: 0.0, bytes, agrees: false, spent }
}

fn text(parameters: &Map<String, Value>, key: &str) -> Option<String> {
    parameters.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrivals_are_as_many_as_asked_for() {
        let count = 10_000;
        let sum: f64 =
            (0..count).map(|index| gap(8.0, f64::from(index) / f64::from(count)).as_secs_f64()).sum();
        let mean = sum / f64::from(count);
        assert!((mean - 1.0 / 8.0).abs() < 1e-3, "{mean}");
        assert_eq!(gap(8.0, 0.0), Duration::ZERO);
        assert!(gap(0.2, 1.0 - f64::EPSILON / 2.0) < Duration::from_secs(200));
    }

    #[test]
    fn answers_tell_who_made_them() {
        let route = |mut more: Value| {
            let mut all = json!({ "split": "b3", "node": "cloud-1", "codec": "raw", "head_us": 2000,
                "tail_us": 1000, "network_us": 40_000, "cloud_compute_us": 5000 });
            all.as_object_mut().unwrap().append(more.as_object_mut().unwrap_or(&mut Map::new()));
            told(all.as_object().unwrap())
        };
        for (more, expected) in [
            (json!({}), Route::Edge),
            (json!({ "shipped_bytes": 7 }), Route::Cloud(3)),
            (json!({ "shipped_bytes": 7, "split": "b0" }), Route::Cloud(0)),
            (json!({ "shipped_bytes": 7, "raced": "cloud" }), Route::Cloud(3)),
            (json!({ "shipped_bytes": 7, "raced": "edge" }), Route::Race),
            (json!({ "shipped_bytes": 7, "fallback": "silence" }), Route::Fallback),
            (json!({ "exit": "b2" }), Route::Exit),
        ] {
            let answer = route(more.clone());
            assert_eq!(answer.route, expected, "{more}");
            assert_eq!(answer.spent, [0.003, 0.04, 0.005]);
        }
    }
}
