use crate::manifest::hex;
use crate::{ArrangeError, Arranged, Metric, Source, sha256};
use crate::{
    BOUNDARIES, Batching, CARD, CODECS, Card, CardError, Codecs, Digest, Encoded, MANIFEST, MEASURED, MODEL,
    Manifest,
};
use bytes::Bytes;
use kerf_graph::{Boundary, CutError, CutModel, EncodeError, LoadError, Model, NoExternalData, boundaries};
use kerf_preprocess::Preprocess;
use std::sync::Arc;

/// A model ready to be written.
pub struct Pack {
    card: Card,
    onnx: Bytes,
    model: Arc<CutModel>,
    arranged: Arranged,
    codecs: Option<Codecs>,
}

/// A pack as bytes.
pub struct PackedFiles {
    /// By path in the model's folder.
    pub files: Vec<(String, Bytes)>,
    /// The version digest.
    pub digest: Digest,
}

/// What to pack, and how.
pub struct PackRequest<'a> {
    /// Name in the repository.
    pub name: &'a str,
    /// Name of the file that the model came from, without folders.
    pub source_file: &'a str,
    /// Its bytes.
    pub source: &'a [u8],
    /// The same, loaded.
    pub model: &'a Model,
    /// Most boundaries to keep.
    pub boundaries: usize,
    /// The input that pictures become, and by which steps.
    pub preprocess: Option<(&'a str, Preprocess)>,
    /// How answers are compared.
    pub metric: Metric,
    /// Largest relative difference that `verify` accepts.
    pub tolerance: f64,
}

/// Why a model cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The card's parts do not fit.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The model cannot be written as one file.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The model as written does not load.
    #[error("the model as it would be packed does not load: {0}")]
    Reload(#[from] LoadError),
    /// The places to cut cannot be found.
    #[error(transparent)]
    Arrange(#[from] ArrangeError),
    /// A boundary does not hold.
    #[error("the model cannot be cut where it should be: {0}")]
    Cut(#[from] CutError),
    /// The boundaries, or what was measured of codecs, cannot be written.
    #[error("{BOUNDARIES}, {MEASURED}: {0}")]
    Json(#[from] serde_json::Error),
}

impl Pack {
    /// Normalises the model, puts it into the order of its minimum cuts, and writes its card.
    ///
    /// The boundaries are those of the model as read back from its packed bytes: what nodes will load.
    pub fn new(request: PackRequest<'_>) -> Result<Self, PackError> {
        let preprocess = request.preprocess.map(|(input, steps)| Encoded::new(input, steps));
        let card = Card {
            name: request.name.into(),
            version: 1,
            source: Source {
                file: request.source_file.into(),
                sha256: hex(&sha256(request.source)),
                opset: request.model.opset(),
            },
            inputs: request.model.inputs().to_vec(),
            outputs: request.model.outputs().to_vec(),
            preprocess,
            metric: request.metric,
            tolerance: request.tolerance,
            batching: None,
        };
        card.check()?;
        let arranged = Arranged::new(request.model, request.boundaries)?;
        let onnx = arranged.model().to_onnx()?;
        let model = Model::load(onnx.clone(), &NoExternalData)?;
        let places = boundaries(&model, request.boundaries);
        let model = Arc::new(CutModel::new(model, places)?);
        Ok(Self { card, onnx, model, arranged, codecs: None })
    }

    /// The same with what was found about batches.
    pub fn with_batching(mut self, batching: Batching) -> Self {
        self.card.batching = Some(batching);
        self
    }

    /// The same with codecs that were fitted to it.
    pub fn with_codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = Some(codecs);
        self
    }

    /// The codecs that were fitted, if any.
    pub fn codecs(&self) -> Option<&Codecs> {
        self.codecs.as_ref()
    }

    /// The card that will be written.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The model with its boundaries, as a node will load it.
    pub fn model(&self) -> &Arc<CutModel> {
        &self.model
    }

    /// The cuts from which the boundaries were chosen.
    pub fn arranged(&self) -> &Arranged {
        &self.arranged
    }

    /// Everything that is to be written.
    pub fn files(&self) -> Result<PackedFiles, PackError> {
        let mut places = serde_json::to_vec_pretty(&Places { boundaries: self.model.boundaries() })?;
        places.push(b'\n');
        let mut files: Vec<(String, Bytes)> = vec![
            (CARD.to_owned(), self.card.to_yaml().into()),
            (MODEL.to_owned(), self.onnx.clone()),
            (BOUNDARIES.to_owned(), places.into()),
        ];
        if let Some(Codecs { book, measured }) = &self.codecs {
            files.push((CODECS.to_owned(), book.encode().into()));
            let mut measured = serde_json::to_vec_pretty(measured)?;
            measured.push(b'\n');
            files.push((MEASURED.to_owned(), measured.into()));
        }
        Ok(PackedFiles::new(files))
    }
}

impl PackedFiles {
    /// All files but the manifest, which is added.
    pub(crate) fn new(mut files: Vec<(String, Bytes)>) -> Self {
        let manifest = Manifest::of(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_ref())));
        files.push((MANIFEST.to_owned(), manifest.to_json().into()));
        Self { files, digest: manifest.digest() }
    }
}

#[derive(serde::Serialize)]
struct Places<'a> {
    boundaries: &'a [Boundary],
}
