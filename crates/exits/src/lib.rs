//! When may an exit head answer, and does what was promised about its errors hold?
//!
//! A head is a small classifier at a boundary of a frozen model. It can answer at once where it is sure,
//! and must not where it is sure and wrong. This crate makes that a promise: *at most 1% of all
//! requests, at 95% confidence*. It never sees a model or a tensor: scores, confidences and errors go in,
//! decisions come out.
//!
//! ```text
//! scores of a head ── Gate ──► class, confidence            at every request
//!
//! fitting        gate::fit(scores, errors)      ─► Gate: temperature, the measure that tells errors best
//! tuning         place(Outcomes, [Costs])       ─► exits worth their head, a path of thresholds
//! calibration    certify(path, Outcomes)        ─► Certified: how far along the path the promise holds
//! serving        Guard (an Audit per rung)      ─► the true risk at any time; stricter when it breaks
//!                Drift (against a Reference)    ─► are requests still what they were?
//! ```
//!
//! Each of the first three needs inputs of its own: what was fitted or chosen on inputs looks better on
//! them than it is. What is controlled is the share of all requests for which *some* head is confident and
//! wrong, over the thresholds of all heads together, so that it holds whichever heads a policy asks.
//!
//! Time and randomness are arguments; equal input gives equal output.
//!
//! ```
//! use kerf_exits::{Costs, Guard, Loss, Outcome, Outcomes, Promise, certify, place};
//!
//! // One head, sure of nine in ten requests and wrong about the others.
//! let outcomes = |requests: u32| {
//!     let mut outcomes = Outcomes::new(1)?;
//!     for request in 0..requests {
//!         let is_hard = request % 10 == 0;
//!         let confidence = Some(if is_hard { 0.4 } else { 0.9 + 0.0001 * f64::from(request % 997) });
//!         outcomes.push(&[Outcome { confidence, wrong: is_hard }])?;
//!     }
//!     Ok::<_, kerf_exits::OutcomesError>(outcomes)
//! };
//! let promise = Promise::new(0.01, 0.95, Loss::Disagreement)?;
//! let costs = Costs::new(vec![30.0], vec![1.0], 100.0)?;
//!
//! let placement = place(&outcomes(500)?, &[costs], &promise)?;
//! let certified = certify(&placement.path, &outcomes(1000)?, &promise)?;
//! assert_eq!(certified.loosest().answered(), 900);
//! let refusal = certify(&placement.path, &outcomes(250)?, &promise).unwrap_err();
//! assert_eq!(refusal.needed(), Some(299));
//!
//! // When every tenth request is lost, few audits are enough to notice.
//! let mut guard = Guard::new(&certified, 0.05)?;
//! let tightened = (1..).find_map(|audit| guard.observe(audit % 10 == 0));
//! assert!(tightened.is_some_and(|it| it.found.losses.of < 100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod bet;
mod binomial;
mod calibration;
mod certify;
mod costs;
mod drift;
mod expect;
pub mod gate;
mod guard;
mod outcomes;
mod place;
mod promise;
mod ranking;
mod thresholds;

pub use audit::{Audit, AuditError, AuditFigures};
pub use bet::Delay;
pub use calibration::{Bin, Calibration, CalibrationError, Reliability};
pub use certify::{Certified, CertifiedError, Refusal, Rung, certify};
pub use costs::{Costs, CostsError};
pub use drift::{Cut, Drift, DriftFigures, Reference, ReferenceError, RunLengthError, Stability};
pub use expect::{ExitFigures, ExpectError, Expectation, Point, expect, risk_coverage};
pub use gate::{Gate, GateError, Judged, Kind, Measure};
pub use guard::{Guard, Tightened};
pub use outcomes::{LossError, Outcome, Outcomes, OutcomesError, unseen};
pub use place::{Placement, place};
pub use promise::{Loss, Promise, PromiseError, required, required_with};
pub use ranking::{aurc, auroc};
pub use thresholds::{Thresholds, ThresholdsError};
