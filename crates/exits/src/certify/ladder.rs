//! What calibration has shown, and what to fall back to.

use crate::expect::{ExitFigures, figures};
use crate::{Outcomes, Promise, Thresholds, binomial};
use serde::{Deserialize, Serialize};

/// More rungs than this would be told apart by nothing.
const MOST_RUNGS: usize = 8;

/// Thresholds that keep a promise, and stricter ones that keep it as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Said", into = "Said")]
pub struct Certified {
    promise: Promise,
    inputs: u64,
    rungs: Vec<Rung>,
}

/// One vector of thresholds, as calibration saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// What each exit's confidence has to be.
    pub thresholds: Thresholds,
    /// Calibration inputs for which some open head was confident and wrong.
    pub errors: u64,
    /// The largest risk that is not ruled out by those at the promise's confidence; not above the
    /// promise. This holds of one rung, not of all at once: of all at once holds the promise.
    pub upper: f64,
    /// Who came to each exit and who was answered: probabilities conditional on earlier heads having
    /// failed.
    pub exits: Vec<ExitFigures>,
}

/// Why this is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertifiedError {
    /// No rung, or more than are made.
    #[error("{0} rungs: expected 1 to {MOST_RUNGS}")]
    Rungs(usize),
    /// A rung is not what calibration on so many inputs could have left.
    #[error("rung {rung}: {why}")]
    Rung {
        /// Which, from the strictest.
        rung: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Certified {
    /// Of the vectors that passed, at least one, keeps the loosest and, ever stricter, those with half of
    /// the errors of the one before, or half of the answers where there are no errors left to halve.
    pub(super) fn of(promise: Promise, calibration: &Outcomes, mut passed: &[Thresholds]) -> Self {
        let mut rungs: Vec<Rung> = Vec::new();
        while let Some((loosest, stricter)) = passed.split_last().filter(|_| rungs.len() < MOST_RUNGS) {
            let rung = Rung::of(loosest.clone(), calibration, &promise);
            // Neither errors nor answers fall along the path.
            let is_half = |thresholds: &Thresholds| match rung.errors {
                0 => answered(&figures(calibration, thresholds)) <= rung.answered() / 2,
                errors => calibration.losses(thresholds) <= errors / 2,
            };
            passed = &stricter[..stricter.partition_point(is_half)];
            rungs.push(rung);
        }
        rungs.reverse();
        Self { promise, inputs: calibration.len() as u64, rungs }
    }

    /// What is promised.
    pub fn promise(&self) -> &Promise {
        &self.promise
    }

    /// Calibration inputs.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Strictest first; the last is the one to serve with. Each admits less than the next and has at most
    /// half of its errors, or of its answers where that one has no errors.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// The rung to serve with.
    pub fn loosest(&self) -> &Rung {
        // Checked where it comes in: never empty.
        &self.rungs[self.rungs.len() - 1]
    }

    /// The same without closed exits: those of these indices are kept, in order. `None` where one that is
    /// left out is open.
    pub fn only(&self, exits: &[usize]) -> Option<Self> {
        let left_out = |exit: &usize| !exits.contains(exit);
        let loosest = &self.loosest().thresholds;
        if (0..loosest.len()).filter(left_out).any(|exit| loosest.is_open(exit)) {
            return None;
        }
        let rung = |rung: &Rung| {
            let thresholds = exits.iter().map(|exit| rung.thresholds.of(*exit)).collect();
            let figures = exits.iter().map(|exit| rung.exits.get(*exit).copied());
            Some(Rung {
                thresholds: Thresholds::new(thresholds).ok()?,
                exits: figures.collect::<Option<_>>()?,
                ..rung.clone()
            })
        };
        let rungs = self.rungs.iter().map(rung).collect::<Option<_>>()?;
        Some(Self { rungs, ..self.clone() })
    }

    fn check(&self) -> Result<(), CertifiedError> {
        if self.rungs.is_empty() || self.rungs.len() > MOST_RUNGS {
            return Err(CertifiedError::Rungs(self.rungs.len()));
        }
        let most = binomial::most(self.inputs, self.promise.risk(), self.promise.tail());
        for (at, rung) in self.rungs.iter().enumerate() {
            let wrong = |why| Err(CertifiedError::Rung { rung: at, why });
            if most.is_none_or(|most| rung.errors > most) {
                return wrong("so many errors do not carry the promise");
            }
            if !(0.0..=1.0).contains(&rung.upper) {
                return wrong("its upper bound is no share");
            }
            if rung.exits.len() != rung.thresholds.len() {
                return wrong("it has not as many figures as thresholds");
            }
            if !is_flow(self.inputs, &rung.exits) {
                return wrong("its exits answer more requests than come to them");
            }
            let next = self.rungs.get(at + 1);
            if next.is_some_and(|next| !rung.thresholds.is_within(&next.thresholds)) {
                return wrong("it admits what the next one does not");
            }
        }
        Ok(())
    }
}

impl Rung {
    fn of(thresholds: Thresholds, calibration: &Outcomes, promise: &Promise) -> Self {
        let errors = calibration.losses(&thresholds);
        let upper = binomial::upper_limit(errors, calibration.len() as u64, promise.tail());
        let exits = figures(calibration, &thresholds);
        Self { thresholds, errors, upper, exits }
    }

    /// Requests that some exit answered.
    pub fn answered(&self) -> u64 {
        answered(&self.exits)
    }
}

fn answered(exits: &[ExitFigures]) -> u64 {
    exits.iter().map(|exit| exit.answered).sum()
}

/// Whether each exit sees what those before it leave.
fn is_flow(inputs: u64, exits: &[ExitFigures]) -> bool {
    let mut left = Some(inputs);
    exits.iter().all(|exit| {
        let fits = left == Some(exit.reached) && exit.wrong <= exit.answered;
        left = exit.reached.checked_sub(exit.answered);
        fits && left.is_some()
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    promise: Promise,
    inputs: u64,
    rungs: Vec<Rung>,
}

impl TryFrom<Said> for Certified {
    type Error = CertifiedError;

    fn try_from(said: Said) -> Result<Self, CertifiedError> {
        let found = Self { promise: said.promise, inputs: said.inputs, rungs: said.rungs };
        found.check().map(|()| found)
    }
}

impl From<Certified> for Said {
    fn from(certified: Certified) -> Self {
        Self { promise: certified.promise, inputs: certified.inputs, rungs: certified.rungs }
    }
}
