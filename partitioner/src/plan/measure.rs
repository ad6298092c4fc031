//! Does a plan keep what it promises?
//!
//! A cloud node and an edge node run on this machine with the engines and threads of the profiles,
//! an emulated link between them. The choice, what a user would do without it, and the runners-up
//! answer real requests one after the other over the edge node's HTTP, and each part of their time
//! is held against what was predicted. Nothing in the predictions comes from these requests.

mod client;
mod compare;
mod nodes;
mod requests;

pub(super) use compare::Measured;

use super::PlanArgs;
use super::devices::Witness;
use super::report::{Choice, Report};
use super::weigh;
use crate::print::{self, progress};
use anyhow::{Context, bail};
use clap::Args;
use client::Client;
use compare::{Compared, Seen};
use kerf_bundle::Bundle;
use kerf_settings::{CodecChoice, Split};
use nodes::{Nodes, Setting};
use requests::Requests;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Runners-up that are run, beside the choice and the baselines.
const RUNNERS_UP: usize = 3;
/// Requests that do not count: programs and the connection's congestion window warm up.
const WARM_UP: usize = 3;
/// A choice that is predicted to take longer, in seconds, warms up with one request.
const LONG: f64 = 1.0;
/// Pause before each request: sparse traffic, as plans take it to be where nothing else is said.
const BETWEEN: Duration = kerf_profiler::PAUSE;
/// Time for the requests of one choice; beyond it those that were made do.
const LONGEST: Duration = Duration::from_secs(15);
/// Whatever they take.
const LEAST: usize = 3;
/// Share of a request's computing, and seconds at least, for which threads of this process may wait
/// for a processor. Beyond that another program disturbed it.
const DISTURBED: (f64, f64) = (0.03, 0.2e-3);
/// Times that a request is made until it was not disturbed; of those that all were, the one that waited
/// the least counts. Plans are about devices that do nothing else.
const PATIENCE: usize = 3;
/// Choices that are predicted to take longer are left out.
const TOO_LONG: f64 = 20.0;

#[derive(Args)]
#[command(next_help_heading = "Running it")]
pub(crate) struct MeasureArgs {
    /// Run the choice, the baselines and the best runners-up on this machine over an emulated link,
    /// and hold what they take against what was predicted
    #[arg(long)]
    pub(crate) measure: bool,
    /// Requests for each
    #[arg(long, default_value_t = 20, value_name = "N", requires = "measure",
        value_parser = clap::value_parser!(u32).range(3..=100_000))]
    pub(crate) requests: u32,
    /// Pictures to ask with, where the profiles were taken with pictures [default: random tensors]
    #[arg(long, value_name = "DIR", requires = "measure")]
    pub(crate) inputs: Option<PathBuf>,
    /// Size of a symbolic dimension, as when the profiles were taken
    #[arg(long, value_name = "NAME=SIZE", value_parser = crate::cli::parse_binding, requires = "measure")]
    pub(crate) bind: Vec<(String, usize)>,
    /// The ONNX Runtime library, where it is not found by itself
    #[arg(long, value_name = "PATH", requires = "measure")]
    pub(crate) library: Option<PathBuf>,
}

/// Runs what `report` weighs.
pub(super) fn run(
    args: &PlanArgs,
    bundle: &Bundle,
    devices: &[Witness],
    report: &Report,
) -> anyhow::Result<Measured> {
    let [edge, cloud] = devices else {
        bail!("--measure runs an edge and a cloud node, no tiers in between");
    };
    let wanted = &args.running;
    let requests = Requests::new(bundle, wanted, &edge.profile)?;
    let setting = Setting::new(args, [&edge.profile, &cloud.profile])?;
    let mut measured = Measured::new(&setting, [&edge.profile, &cloud.profile]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let nodes = Nodes::start(setting).await?;
        for index in chosen(report) {
            let choice = &report.choices[index];
            if let Some(why) = left_out(choice) {
                measured.notes.push(format!("{} was not run: {why}", choice.name));
                continue;
            }
            let last = bundle.model.last();
            let asked = ask(&nodes, choice, last, &requests, wanted.requests as usize)
                .await
                .with_context(|| format!("running {}", choice.name))?;
            measured.disturbed += asked.left_out;
            measured.choices.push(Compared::new(index, choice, &asked.seen));
        }
        measured.lost = nodes.stop().await;
        anyhow::Ok(())
    })?;
    Ok(measured)
}

