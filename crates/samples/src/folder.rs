use crate::Half;
use bytes::Bytes;
use kerf_agreement::{Labels, LabelsError};
use kerf_npy::{Limits, NpyError, NpzError, npy, npz};
use kerf_tensor::NamedTensor;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files of a folder; more are a mistake.
const MAX_FILES: usize = 1_000_000;
/// Bytes of one file. A picture is checked against its own, smaller limit.
const MAX_BYTES: u64 = 4 << 30;

/// What the samples of a folder are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JPEG, PNG or WebP files, one request each.
    Pictures,
    /// `.npz` files, one request each: arrays named as the inputs.
    Npz,
    /// `.npy` files, one request each, for the model's only input.
    Npy,
    /// One file of arrays whose first axis counts the requests.
    Rows,
}

/// Names of samples, and where they lie; [`Reader`](crate::Reader) reads them.
#[derive(Clone, Debug)]
pub struct Samples {
    path: PathBuf,
    form: Form,
    pub(crate) places: Vec<Place>,
    /// The arrays of [`Form::Rows`], named where the file names them.
    pub(crate) arrays: Vec<(Option<String>, kerf_tensor::Tensor)>,
}

/// One sample.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) at: At,
}

#[derive(Clone, Debug)]
pub(crate) enum At {
    File(PathBuf),
    Row(usize),
}

/// Why there are no samples at a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A folder or file that cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without any.
    #[error("{} holds no .jpg, .jpeg, .png, .webp, .npz or .npy files", .0.display())]
    None(PathBuf),
    /// Two kinds of samples.
    #[error("{} holds both {one} and {other} files; a folder of samples holds one kind", .path.display())]
    Mixed {
        /// The folder.
        path: PathBuf,
        /// An extension.
        one: &'static str,
        /// Another one.
        other: &'static str,
    },
    /// More files than anyone means.
    #[error("{} holds more than {MAX_FILES} files", .0.display())]
    TooMany(PathBuf),
    /// A file that is neither a folder nor arrays.
    #[error("{}: expected a folder, or a .npy or .npz file whose first axis counts the samples", .0.display())]
    File(PathBuf),
    /// A file that is too long.
    #[error("{}: {bytes} bytes, {MAX_BYTES} are allowed", .path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// A broken array.
    #[error("{}: {source}", .path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NpyError,
    },
    /// A broken archive.
    #[error("{}: {source}", .path.display())]
    Npz {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NpzError,
    },
    /// Arrays that do not count the same samples.
    #[error("{}: {reason}", .path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Labels that cannot be read.
    #[error("{}: {source}", .path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LabelsError,
    },
    /// Labels that are no text.
    #[error("{}: it is no UTF-8 text", .0.display())]
    Text(PathBuf),
}

