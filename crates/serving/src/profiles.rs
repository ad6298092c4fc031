use crate::{ProfileFile, ProfileFileError, Served};
use kerf_profile::{Misfit, Profile, ProfileError};
use std::path::{Path, PathBuf};

/// A folder of profiles: `MODEL.json` is this node's own, `MODEL@NODE.json` that of another node,
/// which it gave when they met. Neither name can hold an `@`.
#[derive(Clone, Debug)]
pub struct ProfileFolder {
    folder: PathBuf,
}

/// Why a profile is of no use to a node.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file of one.
    #[error(transparent)]
    File(#[from] ProfileFileError),
    /// What another node sent is none.
    #[error("the profile that {node} sent: {source}")]
    Parse {
        /// The other node.
        node: String,
        /// What is wrong.
        source: ProfileError,
    },
    /// It is of another model, or of another version.
    #[error("{what}: {source}")]
    Misfit {
        /// Which profile.
        what: String,
        /// What does not fit.
        source: Misfit,
    },
}

impl ProfileFolder {
    /// The folder need not be there yet.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where this node's own profile of a model lies.
    pub fn own_path(&self, model: &str) -> PathBuf {
        self.folder.join(format!("{model}.json"))
    }

    /// This node's own profile of the model as it is loaded, if there is one.
    ///
    /// # Errors
    /// It is none, or another model's.
    pub fn own(&self, served: &Served) -> Result<Option<Profile>, FolderError> {
        read(self.own_path(&served.name), served)
    }

    /// What another node said of the model, if it did.
    ///
    /// # Errors
    /// It is none, or another model's.
    pub fn of(&self, served: &Served, node: &str) -> Result<Option<Profile>, FolderError> {
        read(self.path_of(&served.name, node), served)
    }

    /// Checks the bytes that another node sent as its profile, and keeps them.
    ///
    /// # Errors
    /// They are none, or another model's, or cannot be written.
    pub fn keep(&self, served: &Served, node: &str, json: &[u8]) -> Result<Profile, FolderError> {
        let profile =
            Profile::parse(json).map_err(|source| FolderError::Parse { node: node.to_owned(), source })?;
        check(&profile, served, || format!("the profile that {node} sent"))?;
        ProfileFile::new(self.path_of(&served.name, node)).write(&profile)?;
        Ok(profile)
    }

    fn path_of(&self, model: &str, node: &str) -> PathBuf {
        self.folder.join(format!("{model}@{node}.json"))
    }
}

fn read(path: PathBuf, served: &Served) -> Result<Option<Profile>, FolderError> {
    let file = ProfileFile::new(path);
    let Some(profile) = file.read()? else { return Ok(None) };
    check(&profile, served, || file.path().display().to_string())?;
    Ok(Some(profile))
}

fn check(profile: &Profile, served: &Served, what: impl FnOnce() -> String) -> Result<(), FolderError> {
    profile
        .fits(&served.name, &served.digest_hex(), served.last() + 1)
        .map_err(|source| FolderError::Misfit { what: what(), source })
}
