//! Requests to try a model with: generated, or real pictures by the model's own preprocessing.

use anyhow::{Context, bail};
use kerf_bundle::Card;
use kerf_graph::Model;
use kerf_inputs::{Generator, InputsError};
use kerf_tensor::{NamedTensor, Tensor};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Makes inputs, with the sizes of symbols that `--bind` gives.
pub(crate) fn generator<'a>(model: &'a Model, bind: &[(String, usize)]) -> anyhow::Result<Generator<'a>> {
    match Generator::new(model, bind) {
        Err(InputsError::Symbol { name, known }) => {
            bail!("--bind {name}: no such symbolic dimension; the model's inputs have {known}")
        }
        made => Ok(made?),
    }
}

/// A request of one picture.
pub(crate) struct Picture {
    pub(crate) inputs: Vec<NamedTensor>,
    /// As it came.
    pub(crate) file: Vec<u8>,
    /// Time to decode and preprocess it.
    pub(crate) decode: Duration,
}

/// At most `most` requests of one picture each, in order of the file names; inputs that are no
/// pictures are generated.
pub(crate) fn pictures(
    generator: &Generator<'_>,
    card: &Card,
    dir: &Path,
    most: usize,
) -> anyhow::Result<Vec<Picture>> {
    let Some(encoded) = &card.preprocess else {
        bail!(
            "model {} takes no pictures: it was packed without preprocessing (--preprocess, --resize, …)",
            card.name
        );
    };
    let files = files(dir)?;
    if files.is_empty() {
        bail!("{} holds no .jpg, .jpeg, .png or .webp files", dir.display());
    }
    let mut samples = Vec::new();
    for path in files.into_iter().take(most) {
        let file = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let start = Instant::now();
        let pixels = encoded.steps.apply(&file).with_context(|| path.display().to_string())?;
        let decode = start.elapsed();
        let inputs = replace(generator.sample(samples.len() as u64, 1)?, &encoded.input, pixels);
        samples.push(Picture { inputs, file, decode });
    }
    Ok(samples)
}

fn replace(mut inputs: Vec<NamedTensor>, name: &str, tensor: Tensor) -> Vec<NamedTensor> {
    for input in inputs.iter_mut().filter(|input| input.name == name) {
        input.tensor = tensor.clone();
    }
    inputs
}

fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry.with_context(|| dir.display().to_string())?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if ["jpg", "jpeg", "png", "webp"].contains(&extension.as_str()) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
