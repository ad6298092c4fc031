//! What do answered requests show of links and loads, and what is then the best for the next one?
//!
//! Nobody tells an edge how fast its uplink is: it has to be learnt from what was sent, which is
//! little, and rarely what one would like to know. So everything here is an interval or a spread,
//! grows uncertain with silence, and reacts at once where it was wrong. What a peer reports is
//! held against our own clock, and moves an estimate by a bounded amount.
//!
//! [`Link`], [`Factor`] and [`Queue`] estimate; [`Pilot`] composes them with the model's
//! [`Table`](kerf_planner::online::Table) into decisions, and says when to race ([`race`]) and
//! what to probe. Time is an argument: `now` is a [`Duration`](std::time::Duration) since any fixed
//! moment. It may jump; that costs what was known, and nothing else.

mod budget;
mod excess;
mod factor;
mod link;
mod load;
mod pilot;
mod power;
mod queue;
pub mod race;

pub use factor::Factor;
pub use kerf_planner::tiers::Dist;
pub use link::{Arrival, Link, LinkEstimate, Prior, Transfer};
pub use pilot::{Answer, Choice, MAX_NODES, Pilot, PilotError, Probe, Reason, Settings, Situation, Ticket};
pub use power::{Curve, CurveError};
pub use queue::Queue;
pub use race::Race;
