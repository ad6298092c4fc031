//! The parts that both nodes' settings share.

use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where a node finds its certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// Certificate of the authority that signs the mesh's nodes, PEM.
    pub ca: PathBuf,
    /// This node's certificate, PEM.
    pub certificate: PathBuf,
    /// This node's private key, PEM.
    pub key: PathBuf,
}

/// Which engine compiles and runs segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// The engine, or the order to look for one.
    pub kind: EngineKind,
    /// Threads of the engine's pool; 0 is one per core.
    pub threads: usize,
    /// libonnxruntime to load, where the usual places are not meant.
    pub library: Option<PathBuf>,
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum EngineKind {
    /// ONNX Runtime where a usable library is found, else tract.
    Auto,
    /// The embedded engine, which needs nothing installed.
    Tract,
    /// ONNX Runtime, or an error where it is not found.
    Ort,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives such as `info` or `info,kerf_transport=debug`.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl IdentityFiles {
    /// Those of a node in a folder, by the names that `partitioner certs` gives them.
    pub fn of(node: &str, folder: &Path) -> Self {
        Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join(format!("{node}.pem")),
            key: folder.join(format!("{node}.key")),
        }
    }

    pub(crate) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.ca, &mut self.certificate, &mut self.key] {
            resolve(path, folder);
        }
    }
}

impl EngineSettings {
    pub(crate) fn resolve(&mut self, folder: &Path) {
        if let Some(library) = &mut self.library {
            resolve(library, folder);
        }
    }
}

/// Makes a relative path start from `folder`.
pub(crate) fn resolve(path: &mut PathBuf, folder: &Path) {
    *path = folder.join(&*path);
}
