//! One direction of a link, as arithmetic: when does a datagram arrive that was handed over now?
//!
//! A datagram waits until those before it are sent, takes `size / rate` to be sent itself, and
//! arrives `delay` later. While it waits it takes room in a queue; where there is none it is
//! dropped, newest first (drop tail). The datagram that is being sent takes no room, as in a
//! network interface: an idle link takes any datagram, with any queue.
//!
//! All instants follow from the settings and from when datagrams were offered, never from when the
//! caller found the time to look: a caller that is late once is not late afterwards.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a datagram costs beyond its payload: a header of IPv4 (20 bytes) and of UDP (8).
pub const OVERHEAD: u64 = 28;

const MIN_RATE: f64 = 1.0;
const MAX_RATE: f64 = 12.5e9;
const MAX_DELAY: Duration = Duration::from_secs(60);
const MAX_HELD: f64 = (256 << 20) as f64;

/// Rate, delay and queue of one direction: checked numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PipeSettings {
    rate: f64,
    delay: Duration,
    queue: u64,
}

/// Why there is no such link.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidPipe {
    /// Nothing would ever arrive.
    #[error("the rate of a link is 0 bytes/s: nothing would ever arrive (to black it out, pause it)")]
    NoRate,
    /// Not a number, negative, or beyond what can be emulated.
    #[error("the rate of a link is {0} bytes/s; it must be from {MIN_RATE} to {MAX_RATE} bytes/s")]
    Rate(f64),
    /// Longer than any network.
    #[error("the delay of a link is {} s; at most {} s are emulated", .0.as_secs_f64(), MAX_DELAY.as_secs())]
    Delay(Duration),
    /// Queue and datagrams under way would not fit in memory.
    #[error("a link of {rate} bytes/s, {} s and a queue of {queue} bytes may hold more than 256 MiB", .delay.as_secs_f64())]
    Memory {
        /// Bytes per second.
        rate: f64,
        /// One way.
        delay: Duration,
        /// Bytes.
        queue: u64,
    },
}

impl PipeSettings {
    /// `rate` in bytes per second, `delay` one way, `queue` in bytes that may wait to be sent.
    /// All three count [`OVERHEAD`] for each datagram.
    pub fn new(rate: f64, delay: Duration, queue: u64) -> Result<Self, InvalidPipe> {
        if rate == 0.0 {
            return Err(InvalidPipe::NoRate);
        }
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(InvalidPipe::Rate(rate));
        }
        if delay > MAX_DELAY {
            return Err(InvalidPipe::Delay(delay));
        }
        if rate * delay.as_secs_f64() + queue as f64 > MAX_HELD {
            return Err(InvalidPipe::Memory { rate, delay, queue });
        }
        Ok(Self { rate, delay, queue })
    }

    /// Bytes per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// One way.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Bytes that may wait.
    pub fn queue(&self) -> u64 {
        self.queue
    }

    /// To the nearest nanosecond: at most 2^32 s.
    fn sending(&self, bytes: u32) -> Duration {
        Duration::from_secs_f64(f64::from(bytes) / self.rate)
    }
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrives then, unless the settings change before it is sent.
    Deliver(Instant),
    /// The queue is full, or the link is blacked out.
    Dropped,
}

/// What went through, and what did not. Bytes count [`OVERHEAD`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeStats {
    /// Datagrams that arrived.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Datagrams that found the queue full.
    pub dropped: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Datagrams lost in a blackout: offered during one, or under way when it began.
    pub blacked_out: u64,
    /// Datagrams that are waiting, being sent, or on their way now.
    pub under_way: u64,
}

/// One direction of a link, which carries datagrams `T`.
#[derive(Debug)]
pub struct Pipe<T> {
    settings: PipeSettings,
    /// In the order in which they were offered, are sent, and arrive.
    held: VecDeque<Held<T>>,
    /// Those before this index were being sent, or were sent, when last looked at.
    first_waiting: usize,
    /// Bytes of those from `first_waiting` on.
    waiting: u64,
    /// When the last datagram that was accepted is sent.
    busy_until: Option<Instant>,
    /// When it arrives: those after it arrive no earlier, even if the delay shrinks.
    last_arrival: Option<Instant>,
    blackout: bool,
    stats: PipeStats,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    bytes: u64,
    starts: Instant,
    sent: Instant,
    arrives: Instant,
}

