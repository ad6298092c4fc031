//! Which ranges are also timed after pauses, and when is it enough? Decided, as in
//! [`Schedule`](crate::Schedule), without a clock.
//!
//! A pause takes longer than most runs, so only the ranges that plans ask for most are timed so: the
//! whole, heads and tails, from the middle outwards. What others take is predicted from those.

use crate::schedule::{Range, bisected};

/// Share of the budget that is kept for this.
const SHARE: f64 = 0.3;
/// Runs of a visit that count; one before them does not.
pub(crate) const RUNS: usize = 3;
/// Visits of each range, if there is time.
const VISITS: u32 = 4;

/// The order of visits within a budget.
#[derive(Clone, Debug)]
pub struct Apart {
    budget: f64,
    /// Ranges and how often each was visited; those that failed are gone.
    items: Vec<(Range, u32)>,
}

impl Apart {
    /// Of a model whose last boundary is `last`, until `budget` seconds after the start of it all.
    pub fn new(last: usize, budget: f64) -> Self {
        let halves = bisected(last).flat_map(|at| [(0, at), (at, last)]);
        let ranges = std::iter::once((0, last)).chain(halves);
        let items = ranges.map(|(from, to)| (Range { from, to, batch: 1 }, 0));
        Self { budget, items: items.collect() }
    }

    /// No ranges.
    pub fn none() -> Self {
        Self { budget: 0.0, items: Vec::new() }
    }

    /// Seconds that are for all else.
    pub fn leaves(&self, budget: f64) -> f64 {
        if self.items.is_empty() { budget } else { budget * (1.0 - SHARE) }
    }

    /// Takes a range as having been run so often.
    pub fn known(&mut self, range: Range, runs: usize) {
        for (_, visits) in self.items.iter_mut().filter(|(item, _)| *item == range) {
            *visits += u32::try_from(runs / RUNS).unwrap_or(u32::MAX);
        }
    }

    /// Notes that a range does not run.
    pub fn failed(&mut self, range: Range) {
        self.items.retain(|(item, _)| *item != range);
    }

    /// The next range, `elapsed` seconds after the start; `cost` is how long a visit takes. The whole
    /// is visited once, whatever the budget.
    pub fn next(&self, elapsed: f64, cost: impl Fn(Range) -> f64) -> Option<Range> {
        let fewest = self.items.iter().map(|(_, visits)| *visits).min().filter(|visits| *visits < VISITS)?;
        let mut items = self.items.iter().filter(|(_, visits)| *visits == fewest).map(|(range, _)| *range);
        let is_first = self.items.iter().all(|(_, visits)| *visits == 0);
        items.next().filter(|range| is_first || elapsed + cost(*range) <= self.budget)
    }

    /// Seconds until all is done, or the budget spent.
    pub fn left(&self, elapsed: f64, cost: impl Fn(Range) -> f64) -> f64 {
        let visit = |(range, visits): &(Range, u32)| f64::from(VISITS.saturating_sub(*visits)) * cost(*range);
        self.items.iter().map(visit).sum::<f64>().min(self.budget - elapsed).max(0.0)
    }

    /// Ranges that were visited, and all that there are.
    pub fn coverage(&self) -> (usize, usize) {
        (self.items.iter().filter(|(_, visits)| *visits > 0).count(), self.items.len())
    }

    /// Whether every range was visited.
    pub fn is_complete(&self) -> bool {
        self.items.iter().all(|(_, visits)| *visits > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows it; what was visited.
    fn follow(apart: &mut Apart, start: f64, cost: f64) -> Vec<Range> {
        let (mut now, mut visits) = (start, Vec::new());
        while let Some(range) = apart.next(now, |_| cost) {
            now += cost;
            apart.known(range, RUNS);
            visits.push(range);
            assert!(visits.len() < 1000, "it ends");
        }
        visits
    }

    #[test]
    fn the_whole_then_heads_and_tails_in_rounds() {
        let mut apart = Apart::new(4, 100.0);
        let visits = follow(&mut apart, 0.0, 1.0);
        let ends: Vec<(usize, usize)> = visits[..7].iter().map(|range| (range.from, range.to)).collect();
        assert_eq!(ends, [(0, 4), (0, 2), (2, 4), (0, 1), (1, 4), (0, 3), (3, 4)]);
        assert_eq!(visits.len(), 7 * VISITS as usize);
        assert!(apart.is_complete() && apart.left(21.0, |_| 1.0) == 0.0);
    }

    #[test]
    fn a_budget_ends_it_but_the_whole_is_run_once() {
        for (start, visits) in [(0.0, 10), (5.5, 4), (50.0, 1)] {
            let mut apart = Apart::new(15, 10.0);
            assert_eq!(follow(&mut apart, start, 1.0).len(), visits, "from {start}");
            assert!(!apart.is_complete());
            assert_eq!(apart.coverage(), (visits, 29));
        }
        assert_eq!(follow(&mut Apart::none(), 0.0, 1.0), []);
        assert!(Apart::none().is_complete());
    }

    #[test]
    fn what_is_known_or_fails_is_not_visited() {
        let mut apart = Apart::new(2, 100.0);
        apart.known(Range { from: 0, to: 2, batch: 1 }, VISITS as usize * RUNS);
        apart.failed(Range { from: 1, to: 2, batch: 1 });
        let visits = follow(&mut apart, 0.0, 1.0);
        assert_eq!(visits, vec![Range { from: 0, to: 1, batch: 1 }; VISITS as usize]);
    }
}
