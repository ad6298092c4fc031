//! Which range next, and has it run often enough? Decided from what was reported, with time as an
//! argument.
//!
//! First the whole, then heads and tails and the steps between neighbours, from the middle
//! outwards in ever smaller halves, since those tell the most about all others; then the tails in
//! larger batches; then the remaining ranges, in an order that the caller may set. Every range
//! shall be visited in two rounds: a new one is begun only while the budget has room for all
//! second visits that are then due. What is left when all are done goes to the shakiest ones.

use std::collections::BTreeMap;

/// A range at a batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// Boundary at which it starts.
    pub from: usize,
    /// Boundary at which it ends.
    pub to: usize,
    /// Requests in one run.
    pub batch: usize,
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.from, self.to)?;
        if self.batch == 1 { Ok(()) } else { write!(f, " x{}", self.batch) }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// The range to run.
    pub range: Range,
    /// Seconds to run it for, if it is not [`enough`] before.
    pub slice: f64,
}

/// What a visit found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visited {
    /// Seconds that it took to compile; 0 where the program was there.
    pub compile: f64,
    /// Seconds of a typical run.
    pub run: f64,
    /// Relative standard error of the range's median over all visits.
    pub error: f64,
}

/// Rounds in which each range is visited.
const ROUNDS: u32 = 2;
/// Rounds after which a range that is still shaky stays so.
const MOST_ROUNDS: u32 = 6;
/// Relative standard error of a median that is good enough.
const ERROR: f64 = 0.005;
/// Runs in a visit: before the first that counts, at least, and at most.
pub(crate) const WARM_UP: usize = 2;
const LEAST_RUNS: usize = 5;
const MOST_RUNS: usize = 200;
/// Seconds that a visit may run, unless the least number of runs takes longer.
const SLICE: std::ops::RangeInclusive<f64> = 0.02..=1.0;
/// New ranges after which an order is asked for again.
const ASK_AFTER: usize = 12;

/// The order of visits within a budget.
#[derive(Clone, Debug)]
pub struct Schedule {
    budget: f64,
    items: Vec<Item>,
    slice: f64,
    last: usize,
    /// First visits since an order was set; none was yet where absent.
    since_order: Option<usize>,
    /// Seconds that the visits so far should have taken.
    planned: f64,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    range: Range,
    kind: Kind,
    visits: u32,
    failed: bool,
    found: Option<Visited>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Core,
    Batch,
    Rest,
}

impl Schedule {
    /// All ranges of a model whose last boundary is `last`, and its tails at each of `batches`, to be
    /// visited within `budget` seconds.
    pub fn new(last: usize, batches: &[usize], budget: f64) -> Self {
        let mut schedule = Self::of(last, &[], budget);
        for (from, to) in core(last) {
            schedule.push(from, to, 1, Kind::Core);
        }
        for batch in batches.iter().filter(|batch| **batch > 1) {
            let starts = std::iter::once(0).chain(bisected(last));
            starts.for_each(|from| schedule.push(from, last, *batch, Kind::Batch));
        }
        for from in 0..last {
            for to in from + 1..=last {
                schedule.push(from, to, 1, Kind::Rest);
            }
        }
        schedule.sliced()
    }

    /// Only these ranges, singly.
    pub fn of(last: usize, ranges: &[(usize, usize)], budget: f64) -> Self {
        let mut schedule =
            Self { budget, items: Vec::new(), slice: 0.0, last, since_order: None, planned: 0.0 };
        for (from, to) in ranges {
            schedule.push(*from, *to, 1, Kind::Core);
        }
        schedule.sliced()
    }

    fn push(&mut self, from: usize, to: usize, batch: usize, kind: Kind) {
        let range = Range { from, to, batch };
        if !self.items.iter().any(|item| item.range == range) {
            self.items.push(Item { range, kind, visits: 0, failed: false, found: None });
        }
    }