impl<T> Pipe<T> {
    /// An idle pipe.
    pub fn new(settings: PipeSettings) -> Self {
        Self {
            settings,
            held: VecDeque::new(),
            first_waiting: 0,
            waiting: 0,
            busy_until: None,
            last_arrival: None,
            blackout: false,
            stats: PipeStats::default(),
        }
    }

    /// Takes a datagram of so many bytes, [`OVERHEAD`] included, or drops it.
    pub fn offer(&mut self, now: Instant, bytes: u32, item: T) -> Verdict {
        if self.blackout {
            self.stats.blacked_out += 1;
            return Verdict::Dropped;
        }
        self.start_due(now);
        let starts = self.busy_until.map_or(now, |busy| busy.max(now));
        if starts > now && self.waiting + u64::from(bytes) > self.settings.queue {
            self.stats.dropped += 1;
            self.stats.dropped_bytes += u64::from(bytes);
            return Verdict::Dropped;
        }
        let sent = starts + self.settings.sending(bytes);
        let arrives = sent + self.settings.delay;
        let arrives = self.last_arrival.map_or(arrives, |last| last.max(arrives));
        self.busy_until = Some(sent);
        self.last_arrival = Some(arrives);
        self.held.push_back(Held { item, bytes: u64::from(bytes), starts, sent, arrives });
        self.waiting += u64::from(bytes);
        self.start_due(now);
        Verdict::Deliver(arrives)
    }

    /// The next datagram that has arrived; call until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        self.start_due(now);
        if self.next_arrival()? > now {
            return None;
        }
        let held = self.held.pop_front()?;
        self.first_waiting = self.first_waiting.saturating_sub(1);
        self.stats.delivered += 1;
        self.stats.delivered_bytes += held.bytes;
        Some(held.item)
    }

    /// When [`Pipe::poll`] has something next.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.held.front().map(|held| held.arrives)
    }

    /// Changes the settings. What is not yet sent is sent at the new rate from now on, also the
    /// rest of a datagram that is being sent, and has the new delay; what is on its way keeps the
    /// old one. A queue that shrank drops nothing that it already holds.
    pub fn set(&mut self, now: Instant, settings: PipeSettings) {
        let slower = self.settings.rate / settings.rate;
        let moved = |at: Instant| {
            // Sending is continuous from now until the last is sent, so time left scales as a whole.
            now + at.saturating_duration_since(now).mul_f64(slower)
        };
        let mut last = None;
        for held in &mut self.held {
            if held.sent > now {
                if held.starts > now {
                    held.starts = moved(held.starts);
                }
                held.sent = moved(held.sent);
                let arrives = held.sent + settings.delay;
                held.arrives = last.map_or(arrives, |last: Instant| last.max(arrives));
            }
            last = Some(held.arrives);
        }
        self.busy_until = self.busy_until.map(|busy| if busy > now { moved(busy) } else { busy });
        self.last_arrival = last;
        self.settings = settings;
    }

    /// Loses everything that is under way, and everything that is offered until
    /// [`Pipe::resume`].
    pub fn pause(&mut self) {
        self.blackout = true;
        self.stats.blacked_out += self.held.len() as u64;
        self.held.clear();
        (self.first_waiting, self.waiting) = (0, 0);
        (self.busy_until, self.last_arrival) = (None, None);
    }

    /// Carries datagrams again.
    pub fn resume(&mut self) {
        self.blackout = false;
    }

    /// Bytes that are accepted and not yet sent, the rest of the datagram being sent included.
    pub fn backlog(&self, now: Instant) -> u64 {
        let left = self.busy_until.map_or(Duration::ZERO, |busy| busy.saturating_duration_since(now));
        (left.as_secs_f64() * self.settings.rate).round() as u64
    }

    /// As it is now.
    pub fn settings(&self) -> PipeSettings {
        self.settings
    }

    /// Since the pipe was made.
    pub fn stats(&self) -> PipeStats {
        PipeStats { under_way: self.held.len() as u64, ..self.stats }
    }

    /// Takes what is being sent by now out of the queue's bytes.
    fn start_due(&mut self, now: Instant) {
        while let Some(held) = self.held.get(self.first_waiting).filter(|held| held.starts <= now) {
            self.waiting -= held.bytes;
            self.first_waiting += 1;
        }
    }
}

#[cfg(test)]
mod tests;
