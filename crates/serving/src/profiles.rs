use crate::Served;
use kerf_profile::{MAX_BYTES, Misfit, Profile, ProfileError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A folder of profiles: `MODEL.json` is this node's own, `MODEL@NODE.json` that of another node,
/// which it gave when they met. Neither name can hold an `@`.
#[derive(Clone, Debug)]
pub struct ProfileFolder {
    folder: PathBuf,
}

/// Why a profile is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct ProfileFileError {
    what: String,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Parse(#[from] ProfileError),
    #[error(transparent)]
    Misfit(#[from] Misfit),
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
    pub fn own(&self, served: &Served) -> Result<Option<Profile>, ProfileFileError> {
        read(&self.own_path(&served.name), served)
    }

    /// What another node said of the model, if it did.
    pub fn of(&self, served: &Served, node: &str) -> Result<Option<Profile>, ProfileFileError> {
        read(&self.path_of(&served.name, node), served)
    }

    /// Checks the bytes that another node sent as its profile, and keeps them.
    pub fn keep(&self, served: &Served, node: &str, json: &[u8]) -> Result<Profile, ProfileFileError> {
        let profile = check(json, served)
            .map_err(|reason| ProfileFileError { what: format!("the profile that {node} sent"), reason })?;
        let path = self.path_of(&served.name, node);
        let failed = |error: std::io::Error| ProfileFileError {
            what: path.display().to_string(),
            reason: error.into(),
        };
        self.write(&path, &profile).map_err(failed)?;
        Ok(profile)
    }

    /// Writes this node's own profile.
    pub fn write_own(&self, profile: &Profile) -> std::io::Result<()> {
        self.write(&self.own_path(&profile.model), profile)
    }

    fn path_of(&self, model: &str, node: &str) -> PathBuf {
        self.folder.join(format!("{model}@{node}.json"))
    }

    /// Whole or not at all: a reader may come at any time.
    fn write(&self, path: &Path, profile: &Profile) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let unfinished = path.with_extension(format!("json.{}", std::process::id()));
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(profile.to_json().as_bytes())?;
        std::fs::rename(unfinished, path)
    }
}

fn read(path: &Path, served: &Served) -> Result<Option<Profile>, ProfileFileError> {
    let failed = |reason| ProfileFileError { what: path.display().to_string(), reason };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    };
    let mut json = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut json).map_err(|error| failed(error.into()))?;
    check(&json, served).map(Some).map_err(failed)
}

fn check(json: &[u8], served: &Served) -> Result<Profile, Reason> {
    let profile = Profile::parse(json)?;
    profile.fits(&served.name, &served.digest_hex(), served.last() + 1)?;
    Ok(profile)
}
