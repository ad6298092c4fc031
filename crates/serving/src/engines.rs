use kerf_engines::{EngineChoice, OpenError, Opened};
use kerf_settings::{EngineKind, EngineSettings};

/// Opens the engines that the settings ask for.
pub fn open_engines(settings: &EngineSettings) -> Result<Opened, OpenError> {
    kerf_engines::open(&EngineChoice {
        kind: match settings.kind {
            EngineKind::Auto => kerf_engines::EngineKind::Auto,
            EngineKind::Tract => kerf_engines::EngineKind::Tract,
            EngineKind::Ort => kerf_engines::EngineKind::Ort,
        },
        threads: settings.threads,
        library: settings.library.clone(),
    })
}