    /// A fifth of the budget is for what is not running: compiling, mostly.
    fn sliced(mut self) -> Self {
        let visits = (self.items.len().max(1) as u32 * ROUNDS) as f64;
        self.slice = (0.8 * self.budget / visits).clamp(*SLICE.start(), *SLICE.end());
        self
    }

    /// Takes a range as visited `rounds` times before.
    pub fn known(&mut self, range: Range, rounds: u32, found: Visited) {
        if let Some(item) = self.item(range) {
            (item.visits, item.found) = (rounds, Some(found));
        }
    }

    /// Notes a visit.
    pub fn visited(&mut self, range: Range, found: Visited) {
        let mut first = false;
        let planned = self.items.iter().find(|item| item.range == range);
        self.planned += planned.map_or(0.0, |item| self.cost(item, item.visits > 0));
        if let Some(item) = self.item(range) {
            first = item.visits == 0;
            item.visits += 1;
            // A program that was kept is not compiled again, but one that was dropped may be.
            let compile = found.compile.max(item.found.map_or(0.0, |found| found.compile));
            item.found = Some(Visited { compile, ..found });
        }
        if let Some(since) = self.since_order.as_mut().filter(|_| first) {
            *since += 1;
        }
    }

    /// Notes that a range does not run here; it is not visited again.
    pub fn failed(&mut self, range: Range) {
        if let Some(item) = self.item(range) {
            item.failed = true;
        }
    }

    /// Whether it is time to say, by [`set_order`](Self::set_order), which of the remaining ranges
    /// would help most.
    pub fn asks_for_order(&self) -> bool {
        let next = self.items.iter().find(|item| item.is_new());
        next.is_some_and(|item| item.kind == Kind::Rest)
            && self.since_order.is_none_or(|since| since >= ASK_AFTER)
    }

    /// Sets the order of the ranges that were not begun; those not named come last.
    pub fn set_order(&mut self, order: &[(usize, usize)]) {
        let place: BTreeMap<(usize, usize), usize> =
            order.iter().enumerate().map(|(at, range)| (*range, at)).collect();
        let rank = |item: &Item| match item.kind {
            Kind::Rest => 1 + place.get(&(item.range.from, item.range.to)).copied().unwrap_or(usize::MAX - 1),
            Kind::Core | Kind::Batch => 0,
        };
        self.items.sort_by_key(rank);
        self.since_order = Some(0);
    }

    /// The next visit, `elapsed` seconds after the start; none where all is done or the budget spent.
    pub fn next(&self, elapsed: f64) -> Option<Visit> {
        let left = (self.budget - elapsed) / self.overrun(elapsed);
        let visit = |item: &Item| Visit { range: item.range, slice: self.slice };
        let new = self.items.iter().find(|item| item.is_new());
        if let Some(whole) = new.filter(|item| self.is_whole(item.range)) {
            return Some(visit(whole));
        }
        let due = || self.items.iter().filter(|item| item.is_due());
        let owed: f64 = due().map(|item| self.cost(item, true)).sum();
        if let Some(new) = new.filter(|item| owed + self.cost(item, false) + self.cost(item, true) <= left) {
            return Some(visit(new));
        }
        if let Some(second) = due().find(|item| self.cost(item, true) <= left) {
            return Some(visit(second));
        }
        // One look at a range is better than none.
        if let Some(new) = new.filter(|item| due().next().is_none() && self.cost(item, false) <= left) {
            return Some(visit(new));
        }
        let error = |item: &Item| item.found.map_or(0.0, |found| found.error);
        let shaky = self.items.iter().filter(|item| item.is_shaky() && self.cost(item, true) <= left);
        let fewest = shaky.clone().map(|item| item.visits).min()?;
        let shakiest =
            shaky.filter(|item| item.visits == fewest).max_by(|a, b| error(a).total_cmp(&error(b)));
        shakiest.map(visit)
    }

