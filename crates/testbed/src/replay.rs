//! How would a policy have done on that network? Hours of a recorded link in a second.
//!
//! A discrete-event simulation in virtual time of one edge, the links to one cloud node and back, and
//! that node. Requests come by chance, a [`Policy`] decides for each of them when it comes, when a
//! compute thread takes it and at each boundary where it stops, and is told what the edge node would
//! be told. All waiting is first come, first served; a thread that took a request keeps it until it
//! is answered or sent:
//!
//! ```text
//! arrive ── edge threads ── uplink (a trace) ── rtt/2 ── cloud workers ── downlink ── rtt/2 ── answer
//! ```
//!
//! What is *modelled* here, never measured: a message begins on the uplink when the one before it is
//! through (QUIC would share it out among streams, and need a window's growth), nothing is lost but
//! where the sender's queue is full, and computing takes exactly what the [`World`] says. Edges are
//! slowed down by a factor: emulated.
//!
//! What to compare with are [`baselines`], and an [`oracle`] that knows the future.

pub mod baselines;
pub mod bench;
mod engine;
pub mod oracle;
mod piloted;
mod pipe;
mod policy;
mod random;
mod scenario;
mod summary;
mod world;

pub use engine::{Answer, Done, Run, run};
pub use piloted::{Piloted, PilotedError};
pub use policy::{Action, Arrival, Decision, Event, Place, Policy, Situation, Transfer};
pub use scenario::{Request, Scenario, arrivals};
pub use summary::{Moment, Share, Summary, moments};
pub use world::{Codec, Exit, Path, World, WorldError};

/// Nanoseconds of virtual time since the start.
type Nanos = u64;

fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9).round() as Nanos
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 * 1e-9
}

#[cfg(test)]
mod tests;
