//! One direction of a link, as arithmetic: when does a datagram arrive that was handed over now?
//!
//! A datagram waits until those before it are sent, is sent as fast as the capacity allows, and
//! arrives `delay` later. While it waits it takes room in a queue; where there is none it is
//! dropped, newest first (drop tail). The datagram that is first in line takes no room, as in a
//! network interface: an idle link takes any datagram, with any queue.
//!
//! All instants follow from the settings and from when datagrams were offered, never from when the
//! caller found the time to look: a caller that is late once is not late afterwards. What chance
//! does to a datagram is decided when it is offered: the same datagrams meet the same fate.

use super::faults::{Chance, Fate};
use super::settings::{MAX_HELD, PipeSettings};
use super::transmitter::Transmitter;
use crate::trace::Capacity;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrives then, unless a blackout begins before, or the settings change before it is sent.
    Deliver(Instant),
    /// It takes its turn like others, and does not arrive.
    Lost,
    /// The queue is full, or the link is blacked out.
    Dropped,
}

/// What went through, and what did not, as of the last look. Bytes count
/// [`OVERHEAD`](super::OVERHEAD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeStats {
    /// Datagrams that arrived.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Those of them that chance made late.
    pub reordered: u64,
    /// Datagrams that found the queue full, or 256 MiB under way.
    pub dropped: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Datagrams that were sent and lost on the way, by chance.
    pub lost: u64,
    /// Their bytes.
    pub lost_bytes: u64,
    /// Datagrams lost in a blackout: offered during one, or under way when it began.
    pub blacked_out: u64,
    /// Datagrams that are waiting, being sent, or on their way now.
    pub under_way: u64,
}

/// One direction of a link, which carries datagrams `T`.
#[derive(Debug)]
pub struct Pipe<T> {
    settings: PipeSettings,
    transmitter: Transmitter,
    chance: Chance,
    /// By arrival, then in the order in which they were offered, are sent, and arrive unless late.
    held: BTreeMap<(Instant, u64), Held<T>>,
    held_bytes: u64,
    offered: u64,
    /// When those who wait become the first in line, and their bytes.
    waiting: VecDeque<(Instant, u64)>,
    waiting_bytes: u64,
    /// None but late ones arrive before those that were sent before them, even if the delay shrinks.
    last_arrival: Option<Instant>,
    paused: bool,
    /// From when scheduled blackouts are counted, and until when they were looked for.
    blackouts_since: Instant,
    looked: Instant,
    stats: PipeStats,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    bytes: u64,
    sent: Instant,
    fate: Fate,
}

impl<T> Pipe<T> {
    /// An idle pipe, whose traces and blackouts begin now.
    pub fn new(settings: PipeSettings, now: Instant) -> Self {
        Self {
            transmitter: Transmitter::new(settings.trace().clone(), settings.offset(), now),
            chance: Chance::new(settings.seed()),
            settings,
            held: BTreeMap::new(),
            held_bytes: 0,
            offered: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: None,
            paused: false,
            blackouts_since: now,
            looked: now,
            stats: PipeStats::default(),
        }
    }

    /// Takes a datagram of so many bytes, [`OVERHEAD`](super::OVERHEAD) included, or drops it.
    pub fn offer(&mut self, now: Instant, bytes: u32, item: T) -> Verdict {
        self.look(now);
        if self.paused || self.settings.blackouts().on(now.saturating_duration_since(self.blackouts_since)) {
            self.stats.blacked_out += 1;
            return Verdict::Dropped;
        }
        let (starts, bytes) = (self.transmitter.free(now), u64::from(bytes));
        let is_full = starts > now && self.waiting_bytes + bytes > self.settings.queue();
        // A trace may be far above its mean for as long as the delay.
        if is_full || self.held_bytes + bytes > MAX_HELD {
            self.stats.dropped += 1;
            self.stats.dropped_bytes += bytes;
            return Verdict::Dropped;
        }
        if starts > now {
            self.wait_until(starts, bytes);
        }
        let sent = self.transmitter.send(now, Capacity::bytes(bytes));
        let fate = self.chance.next(self.settings.loss(), self.settings.late());
        let arrives = self.hold(self.offered, Held { item, bytes, sent, fate });
        self.offered += 1;
        if fate == Fate::Lost { Verdict::Lost } else { Verdict::Deliver(arrives) }
    }