impl Samples {
    /// The samples at a path, by name: a folder of pictures or arrays (other files in it do not
    /// matter, folders in it are not entered), or one file of arrays.
    ///
    /// # Errors
    /// Nothing there, several kinds, or a file of arrays that is broken.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let found = std::fs::metadata(path).map_err(|source| unread(path, source))?;
        if found.is_dir() { Self::folder(path) } else { Self::rows(path) }
    }

    /// What they are.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none: only of a half.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Their names in order: of the file, or the row's number from 0.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.places.iter().map(|place| place.name.as_str())
    }

    /// Those of one half, in the same order. A half of few samples may be empty.
    pub fn half(&self, half: Half, seed: u64) -> Self {
        let mut kept = self.clone();
        kept.places.retain(|place| Half::of(&place.name, seed) == half);
        kept
    }

    /// The first of them, in order of their names.
    pub fn first(mut self, most: usize) -> Self {
        self.places.truncate(most);
        self
    }

    /// `labels.tsv` or `labels.csv` in the folder, or beside the file; `None` where there is neither.
    ///
    /// # Errors
    /// A file that is there and cannot be read, with the line.
    pub fn labels(&self) -> Result<Option<Labels>, OpenError> {
        let folder = match self.form {
            Form::Rows => self.path.parent().unwrap_or(Path::new("")),
            _ => &self.path,
        };
        for name in ["labels.tsv", "labels.csv"] {
            let path = folder.join(name);
            match std::fs::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(unread(&path, source)),
                Ok(_) => {}
            }
            let bytes = bounded(&path)?;
            let Ok(text) = std::str::from_utf8(&bytes) else { return Err(OpenError::Text(path)) };
            let labels = Labels::parse(text).map_err(|source| OpenError::Labels { path, source })?;
            return Ok(Some(labels));
        }
        Ok(None)
    }

    fn folder(path: &Path) -> Result<Self, OpenError> {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        let mut kind: Option<(&'static str, Form)> = None;
        for entry in std::fs::read_dir(path).map_err(|source| unread(path, source))? {
            let entry = entry.map_err(|source| unread(path, source))?;
            let file = entry.path();
            let Some((extension, form)) = form(&file).filter(|_| file.is_file()) else { continue };
            match kind {
                Some((one, known)) if known != form => {
                    return Err(OpenError::Mixed { path: path.into(), one, other: extension });
                }
                Some(_) => {}
                None => kind = Some((extension, form)),
            }
            if found.len() == MAX_FILES {
                return Err(OpenError::TooMany(path.into()));
            }
            found.push((entry.file_name().to_string_lossy().into_owned(), file));
        }
        let Some((_, form)) = kind else { return Err(OpenError::None(path.into())) };
        found.sort();
        let places = found.into_iter().map(|(name, file)| Place { name, at: At::File(file) }).collect();
        Ok(Self { path: path.into(), form, places, arrays: Vec::new() })
    }

    fn rows(path: &Path) -> Result<Self, OpenError> {
        let arrays: Vec<(Option<String>, _)> = match form(path) {
            Some((_, Form::Npy)) => vec![(None, read_npy(path)?)],
            Some((_, Form::Npz)) => {
                read_npz(path)?.into_iter().map(|array| (Some(array.name), array.tensor)).collect()
            }
            _ => return Err(OpenError::File(path.into())),
        };
        let rows = |reason: String| OpenError::Rows { path: path.into(), reason };
        let mut count = None;
        for (name, array) in &arrays {
            let name = name.as_deref().unwrap_or("the array");
            match (array.shape().first(), count) {
                (None, _) => {
                    return Err(rows(format!(
                        "{name} is a single value, its first axis should count the samples"
                    )));
                }
                (Some(0), _) => return Err(rows(format!("{name} holds no samples"))),
                (Some(found), Some(known)) if *found != known => {
                    return Err(rows(format!("{name} holds {found} samples, another array {known}")));
                }
                (Some(found), _) => count = Some(*found),
            }
        }
        let Some(count) = count else { return Err(rows("it holds no arrays".into())) };
        if count > MAX_FILES {
            return Err(rows(format!("{count} samples; {MAX_FILES} are allowed")));
        }
        let places = (0..count).map(|row| Place { name: row.to_string(), at: At::Row(row) }).collect();
        Ok(Self { path: path.into(), form: Form::Rows, places, arrays })
    }
}

/// By its extension, whatever its case.
fn form(path: &Path) -> Option<(&'static str, Form)> {
    const FORMS: [(&str, Form); 6] = [
        ("jpg", Form::Pictures),
        ("jpeg", Form::Pictures),
        ("png", Form::Pictures),
        ("webp", Form::Pictures),
        ("npz", Form::Npz),
        ("npy", Form::Npy),
    ];
    let is_hidden = path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.'));
    let extension = path.extension()?.to_str()?;
    FORMS.into_iter().find(|(known, _)| !is_hidden && known.eq_ignore_ascii_case(extension))
}

pub(crate) fn read_npy(path: &Path) -> Result<kerf_tensor::Tensor, OpenError> {
    npy(&bounded(path)?).map_err(|source| OpenError::Npy { path: path.into(), source })
}

pub(crate) fn read_npz(path: &Path) -> Result<Vec<NamedTensor>, OpenError> {
    npz(&bounded(path)?, Limits::default()).map_err(|source| OpenError::Npz { path: path.into(), source })
}

/// A whole file, unless it is longer than any sample should be, whatever its metadata says.
pub(crate) fn bounded(path: &Path) -> Result<Bytes, OpenError> {
    let failed = |source| unread(path, source);
    let file = std::fs::File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > MAX_BYTES {
        return Err(OpenError::TooLong { path: path.into(), bytes });
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut content).map_err(failed)?;
    Ok(content.into())
}

fn unread(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Read { path: path.into(), source }
}
