//! What may be spent on learning: earned little by little, kept up to a bound.

use std::time::Duration;

/// A token bucket of anything.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    most: f64,
    left: f64,
}

impl Budget {
    /// Full.
    pub(crate) fn new(most: f64) -> Self {
        Self { most, left: most }
    }

    pub(crate) fn earn(&mut self, amount: f64) {
        if amount.is_finite() && amount > 0.0 {
            self.left = (self.left + amount).min(self.most);
        }
    }

    pub(crate) fn left(&self) -> f64 {
        self.left
    }

    /// May leave a debt, no larger than what may be kept.
    pub(crate) fn spend(&mut self, amount: f64) {
        if amount.is_finite() && amount > 0.0 {
            self.left = (self.left - amount).max(-self.most);
        }
    }
}

/// A budget that fills with time.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    per_second: f64,
    budget: Budget,
    seen: Duration,
}

impl Timed {
    pub(crate) fn new(per_second: f64, most: f64) -> Self {
        Self {
            per_second,
            budget: Budget::new(if per_second > 0.0 { most } else { 0.0 }),
            seen: Duration::ZERO,
        }
    }

    pub(crate) fn left(&self, now: Duration) -> f64 {
        let earned = self.per_second * now.saturating_sub(self.seen).as_secs_f64();
        (self.budget.left() + earned).min(self.budget.most)
    }

    pub(crate) fn spend(&mut self, now: Duration, amount: f64) {
        self.budget.earn(self.per_second * now.saturating_sub(self.seen).as_secs_f64());
        self.seen = now;
        self.budget.spend(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_with_time_and_no_further() {
        let mut timed = Timed::new(10.0, 50.0);
        timed.spend(Duration::ZERO, 50.0);
        assert_eq!(timed.left(Duration::from_secs(2)), 20.0);
        assert_eq!(timed.left(Duration::from_secs(100)), 50.0);
        timed.spend(Duration::from_secs(100), 1e9);
        assert_eq!(timed.left(Duration::from_secs(110)), 50.0);
        // The clock may go back: nothing is earned.
        assert_eq!(timed.left(Duration::ZERO), -50.0);
    }

    #[test]
    fn nonsense_is_neither_earned_nor_spent() {
        let mut budget = Budget::new(5.0);
        for nonsense in [f64::NAN, f64::INFINITY, -3.0] {
            budget.spend(nonsense);
            budget.earn(nonsense);
        }
        assert_eq!(budget.left(), 5.0);
    }
}
