//! Reading below one folder and nowhere else.

use bytes::Bytes;
use kerf_bundle::Files;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Deeper nesting, or more files, is not a model's folder.
const MAX_ENTRIES: usize = 1_000;

/// A folder, with symbolic links to it already followed.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        Ok(Self { root: dir.canonicalize()? })
    }

    /// `path` with every link followed, if that is a regular file below the folder.
    fn resolve(&self, path: &str) -> Result<PathBuf, Error> {
        let real = self.root.join(path).canonicalize()?;
        if !real.starts_with(&self.root) {
            return Err(Error::new(ErrorKind::PermissionDenied, "a link leads out of the model's folder"));
        }
        if !real.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(real)
    }

    /// `length` bytes from `offset`, or all to the end; fails rather than allocating more than `limit`
    /// or than the file has.
    pub(crate) fn read_range(
        &self,
        path: &str,
        offset: u64,
        length: Option<u64>,
        limit: u64,
    ) -> Result<Bytes, Error> {
        let refuse = |reason: String| Error::new(ErrorKind::InvalidData, reason);
        let mut file = File::open(self.resolve(path)?)?;
        let total = file.metadata()?.len();
        let rest = total
            .checked_sub(offset)
            .ok_or_else(|| refuse(format!("the file has {total} bytes, offset {offset} is past its end")))?;
        let length = length.unwrap_or(rest);
        if length > rest {
            return Err(refuse(format!(
                "the file has {total} bytes, but bytes {offset} to {} were asked for",
                offset.saturating_add(length)
            )));
        }
        if length > limit {
            return Err(refuse(format!("{length} bytes, {limit} are allowed")));
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut data = Vec::with_capacity(usize::try_from(length).map_err(Error::other)?);
        file.take(length).read_to_end(&mut data)?;
        if data.len() as u64 != length {
            return Err(refuse("the file became shorter while it was read".into()));
        }
        Ok(data.into())
    }

    fn walk(&self, below: &str, found: &mut Vec<String>) -> Result<(), Error> {
        for entry in self.root.join(below).read_dir()? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Editors, desktops and Kubernetes volumes leave hidden files; no path of ours is one.
            if name.starts_with('.') {
                continue;
            }
            if found.len() >= MAX_ENTRIES {
                return Err(Error::other(format!("more than {MAX_ENTRIES} files")));
            }
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if entry.file_type()?.is_dir() { self.walk(&path, found)? } else { found.push(path) }
        }
        Ok(())
    }
}

impl Files for Folder {
    fn list(&self) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        self.walk("", &mut found).map_err(|error| error.to_string())?;
        found.sort();
        Ok(found)
    }

    fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>, String> {
        match self.read_range(path, 0, None, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
