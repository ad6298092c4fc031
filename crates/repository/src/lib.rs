//! Packed models on disk: `DIR/NAME/model.yaml`, `DIR/NAME/1/…`.
//!
//! What the files mean and whether they are intact is `kerf-bundle`'s
//! business. Here is what depends on a file system: a model appears whole or
//! not at all, and nothing outside of its folder is read, whatever a path or a
//! symbolic link says.

mod external;
mod folder;
mod write;

pub use external::FileExternalData;
pub use write::{Overwrite, WriteError};

use folder::Folder;
use kerf_bundle::{Bundle, NameError, check_name};
use std::path::{Path, PathBuf};

/// A folder of packed models.
#[derive(Clone, Debug)]
pub struct Repository {
    dir: PathBuf,
}

/// Why a model of the repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A string that names no model.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No such model.
    #[error("no model {name} in {}{}", .dir.display(), offer(.present))]
    NoSuchModel {
        /// As asked.
        name: String,
        /// The repository.
        dir: PathBuf,
        /// What it has.
        present: Vec<String>,
    },
    /// The folder is not a model as it was packed.
    #[error("model {name} in {}: {source}", .dir.display())]
    Bundle {
        /// As asked.
        name: String,
        /// The repository.
        dir: PathBuf,
        /// What is wrong.
        source: kerf_bundle::OpenError,
    },
    /// The repository cannot be read.
    #[error("{}: {source}", .dir.display())]
    Io {
        /// The repository.
        dir: PathBuf,
        /// In the system's words.
        source: std::io::Error,
    },
}

impl Repository {
    /// The repository in `dir`, which need not exist before a model is written.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Names of the folders that hold a card, sorted; whether they are intact shows on opening.
    pub fn list(&self) -> Result<Vec<String>, OpenError> {
        let io = |source| OpenError::Io { dir: self.dir.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            if let Ok(name) = entry.file_name().into_string()
                && check_name(&name).is_ok()
                && entry.path().join(kerf_bundle::CARD).is_file()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a model and checks every file of it.
    pub fn open(&self, name: &str) -> Result<Bundle, OpenError> {
        check_name(name)?;
        let dir = self.dir.join(name);
        if !dir.is_dir() {
            let (name, dir) = (name.into(), self.dir.clone());
            return Err(OpenError::NoSuchModel { name, dir, present: self.list()? });
        }
        let opened = Folder::open(&dir)
            .map_err(|source| OpenError::Io { dir: dir.clone(), source })
            .map(|folder| Bundle::open(&folder))?;
        opened.map_err(|source| OpenError::Bundle { name: name.into(), dir: self.dir.clone(), source })
    }
}

fn offer(present: &[String]) -> String {
    match present {
        [] => "; it has none, `partitioner pack` writes one".into(),
        names => format!("; it has {}", names.join(", ")),
    }
}
