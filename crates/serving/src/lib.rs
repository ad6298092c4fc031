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
mod heads;
mod health;
mod identity;
mod measuring;
mod models;
mod pictures;
mod process;
mod profile_file;
mod profiles;
mod profiling;
mod signal;
mod work;

pub use admission::{Admission, Permit};
pub use coding::{CodingError, EarlyDecoder, ModelCodecs, Shipment, Uncoded};
pub use compute::{Compute, ComputeError, Done, Tell};
pub use energy::{Energy, PowerModel};
pub use engines::open_engines;
pub use explain::explain;
pub use heads::{HeadAnswer, ModelHeads};
pub use health::{ProbeError, probe};
pub use identity::open_identity;
pub use kerf_engines::Opened;
pub use measuring::{MeasuringError, boundary_sizes, measure, threads};
pub use models::{InputError, LoadError, Models, Served};
pub use pictures::{Picture, PicturesError, pictures, timed_requests};
pub use process::{NodeArguments, ReadError, SettingsFile};
pub use profile_file::{ProfileFile, ProfileFileError};
pub use profiles::{FolderError, ProfileFolder};
pub use profiling::{ProfileArguments, ProfiledNode, ProfilingError};
pub use signal::shutdown_signal;
pub use work::work_section;
