//! What tests may find outside the repository, and what they do where it is missing: say so in
//! one line and pass, or fail where `KERF_REQUIRE`, a list such as `ort,data`, names it.

use kerf_tensor::{DType, Dim, Tensor, TensorSpec};
use std::path::{Path, PathBuf};

/// Prints why a test is skipped; fails where `KERF_REQUIRE` lists `requirement`.
#[allow(clippy::panic, reason = "fails the test that calls it")]
pub fn skip(requirement: &str, reason: &str) {
    let required = std::env::var("KERF_REQUIRE").unwrap_or_default();
    if required.split(',').any(|name| name.trim() == requirement) {
        panic!("KERF_REQUIRE lists {requirement}, but: {reason}");
    }
    eprintln!("skipped: {reason}");
}

/// The folder of public models, photos and traces: `KERF_DATA`, else `shared/data` beside the
/// repository. Where there is none, skips the test.
pub fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("KERF_DATA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    skip("data", &format!("no test data at {} (set KERF_DATA)", folder.display()));
    None
}

/// The public ONNX models in name order; none, and the test skipped, without [`data`].
pub fn public_models() -> Vec<(String, PathBuf)> {
    let Some(folder) = data() else { return Vec::new() };
    let files = std::fs::read_dir(folder.join("models")).into_iter().flatten().flatten();
    let mut models: Vec<(String, PathBuf)> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path.clone())))
        .collect();
    models.sort();
    models
}

/// Inputs that a model accepts: noise in 0..1, or whole numbers below 256, and 16000 for a sample
/// rate. A symbol is 1 where it comes first, as batches do, and 512 elsewhere.
#[allow(clippy::expect_used, reason = "as many elements as the shape says")]
pub fn sample_inputs(specs: &[TensorSpec], seed: u64) -> Vec<Tensor> {
    let first = |spec: &TensorSpec| spec.shape.as_ref().and_then(|dims| dims.first().cloned());
    let batches: Vec<Dim> = specs.iter().filter_map(first).collect();
    let size = |symbol: &str| if batches.contains(&Dim::Symbol(symbol.to_owned())) { 1 } else { 512 };
    let tensor = |spec: &TensorSpec| {
        let shape = spec.bind(size).unwrap_or_default();
        let noise = crate::models::Array::ramp(&shape, seed).map(|value| (value + 1.0) / 2.0);
        match spec.dtype {
            DType::String => {
                let strings = vec![&b"kerf"[..]; shape.iter().product()];
                Tensor::from_strings(&shape, &strings).expect("as many strings as the shape says")
            }
            dtype if spec.name == "sr" => noise.map(|_| 16_000.0).cast(dtype),
            DType::Bool => noise.map(f64::round).cast(DType::Bool),
            DType::I8 => noise.map(|value| (value * 127.0).floor()).cast(DType::I8),
            dtype if dtype.is_float() => noise.cast(dtype),
            dtype => noise.map(|value| (value * 255.0).floor()).cast(dtype),
        }
    };
    specs.iter().map(tensor).collect()
}
