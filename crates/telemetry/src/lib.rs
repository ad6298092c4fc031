//! What a node tells the people who run it: logs, metrics, and a page that says how it is.
//!
//! Subsystems own their metrics and register them; this crate carries them out. The
//! [`Admin`] listener has no access control, so it binds to loopback unless told otherwise.

mod admin;
mod logs;
mod seconds;

pub use admin::{Admin, AdminError, Section, Status, StatusPage};
pub use kerf_settings::LogFormat;
pub use logs::{LogError, init_logs};
pub use seconds::{Seconds, seconds};
