//! The split moves: a page on which an emulated link is changed by hand, and what requests do then.
//!
//! A cloud node and an edge node in this process, an emulated link between them, the edge on an
//! emulated slow engine with `split: auto`. `load` asks at a steady rate, `window` counts what came
//! back, `alternatives` predicts what another way would have taken over the link as it is, `event`
//! puts it together, `state` keeps it, and `server` shows it.

mod alternatives;
mod control;
mod event;
mod load;
mod nodes;
mod profile;
mod server;
mod state;
mod window;

use anyhow::Context as _;
use clap::Args;
use control::{BOUNDS, Conditions, Control};
use event::Setting;
use kerf_settings::units;
use kerf_settings::{EngineKind, RaceChoice};
use load::{Load, Totals};
use nodes::{Nodes, Wanted};
use state::{KEPT, State};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use window::RECENT;

/// Time between two events.
const TICK: Duration = Duration::from_millis(250);
/// How much slower the edge is, where nobody says. The embedded model is so small that only a very
/// slow edge needs help with it.
const SLOWDOWN: f64 = 10.0;
const SLOWDOWN_EMBEDDED: f64 = 60.0;
/// Requests that come unless told otherwise: so many of those that the edge alone could answer.
const SHARE_OF_EDGE: f64 = 0.4;
/// Most time that the answers under way may take at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// Starts a cloud node, an edge node and an emulated link between them, asks at a steady rate, and
/// serves a page with the link's rate and delay to drag and live plots of what requests do.
///
/// Both nodes are real and decide as they would anywhere; the link is emulated, and so is the edge's
/// slowness.
#[derive(Args)]
pub(crate) struct LiveArguments {
    /// Where the page is served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// A packed model of your own, DIR/N
    #[arg(long, value_name = "DIR/N", requires = "inputs")]
    model: Option<PathBuf>,

    /// A folder of JPEG, PNG or WebP pictures for it
    #[arg(long, value_name = "DIR", requires = "model")]
    inputs: Option<PathBuf>,

    /// Engine of both nodes: auto, tract or ort
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = crate::run::parse_engine)]
    engine: EngineKind,

    /// How much slower than this machine the edge is emulated to be [default: 60 for the embedded
    /// model, which is small, and 10 for others]
    #[arg(long, value_name = "FACTOR")]
    edge_slowdown: Option<f64>,

    /// The link's rate at the start, each way
    #[arg(long, value_name = "RATE", default_value = "8Mbps", value_parser = bit_rate)]
    rate: u64,

    /// Its round-trip time at the start
    #[arg(long, value_name = "TIME", default_value = "40ms", value_parser = crate::duration)]
    rtt: Duration,

    /// A recorded network whose rates the link follows, until its rate is dragged: mahimahi's packet
    /// opportunities, or lines of `seconds Mbit/s`
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// Requests per second, at random times [default: four tenths of what the edge alone could answer]
    #[arg(long, value_name = "X", value_parser = load_rate)]
    requests_per_second: Option<f64>,

    /// When the edge works on what it shipped as well: never, deadline or always
    #[arg(long, value_name = "WHEN", default_value = "deadline", value_parser = parse_race)]
    race: RaceChoice,

    /// Time to measure the model for, at the start
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = crate::duration)]
    profile: Duration,

    /// How long to run [default: until Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = crate::duration)]
    duration: Option<Duration>,
}

pub(crate) fn run(arguments: &LiveArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(arguments))
}

