//! The `cloud-node` binary: read settings, start, wait for a signal, drain.

use anyhow::Context as _;
use clap::Parser;
use cloud_node::CloudNode;
use kerf_settings::CloudSettings;
use kerf_telemetry::{LogFormat, init_logs};
use std::path::PathBuf;
use std::process::ExitCode;

/// Finishes inferences that edge nodes began: takes activations over QUIC and runs the rest of the
/// model.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Settings, YAML; see configs/cloud.yaml
    #[arg(long, value_name = "FILE", default_value = "configs/cloud.yaml")]
    config: PathBuf,

    /// Log directives that replace those of the settings, such as `debug` or `info,kerf_transport=trace`
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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloud-node: {}", kerf_serving::explain(error.chain()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let file = &arguments.config;
    let yaml = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let folder = file.parent().unwrap_or(file);
    let settings = CloudSettings::parse(&yaml, &file.display().to_string())?.resolve(folder);
    if arguments.check {
        println!("{settings:#?}");
        return Ok(());
    }
    if arguments.health {
        return Ok(kerf_serving::probe(settings.admin)?);
    }
    let filter = arguments.log.as_deref().unwrap_or(&settings.log.filter);
    let format = if arguments.log_json { LogFormat::Json } else { settings.log.format };
    init_logs(filter, format)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: CloudSettings) -> anyhow::Result<()> {
    let node = CloudNode::start(settings).await?;
    kerf_serving::shutdown_signal().await?;
    tracing::info!("stopping");
    node.stop().await;
    Ok(())
}
