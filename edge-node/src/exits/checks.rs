//! Checks of early answers by the whole model, in the background and within bounds.

use crate::models::Model;
use kerf_engine::Values;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Checks under way at once: further coins fall for nobody, which is no matter of the answers.
const AT_ONCE: usize = 2;
const HOUR: Duration = Duration::from_secs(3600);

/// What checks may take.
pub(crate) struct Checks {
    room: Arc<Semaphore>,
    bytes: Mutex<Budget>,
}

/// Room for one check.
pub(crate) struct Room(#[allow(dead_code, reason = "held, then dropped")] OwnedSemaphorePermit);

/// An early answer, and what the whole model needs to check it.
pub(crate) struct Check {
    pub(crate) model: Arc<Model>,
    /// Where the request left, with what was known there.
    pub(crate) boundary: usize,
    pub(crate) values: Values,
    /// The class that the head gave each row.
    pub(crate) classes: Vec<u32>,
    /// The rung in use then.
    pub(crate) rung: Option<usize>,
    pub(crate) room: Room,
}

/// Fills evenly, up to what an hour may take.
struct Budget {
    an_hour: f64,
    left: f64,
    filled: Instant,
}

impl Checks {
    pub(crate) fn new(bytes: u64, now: Instant) -> Self {
        let an_hour = bytes as f64;
        let bytes = Mutex::new(Budget { an_hour, left: an_hour, filled: now });
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), bytes }
    }

    /// Room for a check, if there is any.
    pub(crate) fn room(&self) -> Option<Room> {
        Arc::clone(&self.room).try_acquire_owned().ok().map(Room)
    }

    /// Takes bytes of the hour's, if they are left.
    pub(crate) fn may_send(&self, bytes: u64, now: Instant) -> bool {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).take(bytes as f64, now)
    }
}

impl Budget {
    fn take(&mut self, bytes: f64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled).as_secs_f64() / HOUR.as_secs_f64();
        self.left = (self.left + since * self.an_hour).min(self.an_hour);
        self.filled = now;
        let enough = bytes <= self.left;
        if enough {
            self.left -= bytes;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_bytes_come_back_evenly() {
        let start = Instant::now();
        let mut budget = Budget { an_hour: 100.0, left: 100.0, filled: start };
        for (minutes, bytes, enough) in [
            (0, 60.0, true),
            (0, 41.0, false),
            (0, 40.0, true),
            (3, 6.0, false),
            (6, 9.0, true),
            (600, 101.0, false),
            (600, 100.0, true),
        ] {
            let at = start + Duration::from_secs(60 * minutes);
            assert_eq!(budget.take(bytes, at), enough, "{bytes} after {minutes} minutes");
        }
    }
}
