//! How long a node lets requests wait.

use kerf_planner::tiers::Dist;
use std::time::Duration;

/// Share of the last report: queues come and go quickly.
const GAIN: f64 = 0.5;

/// Share of a report in what is usual.
const LEARN: f64 = 0.05;

/// Seconds after which a report says 1/e of what it said.
const MEMORY: f64 = 2.0;

/// A node's queue wait, as it reported it.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    wait: f64,
    usual: f64,
    variance: f64,
    seen: Duration,
}

impl Queue {
    /// A request waited for `seconds`, of `elapsed` that passed here: it did not wait for more.
    pub fn observe(&mut self, now: Duration, seconds: f64, elapsed: f64) {
        if !(seconds >= 0.0 && elapsed >= 0.0 && elapsed.is_finite()) {
            return;
        }
        let seconds = seconds.min(elapsed);
        let before = self.value(now).mean;
        let error = seconds - before;
        self.wait = before + GAIN * error;
        self.usual += LEARN * (seconds - self.usual);
        self.variance = (1.0 - GAIN) * (self.variance + GAIN * error * error);
        self.seen = now;
    }

    /// What to expect.
    pub fn value(&self, now: Duration) -> Dist {
        let kept = (-now.saturating_sub(self.seen).as_secs_f64() / MEMORY).exp();
        Dist { mean: self.usual + (self.wait - self.usual) * kept, sd: self.variance.sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_queue_is_seen_and_forgotten() {
        let mut queue = Queue::default();
        for step in 0..5 {
            queue.observe(at(0.1 * f64::from(step)), 0.2, 1.0);
        }
        assert!(queue.value(at(0.5)).mean > 0.15);
        assert!(queue.value(at(20.0)).mean < 0.05);
    }

    #[test]
    fn a_report_is_no_more_than_what_passed() {
        let mut queue = Queue::default();
        for nonsense in [f64::NAN, -1.0] {
            queue.observe(at(1.0), nonsense, 0.1);
        }
        assert_eq!(queue.value(at(1.0)).mean, 0.0);
        for absurd in [1e300, f64::INFINITY] {
            queue.observe(at(1.0), absurd, 0.1);
        }
        assert!(queue.value(at(1.0)).mean <= 0.1);
    }
}
