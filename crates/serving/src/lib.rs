//! What both nodes are made of.
//!
//! An edge node and a cloud node hold models the same way, refuse what exceeds
//! their bounds the same way, and run segments off the network threads the same
//! way. That is here, so that each node's own crate is only what is particular
//! to it: the edge decides and falls back, the cloud finishes.

#![allow(clippy::disallowed_methods, reason = "an IO crate: it owns the clock")]

mod admission;
mod coding;
mod compute;
mod energy;
mod engines;
mod explain;
mod health;
mod identity;
mod models;
mod pictures;
mod process;
mod profiles;
mod profiling;
mod signal;
mod work;

pub use admission::{Admission, Permit};
pub use coding::{CodingError, ModelCodecs, Shipment};
pub use compute::{Compute, ComputeError, Done};
pub use energy::{Energy, PowerModel};
pub use engines::open_engines;
pub use explain::explain;
pub use health::{ProbeError, probe};
pub use identity::open_identity;
pub use models::{InputError, LoadError, Models, Served};
pub use pictures::{Picture, PicturesError, pictures, timed_requests};
pub use process::{NodeArguments, ReadError, SettingsFile};
pub use profiles::{ProfileFileError, ProfileFolder};
pub use profiling::{ModelProfilingError, ProfileArguments, ProfiledNode, ProfilingError, threads};
pub use signal::shutdown_signal;
pub use work::work_section;
