//! What measuring a model takes besides the measuring itself, for a node and for the workbench:
//! what was known before is kept, the file is written now and then, requests are found.

use crate::pictures::{PicturesError, pictures, timed_requests};
use crate::{Energy, ProfileFile, ProfileFileError};
use kerf_bundle::Card;
use kerf_engine::RunError;
use kerf_engines::Opened;
use kerf_inputs::{Generator, InputsError};
use kerf_profile::{Profile, Sizes};
use kerf_profiler::{MeasureError, Options, Progress, Request, Subject};
use std::ops::ControlFlow;
use std::path::Path;

/// Pictures whose sizes are looked at.
const PICTURES: usize = 32;

/// Why a model was not measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasuringError {
    /// There are no inputs for it.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// There are no pictures for it.
    #[error(transparent)]
    Pictures(#[from] PicturesError),
    /// It does not run.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// It does not run on real inputs.
    #[error("sizes of the boundaries: {0}")]
    Sizes(#[from] RunError),
    /// The profile cannot be written.
    #[error(transparent)]
    File(#[from] ProfileFileError),
}

/// Times ranges, and writes the profile now and then: what was interrupted can be continued from
/// `earlier`, whose sizes and layers stay.
///
/// # Errors
/// Nothing of the model can be timed, or the file not be written.
pub fn measure(
    subject: &Subject<'_>,
    options: &Options,
    earlier: Option<Profile>,
    file: &mut ProfileFile,
    energy: &mut Energy,
    say: &mut dyn FnMut(&Progress),
) -> Result<Profile, MeasuringError> {
    let known = earlier.as_ref().map(|earlier| (earlier.sizes.clone(), earlier.layers.clone()));
    let mut unwritten = None;
    let mut report = |step: &Progress, so_far: &dyn Fn() -> Profile| {
        say(step);
        match file.write_now_and_then(so_far) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                unwritten = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let measured = kerf_profiler::profile(subject, options, earlier, energy.meter(), &mut report);
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let mut profile = measured?;
    (profile.sizes, profile.layers) = known.unwrap_or_default();
    profile.power = energy.power(&profile).or(profile.power);
    file.write(&profile)?;
    Ok(profile)
}

/// Bytes of every boundary: of the pictures in a folder, else of one random request.
///
/// # Errors
/// There are no requests, or the model does not run on them.
pub fn boundary_sizes(
    subject: &Subject<'_>,
    generator: &Generator<'_>,
    card: &Card,
    folder: Option<&Path>,
) -> Result<Sizes, MeasuringError> {
    let (requests, described) = match folder {
        Some(folder) => {
            let pictures = pictures(generator, card, folder, PICTURES)?;
            (timed_requests(card, pictures)?, format!("pictures in {}", folder.display()))
        }
        None => (vec![Request { inputs: generator.sample(0, 1)?, encoded: None }], "random".to_owned()),
    };
    Ok(kerf_profiler::sizes(subject, &requests, &described)?)
}

/// Threads that work on one request of those asked for, where 0 is one per core: tract uses one.
pub fn threads(asked: usize, opened: &Opened) -> usize {
    match asked {
        _ if opened.engines.first().is_some_and(|engine| engine.name() == "tract") => 1,
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}
