//! Bets against "this happens no more often than that".
//!
//! Who bets on a coin at fair odds cannot expect to win, whenever they stop. So a fortune that has grown
//! twentyfold says that the odds were wrong, at 5%, at any time and however often one looks (Ville's
//! inequality; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024).

/// What one unit becomes when the event happens and when it does not, where it happens with probability
/// `null` at most. The bet is worth at most one unit on average then, whatever happened before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bet {
    hit: f64,
    miss: f64,
}

impl Bet {
    /// The likelihood ratio of the probability whose log-odds are `tilt` more than those of `null`, which
    /// is above 0 and below 1.
    pub(crate) fn new(null: f64, tilt: f64) -> Self {
        let worth = 1.0 + null * tilt.exp_m1();
        Self { hit: tilt.exp() / worth, miss: 1.0 / worth }
    }

    /// The factor that this outcome is worth.
    pub(crate) fn factor(&self, happened: bool) -> f64 {
        if happened { self.hit } else { self.miss }
    }

    /// By how much the logarithm of the fortune grows on average with each outcome, where the event has
    /// probability `share`.
    fn growth(&self, share: f64) -> f64 {
        let of = |part: f64, factor: f64| if part > 0.0 { part * factor.ln() } else { 0.0 };
        of(share, self.hit) + of(1.0 - share, self.miss)
    }

    /// How long it takes to grow from `weight` to 1 where the event has probability `share`. `None` where it
    /// does not grow.
    pub(crate) fn delay(&self, share: f64, weight: f64) -> Option<Delay> {
        self.climb(share, 1.0, weight)
    }

    /// The same where a fortune of `weight(n)` in all is staked evenly on the next `n` outcomes.
    pub(crate) fn delay_of_many(&self, share: f64, weight: impl Fn(u64) -> f64) -> Option<Delay> {
        // This many stakes are worth waiting for, which `Delay` says how: more would come too late.
        let starts = (2.0 / self.growth(share).max(1e-12)).ceil();
        self.climb(share, starts, weight(starts as u64))
    }

    fn climb(&self, share: f64, starts: f64, weight: f64) -> Option<Delay> {
        let growth = self.growth(share);
        if growth <= 1e-12 || weight <= 0.0 {
            return None;
        }
        let climb = self.hit.ln() - weight.min(1.0).ln();
        let mean = climb / growth + (starts - 1.0) / 2.0;
        let variance = share * (1.0 - share) * (self.hit.ln() - self.miss.ln()).powi(2);
        let sd = (climb * variance / growth.powi(3)).sqrt();
        Some(Delay { mean, nine_in_ten: mean + 1.281_551_565_544_600_4 * sd })
    }
}

/// How many outcomes it takes to notice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delay {
    /// On average at most. A mixture of bets is worth at least each of its parts, the logarithm of a part grows
    /// evenly, and Wald's identity bounds when it gets there, overshoot included; parts that start one
    /// after the other are worth at least their geometric mean (Jensen).
    pub mean: f64,
    /// About nine times of ten at most, if the time to get there were normal.
    pub nine_in_ten: f64,
}

impl Delay {
    pub(crate) fn least(delays: impl Iterator<Item = Self>) -> Option<Self> {
        delays.min_by(|a, b| a.mean.total_cmp(&b.mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bet_is_worth_more_than_it_costs() {
        for null in [1e-6, 0.01, 0.5, 0.99] {
            for tilt in [0.25, 1.0, 4.0] {
                let bet = Bet::new(null, tilt);
                let worth = |share: f64| share * bet.factor(true) + (1.0 - share) * bet.factor(false);
                assert!((worth(null) - 1.0).abs() < 1e-12, "{null} {tilt}: {}", worth(null));
                assert!(worth(null / 2.0) < 1.0 && bet.growth(null) < 0.0);
                assert!(bet.delay(null, 0.05).is_none());
            }
        }
    }
}
