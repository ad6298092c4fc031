//! What does each model cost on this node? Timed with the engine and the threads that it answers
//! with, and written where plans look for it.

use crate::energy::{Energy, PowerModel};
use crate::measuring::{MeasuringError, boundary_sizes, measure, threads};
use crate::{ProfileFile, ProfileFolder, Served, open_engines};
use kerf_engine::SegmentStore;
use kerf_engines::{OpenError as EngineError, Opened};
use kerf_inputs::Generator;
use kerf_power::Roots;
use kerf_profile::{Predictor, Profile};
use kerf_profiler::{Options, Progress, Subject, can_continue};
use kerf_repository::{OpenError, Repository};
use kerf_settings::{EngineSettings, units};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two lines of progress.
const SAY_EVERY: Duration = Duration::from_secs(5);

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
        source: Box<MeasuringError>,
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
            let file = ProfileFile::new(folder.own_path(&name));
            let mut measuring = Measuring { arguments: self, served: &served, file };
            measuring
                .measure(&opened, threads(node.engine.threads, &opened), &mut energy)
                .map_err(|source| ProfilingError::Model { model: name, source: Box::new(source) })?;
        }
        Ok(true)
    }
}

/// One model.
struct Measuring<'a> {
    arguments: &'a ProfileArguments,
    served: &'a Served,
    file: ProfileFile,
}

impl Measuring<'_> {
    fn measure(
        &mut self,
        opened: &Opened,
        threads: usize,
        energy: &mut Energy,
    ) -> Result<(), MeasuringError> {
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
        let mut said = None::<Instant>;
        let mut say = |step: &Progress| {
            if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                said = Some(Instant::now());
                let Progress { range, done, of, left } = step;
                eprintln!("{}: {done} of {of} ranges, {range}, {} s left", served.name, left.as_secs());
            }
        };
        let mut profile = measure(&subject, &options, earlier, &mut self.file, energy, &mut say)?;
        if profile.sizes.is_none() || self.arguments.inputs.is_some() {
            // Other models of the node may take tensors only.
            let folder = self.arguments.inputs.as_deref().filter(|_| served.card.preprocess.is_some());
            profile.sizes = Some(boundary_sizes(&subject, &generator, &served.card, folder)?);
            self.file.write(&profile)?;
        }
        self.conclude(&profile);
        Ok(())
    }

    /// What is there already, if it can be gone on with.
    fn earlier(&self, subject: &Subject<'_>) -> Option<Profile> {
        let earlier = self.file.read().map_err(|error| error.to_string());
        let usable = earlier.and_then(|earlier| match earlier {
            Some(earlier) => can_continue(&earlier, subject)
                .map(|()| Some(earlier))
                .map_err(|error| format!("{}: {error}", self.file.path().display())),
            None => Ok(None),
        });
        usable.unwrap_or_else(|reason| {
            eprintln!("{}: measured anew, {reason}", self.served.name);
            None
        })
    }

    fn conclude(&self, profile: &Profile) {
        let state = if profile.complete { "complete" } else { "not complete, run it again to go on" };
        let error = Predictor::fit(profile, 1).map(|times| times.error()).ok();
        let error = error.filter(|error| error.ranges > 0).map_or_else(String::new, |error| {
            format!("; ranges predicted within {:.1}% (median, left out in turn)", error.median * 100.0)
        });
        eprintln!("{}: {} is {state}{error}", self.served.name, self.file.path().display());
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|error| error.to_string())
}
