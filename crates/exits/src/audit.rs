//! Does the promise hold on what is really asked?
//!
//! Calibration inputs are of the past. So for every request, before any head is asked, a coin says whether
//! it is audited: where an exit then answers, the whole model does so too in the background, and where
//! none does there is nothing to compare and nothing lost. The losses of audited requests are then
//! as frequent as those of all, whatever share the coin takes. This machine is told each of them, and
//! can be asked at any time.

mod sequence;

use crate::Promise;
use crate::bet::{Bet, Delay};
use kerf_agreement::{Interval, Share};
use serde::{Deserialize, Serialize};

/// How far the log-odds of the alternatives are from the promise's: the risk about 1.2 to 90 times as high.
const TILTS: [f64; 8] = [0.2, 0.45, 0.7, 1.1, 1.6, 2.2, 3.0, 4.5];

/// The larger it is, the longer the reserve waits for a late change.
const PATIENCE: f64 = 64.0;

/// A running estimate of the true risk, and an alarm when it is above the promise. Some 200 bytes, however
/// long it runs; constant time an observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    risk: f64,
    alpha: f64,
    losses: Share,
    /// Fortunes of the bets, of which all together began with 1 less the reserve.
    fortunes: [f64; TILTS.len()],
    bets: [Bet; TILTS.len()],
    /// The audited request that broke the promise, from 1.
    broken_at: Option<u64>,
}

/// Figures for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditFigures {
    /// Audited requests, and those of them that were lost.
    pub losses: Share,
    /// Where their mean true risk lies, at any time.
    pub interval: Interval,
    /// How far it is to an alarm: 0 before any evidence, 1 at the alarm; the logarithm of the fortune over
    /// that of what is needed.
    pub level: f64,
}

/// Why there is no such audit.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("alpha {0}: expected a chance of a false alarm from 1e-9 to 0.5")]
pub struct AuditError(f64);

impl Audit {
    /// `alpha` is the chance that it ever says that the promise is broken though the risk never was above
    /// it, and also the chance that [`Audit::interval`] is ever wrong.
    pub fn new(promise: &Promise, alpha: f64) -> Result<Self, AuditError> {
        if !(1e-9..=0.5).contains(&alpha) {
            return Err(AuditError(alpha));
        }
        let part = 0.5 / TILTS.len() as f64;
        Ok(Self {
            risk: promise.risk(),
            alpha,
            losses: Share::default(),
            fortunes: [part; TILTS.len()],
            bets: TILTS.map(|tilt| Bet::new(promise.risk(), tilt)),
            broken_at: None,
        })
    }

    /// One audited request: whether an exit answered it, and wrongly. Bets end when the promise is broken; the
    /// interval goes on.
    ///
    /// A mixture of bets, half of it staked from the start, the other half bit by bit, so that a
    /// change that comes late finds fresh stakes. The chance that it ever reaches `1/alpha` is `alpha` at
    /// most as long as each request's risk, given all before, is not above the promise.
    pub fn observe(&mut self, lost: bool) {
        let staked = reserve(self.losses.of) - reserve(self.losses.of + 1);
        self.losses.add(lost);
        if self.breaks() {
            return;
        }
        let part = staked / TILTS.len() as f64;
        for (fortune, bet) in self.fortunes.iter_mut().zip(&self.bets) {
            *fortune = (*fortune + part) * bet.factor(lost);
        }
        if self.fortune() >= 1.0 / self.alpha {
            self.broken_at = Some(self.losses.of);
        }
    }

    /// Whether the risk has been above the promise; once said it stays said.
    pub fn breaks(&self) -> bool {
        self.broken_at.is_some()
    }

    /// How many requests were audited until then.
    pub fn broken_at(&self) -> Option<u64> {
        self.broken_at
    }

    /// Audited requests, and those of them that were lost.
    pub fn losses(&self) -> Share {
        self.losses
    }

    /// Where the mean of the true risks of the requests audited so far lies: a confidence sequence, which
    /// holds at all times together with probability `1 − alpha`, also where the risk changes on the
    /// way.
    pub fn interval(&self) -> Interval {
        sequence::interval(self.losses, self.alpha)
    }

    /// What the risk is now, by the bets that have won lately, or had when the promise broke; the promise
    /// itself while nothing speaks against it.
    pub fn suspected(&self) -> f64 {
        let odds = self.risk / (1.0 - self.risk);
        let rate = |tilt: f64| odds * tilt.exp() / (1.0 + odds * tilt.exp());
        let most = self.fortunes.iter().fold(0.0f64, |most, fortune| most.max(*fortune));
        if most <= 0.5 {
            return self.risk;
        }
        let sum: f64 = self.fortunes.iter().map(|fortune| fortune / most).sum();
        self.fortunes.iter().zip(TILTS).map(|(fortune, tilt)| fortune / most / sum * rate(tilt)).sum()
    }

    /// All of it, to be shown.
    pub fn figures(&self) -> AuditFigures {
        let level = (self.fortune().ln() / -self.alpha.ln()).clamp(0.0, 1.0);
        let level = if self.breaks() { 1.0 } else { level };
        AuditFigures { losses: self.losses, interval: self.interval(), level }
    }

    /// How many audited requests it takes to notice that the risk has become `risk` after `audited` of
    /// them; divide by the coin's share for all requests. `None` where that is not above the promise, or
    /// so little that it may never be noticed.
    pub fn delay(&self, risk: f64, audited: u64) -> Option<Delay> {
        let part = self.alpha / TILTS.len() as f64;
        let staked = |starts: u64| reserve(audited) - reserve(audited.saturating_add(starts));
        let of = |bet: &Bet| {
            let late = bet.delay_of_many(risk, |starts| part * staked(starts));
            let early = bet.delay(risk, part * 0.5).filter(|_| audited == 0);
            Delay::least(late.into_iter().chain(early))
        };
        Delay::least(self.bets.iter().filter_map(of))
    }

    fn fortune(&self) -> f64 {
        self.fortunes.iter().sum::<f64>() + reserve(self.losses.of)
    }
}

/// What is not staked yet after so many requests: so slow a fall that a change after 10,000 finds
/// 2·10⁻⁶ staked for each of the next, and none ever finds nothing.
fn reserve(audited: u64) -> f64 {
    0.5 * PATIENCE.ln() / (audited as f64 + PATIENCE).ln()
}

#[cfg(test)]
mod tests;
