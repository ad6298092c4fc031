//! What a network carried, as somebody recorded it: when are bytes through that begin now?
//!
//! Two forms, told apart by their first line. *Opportunities* (mahimahi): each line is a millisecond
//! since the start at which 1,500 bytes may cross; several lines may have the same. *Rates*: each line
//! is `seconds Mbit/s`, a rate from then until the next line; the last holds as long as the one before
//! it (a single line, forever). Both start over at their end: opportunities at the last line's time,
//! as mahimahi's `mm-link` does.
//!
//! A trace is a link's *capacity*: how much it could have carried since the start. Whoever sends in order
//! keeps a place in that, and so an opportunity's unused rest serves what is offered by its end and
//! nothing later. Everything is integers, in nanoseconds and [`Capacity`]: no run depends on rounding.
//!
//! ```
//! # use kerf_testbed::trace::Trace;
//! # use std::time::Duration;
//! let trace = Trace::parse(&b"0 8\n2 0\n3 8\n4 8\n"[..])?; // 1 MB/s, but nothing from second 2 to 3
//! let second = Duration::from_secs;
//! assert_eq!(trace.period(), second(5));
//! assert_eq!(trace.through(second(1), 2_000_000), Some(second(4)));
//! # Ok::<(), kerf_testbed::trace::TraceError>(())
//! ```

mod parse;

pub use parse::TraceError;

use std::ops::Add;
use std::time::Duration;

/// Bytes of an opportunity.
pub const PACKET: u64 = 1500;

/// Bytes per second, at most: 100 Gbit/s.
pub const MAX_RATE: u64 = 12_500_000_000;

/// Nanoseconds until a trace starts over, at most: a year.
const MAX_PERIOD: u64 = 366 * 86_400 * SECOND;

const SECOND: u64 = 1_000_000_000;

const MILLISECOND: u64 = 1_000_000;

/// How much a link could have carried: bytes times 10⁹, which a rate in bytes per second fills in
/// whole numbers each nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capacity(u128);

impl Capacity {
    /// Room for so many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes as u128 * SECOND as u128)
    }

    /// How many bytes fit, a part of one included.
    pub fn as_bytes(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// What is left after `other`, or nothing.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Capacity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// One direction of a link over time; starts over at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In order of `at`; the first is at 0 or later, the last before `period` or, an opportunity, at it.
    steps: Vec<Step>,
    /// Nanoseconds.
    period: u64,
    /// Of one period; never nothing.
    total: u128,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Opportunities,
    Rates,
}

/// From `at` on. An opportunity adds its bytes at that instant, a rate fills up from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Nanoseconds since the period began.
    at: u64,
    /// Capacity of the period before it.
    before: u128,
    /// Bytes of an opportunity (several at one time are one step), or bytes per second.
    amount: u64,
}

impl Trace {
    /// A link that always has the same rate, in bytes per second from 1 to [`MAX_RATE`]; `None` for others.
    pub fn constant(rate: u64) -> Option<Self> {
        (1..=MAX_RATE).contains(&rate).then(|| Self::rates(&[(0, rate)], SECOND)).flatten()
    }

    /// When it starts over.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// Bytes per second over a whole period.
    pub fn mean_rate(&self) -> f64 {
        self.total as f64 / self.period as f64
    }

    /// What it could have carried before `at`: an opportunity at `at` itself is still to come.
    pub fn capacity(&self, at: Duration) -> Capacity {
        let (laps, at) = split(at.as_nanos(), u128::from(self.period));
        let at = at as u64;
        // Of an opportunity at the period's very end `at` is 0, one lap later.
        let mut capacity = laps * self.total;
        let next = self.steps.partition_point(|step| step.at < at);
        if at == 0 && laps > 0 && self.kind == Kind::Opportunities {
            capacity -= self.at_end();
        } else if let Some(step) = next.checked_sub(1).map(|last| self.steps[last]) {
            capacity += step.before
                + match self.kind {
                    Kind::Opportunities => Capacity::bytes(step.amount).0,
                    Kind::Rates => u128::from(at - step.at) * u128::from(step.amount),
                };
        }
        Capacity(capacity)
    }

