use kerf_bundle::Card;
use kerf_inputs::{Generator, InputsError};
use kerf_preprocess::PreprocessError;
use kerf_profiler::Request;
use kerf_tensor::NamedTensor;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A request that is timed comes so long after the one before it: caches hold other things by then,
/// as they do where pictures come from a camera.
const BETWEEN: Duration = kerf_profiler::PAUSE;

/// A request of one picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Where it lies.
    pub path: PathBuf,
    /// Inputs by the model's names; those that are no pictures are generated.
    pub inputs: Vec<NamedTensor>,
    /// The picture as it came.
    pub file: Vec<u8>,
}

/// Why there are no pictures to ask a model with.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// The model takes tensors only.
    #[error("model {0} takes no pictures: it was packed without preprocessing (--preprocess, --resize, …)")]
    NoPreprocessing(String),
    /// A folder without pictures.
    #[error("{} holds no .jpg, .jpeg, .png or .webp files", .0.display())]
    None(PathBuf),
    /// A folder or a file that cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no picture, or none that the model can take.
    #[error("{}: {source}", .path.display())]
    Decode {
        /// Which.
        path: PathBuf,
        /// Why.
        source: PreprocessError,
    },
    /// Inputs beside the picture that cannot be made.
    #[error(transparent)]
    Inputs(#[from] InputsError),
}

/// At most `most` requests of one picture each, by the model's own preprocessing, in order of the
/// names of the files in `dir`.
pub fn pictures(
    generator: &Generator<'_>,
    card: &Card,
    dir: &Path,
    most: usize,
) -> Result<Vec<Picture>, PicturesError> {
    let Some(encoded) = &card.preprocess else {
        return Err(PicturesError::NoPreprocessing(card.name.clone()));
    };
    let files = files(dir).map_err(|source| PicturesError::Read { path: dir.to_owned(), source })?;
    if files.is_empty() {
        return Err(PicturesError::None(dir.to_owned()));
    }
    let picture = |(index, path): (usize, PathBuf)| {
        let file = match std::fs::read(&path) {
            Ok(file) => file,
            Err(source) => return Err(PicturesError::Read { path, source }),
        };
        let pixels = match encoded.steps.apply(&file) {
            Ok(pixels) => pixels,
            Err(source) => return Err(PicturesError::Decode { path, source }),
        };
        let mut inputs = generator.sample(index as u64, 1)?;
        for input in inputs.iter_mut().filter(|input| input.name == encoded.input) {
            input.tensor = pixels.clone();
        }
        Ok(Picture { path, inputs, file })
    };
    files.into_iter().take(most).enumerate().map(picture).collect()
}

/// Requests for the profiler, with the time that each picture takes to become a tensor. The first
/// time, which [`pictures`] took, does not count.
pub fn timed_requests(card: &Card, pictures: Vec<Picture>) -> Result<Vec<Request>, PicturesError> {
    let Some(encoded) = &card.preprocess else {
        return Err(PicturesError::NoPreprocessing(card.name.clone()));
    };
    let request = |Picture { path, inputs, file }| {
        std::thread::sleep(BETWEEN);
        let (decoded, seconds) = kerf_profiler::timed(|| encoded.steps.apply(&file));
        match decoded {
            Ok(_) => Ok(Request { inputs, encoded: Some((file.len() as u64, seconds)) }),
            Err(source) => Err(PicturesError::Decode { path, source }),
        }
    };
    pictures.into_iter().map(request).collect()
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if ["jpg", "jpeg", "png", "webp"].contains(&extension.as_str()) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
