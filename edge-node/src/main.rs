//! The `edge-node` binary: read settings, start, wait for a signal, drain.

use anyhow::Context as _;
use clap::Parser;
use edge_node::EdgeNode;
use kerf_settings::EdgeSettings;
use kerf_telemetry::{LogFormat, init_logs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Time that running requests get after a signal to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Answers the Open Inference Protocol on localhost: runs the first part of each model here and the
/// rest in the cloud, or here too when the cloud is gone.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Settings, YAML; see configs/edge.yaml
    #[arg(long, value_name = "FILE", default_value = "configs/edge.yaml")]
    config: PathBuf,

    /// Log directives that replace those of the settings, such as `debug` or `info,kerf_mesh=trace`
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    /// Log one JSON object a line
    #[arg(long)]
    log_json: bool,

    /// Check the settings, print what they mean, and exit
    #[arg(long)]
    check: bool,

    /// Ask the running node of these settings whether it is ready; exit 0 if it is
    #[arg(long)]
    health: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("edge-node: {}", kerf_serving::explain(error.chain()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = &arguments.config;
    let yaml = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let folder = file.parent().unwrap_or(file);
    let settings = EdgeSettings::parse(&yaml, &file.display().to_string())?.resolve(folder);
    if arguments.check {
        println!("{settings:#?}");
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.health {
        kerf_serving::probe(settings.admin)?;
        return Ok(ExitCode::SUCCESS);
    }
    let filter = arguments.log.as_deref().unwrap_or(&settings.log.filter);
    let format = if arguments.log_json { LogFormat::Json } else { settings.log.format };
    init_logs(filter, format)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: EdgeSettings) -> anyhow::Result<ExitCode> {
    let node = EdgeNode::start(settings).await?;
    kerf_serving::shutdown_signal().await?;
    tracing::info!("stopping");
    Ok(if node.stop(DRAIN).await { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
