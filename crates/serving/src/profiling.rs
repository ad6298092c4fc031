//! What does each model cost on this node? Timed with the engine and the threads that it answers
//! with, and written where plans look for it.

use crate::energy::{Energy, PowerModel};
use crate::pictures::{PicturesError, pictures, timed_requests};
use crate::{ProfileFolder, Served, open_engines};
use kerf_engine::{RunError, SegmentStore};
use kerf_engines::{OpenError as EngineError, Opened};
use kerf_inputs::{Generator, InputsError};
use kerf_power::Roots;
use kerf_profile::{Predictor, Profile, Sizes};
use kerf_profiler::{MeasureError, Options, Progress, Request, Subject, can_continue};
use kerf_repository::{OpenError, Repository};
use kerf_settings::{EngineSettings, units};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two writes of an unfinished profile: what an interruption loses.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// Time between two lines of progress.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// Pictures whose sizes are looked at.
const PICTURES: usize = 32;

/// How a node measures, as its command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct ProfileArguments {
    /// Measure every model on this machine, write the profiles that plans are made from, and exit;
    /// an unfinished profile is continued
    #[arg(long)]
    pub(crate) profile: bool,

    /// Time for each model; it ends earlier when all is known well
    #[arg(long, default_value = "120s", value_name = "TIME", requires = "profile",
        value_parser = parse_duration)]
    budget: Duration,

    /// Pictures whose sizes and decoding count, for models that take pictures [default: random tensors]
    #[arg(long, value_name = "DIR", requires = "profile")]
    inputs: Option<PathBuf>,

    /// What the device draws, instead of its sensor: idle=3W,busy=7W,byte=2uJ, or a YAML file with
    /// idle_watts, busy_watts and joules_per_byte_sent
    #[arg(long, value_name = "WATTS|FILE", requires = "profile")]
    power: Option<PowerModel>,
}

/// What of a node's settings measuring needs.
#[derive(Clone, Copy, Debug)]
pub struct ProfiledNode<'a> {
    /// As it answers with.
    pub engine: &'a EngineSettings,
    /// Its models.
    pub repository: &'a Path,
    /// Which of them; empty is all.
    pub models: &'a [String],
    /// Where profiles lie.
    pub profiles: Option<&'a Path>,
}

/// Why not every model was measured.
#[derive(Debug, thiserror::Error)]
pub enum ProfilingError {
    /// The settings do not say where to.
    #[error("--profile: the settings name no folder of profiles; set `profiles`")]
    NoFolder,
    /// Nothing to measure.
    #[error("--profile: there is no model to measure in {}", .0.display())]
    NoModel(PathBuf),
    /// The engine does not open.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A model does not open.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// Nothing of a model could be measured.
    #[error("model {model}: {source}")]
    Model {
        /// Which.
        model: String,
        /// Why.
        source: Box<ModelProfilingError>,
    },
}

/// Why a model was not measured.
#[derive(Debug, thiserror::Error)]
pub enum ModelProfilingError {
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
    #[error("{}: {source}", .path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ProfileArguments {
    /// Measures a node's models one after the other, if that was asked for; whether it was. Says on
    /// standard error how far it is.
    ///
    /// # Errors
    /// At the first model that cannot be measured; the profiles before it are written.
    pub fn run(&self, node: &ProfiledNode<'_>) -> Result<bool, ProfilingError> {
        if !self.profile {
            return Ok(false);
        }
        let folder = ProfileFolder::new(node.profiles.ok_or(ProfilingError::NoFolder)?);
        let opened = open_engines(node.engine)?;
        let repository = Repository::new(node.repository);
        let names = match node.models {
            [] => repository.list().map_err(Box::new)?,
            names => names.to_vec(),
        };
        if names.is_empty() {
            return Err(ProfilingError::NoModel(node.repository.to_owned()));
        }
        eprintln!("{}", opened.why);
        let mut energy = Energy::find(self.power, &Roots::default());
        eprintln!("{}", energy.describe());
        let store = Arc::new(SegmentStore::new(0));
        for name in names {
            let bundle = repository.open(&name).map_err(Box::new)?;
            let served = Served::new(bundle, &opened.engines, &store);
            let mut measuring = Measuring { arguments: self, served: &served, folder: &folder };
            measuring
                .measure(&opened, threads(node.engine.threads, &opened), &mut energy)
                .map_err(|source| ProfilingError::Model { model: name, source: Box::new(source) })?;
        }
        Ok(true)
    }
}

