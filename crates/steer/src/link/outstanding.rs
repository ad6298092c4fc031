//! What was sent and not yet answered.

use std::collections::VecDeque;
use std::time::Duration;

/// Requests that are remembered one by one. An edge has fewer on the way; of more, the newest are
/// not counted.
const MOST: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) serial: u64,
    pub(crate) at: Duration,
    pub(crate) bytes: f64,
    /// Seconds that the node is expected to take.
    pub(crate) service: f64,
}

/// In order of sending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outstanding {
    sent: VecDeque<Sent>,
}

impl Outstanding {
    pub(crate) fn push(&mut self, sent: Sent) {
        if self.sent.len() < MOST {
            self.sent.push_back(sent);
        }
    }

    pub(crate) fn remove(&mut self, serial: u64) -> Option<Sent> {
        let index = self.sent.iter().position(|it| it.serial == serial)?;
        self.sent.remove(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Seconds per byte that the link takes at least, given who still waits, where the first byte
    /// takes `round_trip` there and back. Zero where nobody is overdue.
    pub(crate) fn at_least(&self, now: Duration, round_trip: f64) -> f64 {
        let mut ahead = 0.0;
        let mut least: f64 = 0.0;
        for sent in &self.sent {
            ahead += sent.bytes;
            let waited = now.saturating_sub(sent.at).as_secs_f64() - round_trip - sent.service;
            if waited > 0.0 && ahead > 0.0 {
                least = least.max(waited / ahead);
            }
        }
        least
    }

    /// Bytes that have not left yet, at `rate` seconds per byte.
    pub(crate) fn backlog(&self, now: Duration, rate: f64) -> f64 {
        // Seconds from now: when each was sent, and when the link was free for it.
        let mut free = f64::NEG_INFINITY;
        for sent in &self.sent {
            let at = -now.saturating_sub(sent.at).as_secs_f64();
            free = f64::max(free, at) + sent.bytes * rate;
        }
        let all: f64 = self.sent.iter().map(|sent| sent.bytes).sum();
        if rate > 0.0 { (free / rate).clamp(0.0, all) } else { 0.0 }
    }
}
