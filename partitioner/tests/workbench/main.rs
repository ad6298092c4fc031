//! The real binary, as a user runs it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_models;
mod binary;
mod commands;
mod exits;
mod plans;
mod profiles;
mod public_models;
