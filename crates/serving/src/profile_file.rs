//! A profile's file: read within bounds, written whole or not at all.

use kerf_profile::{MAX_BYTES, Profile, ProfileError};
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two writes of an unfinished profile: what an interruption loses.
const EVERY: Duration = Duration::from_millis(500);

/// Where one profile lies, or will.
#[derive(Debug)]
pub struct ProfileFile {
    path: PathBuf,
    written: Option<Instant>,
}

/// Why a file gives or takes no profile.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", .path.display())]
pub struct ProfileFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Parse(#[from] ProfileError),
}

impl ProfileFile {
    /// The file need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), written: None }
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The profile that is there, if one is.
    ///
    /// # Errors
    /// The file cannot be read, or is no profile.
    pub fn read(&self) -> Result<Option<Profile>, ProfileFileError> {
        let file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let mut json = Vec::new();
        // One byte too many is what the parser refuses.
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut json).map_err(|error| self.failed(error))?;
        Profile::parse(&json).map(Some).map_err(|error| self.failed(error))
    }

    /// Writes the profile, whole or not at all: a reader may come at any time.
    ///
    /// # Errors
    /// The folder cannot be made, or not be written to.
    pub fn write(&mut self, profile: &Profile) -> Result<(), ProfileFileError> {
        let beside = self.beside();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&beside, profile.to_json()))
            .and_then(|()| std::fs::rename(&beside, &self.path))
            .map_err(|error| self.failed(error))?;
        self.written = Some(Instant::now());
        Ok(())
    }

    /// Writes a profile that is not finished, unless it was written a moment ago.
    pub(crate) fn write_now_and_then(
        &mut self,
        profile: &dyn Fn() -> Profile,
    ) -> Result<(), ProfileFileError> {
        match self.written {
            Some(at) if at.elapsed() < EVERY => Ok(()),
            _ => self.write(&profile()),
        }
    }

    /// A name of its own, on the same file system.
    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        self.path.with_file_name(name)
    }

    fn failed(&self, reason: impl Into<Reason>) -> ProfileFileError {
        ProfileFileError { path: self.path.clone(), reason: reason.into() }
    }
}
