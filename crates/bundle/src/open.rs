use crate::exits::is_head;
use crate::{
    BOUNDARIES, CARD, CODECS, Card, CardError, Codecs, CodecsError, Digest, EXITS, Exits, ExitsError,
    MANIFEST, MEASURED, MODEL, Manifest, ManifestError, PackedFiles, head_path,
};

use bytes::Bytes;
use kerf_graph::{Boundary, CutError, CutModel, LoadError, Model, NoExternalData};
use kerf_tensor::TensorSpec;
use serde::Deserialize;
use std::sync::Arc;

/// A packed model whose every file is as it was packed.
#[derive(Clone)]
pub struct Bundle {
    /// What `model.yaml` says.
    pub card: Card,
    /// The version digest.
    pub digest: Digest,
    /// The model and where it can be cut.
    pub model: Arc<CutModel>,
    /// The codecs fitted to it, where it was packed with inputs.
    pub codecs: Option<Codecs>,
    /// Its early exits, where some were fitted.
    pub exits: Option<Exits>,
}

/// A model's folder, wherever it is.
pub trait Files {
    /// Paths of all files below the folder, with `/`; those of hidden files may be left out.
    fn list(&self) -> Result<Vec<String>, String>;
    /// A file's bytes; `None` where there is no such file. Fails rather than reading more than `limit`.
    fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>, String>;
}

/// Why a folder is not a model that can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that should be there is not.
    #[error("{0} is missing; pack the model again")]
    Missing(String),
    /// A file that nobody packed.
    #[error("{0} does not belong to the model: it is not in {MANIFEST}; remove it")]
    Extra(String),
    /// A file that changed after packing.
    #[error(
        "{0} differs from its digest in {MANIFEST}: changed or damaged since it was packed; pack the model again"
    )]
    Tampered(String),
    /// Reading failed.
    #[error("{path}: {reason}")]
    Read {
        /// Path in the model's folder.
        path: String,
        /// In the system's words.
        reason: String,
    },
    /// The manifest.
    #[error("{MANIFEST}: {0}")]
    Manifest(#[from] ManifestError),
    /// The card.
    #[error("{CARD}: {0}")]
    Card(#[from] CardError),
    /// The model.
    #[error("{MODEL}: {0}")]
    Load(#[from] LoadError),
    /// The boundaries' syntax.
    #[error("{BOUNDARIES}: {0}")]
    Boundaries(#[from] serde_json::Error),
    /// The boundaries are not the model's.
    #[error("{BOUNDARIES}: {0}")]
    Cut(#[from] CutError),
    /// The codecs.
    #[error("{CODECS}, {MEASURED}: {0}")]
    Codecs(#[from] Box<CodecsError>),
    /// The exits.
    #[error("{EXITS}: {0}")]
    Exits(#[from] ExitsError),
    /// The card speaks of another model.
    #[error("{CARD} says {said}, but {MODEL} has {actual}")]
    Disagree {
        /// The card's tensors.
        said: String,
        /// The model's.
        actual: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    boundaries: Vec<Boundary>,
}

impl Bundle {
    /// Reads the files, checks every digest, loads the model and re-checks its boundaries.
    pub fn open(files: &dyn Files) -> Result<Self, OpenError> {
        let manifest = manifest(files)?;
        let checked = |path: &str| checked(files, &manifest, path);
        let card = checked(CARD)?;
        let places = checked(BOUNDARIES)?;
        let onnx = checked(MODEL)?;

        let card = Card::parse(&String::from_utf8_lossy(&card))?;
        let places: Places = serde_json::from_slice(&places)?;
        let model = Model::load(onnx, &NoExternalData)?;
        for (said, actual) in [(&card.inputs, model.inputs()), (&card.outputs, model.outputs())] {
            if said != actual {
                return Err(OpenError::Disagree { said: list(said), actual: list(actual) });
            }
        }
        let model = Arc::new(CutModel::new(model, places.boundaries)?);
        let codecs = match manifest.has_codecs() {
            true => Some(Codecs::parse(&checked(CODECS)?, &checked(MEASURED)?).map_err(Box::new)?),
            false => None,
        };
        let exits = match manifest.has_exits() {
            true => Some(Exits::parse(&checked(EXITS)?, &model, |boundary| checked(&head_path(boundary)))?),
            false => None,
        };
        Ok(Self { card, digest: manifest.digest(), model, codecs, exits })
    }
}

impl PackedFiles {
    /// The files of a packed model, with other exits, or with none.
    ///
    /// # Errors
    /// A file is missing or is not as it was packed, or the exits cannot be written.
    pub fn with_exits(files: &dyn Files, exits: Option<&Exits>) -> Result<Self, OpenError> {
        let manifest = manifest(files)?;
        let mut all = Vec::new();
        for (path, _) in manifest.shared() {
            all.push((path.to_owned(), checked(files, &manifest, path)?));
        }
        all.extend(exits.map_or(Ok(Vec::new()), Exits::files)?);
        Ok(Self::new(all))
    }
}

/// The manifest, if it lists all that is there.
fn manifest(files: &dyn Files) -> Result<Manifest, OpenError> {
    let manifest = Manifest::parse(&read(files, MANIFEST)?)?;
    let listed = files.list().map_err(|reason| OpenError::Read { path: ".".into(), reason })?;
    match listed.into_iter().find(|path| path != MANIFEST && !manifest.files.contains_key(path)) {
        Some(extra) => Err(OpenError::Extra(extra)),
        None => Ok(manifest),
    }
}

/// A file as it was packed.
fn checked(files: &dyn Files, manifest: &Manifest, path: &str) -> Result<Bytes, OpenError> {
    let bytes = read(files, path)?;
    if manifest.holds(path, &bytes) { Ok(bytes) } else { Err(OpenError::Tampered(path.to_owned())) }
}

fn read(files: &dyn Files, path: &str) -> Result<Bytes, OpenError> {
    let limit = match path {
        // An ONNX file cannot be larger.
        MODEL => 2 << 30,
        CODECS => 256 << 20,
        EXITS => 64 << 20,
        head if is_head(head) => 256 << 20,
        _ => 4 << 20,
    };
    files
        .read(path, limit)
        .map_err(|reason| OpenError::Read { path: path.into(), reason })?
        .ok_or_else(|| OpenError::Missing(path.to_owned()))
}

fn list(specs: &[TensorSpec]) -> String {
    specs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
