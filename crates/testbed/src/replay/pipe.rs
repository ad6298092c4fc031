//! One direction of the link: messages one after the other, as fast as the trace has it.

use super::Nanos;
use crate::trace::{Capacity, PACKET, Trace};
use std::collections::VecDeque;
use std::time::Duration;

/// Centuries away: a trace that carries nothing for so long.
const NEVER: Nanos = Nanos::MAX / 2;

/// How long a message that is through is remembered: longer than round trips.
const KNOWN: Nanos = 2_000_000_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pipe {
    waiting: VecDeque<Message>,
    waiting_bytes: u64,
    serving: Option<Serving>,
    /// Until where the link's capacity was used.
    end: Capacity,
    /// Messages that are through, of which the sender may not know.
    recent: VecDeque<Serving>,
    /// Bytes that went through, of messages that were taken back what had.
    pub(super) carried: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Message {
    ticket: u32,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Serving {
    message: Message,
    start: Capacity,
    done: Nanos,
    /// From its first packet to its last.
    first_to_last: Nanos,
}

/// A message that is through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Through {
    pub(super) ticket: u32,
    pub(super) bytes: u64,
    pub(super) first_to_last: Nanos,
}

impl Pipe {
    /// Takes a message unless more than `most` bytes would wait behind the one that is being sent.
    pub(super) fn offer(&mut self, trace: &Trace, now: Nanos, ticket: u32, bytes: u64, most: u64) -> bool {
        if self.serving.is_some() && self.waiting_bytes + bytes > most {
            return false;
        }
        self.waiting.push_back(Message { ticket, bytes });
        self.waiting_bytes += bytes;
        self.serve(trace, now);
        true
    }

    /// When [`Pipe::take`] has something.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.serving.map(|serving| serving.done)
    }

    /// The message that is through by now, once.
    pub(super) fn take(&mut self, trace: &Trace, now: Nanos) -> Option<Through> {
        let serving = self.serving.take_if(|serving| serving.done <= now)?;
        let Serving { message, first_to_last, .. } = serving;
        self.carried += message.bytes;
        self.recent.retain(|through| through.done + KNOWN > now);
        self.recent.push_back(serving);
        self.serve(trace, now);
        Some(Through { ticket: message.ticket, bytes: message.bytes, first_to_last })
    }

    /// Takes a message back, if it is not through. What of it is through is; the rest makes room for
    /// others.
    pub(super) fn cancel(&mut self, trace: &Trace, now: Nanos, ticket: u32) -> bool {
        if let Some(index) = self.waiting.iter().position(|message| message.ticket == ticket) {
            self.waiting_bytes -= self.waiting.remove(index).map_or(0, |message| message.bytes);
        } else if let Some(serving) = self.serving.take_if(|serving| serving.message.ticket == ticket) {
            let used = trace.capacity(Duration::from_nanos(now)).max(serving.start);
            self.carried += (used.less(serving.start).as_bytes() as u64).min(serving.message.bytes);
            self.end = used;
            self.serve(trace, now);
        } else {
            return false;
        }
        true
    }

    /// Bytes that were offered by now and not through at `then`, which is at most [`KNOWN`] before now.
    pub(super) fn unacknowledged(&self, trace: &Trace, then: Nanos) -> u64 {
        if self.serving.is_none() && self.recent.back().is_none_or(|last| last.done <= then) {
            return 0;
        }
        let through = trace.capacity(Duration::from_nanos(then));
        let begun = self.recent.iter().filter(|it| it.done > then).chain(&self.serving);
        let left = begun.map(|it| {
            let bytes = through.less(it.start).as_bytes() as u64;
            it.message.bytes.saturating_sub(bytes)
        });
        self.waiting_bytes + left.sum::<u64>()
    }

    fn serve(&mut self, trace: &Trace, now: Nanos) {
        if self.serving.is_some() {
            return;
        }
        let Some(message) = self.waiting.pop_front() else { return };
        self.waiting_bytes -= message.bytes;
        let start = self.end.max(trace.capacity(Duration::from_nanos(now)));
        self.end = start + Capacity::bytes(message.bytes);
        let time = |capacity| trace.time(capacity).map_or(NEVER, |at| (at.as_nanos() as Nanos).max(now));
        let done = time(self.end);
        let first = time(start + Capacity::bytes(message.bytes.min(PACKET)));
        self.serving = Some(Serving { message, start, done, first_to_last: done - first });
    }
}
