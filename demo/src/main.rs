//! One process that does the main job: a cloud node and an edge node over
//! loopback QUIC with mutual TLS, real images in, a live table out.
//!
//! `stage` sets the scene (models, certificates, nodes), `client` is the
//! application that asks, `run` plays the phases, `table` and `report` show them,
//! `regions` computes where which plan would win. `live` is another play: a page
//! on which a link changes and the split follows.

#![allow(clippy::disallowed_methods, reason = "the demo measures time")]

mod client;
mod inputs;
mod live;
mod phase;
mod regions;
mod report;
mod run;
mod stage;
mod table;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Starts a cloud node and an edge node in this process, sends images through both, and shows what
/// came back: how fast, how right, and who made each answer.
///
/// Without options it uses an embedded camera model and 200 frames, and plays four phases: all on
/// the edge, all in the cloud, split between the two, and split while the cloud goes away.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    play: Option<Play>,

    /// How long to run in all, such as 20s or 2m
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    duration: Duration,

    /// Write the figures as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Play only this split: edge, cloud, or a boundary such as b3
    #[arg(long, value_name = "SPLIT", value_parser = run::parse_split)]
    split: Option<kerf_settings::Split>,

    /// A packed model of your own, DIR/N
    #[arg(long, value_name = "DIR/N", requires = "inputs")]
    model: Option<PathBuf>,

    /// A folder of JPEG, PNG or WebP pictures for it
    #[arg(long, value_name = "DIR", requires = "model")]
    inputs: Option<PathBuf>,

    /// Requests in flight at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,

    /// Engine: auto, tract or ort
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = run::parse_engine)]
    engine: kerf_settings::EngineKind,
}

#[derive(Subcommand)]
enum Play {
    /// Shows the split move: a page on which an emulated link is changed by hand
    Live(live::LiveArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let played = match &arguments.play {
        Some(Play::Live(live)) => live::run(live),
        None => run::run(&arguments),
    };
    match played {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {}", kerf_serving::explain(error.chain()));
            ExitCode::FAILURE
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    kerf_settings::units::duration(text).map_err(|error| error.to_string())
}