    /// The next datagram that has arrived; call until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        self.look(now);
        loop {
            let next = self.held.first_entry().filter(|next| next.key().0 <= now)?;
            let Held { item, bytes, fate, .. } = next.remove();
            self.held_bytes -= bytes;
            if fate == Fate::Lost {
                self.stats.lost += 1;
                self.stats.lost_bytes += bytes;
                continue;
            }
            self.stats.reordered += u64::from(matches!(fate, Fate::Late(_)));
            self.stats.delivered += 1;
            self.stats.delivered_bytes += bytes;
            return Some(item);
        }
    }

    /// When [`Pipe::poll`] may have something next.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.held.keys().next().map(|(arrives, _)| *arrives)
    }

    /// Changes the settings. What is not yet sent is sent with the new capacity from now on, also
    /// the rest of a datagram that is being sent, and has the new delay; what is on its way keeps
    /// the old one. A queue that shrank drops nothing that it already holds, and what chance decided
    /// stays.
    ///
    /// A trace, a schedule of blackouts or a seed that is another one begins now; one that is the
    /// same goes on.
    pub fn set(&mut self, now: Instant, settings: PipeSettings) {
        self.look(now);
        if settings.seed() != self.settings.seed() {
            self.chance = Chance::new(settings.seed());
        }
        if settings.loss() != self.settings.loss() {
            self.chance.forget();
        }
        if settings.blackouts() != self.settings.blackouts() {
            self.blackouts_since = now;
        }
        let backlog = self.transmitter.backlog(now);
        let old = std::mem::replace(&mut self.settings, settings);
        let (trace, offset) = (self.settings.trace(), self.settings.offset());
        let anew = (trace, offset) != (old.trace(), old.offset());
        if anew {
            self.transmitter = Transmitter::new(trace.clone(), offset, now);
            (self.waiting_bytes, self.waiting) = (0, VecDeque::new());
        }
        self.last_arrival = None;
        self.held_bytes = 0;
        let mut held: Vec<_> = std::mem::take(&mut self.held).into_iter().collect();
        held.sort_unstable_by_key(|((_, number), _)| *number);
        let unsent: u64 = held.iter().map(|(_, held)| if held.sent > now { held.bytes } else { 0 }).sum();
        // The first one's part that is sent is in no backlog.
        let mut gone = Capacity::bytes(unsent).less(backlog);
        for ((arrives, number), mut held) in held {
            if held.sent <= now {
                self.keep(arrives, number, held);
                continue;
            }
            if anew {
                let starts = self.transmitter.free(now);
                if starts > now {
                    self.wait_until(starts, held.bytes);
                }
                let left = Capacity::bytes(held.bytes).less(std::mem::take(&mut gone));
                held.sent = self.transmitter.send(now, left);
            }
            self.hold(number, held);
        }
    }

    /// Loses everything that is under way, and everything that is offered until
    /// [`Pipe::resume`].
    pub fn pause(&mut self, now: Instant) {
        self.look(now);
        self.paused = true;
        self.lose(now);
    }

    /// Carries datagrams again.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Bytes that are accepted and not yet sent, the rest of the datagram being sent included.
    pub fn backlog(&self, now: Instant) -> u64 {
        self.transmitter.backlog(now).as_bytes().round() as u64
    }

    /// As it is now.
    pub fn settings(&self) -> &PipeSettings {
        &self.settings
    }

    /// Since the pipe was made.
    pub fn stats(&self) -> PipeStats {
        PipeStats { under_way: self.held.len() as u64, ..self.stats }
    }

    /// Catches up with the clock: blackouts that began, and who waits no more.
    fn look(&mut self, now: Instant) {
        let since = |at: Instant| at.saturating_duration_since(self.blackouts_since);
        let began = self.settings.blackouts().first_begun(since(self.looked), since(now));
        self.looked = self.looked.max(now);
        if let Some(began) = began {
            // All that is held was offered by the last look, before it began.
            self.lose(self.blackouts_since + began);
        }
        while let Some((_, bytes)) = self.waiting.front().filter(|(starts, _)| *starts <= now) {
            self.waiting_bytes -= bytes;
            self.waiting.pop_front();
        }
    }

    /// All that has not arrived by then.
    fn lose(&mut self, at: Instant) {
        let lost = self.held.split_off(&(at + Duration::from_nanos(1), 0));
        self.stats.blacked_out += lost.len() as u64;
        self.held_bytes = self.held.values().map(|held| held.bytes).sum();
        self.transmitter.clear();
        (self.waiting_bytes, self.waiting) = (0, VecDeque::new());
        self.last_arrival = None;
    }

    fn wait_until(&mut self, starts: Instant, bytes: u64) {
        self.waiting.push_back((starts, bytes));
        self.waiting_bytes += bytes;
    }

    /// Until it arrives: when that is.
    fn hold(&mut self, number: u64, held: Held<T>) -> Instant {
        let arrives = held.sent + self.settings.delay();
        let arrives = self.last_arrival.map_or(arrives, |last| last.max(arrives));
        let late = if let Fate::Late(extra) = held.fate { extra } else { Duration::ZERO };
        self.keep(arrives + late, number, held)
    }

    fn keep(&mut self, arrives: Instant, number: u64, held: Held<T>) -> Instant {
        if !matches!(held.fate, Fate::Late(_)) {
            self.last_arrival = Some(arrives);
        }
        self.held_bytes += held.bytes;
        self.held.insert((arrives, number), held);
        arrives
    }
}

#[cfg(test)]
mod tests;
