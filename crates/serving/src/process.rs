//! What the two nodes' binaries do alike: read their settings, say what they mean or probe the
//! running node where that was asked, and start logging.

use crate::health::{ProbeError, probe};
use crate::profiling::{ProfileArguments, ProfiledNode, ProfilingError};
use kerf_settings::{LogFormat, LogSettings};
use kerf_telemetry::{LogError, init_logs};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What any node can be told on its command line. Each binary names its own default of `config`.
#[derive(Debug, clap::Args)]
pub struct NodeArguments {
    /// Settings, YAML
    #[arg(long, value_name = "FILE")]
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

    #[command(flatten)]
    profiling: ProfileArguments,
}

/// A settings file as it was read.
#[derive(Debug)]
pub struct SettingsFile {
    /// Its text.
    pub yaml: String,
    /// Its name, for errors.
    pub name: String,
    /// The folder from which its relative paths start.
    pub folder: PathBuf,
}

/// The settings could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", .file.display())]
pub struct ReadError {
    file: PathBuf,
    source: std::io::Error,
}

impl NodeArguments {
    /// Reads the settings.
    pub fn read(&self) -> Result<SettingsFile, ReadError> {
        let file = &self.config;
        let yaml =
            std::fs::read_to_string(file).map_err(|source| ReadError { file: file.clone(), source })?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Ok(SettingsFile { yaml, name: file.display().to_string(), folder })
    }

    /// Does what needs no node of its own, `--check` or `--health`; whether there was such a wish.
    pub fn answer(&self, settings: &impl std::fmt::Debug, admin: SocketAddr) -> Result<bool, ProbeError> {
        if self.check {
            println!("{settings:#?}");
        } else if self.health {
            probe(admin)?;
        }
        Ok(self.check || self.health)
    }

    /// Measures the node's models, if `--profile` was given; whether it was.
    pub fn profile(&self, node: &ProfiledNode<'_>) -> Result<bool, ProfilingError> {
        self.profiling.run(node)
    }

    /// Starts logging as the settings say, or as the command line says otherwise.
    pub fn start_logs(&self, settings: &LogSettings) -> Result<(), LogError> {
        let format = if self.log_json { LogFormat::Json } else { settings.format };
        init_logs(self.log.as_deref().unwrap_or(&settings.filter), format)
    }
}
