//! What a node does when the audit says that the promise is broken.

use crate::audit::{Audit, AuditError, AuditFigures};
use crate::{Certified, Delay, Promise};
use serde::{Deserialize, Serialize};

/// The rung in use and its audit. When the audit breaks the promise the guard goes to a stricter rung, and
/// from the strictest to none at all; never back, since a reason to loosen again is a new calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    promise: Promise,
    /// Errors of each rung at calibration, strictest first.
    errors: Vec<u64>,
    rung: Option<usize>,
    alpha: f64,
    audit: Audit,
}

/// A guard has become stricter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tightened {
    /// The rung that broke the promise.
    pub from: usize,
    /// The one in use from now on; `None` where no exit may answer any more.
    pub to: Option<usize>,
    /// What the audit had found.
    pub found: AuditFigures,
    /// What it takes the risk to have become.
    pub suspected: f64,
}

impl Guard {
    /// Begins with the loosest rung. `alpha` is the chance that it ever tightens though the risk was never
    /// above the promise: each rung's audit has an equal part of it, so it holds for all of them together.
    pub fn new(certified: &Certified, alpha: f64) -> Result<Self, AuditError> {
        Self::resume(certified, alpha, Some(certified.rungs().len() - 1))
    }

    /// Begins with a rung, or with none: after a restart a node need not find out again. A rung that does
    /// not exist is the loosest one. What the audit had seen is forgotten, so each restart has a chance of
    /// a false alarm of its own.
    pub fn resume(certified: &Certified, alpha: f64, rung: Option<usize>) -> Result<Self, AuditError> {
        let errors: Vec<u64> = certified.rungs().iter().map(|rung| rung.errors).collect();
        let promise = *certified.promise();
        let audit = Audit::new(&promise, alpha / errors.len() as f64)?;
        let rung = rung.map(|rung| rung.min(errors.len() - 1));
        Ok(Self { promise, errors, rung, alpha, audit })
    }

    /// The rung in use: an index of [`Certified::rungs`]. `None` where no exit may answer.
    pub fn rung(&self) -> Option<usize> {
        self.rung
    }

    /// The audit of the rung in use.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// One audited request that was admitted under the rung in use; see [`Audit::observe`]. One that began
    /// under an earlier rung says nothing of this one: leave it out.
    pub fn observe(&mut self, lost: bool) -> Option<Tightened> {
        let from = self.rung?;
        self.audit.observe(lost);
        if !self.audit.breaks() {
            return None;
        }
        let (found, suspected) = (self.audit.figures(), self.audit.suspected());
        self.begin(self.stricter(from, suspected));
        Some(Tightened { from, to: self.rung, found, suspected })
    }

    /// Goes to the next stricter rung, as a precaution: what comes is no longer what the promise was tested
    /// on, so the promise says nothing until the audit does. The strictest rung stays: to close it takes
    /// evidence.
    pub fn caution(&mut self) -> Option<Tightened> {
        let from = self.rung?;
        let to = from.checked_sub(1)?;
        let (found, suspected) = (self.audit.figures(), self.audit.suspected());
        self.begin(Some(to));
        Some(Tightened { from, to: Some(to), found, suspected })
    }

    /// How many audited requests it takes to notice that the risk has become `risk`, after `audited` of
    /// them; see [`Audit::delay`].
    pub fn delay(&self, risk: f64, audited: u64) -> Option<Delay> {
        self.audit.delay(risk, audited)
    }

    /// Uses a rung, with an audit of its own.
    fn begin(&mut self, rung: Option<usize>) {
        self.rung = rung;
        if let Ok(audit) = Audit::new(&self.promise, self.alpha / self.errors.len() as f64) {
            self.audit = audit;
        }
    }

    /// The loosest stricter rung that would keep the promise if every rung had become as much worse as the
    /// one in use; if it has not, its own audit will tell.
    fn stricter(&self, from: usize, suspected: f64) -> Option<usize> {
        let worse = suspected / self.promise.risk();
        // Counts this small are as good as half an error more.
        let errors = |rung: usize| self.errors[rung] as f64 + 0.5;
        (0..from).rev().find(|rung| errors(*rung) * worse <= errors(from)).or((from > 0).then_some(0))
    }
}

#[cfg(test)]
mod tests;