    /// Seconds until all is done, or the budget spent.
    pub fn left(&self, elapsed: f64) -> f64 {
        let visits = self.items.iter().filter(|item| !item.failed).map(|item| match item.visits {
            0 => self.cost(item, false) + self.cost(item, true),
            1 => self.cost(item, true),
            _ => 0.0,
        });
        (visits.sum::<f64>() * self.overrun(elapsed)).min(self.budget - elapsed).max(0.0)
    }

    /// Ranges that were visited or failed, and all that there are.
    pub fn coverage(&self) -> (usize, usize) {
        (self.items.iter().filter(|item| !item.is_new()).count(), self.items.len())
    }

    /// Whether every range was visited in two rounds, or failed.
    pub fn is_complete(&self) -> bool {
        self.items.iter().all(|item| item.failed || item.visits >= ROUNDS)
    }

    /// How much longer visits take than they should: other programs run, and the reference does.
    fn overrun(&self, elapsed: f64) -> f64 {
        if self.planned > 0.0 { (elapsed / self.planned).clamp(1.0, 4.0) } else { 1.0 }
    }

    fn item(&mut self, range: Range) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.range == range)
    }

    fn is_whole(&self, range: Range) -> bool {
        (range.from, range.to, range.batch) == (0, self.last, 1)
    }

    /// Seconds that a visit will take, as far as visits to other ranges tell.
    fn cost(&self, item: &Item, again: bool) -> f64 {
        let steps = |range: Range| ((range.to - range.from) * range.batch) as f64;
        let known = || self.items.iter().filter_map(|item| item.found.map(|found| (item, found)));
        let typical = |of: fn(&Visited) -> f64| {
            let sum = known()
                .fold((0.0, 0.0), |sum, (item, found)| (sum.0 + of(&found), sum.1 + steps(item.range)));
            if sum.1 > 0.0 { sum.0 / sum.1 } else { 0.0 }
        };
        let run =
            item.found.map_or_else(|| typical(|found| found.run) * steps(item.range), |found| found.run);
        let compile = match again {
            true => 0.0,
            // Half of it does not depend on the range's length.
            false => {
                let count = known().count().max(1) as f64;
                known().map(|(_, found)| found.compile).sum::<f64>() / count
            }
        };
        compile + self.slice.min(run * MOST_RUNS as f64).max(run * (WARM_UP + LEAST_RUNS) as f64)
    }
}

impl Item {
    fn is_new(&self) -> bool {
        !self.failed && self.visits == 0
    }

    fn is_due(&self) -> bool {
        !self.failed && (1..ROUNDS).contains(&self.visits)
    }

    fn is_shaky(&self) -> bool {
        let error = self.found.map_or(0.0, |found| found.error);
        !self.failed && (ROUNDS..MOST_ROUNDS).contains(&self.visits) && error > ERROR
    }
}

/// Whether a visit has run often enough: `runs` are its times in seconds, `spent` their time with
/// the warm-up's, `slice` what it was given.
pub fn enough(runs: &[f64], spent: f64, slice: f64) -> bool {
    if runs.len() < LEAST_RUNS {
        return false;
    }
    spent >= slice
        || runs.len() >= MOST_RUNS
        || (runs.len() >= 2 * LEAST_RUNS && crate::samples::error_of_median(runs) < ERROR / 2.0)
}

/// The whole, heads and tails, and neighbours.
fn core(last: usize) -> Vec<(usize, usize)> {
    let mut ranges = vec![(0, last)];
    ranges.extend(bisected(last).flat_map(|at| [(0, at), (at, last)]));
    ranges.extend(std::iter::once(0).chain(bisected(last)).map(|at| (at, at + 1)));
    ranges
}

/// The numbers between 0 and `last`: the middle, then the middles of both halves, and so on.
pub(crate) fn bisected(last: usize) -> impl Iterator<Item = usize> {
    let mut halves = std::collections::VecDeque::from([(0, last)]);
    std::iter::from_fn(move || {
        while let Some((low, high)) = halves.pop_front() {
            if high - low >= 2 {
                let middle = low.midpoint(high);
                halves.extend([(low, middle), (middle, high)]);
                return Some(middle);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests;
