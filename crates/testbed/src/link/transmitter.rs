//! When is a datagram sent that has its turn?
//!
//! A trace says how much a link could have carried by when. Each datagram goes on in that where the
//! one before it ended, or where the link is by now: what was not used until then is lost.

use crate::trace::{Capacity, Trace};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything: some 584 years.
const NEVER: Duration = Duration::from_nanos(u64::MAX);

/// A trace that began at an instant, and how much of it is used.
#[derive(Debug)]
pub(super) struct Transmitter {
    trace: Arc<Trace>,
    /// When the trace was at `offset`.
    since: Instant,
    offset: Duration,
    used: Capacity,
}

impl Transmitter {
    pub(super) fn new(trace: Arc<Trace>, offset: Duration, now: Instant) -> Self {
        Self { trace, since: now, offset, used: Capacity::default() }
    }

    /// When the next datagram would be the first in line.
    pub(super) fn free(&self, now: Instant) -> Instant {
        if self.used > self.passed(now) { self.sent(self.used).max(now) } else { now }
    }

    /// When the next datagram is sent, which takes so much.
    pub(super) fn send(&mut self, now: Instant, size: Capacity) -> Instant {
        self.used = self.used.max(self.passed(now)) + size;
        self.sent(self.used).max(now)
    }

    /// What is accepted and not sent.
    pub(super) fn backlog(&self, now: Instant) -> Capacity {
        self.used.less(self.passed(now))
    }

    /// What was accepted is gone.
    pub(super) fn clear(&mut self) {
        self.used = Capacity::default();
    }

    fn passed(&self, now: Instant) -> Capacity {
        self.trace.capacity(self.offset + now.saturating_duration_since(self.since))
    }

    fn sent(&self, used: Capacity) -> Instant {
        let at = self.trace.time(used).unwrap_or(NEVER);
        self.since + at.saturating_sub(self.offset)
    }
}
