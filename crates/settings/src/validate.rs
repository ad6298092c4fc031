//! From what was said to what is meant.

mod cloud;
mod edge;

pub use cloud::cloud_schema;
pub use edge::edge_schema;

use crate::document;
use crate::error::{Place, Problems, SettingsError};
use crate::leaf::{FilePath, Leaf, Listen, Name, Size, Span, Words};
use crate::parts::{EngineKind, EngineSettings, IdentityFiles, LogFormat, LogSettings};
use crate::raw::{RawEngine, RawIdentity, RawLog, default};
use crate::said::{Origin, Reader, Said};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Reads `text` as a `Raw` and hands it to `mean`, which notes problems and gives `None` where
/// something needed is missing.
pub(crate) fn parse<'de, Raw: Deserialize<'de>, T>(
    text: &str,
    file: &str,
    mean: impl FnOnce(Raw, &Origin, &Problems) -> Option<T>,
) -> Result<T, SettingsError> {
    let problems = Problems::default();
    let settings = document::parse(text, &problems).and_then(|root| {
        let origin = Origin { place: root.place, key: String::new() };
        match Said::<Raw>::deserialize(Reader::new(&root, &problems)) {
            Ok(raw) => raw.optional().and_then(|raw| mean(raw, &origin, &problems)),
            Err(error) => {
                origin.problem(&problems, error.to_string());
                None
            }
        }
    });
    problems.finish(settings, file)
}

/// A mapping that must be there, with its origin.
fn section<T>(said: Said<T>, key: &str, parent: &Origin, problems: &Problems) -> Option<(T, Origin)> {
    let origin = said.origin().cloned();
    said.required(key, parent, problems).zip(origin)
}

/// The elements of a list that are usable, each with its origin.
fn elements<T>(list: Vec<Said<T>>) -> Vec<(T, Origin)> {
    list.into_iter()
        .filter_map(|said| {
            let origin = said.origin().cloned();
            said.optional().zip(origin)
        })
        .collect()
}

/// Notes each name that was said before.
#[derive(Default)]
struct Names(HashMap<String, Place>);

impl Names {
    fn take(&mut self, name: Said<Name>, key: &str, parent: &Origin, problems: &Problems) -> Option<String> {
        let origin = name.origin().cloned();
        let name = name.required(key, parent, problems)?.0;
        if let Some(origin) = origin
            && let Some(first) = self.0.insert(name.clone(), origin.place)
        {
            origin.problem(problems, format!("`{name}` is already named at line {}", first.line));
        }
        Some(name)
    }
}

fn identity(said: Said<RawIdentity>, parent: &Origin, problems: &Problems) -> Option<IdentityFiles> {
    let (raw, origin) = section(said, "identity", parent, problems)?;
    let ca = raw.ca.required("ca", &origin, problems);
    let certificate = raw.certificate.required("certificate", &origin, problems);
    let key = raw.key.required("key", &origin, problems);
    Some(IdentityFiles { ca: ca?.0, certificate: certificate?.0, key: key?.0 })
}

fn engine(said: Said<RawEngine>, problems: &Problems) -> EngineSettings {
    let raw = said.or_default();
    let library_origin = raw.library.origin().cloned();
    let kind = raw.kind.or(EngineKind::Auto);
    if let (EngineKind::Tract, Some(origin)) = (kind, library_origin) {
        origin.problem(
            problems,
            "the engine `tract` loads no library; leave this out, or choose `ort` or `auto`",
        );
    }
    EngineSettings {
        kind,
        threads: raw.threads.within(0..=1024, problems).or(0) as usize,
        library: raw.library.optional().map(|FilePath(path)| path),
    }
}

fn log(said: Said<RawLog>) -> LogSettings {
    let raw = said.or_default();
    LogSettings {
        filter: raw.filter.or(Words(default::LOG_FILTER.to_owned())).0,
        format: raw.format.or(LogFormat::Text),
    }
}

/// `listen` and `admin`, which may not be the same, and whether `admin` may be remote.
fn listeners(
    (listen, listen_default): (Said<Listen>, &str),
    (admin, admin_default): (Said<Listen>, &str),
    remote: Said<bool>,
    problems: &Problems,
) -> (SocketAddr, SocketAddr, bool) {
    let origin = admin.origin().or(listen.origin()).cloned();
    let listen = listen.or(known(listen_default)).0;
    let admin = admin.or(known(admin_default)).0;
    let remote = remote.or(false);
    if let Some(origin) = origin {
        if !remote && !admin.ip().is_loopback() {
            let message = "is not a loopback address; metrics and status have no access control, \
                           so this needs `admin_remote: true`";
            origin.problem(problems, format!("{admin} {message}"));
        }
        if listen == admin && listen.port() != 0 {
            origin.problem(problems, format!("`listen` and `admin` are both {admin}"));
        }
    }
    (listen, admin, remote)
}

fn span(said: Said<Span>, default: &str) -> Duration {
    said.or(known(default)).0
}

fn size(said: Said<Size>, default: &str) -> u64 {
    said.or(known(default)).0
}

/// A default of ours, written as in a file.
#[allow(clippy::expect_used, reason = "a constant of this crate, and a test reads every default")]
fn known<T: Leaf>(text: &str) -> T {
    T::read(text).expect("defaults are valid")
}
