//! The engines that the binaries carry, and the choice among them.
//!
//! What is fast on one gateway is not installed on the next. [`open`] takes what the
//! configuration asks for, or the best that is there, and says which and why in one sentence
//! for the log and the status page.

use kerf_engine::Engine;
use kerf_engine_ort::{Options, Ort};
use kerf_engine_tract::Tract;
use std::path::PathBuf;
use std::sync::Arc;

/// Which engine to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// ONNX Runtime where a usable library is found, else tract.
    #[default]
    Auto,
    /// tract.
    Tract,
    /// ONNX Runtime; it is an error where there is none.
    Ort,
}

/// What the configuration says about engines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineChoice {
    /// Which engine.
    pub kind: EngineKind,
    /// Threads that work on one request; 0 for as many as the process may use. tract uses one.
    pub threads: usize,
    /// The ONNX Runtime library, or the folder that holds it; searched for where absent.
    pub library: Option<PathBuf>,
}

/// Engines, ready to compile.
#[derive(Clone)]
pub struct Opened {
    /// In order of preference; the later ones are for segments that the first refuses.
    pub engines: Vec<Arc<dyn Engine>>,
    /// What was chosen and why, one sentence.
    pub why: String,
}

/// Why the choice cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// ONNX Runtime was asked for, or a library was named, and it does not open.
    #[error("engine ort: {0}")]
    Ort(#[from] kerf_engine_ort::OpenError),
}

/// Opens the engines of a choice.
///
/// [`EngineKind::Auto`] falls back to tract when no library is found, but not when the
/// configuration names one that does not open: that is a mistake, and stays one.
pub fn open(choice: &EngineChoice) -> Result<Opened, OpenError> {
    let tract: Arc<dyn Engine> = Arc::new(Tract::new());
    let options = Options { library: choice.library.clone(), threads: choice.threads };
    Ok(match choice.kind {
        EngineKind::Tract => Opened { engines: vec![tract], why: "tract: as configured".to_owned() },
        EngineKind::Ort => with_ort(&Ort::open(&options)?, tract, "as configured"),
        EngineKind::Auto => match Ort::open(&options) {
            Ok(ort) => with_ort(&ort, tract, "the fastest engine here"),
            Err(error) if choice.library.is_some() => return Err(error.into()),
            Err(error) => Opened { engines: vec![tract], why: format!("tract: {error}") },
        },
    })
}

fn with_ort(ort: &Ort, tract: Arc<dyn Engine>, reason: &str) -> Opened {
    let (library, threads) = (ort.library(), ort.threads());
    let why = format!(
        "ort: {reason}; ONNX Runtime {} at {}, {}; {threads} thread{}; tract for segments that it refuses",
        library.version,
        library.path.display(),
        library.place,
        if threads == 1 { "" } else { "s" },
    );
    Opened { engines: vec![Arc::new(ort.clone()), tract], why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(opened: &Opened) -> Vec<&'static str> {
        opened.engines.iter().map(|engine| engine.name()).collect()
    }

    #[test]
    fn tract_is_always_there() {
        let opened = open(&EngineChoice { kind: EngineKind::Tract, ..EngineChoice::default() }).unwrap();
        assert_eq!(names(&opened), ["tract"]);
    }

    #[test]
    fn a_named_library_that_is_missing_is_an_error() {
        for kind in [EngineKind::Auto, EngineKind::Ort] {
            let library = Some(PathBuf::from("/nowhere/libonnxruntime.so"));
            let error = open(&EngineChoice { kind, threads: 1, library }).err().unwrap().to_string();
            assert!(error.contains("/nowhere/libonnxruntime.so"), "{error}");
        }
    }

    #[test]
    fn auto_takes_one_and_says_why() {
        let opened = open(&EngineChoice { threads: 1, ..EngineChoice::default() }).unwrap();
        assert!(opened.why.starts_with(opened.engines[0].name()), "{}", opened.why);
        assert_eq!(names(&opened).last(), Some(&"tract"));
    }
}
