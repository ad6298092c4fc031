//! How busy something is that serves one after the other, and what a second more of its work costs
//! those who come later.
//!
//! A second of work delays everybody who comes before the server is idle the next time. With
//! `ahead` seconds to do that is after `ahead / (1 − busy)` seconds on average, for those who come
//! until then bring work of their own. So what is best for each request alone is not best for all:
//! the edge and the link are overused where nobody counts this.

use std::time::Duration;

/// Seconds over which requests and work are counted.
const WINDOW: f64 = 30.0;

/// It is taken to be no busier: a queue that only grows is somebody else's to refuse.
const BUSIEST: f64 = 0.8;

/// Sums that fade.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    requests: f64,
    work: f64,
    began: Option<Duration>,
    seen: Duration,
}

impl Load {
    /// A request came.
    pub(crate) fn came(&mut self, now: Duration) {
        self.fade(now);
        self.requests += 1.0;
    }

    /// Work was done, or will be at once.
    pub(crate) fn worked(&mut self, now: Duration, seconds: f64) {
        self.fade(now);
        if seconds.is_finite() {
            self.work += seconds.clamp(0.0, WINDOW);
        }
    }

    /// The share of time that one of `threads` works.
    pub(crate) fn busy(&self, now: Duration, threads: f64) -> f64 {
        (self.work * self.per_second(now) / threads).min(BUSIEST)
    }

    /// Seconds of work that a request brings.
    pub(crate) fn usual(&self) -> f64 {
        if self.requests > 0.0 { self.work / self.requests } else { 0.0 }
    }

    /// By how many seconds a second more of work delays others: the `waiting` that are behind it, and
    /// those that come while the `ahead` seconds of work, of all `threads` together, are done.
    pub(crate) fn price(&self, now: Duration, waiting: f64, ahead: f64, threads: f64) -> f64 {
        let later = self.requests * self.per_second(now) * ahead / threads;
        waiting / threads + later / (1.0 - self.busy(now, threads))
    }

    /// What sums count by, so that they are per second. What is not yet a window long is taken as it is.
    fn per_second(&self, now: Duration) -> f64 {
        let long = self.began.map_or(0.0, |began| now.saturating_sub(began).as_secs_f64());
        self.kept(now) / (WINDOW * -(-long.max(1.0) / WINDOW).exp_m1())
    }

    fn fade(&mut self, now: Duration) {
        let kept = self.kept(now);
        (self.requests, self.work) = (self.requests * kept, self.work * kept);
        self.began = self.began.or(Some(now));
        self.seen = now;
    }

    fn kept(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.seen).as_secs_f64() / WINDOW).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_has_its_price() {
        let at = Duration::from_secs_f64;
        let load = |busy: f64, long: u32| {
            let mut load = Load::default();
            for step in 0..10 * long {
                load.came(at(0.1 * f64::from(step)));
                load.worked(at(0.1 * f64::from(step)), 0.1 * busy);
            }
            load
        };
        // Ten requests a second, a tenth of a second ahead: one comes if it is idle after that.
        for long in [5, 100] {
            let price = |busy: f64| load(busy, long).price(at(f64::from(long)), 0.0, 0.1, 1.0);
            assert!((price(0.0) - 1.0).abs() < 0.05, "{}", price(0.0));
            assert!((price(0.5) - 2.0).abs() < 0.1, "{}", price(0.5));
            assert!(price(5.0) < 6.0);
        }
        assert!((load(0.5, 100).busy(at(100.0), 1.0) - 0.5).abs() < 0.02);
        assert!((load(0.5, 100).busy(at(100.0), 2.0) - 0.25).abs() < 0.01);
        assert!((load(0.5, 100).usual() - 0.05).abs() < 1e-9);
        assert_eq!(Load::default().price(at(1.0), 3.0, 1.0, 1.0), 3.0);
    }

    #[test]
    fn silence_is_no_load() {
        let mut load = Load::default();
        for _ in 0..100 {
            load.came(Duration::ZERO);
            load.worked(Duration::ZERO, 0.1);
        }
        assert!(load.busy(Duration::from_secs(600), 1.0) < 1e-3);
        assert!(load.price(Duration::from_secs(600), 0.0, 1.0, 1.0) < 1e-3);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut load = Load::default();
        load.worked(Duration::ZERO, f64::NAN);
        load.worked(Duration::MAX, -1.0);
        load.came(Duration::ZERO);
        assert!(load.price(Duration::MAX, 0.0, 1.0, 1.0).is_finite());
    }
}
