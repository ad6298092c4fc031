//! The planner against brute force.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cut;
mod family;
mod graphs;
mod online;
mod problems;
mod tiers;

/// Failing cases are printed whole, and not kept in files.
fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}
