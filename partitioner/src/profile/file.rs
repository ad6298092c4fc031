//! The profile's file: read if it is there, and never half written.

use anyhow::Context;
use kerf_profile::{MAX_BYTES, Profile};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two writes while measuring: what an interruption loses.
const EVERY: Duration = Duration::from_millis(500);

pub(super) struct Saved<'a> {
    path: &'a Path,
    written: Option<Instant>,
}

impl<'a> Saved<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self { path, written: None }
    }

    /// The profile that is there, if one is.
    pub(super) fn read(&self) -> anyhow::Result<Option<Profile>> {
        let shown = || self.path.display().to_string();
        match std::fs::metadata(self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            about => anyhow::ensure!(
                about.with_context(shown)?.len() <= MAX_BYTES as u64,
                "{} is too large for a profile",
                shown()
            ),
        }
        let text = std::fs::read(self.path).with_context(shown)?;
        let read = Profile::parse(&text);
        read.map(Some).with_context(|| format!("{} is there already (--fresh replaces it)", shown()))
    }

    pub(super) fn write_now_and_then(&mut self, profile: &dyn Fn() -> Profile) -> anyhow::Result<()> {
        match self.written {
            Some(at) if at.elapsed() < EVERY => Ok(()),
            _ => self.write(&profile()),
        }
    }

    pub(super) fn write(&mut self, profile: &Profile) -> anyhow::Result<()> {
        let beside = self.beside();
        let written =
            std::fs::write(&beside, profile.to_json()).and_then(|()| std::fs::rename(&beside, self.path));
        written.with_context(|| self.path.display().to_string())?;
        self.written = Some(Instant::now());
        Ok(())
    }

    /// A name of its own, on the same file system.
    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        self.path.with_file_name(name)
    }
}
