//! The workbench: packs a model for edges and clouds, shows where it can be cut, and proves that
//! cutting it changes nothing.
#![allow(clippy::disallowed_methods, reason = "a command-line tool measures and dates things")]

mod bench;
mod certs;
mod cli;
mod engines;
mod exits;
mod inputs;
mod inspect;
mod pack;
mod page;
mod piece;
mod plan;
mod print;
mod profile;
mod source;
mod verify;

use clap::Parser;
use cli::{Cli, Command};
use print::Outcome;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Pack(args) => pack::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Exits(args) => exits::run(&args),
        Command::Certs(args) => certs::run(&args),
    };
    match done {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {}", print::chain(&error));
            ExitCode::from(2)
        }
    }
}