    /// When it has carried so much; the first nanosecond by which all of it is through. `None` after
    /// more than 580 years.
    pub fn time(&self, capacity: Capacity) -> Option<Duration> {
        if capacity.0 == 0 {
            return Some(Duration::ZERO);
        }
        // The last of it lies in this lap: laps own what is above their start, up to their end.
        let laps = (capacity.0 - 1) / self.total;
        let rest = capacity.0 - laps * self.total;
        let step = self.steps[self.steps.partition_point(|step| step.before < rest) - 1];
        let after = match self.kind {
            Kind::Opportunities => 0,
            Kind::Rates => (rest - step.before).div_ceil(u128::from(step.amount)),
        };
        let nanos = laps * u128::from(self.period) + u128::from(step.at) + after;
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }

    /// When `bytes` are through that begin at `from`, alone on the link; an opportunity at `from` serves
    /// them. See [`Trace::time`] for `None`.
    pub fn through(&self, from: Duration, bytes: u64) -> Option<Duration> {
        let done = self.time(self.capacity(from) + Capacity::bytes(bytes))?;
        Some(done.max(from))
    }

    /// The same link with nothing carried from `from` to `to` of each period. `None` where nothing would
    /// be left.
    pub fn with_outage(&self, from: Duration, to: Duration) -> Option<Self> {
        let nanos = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).min(self.period);
        let (from, to) = (nanos(from), nanos(to));
        if from >= to {
            return Some(self.clone());
        }
        let is_out = |at: u64| (from..to).contains(&(at % self.period));
        let steps = self.steps.iter().map(|step| (step.at, step.amount));
        if self.kind == Kind::Opportunities {
            let left: Vec<_> = steps.filter(|(at, _)| !is_out(*at)).collect();
            return Self::opportunities(&left, self.period);
        }
        let after = self.steps.partition_point(|step| step.at <= to);
        let resumed = after.checked_sub(1).map_or(0, |last| self.steps[last].amount);
        let mut left: Vec<_> = steps.filter(|(at, _)| !is_out(*at) && *at != to).collect();
        left.extend([(from, 0)].into_iter().chain((to < self.period).then_some((to, resumed))));
        left.sort_unstable();
        Self::rates(&left, self.period)
    }

    /// From bytes at nanoseconds, in order and none later than the end.
    fn opportunities(at: &[(u64, u64)], period: u64) -> Option<Self> {
        let bytes = |_: usize, amount: u64| Capacity::bytes(amount).0;
        Self::new(at, period, Kind::Opportunities, bytes)
    }

    /// From rates at nanoseconds, in order and all before the end.
    fn rates(at: &[(u64, u64)], period: u64) -> Option<Self> {
        let ends = |step: usize| at.get(step + 1).map_or(period, |next| next.0);
        let carried = |step: usize, rate: u64| u128::from(ends(step) - at[step].0) * u128::from(rate);
        Self::new(at, period, Kind::Rates, carried)
    }

    fn new(at: &[(u64, u64)], period: u64, kind: Kind, carries: impl Fn(usize, u64) -> u128) -> Option<Self> {
        let mut total = 0;
        let mut steps = Vec::with_capacity(at.len());
        for (index, &(at, amount)) in at.iter().enumerate() {
            let carried = carries(index, amount);
            // What carries nothing has no place in the inverse: two steps would have one `before`.
            if carried > 0 || kind == Kind::Rates {
                steps.push(Step { at, before: total, amount });
            }
            total += carried;
        }
        (total > 0 && period > 0).then_some(Self { steps, period, total, kind })
    }

    /// Capacity of an opportunity at the period's very end.
    fn at_end(&self) -> u128 {
        let last = self.steps.last().filter(|step| step.at == self.period);
        last.map_or(0, |step| Capacity::bytes(step.amount).0)
    }
}

fn split(value: u128, by: u128) -> (u128, u128) {
    (value / by, value % by)
}

#[cfg(test)]
mod tests;
