//! What one direction of a link is like: checked numbers.

use super::{Blackouts, Loss, Reordering};
use crate::trace::{MAX_RATE, Trace};
use std::sync::Arc;
use std::time::Duration;

/// What a datagram costs beyond its payload: a header of IPv4 (20 bytes) and of UDP (8).
pub const OVERHEAD: u64 = 28;

/// What may wait or be under way: no link holds more, whatever its queue.
pub(super) const MAX_HELD: u64 = 256 << 20;

const MAX_DELAY: Duration = Duration::from_secs(60);

/// Capacity, delay, queue and faults of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeSettings {
    trace: Arc<Trace>,
    offset: Duration,
    delay: Duration,
    queue: u64,
    loss: Loss,
    reordering: Reordering,
    blackouts: Blackouts,
    seed: u64,
}

/// Why there is no such link.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidPipe {
    /// Nothing would ever arrive.
    #[error("the rate of a link is 0 bytes/s: nothing would ever arrive (to black it out, pause it)")]
    NoRate,
    /// Not a number, negative, or beyond what can be emulated.
    #[error("the rate of a link is {0} bytes/s; it must be from 1 to {MAX_RATE} bytes/s")]
    Rate(f64),
    /// Longer than any network.
    #[error("the delay of a link is {} s; at most {} s are emulated", .0.as_secs_f64(), MAX_DELAY.as_secs())]
    Delay(Duration),
    /// Queue and datagrams under way would not fit in memory.
    #[error("a link of {rate} bytes/s, {} s and a queue of {queue} bytes may hold more than 256 MiB", .delay.as_secs_f64())]
    Memory {
        /// Bytes per second, on average.
        rate: f64,
        /// One way, for those that come late.
        delay: Duration,
        /// Bytes.
        queue: u64,
    },
    /// Not a share.
    #[error("a share of {0} datagrams is not from 0 to 1")]
    Share(f64),
    /// Bursts of that length, lost as a whole, cannot make up that share.
    #[error(
        "bursts of {mean} datagrams cannot be {share} of all: a mean is at least 1, and at least share / (1 - share)"
    )]
    Bursts {
        /// Of all datagrams.
        share: f64,
        /// Datagrams in a burst.
        mean: f64,
    },
    /// Blackouts overlap, or one of them is none.
    #[error("blackouts must be in order, apart, and longer than 0 s")]
    Blackouts,
}

impl PipeSettings {
    /// A constant `rate` in whole bytes per second, `delay` one way, `queue` in bytes that may wait to
    /// be sent. All three count [`OVERHEAD`] for each datagram.
    pub fn new(rate: f64, delay: Duration, queue: u64) -> Result<Self, InvalidPipe> {
        if rate == 0.0 {
            return Err(InvalidPipe::NoRate);
        }
        let whole = Some(rate.round()).filter(|_| (1.0..=MAX_RATE as f64).contains(&rate));
        let trace = whole.and_then(|rate| Trace::constant(rate as u64)).ok_or(InvalidPipe::Rate(rate))?;
        Self::over(trace, delay, queue)
    }

    /// The same over a recorded network, whose rates and opportunities count [`OVERHEAD`], too. It
    /// begins when the pipe does, and starts over at its end. As mahimahi counts: what an opportunity
    /// has left goes to the next datagram if that waits already, and is lost if not; what a datagram
    /// has left waits for the next opportunity.
    pub fn over(trace: impl Into<Arc<Trace>>, delay: Duration, queue: u64) -> Result<Self, InvalidPipe> {
        if delay > MAX_DELAY {
            return Err(InvalidPipe::Delay(delay));
        }
        let settings = Self {
            trace: trace.into(),
            offset: Duration::ZERO,
            delay,
            queue,
            loss: Loss::NONE,
            reordering: Reordering::NONE,
            blackouts: Blackouts::default(),
            seed: 0,
        };
        settings.fitting()
    }

    /// Begins so far into its trace.
    pub fn from_offset(self, offset: Duration) -> Self {
        Self { offset, ..self }
    }

    /// Loses some datagrams on the way.
    pub fn losing(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// Some datagrams come later than those after them.
    pub fn reordering(self, reordering: Reordering) -> Result<Self, InvalidPipe> {
        if reordering.extra() > MAX_DELAY {
            return Err(InvalidPipe::Delay(reordering.extra()));
        }
        Self { reordering, ..self }.fitting()
    }

    /// Blacked out at times.
    pub fn blacked_out(self, blackouts: Blackouts) -> Self {
        Self { blackouts, ..self }
    }

    /// All chance is drawn from this; 0 unless told.
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// If what is under way and the queue fit in memory.
    fn fitting(self) -> Result<Self, InvalidPipe> {
        let delay = self.delay + self.reordering.extra();
        let (rate, queue) = (self.rate(), self.queue);
        if rate * delay.as_secs_f64() + queue as f64 > MAX_HELD as f64 {
            return Err(InvalidPipe::Memory { rate, delay, queue });
        }
        Ok(self)
    }

    /// What it can send.
    pub fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// Where in its trace it begins.
    pub fn offset(&self) -> Duration {
        self.offset
    }

    /// Bytes per second, on average.
    pub fn rate(&self) -> f64 {
        self.trace.mean_rate()
    }

    /// One way.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Bytes that may wait.
    pub fn queue(&self) -> u64 {
        self.queue
    }

    pub(super) fn loss(&self) -> Loss {
        self.loss
    }

    pub(super) fn late(&self) -> Reordering {
        self.reordering
    }

    pub(super) fn blackouts(&self) -> &Blackouts {
        &self.blackouts
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}
