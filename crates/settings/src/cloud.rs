//! Settings of a cloud node.

use crate::parts::{EngineSettings, IdentityFiles, LogSettings, resolve};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a cloud node is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudSettings {
    /// Name in answers, logs and metrics; edges expect it in the certificate.
    pub node: String,
    /// Where the mesh is served over QUIC.
    pub listen: SocketAddr,
    /// Where metrics and the status page are served.
    pub admin: SocketAddr,
    /// Whether `admin` may be an address that other machines reach.
    pub admin_remote: bool,
    /// Folder of packed models.
    pub repository: PathBuf,
    /// Folder of profiles: this node's own, and those of the edge nodes that it met.
    pub profiles: Option<PathBuf>,
    /// Certificates for the mesh.
    pub identity: IdentityFiles,
    /// Engine for tails.
    pub engine: EngineSettings,
    /// Models to serve; empty is all in the repository.
    pub models: Vec<String>,
    /// What the node takes on at once.
    pub limits: CloudLimits,
    /// Time that running requests get after a signal to stop.
    pub drain: Duration,
    /// Logging.
    pub log: LogSettings,
}

/// What a cloud node takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudLimits {
    /// Requests worked on at once.
    pub concurrency: usize,
    /// Requests waiting beyond those; more are refused at once.
    pub queue: usize,
    /// Bytes of compiled segments kept.
    pub memory: u64,
    /// Bytes of one request's tensors.
    pub payload: u64,
}

impl CloudSettings {
    /// Makes relative paths start from `folder`, the one that the YAML file lies in.
    #[must_use]
    pub fn resolve(mut self, folder: &Path) -> Self {
        resolve(&mut self.repository, folder);
        self.profiles.iter_mut().for_each(|profiles| resolve(profiles, folder));
        self.identity.resolve(folder);
        self.engine.resolve(folder);
        self
    }
}