/// What is run: indices of choices, each once.
fn chosen(report: &Report) -> Vec<usize> {
    let position = |choice: &Choice| report.choices.iter().position(|it| std::ptr::eq(it, choice));
    let runners = report.runners_up().into_iter().take(RUNNERS_UP).filter_map(position);
    let baselines = report.baselines.iter().filter_map(|baseline| baseline.choice);
    let mut all = vec![report.chosen];
    for index in baselines.chain(runners) {
        if !all.contains(&index) {
            all.push(index);
        }
    }
    all
}

fn left_out(choice: &Choice) -> Option<String> {
    if is(choice, weigh::PIXELS) {
        return Some("the model was packed without inputs, so nodes cannot ship pixels".into());
    }
    let takes = choice.mean_s();
    (takes > TOO_LONG).then(|| format!("it is predicted to take {}", print::seconds(takes)))
}

/// What the edge node is told of the choice's codec.
fn codec(choice: &Choice) -> CodecChoice {
    let is_plain = [weigh::RAW, weigh::ENCODED].iter().any(|codec| is(choice, codec));
    // What stays here is sent nowhere.
    if is_plain || choice.bytes_up == 0.0 {
        CodecChoice::Raw
    } else {
        CodecChoice::Named(choice.payload.clone())
    }
}

fn is(choice: &Choice, codec: &str) -> bool {
    choice.payload == weigh::payload_name(codec, false)
}

/// What a choice's requests took.
struct Asked {
    seen: Vec<Seen>,
    /// Requests that do not count, since other programs held the processors.
    left_out: usize,
}

/// Asks an edge node that is told to do what the choice does.
async fn ask(
    nodes: &Nodes,
    choice: &Choice,
    last: usize,
    requests: &Requests<'_>,
    count: usize,
) -> anyhow::Result<Asked> {
    let split = match choice.split {
        0 => Split::Cloud,
        split if split == last => Split::Edge,
        split => Split::Boundary(u16::try_from(split)?),
    };
    let edge = nodes.edge(split, codec(choice)).await?;
    let mut client = Client::connect(edge.http(), requests.model()).await?;
    let is_raw = choice.split == 0 && !is(choice, weigh::ENCODED);
    let warm_up = if choice.mean_s() > LONG { 1 } else { WARM_UP };
    let bar = progress((warm_up + count) as u64, &choice.name);
    let (mut seen, mut left_out) = (Vec::with_capacity(count), 0);
    let start = Instant::now();
    for index in 0..warm_up + count {
        // The same one again where it was disturbed: to choose among different requests would be to
        // choose the small ones.
        let mut best: Option<(f64, Seen)> = None;
        for again in 0..PATIENCE {
            tokio::time::sleep(BETWEEN).await;
            let question = requests.question(index, is_raw)?;
            let before = kerf_profiler::waited();
            let answer = client.ask(&question).await?;
            let waited = kerf_profiler::waited().saturating_sub(before).as_secs_f64();
            let is_quiet = waited <= (DISTURBED.0 * (answer.total - answer.network)).max(DISTURBED.1);
            left_out += usize::from(again > 0);
            if best.is_none_or(|(least, _)| waited < least) {
                best = Some((waited, answer));
            }
            if is_quiet || index < warm_up || start.elapsed() > LONGEST {
                break;
            }
        }
        if index >= warm_up {
            seen.extend(best.map(|(_, answer)| answer));
        }
        bar.inc(1);
        if seen.len() >= LEAST && start.elapsed() > LONGEST {
            break;
        }
    }
    bar.finish_and_clear();
    edge.stop(Duration::from_secs(5)).await;
    Ok(Asked { seen, left_out })
}
