//! What crosses the wire, in how many bytes, and what that does to the answers.

// Drawn and written by `pack --inputs`, which is being built on these.
#![cfg_attr(not(test), expect(dead_code, reason = "the command that measures comes next"))]

mod page;
mod report;
mod table;

#[cfg(test)]
mod fixture;
