//! Plays the phases: real requests over real sockets, one edge node after another.

use crate::Arguments;
use crate::client::{Client, Question};
use crate::inputs::Input;
use crate::phase::{Figures, Maker, Phase, Sample, Tally};
use crate::regions::Regions;
use crate::report;
use crate::stage::{Scene, Stage};
use crate::table::Table;
use anyhow::{bail, ensure};
use bytes::Bytes;
use kerf_settings::{EngineKind, Split};
use kerf_tensor::{Tensor, compare, top1};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most time that connecting to the cloud may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Most time that an edge node may take to finish what it admitted.
const DRAIN: Duration = Duration::from_secs(10);
const REDRAW: Duration = Duration::from_millis(200);
/// Outputs that are not class scores count as equal within this, relative to the largest element.
const TOLERANCE: f64 = 1e-3;

/// What is asked and what the answers should be.
pub(crate) struct Script {
    pub(crate) question: Question,
    pub(crate) inputs: Vec<Input>,
    /// The whole model's output for each input.
    pub(crate) answers: Vec<Tensor>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(arguments))
}

async fn play(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let own = arguments.model.as_deref().zip(arguments.inputs.as_deref());
    let mut stage = Stage::set(Scene { engine: arguments.engine, own, codecs: None }).await?;
    println!("{}", stage.introduction());
    let script = Arc::new(stage.script()?);
    let regions = Regions::measure(&stage, &script)?;

    let phases = phases(arguments.split, &stage, &regions)?;
    let each = arguments.duration / phases.len() as u32;
    let mut table = Table::new(phases.iter().map(|phase| phase.title(stage.last())).collect());
    let mut figures = Vec::new();
    for phase in phases {
        let played = play_phase(&mut stage, phase, each, arguments.clients, &script, &mut table).await?;
        figures.push(played);
    }
    stage.strike().await;

    println!("{}", report::summary(&figures, &regions));
    if let Some(file) = &arguments.json {
        report::write_json(file, &stage, &figures, &regions)?;
        println!("figures written to {}", file.display());
    }
    Ok(if report::is_success(&figures) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn phases(split: Option<Split>, stage: &Stage, regions: &Regions) -> anyhow::Result<Vec<Phase>> {
    let last = stage.last();
    let phase = |split: Split, unplug: bool| {
        let boundary = match split {
            Split::Edge => last,
            Split::Cloud => 0,
            Split::Boundary(boundary) => boundary.into(),
            Split::Auto => bail!("`auto` plans from profiles, which the demo does not take"),
        };
        ensure!(boundary <= last, "there is no boundary b{boundary}; the model has b0 to b{last}");
        Ok(Phase { split, boundary, unplug })
    };
    match split {
        Some(Split::Edge) => Ok(vec![phase(Split::Edge, false)?]),
        Some(split) => Ok(vec![phase(split, false)?, phase(split, true)?]),
        None => {
            let split = Split::Boundary(regions.favourite() as u16);
            Ok(vec![
                phase(Split::Edge, false)?,
                phase(Split::Cloud, false)?,
                phase(split, false)?,
                phase(split, true)?,
            ])
        }
    }
}

async fn play_phase(
    stage: &mut Stage,
    phase: Phase,
    length: Duration,
    clients: u16,
    script: &Arc<Script>,
    table: &mut Table,
) -> anyhow::Result<Figures> {
    let edge = stage.start_edge(phase.split).await?;
    if phase.boundary < stage.last() {
        let dialled = Instant::now();
        while edge.connected() == 0 {
            ensure!(
                dialled.elapsed() < CONNECT,
                "the edge node did not reach the cloud node within {CONNECT:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let tally = Arc::new(Mutex::new(Tally::default()));
    let start = Instant::now();
    let until = start + length;
    let clients: Vec<_> = (0..usize::from(clients))
        .map(|client| {
            tokio::spawn(ask_until(until, client, edge.http(), Arc::clone(script), Arc::clone(&tally)))
        })
        .collect();

    let title = phase.title(stage.last());
    let mut gone = false;
    let mut back = false;
    loop {
        let elapsed = start.elapsed();
        if phase.unplug && !gone && elapsed > length / 3 {
            stage.unplug_cloud();
            gone = true;
        }
        if gone && !back && elapsed > length * 2 / 3 {
            stage.start_cloud().await?;
            back = true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(REDRAW.min(left)).await;
        table.draw(
            &locked(&tally).figures(title.clone()),
            start.elapsed().as_secs_f64() / length.as_secs_f64(),
        );
    }
    for client in clients {
        client.await?;
    }
    let all_answered = edge.stop(DRAIN).await;
    ensure!(all_answered, "the edge node stopped with requests unanswered");
    let figures = locked(&tally).figures(title);
    table.finish(&figures, locked(&tally).first_failure.as_deref());
    Ok(figures)
}

/// One client: asks, waits for the answer, judges it, asks again.
async fn ask_until(
    until: Instant,
    client: usize,
    address: SocketAddr,
    script: Arc<Script>,
    tally: Arc<Mutex<Tally>>,
) {
    let mut connection = None;
    // Clients start apart so that they do not all send the same image.
    let mut next = client * script.inputs.len() / 7;
    while Instant::now() < until {
        next = (next + 1) % script.inputs.len();
        locked(&tally).sent += 1;
        match ask(&mut connection, address, &script, next).await {
            Ok(sample) => locked(&tally).add(&sample),
            Err(error) => {
                connection = None;
                locked(&tally).fail(format!("{error:#}"));
            }
        }
    }
}

async fn ask(
    connection: &mut Option<Client>,
    address: SocketAddr,
    script: &Script,
    index: usize,
) -> anyhow::Result<Sample> {
    let client = match connection {
        Some(client) => client,
        None => connection.insert(Client::connect(address).await?),
    };
    let input = &script.inputs[index];
    let start = Instant::now();
    let reply = client.ask(&script.question, &Bytes::clone(&input.image)).await?;
    let latency = start.elapsed();
    let named = top1(&reply.output).first().copied();
    let shipped_bytes = reply.parameters.get("shipped_bytes").and_then(Value::as_u64).unwrap_or(0);
    let maker = match (reply.parameters.contains_key("fallback"), shipped_bytes) {
        (true, _) => Maker::Fallback,
        (false, 0) => Maker::Edge,
        (false, _) => Maker::Cloud,
    };
    Ok(Sample {
        latency,
        maker,
        right: input.label.map(|label| named == Some(label)),
        agreed: same_answer(&reply.output, &script.answers[index]),
        shipped_bytes,
    })
}

/// Whether an output says what the whole model's says: the same class, or nearly the same numbers.
pub(crate) fn same_answer(output: &Tensor, whole: &Tensor) -> bool {
    match output.shape() {
        [_, _] => top1(output) == top1(whole),
        _ => compare(output, whole).is_some_and(|difference| difference.relative() <= TOLERANCE),
    }
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `edge`, `cloud` or a boundary such as `b3`.
pub(crate) fn parse_split(text: &str) -> Result<Split, String> {
    match text {
        "edge" => Ok(Split::Edge),
        "cloud" => Ok(Split::Cloud),
        _ => {
            text.strip_prefix('b').and_then(|number| number.parse().ok()).map(Split::Boundary).ok_or_else(
                || format!("'{text}' is not a split; expected edge, cloud or a boundary such as b3"),
            )
        }
    }
}

pub(crate) fn parse_engine(text: &str) -> Result<EngineKind, String> {
    match text {
        "auto" => Ok(EngineKind::Auto),
        "tract" => Ok(EngineKind::Tract),
        "ort" => Ok(EngineKind::Ort),
        _ => Err(format!("'{text}' is not an engine; expected auto, tract or ort")),
    }
}
