//! The `cloud-node` binary: read settings, start, wait for a signal, drain.

use clap::Parser;
use cloud_node::CloudNode;
use kerf_serving::{NodeArguments, ProfiledNode, explain, shutdown_signal};
use kerf_settings::CloudSettings;
use std::process::ExitCode;

/// Finishes inferences that edge nodes began: takes activations over QUIC and runs the rest of the
/// model.
#[derive(Parser)]
#[command(version, mut_arg("config", |arg| arg.required(false).default_value("configs/cloud.yaml")))]
struct Arguments {
    #[command(flatten)]
    node: NodeArguments,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().node) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloud-node: {}", explain(error.chain()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &NodeArguments) -> anyhow::Result<()> {
    let file = arguments.read()?;
    let settings = CloudSettings::parse(&file.yaml, &file.name)?.resolve(&file.folder);
    if arguments.answer(&settings, settings.admin)? {
        return Ok(());
    }
    arguments.start_logs(&settings.log)?;
    let measured = ProfiledNode {
        engine: &settings.engine,
        repository: &settings.repository,
        models: &settings.models,
        profiles: settings.profiles.as_deref(),
    };
    if arguments.profile(&measured)? {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: CloudSettings) -> anyhow::Result<()> {
    let node = CloudNode::start(settings).await?;
    shutdown_signal().await?;
    tracing::info!("stopping");
    node.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_has_a_default() {
        assert!(Arguments::try_parse_from(["cloud-node"]).is_ok());
    }
}
