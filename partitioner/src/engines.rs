//! Engines one by one: a check of ort must not be answered by tract.

use crate::cli::Which;
use anyhow::bail;
use kerf_engine::Engine;
use kerf_engines::{EngineChoice, EngineKind};
use std::path::Path;
use std::sync::Arc;

/// The engines that are here, ort first, and what is to be known of one that is not.
pub(crate) struct Present {
    pub(crate) engines: Vec<Arc<dyn Engine>>,
    pub(crate) absent: Option<String>,
}

/// Every engine present; `threads` 0 for as many as the process may use.
pub(crate) fn present(threads: usize, library: Option<&Path>) -> anyhow::Result<Present> {
    let open = |kind| kerf_engines::open(&EngineChoice { kind, threads, library: library.map(Into::into) });
    match open(EngineKind::Ort) {
        Ok(opened) => Ok(Present { engines: opened.engines, absent: None }),
        Err(error) if library.is_some() => Err(error.into()),
        Err(error) => {
            Ok(Present { engines: open(EngineKind::Tract)?.engines, absent: Some(error.to_string()) })
        }
    }
}

impl Present {
    /// Those that the user wants.
    pub(crate) fn select(&self, which: Which) -> anyhow::Result<Vec<Arc<dyn Engine>>> {
        let wanted = |engine: &&Arc<dyn Engine>| match which {
            Which::All => true,
            Which::Tract => engine.name() == "tract",
            Which::Ort => engine.name() == "ort",
        };
        let found: Vec<_> = self.engines.iter().filter(wanted).cloned().collect();
        if found.is_empty() {
            bail!("{}", self.absent.as_deref().unwrap_or("no such engine"));
        }
        Ok(found)
    }
}
