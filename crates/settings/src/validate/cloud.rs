//! A cloud node's settings.

use super::{Names, engine, identity, listeners, log, parse, size, span};
use crate::cloud::{CloudLimits, CloudSettings};
use crate::error::{Problems, SettingsError};
use crate::leaf::FilePath;
use crate::raw::{self, RawCloud, RawCloudLimits, default};
use crate::said::{Origin, Said};

impl CloudSettings {
    /// Reads a settings file; `file` names it in errors. Paths stay as said, see [`resolve`](Self::resolve).
    pub fn parse(yaml: &str, file: &str) -> Result<Self, SettingsError> {
        parse(yaml, file, mean)
    }
}

/// The JSON Schema of a cloud node's file.
pub fn cloud_schema() -> serde_json::Value {
    raw::schema::<RawCloud>()
}

fn mean(raw: RawCloud, root: &Origin, problems: &Problems) -> Option<CloudSettings> {
    let node = raw.node.required("node", root, problems);
    let repository = raw.repository.required("repository", root, problems);
    let identity = identity(raw.identity, root, problems);
    let (listen, admin, admin_remote) = listeners(
        (raw.listen, default::CLOUD_LISTEN),
        (raw.admin, default::CLOUD_ADMIN),
        raw.admin_remote,
        problems,
    );
    let mut names = Names::default();
    let models = raw
        .models
        .or(Vec::new())
        .into_iter()
        .filter_map(|name| names.take(name, "name", root, problems))
        .collect();
    let engine = engine(raw.engine, problems);
    let limits = limits(raw.limits, problems);
    Some(CloudSettings {
        node: node?.0,
        listen,
        admin,
        admin_remote,
        repository: repository?.0,
        profiles: raw.profiles.optional().map(|FilePath(path)| path),
        identity: identity?,
        engine,
        models,
        limits,
        drain: span(raw.drain, default::DRAIN),
        log: log(raw.log),
    })
}

fn limits(said: Said<RawCloudLimits>, problems: &Problems) -> CloudLimits {
    let raw = said.or_default();
    CloudLimits {
        concurrency: raw.concurrency.within(1..=65_536, problems).or(default::CLOUD_CONCURRENCY) as usize,
        queue: raw.queue.within(0..=1_048_576, problems).or(default::CLOUD_QUEUE) as usize,
        memory: size(raw.memory, default::CLOUD_MEMORY),
        payload: size(raw.payload, default::CLOUD_PAYLOAD),
    }
}