async fn play(arguments: &LiveArguments) -> anyhow::Result<ExitCode> {
    // A port that is taken is better known before a model is measured.
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;
    let start = Conditions { rate: arguments.rate as f64, rtt: arguments.rtt, is_plugged: true };
    let conditions = start.checked().map_err(anyhow::Error::msg)?;
    let trace = arguments.trace.as_deref().map(control::read_trace).transpose()?;
    let own = arguments.model.as_deref().zip(arguments.inputs.as_deref());
    let usual = if own.is_some() { SLOWDOWN } else { SLOWDOWN_EMBEDDED };
    let wanted = Wanted {
        engine: arguments.engine,
        own,
        slowdown: arguments.edge_slowdown.unwrap_or(usual),
        race: arguments.race,
        budget: arguments.profile,
    };
    let nodes = Nodes::start(&wanted, conditions, trace.as_ref()).await?;
    let (least, most) = BOUNDS.requests_per_second;
    let usual = (SHARE_OF_EDGE / nodes.alternatives.edge()).clamp(least, most);
    let per_second = arguments.requests_per_second.unwrap_or(usual);

    let origin = Instant::now();
    let trace = trace.map(|trace| (trace, nodes.begun));
    let control = Control::new(Arc::clone(&nodes.link), conditions, trace, per_second);
    let load = Arc::new(Load::new(nodes.http(), Arc::clone(&nodes.script), origin));
    let state = Arc::new(State::new(setting(arguments, &nodes), nodes.alternatives.clone(), control));
    let (stop, stopped) = watch::channel(false);
    let asking = tokio::spawn(load::run(Arc::clone(&load), state.control.load(), stopped));
    let page = tokio::spawn(server::serve(listener, Arc::clone(&state)));
    println!("the page is at http://{address}/, as JSON at /state; Ctrl-C ends it");

    let until = arguments.duration.map(|duration| origin + duration);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut ended = Box::pin(kerf_serving::shutdown_signal());
    while until.is_none_or(|until| Instant::now() < until) {
        tokio::select! {
            _ = tick.tick() => state.tick(origin.elapsed(), &load, nodes.is_connected()),
            _ = &mut ended => break,
        }
    }
    page.abort();
    stop.send_replace(true);
    asking.await?;
    nodes.stop(DRAIN).await;
    let (_, totals) = load.look(origin.elapsed());
    println!("{}", said(&totals));
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn setting(arguments: &LiveArguments, nodes: &Nodes) -> Setting {
    let served = nodes.stage.served();
    let [edge_engine, cloud_engine] = nodes.engines.clone();
    let pictures = nodes.script.inputs.len();
    Setting {
        model: served.name.clone(),
        last: served.last(),
        inputs: match &arguments.inputs {
            Some(folder) => format!("{pictures} pictures in {}", folder.display()),
            None => format!("{pictures} embedded camera frames"),
        },
        edge_engine,
        cloud_engine,
        slowdown: nodes.slowdown,
        race: match arguments.race {
            RaceChoice::Never => "never",
            RaceChoice::Deadline => "deadline",
            RaceChoice::Always => "always",
        },
        trace: arguments.trace.as_ref().map(|trace| trace.display().to_string()),
        bounds: BOUNDS,
        recent: RECENT.as_secs_f64(),
        tick_ms: TICK.as_millis() as u64,
        kept: KEPT,
    }
}

fn said(totals: &Totals) -> String {
    let Totals { sent, answered, refused, failed, unsent, failure, .. } = totals;
    let mut said = format!("{answered} of {sent} requests answered, {refused} refused, {failed} failed");
    if *unsent > 0 {
        said += &format!("; {unsent} not sent, with too many under way");
    }
    if let Some(failure) = failure {
        said += &format!("; the last failure: {failure}");
    }
    said
}

fn load_rate(text: &str) -> Result<f64, String> {
    let (least, most) = BOUNDS.requests_per_second;
    let rate = text.parse::<f64>().ok().filter(|rate| (least..=most).contains(rate));
    rate.ok_or_else(|| format!("`{text}` is not a number from {least} to {most}"))
}

fn bit_rate(text: &str) -> Result<u64, String> {
    units::bit_rate(text).map_err(|error| error.to_string())
}

fn parse_race(text: &str) -> Result<RaceChoice, String> {
    match text {
        "never" => Ok(RaceChoice::Never),
        "deadline" => Ok(RaceChoice::Deadline),
        "always" => Ok(RaceChoice::Always),
        _ => Err(format!("'{text}' is not a way to race; expected never, deadline or always")),
    }
}