/// Threads that work on one request of those asked for, where 0 is one per core: tract uses one.
pub fn threads(asked: usize, opened: &Opened) -> usize {
    match asked {
        _ if opened.engines.first().is_some_and(|engine| engine.name() == "tract") => 1,
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// One model.
struct Measuring<'a> {
    arguments: &'a ProfileArguments,
    served: &'a Served,
    folder: &'a ProfileFolder,
}

impl Measuring<'_> {
    fn measure(
        &mut self,
        opened: &Opened,
        threads: usize,
        energy: &mut Energy,
    ) -> Result<(), ModelProfilingError> {
        let served = self.served;
        let generator = Generator::new(served.model.model(), &[])?;
        let inputs = |batch: usize| generator.sample(0, batch).map_err(|error| error.to_string());
        let digest = served.digest_hex();
        let subject = Subject {
            name: &served.name,
            digest: &digest,
            model: &served.model,
            engines: &opened.engines,
            threads,
            inputs: &inputs,
        };
        let earlier = self.earlier(&subject);
        let options = Options { budget: self.arguments.budget, ..Options::default() };
        let mut profile = self.time(&subject, &options, earlier, energy)?;
        if profile.sizes.is_none() || self.arguments.inputs.is_some() {
            profile.sizes = Some(self.sizes(&generator, &subject)?);
        }
        profile.power = energy.power(&profile).or(profile.power);
        self.write(&profile)?;
        self.conclude(&profile);
        Ok(())
    }

    /// What is there already, if it can be gone on with.
    fn earlier(&self, subject: &Subject<'_>) -> Option<Profile> {
        let earlier = self.folder.own(self.served).map_err(|error| error.to_string());
        let usable = earlier.and_then(|earlier| match earlier {
            Some(earlier) => can_continue(&earlier, subject)
                .map(|()| Some(earlier))
                .map_err(|error| format!("{}: {error}", self.path().display())),
            None => Ok(None),
        });
        usable.unwrap_or_else(|reason| {
            eprintln!("{}: measured anew, {reason}", self.served.name);
            None
        })
    }

    fn time(
        &self,
        subject: &Subject<'_>,
        options: &Options,
        earlier: Option<Profile>,
        energy: &mut Energy,
    ) -> Result<Profile, ModelProfilingError> {
        let (mut said, mut written) = (None::<Instant>, None::<Instant>);
        let is_due = |last: &mut Option<Instant>, every: Duration| {
            let due = last.is_none_or(|at| at.elapsed() >= every);
            if due {
                *last = Some(Instant::now());
            }
            due
        };
        let mut unwritten = None;
        let mut report = |step: &Progress, so_far: &dyn Fn() -> Profile| {
            if is_due(&mut said, SAY_EVERY) {
                let Progress { range, done, of, left } = step;
                let left = left.as_secs();
                eprintln!("{}: {done} of {of} ranges, {range}, {left} s left", self.served.name);
            }
            if is_due(&mut written, WRITE_EVERY)
                && let Err(error) = self.write(&so_far())
            {
                unwritten = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let measured = kerf_profiler::profile(subject, options, earlier, energy.meter(), &mut report);
        match unwritten {
            Some(error) => Err(error),
            None => Ok(measured?),
        }
    }

    fn sizes(&self, generator: &Generator<'_>, subject: &Subject<'_>) -> Result<Sizes, ModelProfilingError> {
        let card = &self.served.card;
        // Other models of the node may take tensors only.
        let dir = self.arguments.inputs.as_deref().filter(|_| card.preprocess.is_some());
        let (requests, described) = match dir {
            Some(dir) => {
                let pictures = pictures(generator, card, dir, PICTURES)?;
                (timed_requests(card, pictures)?, format!("pictures in {}", dir.display()))
            }
            None => (vec![Request { inputs: generator.sample(0, 1)?, encoded: None }], "random".to_owned()),
        };
        Ok(kerf_profiler::sizes(subject, &requests, &described)?)
    }

    fn write(&self, profile: &Profile) -> Result<(), ModelProfilingError> {
        let failed = |source| ModelProfilingError::Write { path: self.path(), source };
        self.folder.write_own(profile).map_err(failed)
    }

    fn path(&self) -> PathBuf {
        self.folder.own_path(&self.served.name)
    }

    fn conclude(&self, profile: &Profile) {
        let state = if profile.complete { "complete" } else { "not complete, run it again to go on" };
        let error = Predictor::fit(profile, 1).map(|times| times.error()).ok();
        let error = error.filter(|error| error.ranges > 0).map_or_else(String::new, |error| {
            format!("; ranges predicted within {:.1}% (median, left out in turn)", error.median * 100.0)
        });
        eprintln!("{}: {} is {state}{error}", self.served.name, self.path().display());
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|error| error.to_string())
}
