//! ONNX Runtime where this machine has it.

use kerf_engine_ort::{OpenError, Options, Ort};

/// The engine; without a library, none and one line that says so, or a failure where
/// `KERF_REQUIRE` lists `ort`.
pub(crate) fn ort(threads: usize) -> Option<Ort> {
    match Ort::open(&Options { library: None, threads }) {
        Ok(ort) => Some(ort),
        Err(OpenError::Find(error)) => {
            let required = std::env::var("KERF_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|name| name.trim() == "ort"), "{error}");
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
