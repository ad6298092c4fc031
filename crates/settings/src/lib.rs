//! YAML settings of the nodes: what the user said, and what it means.
//!
//! A wrong setting should be found before a port is bound, and all of them in one go.
//! So a file is read in three steps: text becomes a tree of values that know their
//! place (bounded, since a file may be hostile), the tree is read into raw types where
//! every field stands for itself, and the raw types are validated into
//! [`EdgeSettings`] and [`CloudSettings`]. Whatever goes wrong on the way is kept with
//! its line and column, and [`SettingsError`] lists all of it.
//!
//! The crate opens no files: callers pass the text and, to [`EdgeSettings::resolve`],
//! the folder that relative paths start from.

mod cloud;
mod document;
mod edge;
mod error;
mod leaf;
mod nearest;
mod parts;
mod raw;
mod said;
pub mod units;
mod validate;
pub mod wish;

pub use cloud::{CloudLimits, CloudSettings};
pub use edge::{
    CloudAddress, CodecChoice, CongestionChoice, EdgeLimits, EdgeSettings, ExitChoice, ExpectedLink,
    Fallback, LinkSettings, ModelSettings, PlanSettings, PowerModel, RaceChoice, Share, Split, TcpChoice,
};
pub use error::{Place, Problem, SettingsError};
pub use parts::{EngineKind, EngineSettings, IdentityFiles, LogFormat, LogSettings};
pub use validate::{cloud_schema, edge_schema};
