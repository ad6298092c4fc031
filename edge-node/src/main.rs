//! The `edge-node` binary: read settings, start, wait for a signal, drain.

use clap::Parser;
use edge_node::EdgeNode;
use kerf_serving::{NodeArguments, ProfiledNode, explain, shutdown_signal};
use kerf_settings::EdgeSettings;
use std::process::ExitCode;
use std::time::Duration;

/// Time that running requests get after a signal to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Answers the Open Inference Protocol on localhost: runs the first part of each model here and the
/// rest in the cloud, or here too when the cloud is gone.
#[derive(Parser)]
#[command(version, mut_arg("config", |arg| arg.required(false).default_value("configs/edge.yaml")))]
struct Arguments {
    #[command(flatten)]
    node: NodeArguments,
}

fn main() -> ExitCode {
    run(&Arguments::parse().node).unwrap_or_else(|error| {
        eprintln!("edge-node: {}", explain(error.chain()));
        ExitCode::FAILURE
    })
}

fn run(arguments: &NodeArguments) -> anyhow::Result<ExitCode> {
    let file = arguments.read()?;
    let settings = EdgeSettings::parse(&file.yaml, &file.name)?.resolve(&file.folder);
    if arguments.answer(&settings, settings.admin)? {
        return Ok(ExitCode::SUCCESS);
    }
    arguments.start_logs(&settings.log)?;
    let models: Vec<String> = settings.models.iter().map(|model| model.name.clone()).collect();
    let measured = ProfiledNode {
        engine: &settings.engine,
        repository: &settings.repository,
        models: &models,
        profiles: settings.profiles.as_deref(),
    };
    if arguments.profile(&measured)? {
        return Ok(ExitCode::SUCCESS);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: EdgeSettings) -> anyhow::Result<ExitCode> {
    let node = EdgeNode::start(settings).await?;
    shutdown_signal().await?;
    tracing::info!("stopping");
    Ok(if node.stop(DRAIN).await { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_has_a_default() {
        assert!(Arguments::try_parse_from(["edge-node"]).is_ok());
    }
}
