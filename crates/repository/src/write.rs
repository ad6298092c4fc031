use crate::Repository;
use crate::folder::Folder;
use kerf_bundle::{Digest, Exits, NameError, Pack, PackError, PackedFiles, check_name};
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What to do where a model of that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Fail.
    Refuse,
    /// Replace it.
    Replace,
}

/// Why a model was not written. What was there before is there still.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The pack could not be put into bytes.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The card's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Something is there.
    #[error("{} exists; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// Something else than a model is there; it is never replaced.
    #[error("{} exists and is no packed model; choose another name", .0.display())]
    Foreign(PathBuf),
    /// The model that was to be changed is not as it was packed.
    #[error("{}: {source}", .path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        source: kerf_bundle::OpenError,
    },
    /// The file system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// In the system's words.
        source: Error,
    },
}

impl Repository {
    /// Writes a model so that a reader sees all of it or none: into a hidden folder beside, then by rename.
    ///
    /// Replacing takes two renames; a reader that comes in between finds no model.
    pub fn write(&self, pack: &Pack, overwrite: Overwrite) -> Result<(PathBuf, Digest), WriteError> {
        let name = &pack.card().name;
        check_name(name)?;
        let target = self.dir().join(name);
        let present = fs::symlink_metadata(&target).is_ok();
        if present && overwrite == Overwrite::Refuse {
            return Err(WriteError::Exists(target));
        }
        // A mistyped folder must not cost the user their files.
        if present && !target.join(kerf_bundle::CARD).is_file() {
            return Err(WriteError::Foreign(target));
        }
        fs::create_dir_all(self.dir()).map_err(at(self.dir()))?;
        self.put(name, &target, present, pack.files()?)
    }

    /// Gives a packed model other exits, or none: all or nothing, as [`write`](Self::write) does.
    pub fn write_exits(&self, name: &str, exits: Option<&Exits>) -> Result<(PathBuf, Digest), WriteError> {
        check_name(name)?;
        let target = self.dir().join(name);
        let folder = Folder::open(&target).map_err(at(&target))?;
        let files = PackedFiles::with_exits(&folder, exits)
            .map_err(|source| WriteError::Damaged { path: target.clone(), source })?;
        self.put(name, &target, true, files)
    }

    fn put(
        &self,
        name: &str,
        target: &Path,
        present: bool,
        PackedFiles { files, digest }: PackedFiles,
    ) -> Result<(PathBuf, Digest), WriteError> {
        let fresh = Scratch::create(self.dir(), name)?;
        for (path, bytes) in &files {
            write_file(&fresh.path.join(path), bytes)?;
        }
        if present {
            let old = Scratch::create(self.dir(), name)?;
            let aside = old.path.join("replaced");
            fs::rename(target, &aside).map_err(at(target))?;
            if let Err(error) = fs::rename(&fresh.path, target) {
                fs::rename(&aside, target).map_err(at(target))?;
                return Err(at(target)(error));
            }
        } else {
            fs::rename(&fresh.path, target).map_err(|error| match error.kind() {
                // Someone else wrote the same name meanwhile.
                ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => {
                    WriteError::Exists(target.to_owned())
                }
                _ => at(target)(error),
            })?;
        }
        sync_dir(self.dir());
        Ok((target.to_owned(), digest))
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let write = || {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(at(path))
}

/// Makes the rename durable; a file system that cannot sync folders has its own way.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

fn at(path: &Path) -> impl FnOnce(Error) -> WriteError {
    let path = path.to_path_buf();
    move |source| WriteError::Io { path, source }
}

/// A hidden folder that is removed unless it was renamed away.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn create(dir: &Path, name: &str) -> Result<Self, WriteError> {
        let process = std::process::id();
        for attempt in 0..100 {
            let path = dir.join(format!(".{name}.{process}.{attempt}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&path)(error)),
            }
        }
        Err(at(dir)(Error::other("too many unfinished folders of earlier runs")))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
