//! The one ONNX Runtime of a process.

use crate::library::{FindError, Library, find};
use crate::program::OrtProgram;
use crate::{NAME, profile, values};
use kerf_engine::{CompileError, Engine, NodeTime, Program, RunError, contain_panics};
use kerf_graph::Segment;
use kerf_tensor::Tensor;
use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::logging::LogLevel;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The engine. Clones, and engines opened later in the same process, share everything.
#[derive(Clone)]
pub struct Ort(Arc<Process>);

/// How to open ONNX Runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The library, or a folder that holds it; searched for where absent.
    pub library: Option<PathBuf>,
    /// Threads that work on one request, and all that ONNX Runtime starts; 0 for as many as the
    /// process may use.
    pub threads: usize,
}

/// Why ONNX Runtime did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no usable library.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A process loads one library; another was loaded before.
    #[error("{wanted} cannot be loaded: this process runs {loaded} already")]
    AnotherLoaded {
        /// The library that was asked for.
        wanted: PathBuf,
        /// The library that is loaded.
        loaded: PathBuf,
    },
    /// The library did not initialise.
    #[error("ONNX Runtime {} at {} did not start: {reason}", .library.version, .library.path.display())]
    Start {
        /// The library.
        library: Library,
        /// What it said.
        reason: String,
    },
}

pub(crate) struct Process {
    pub(crate) environment: Environment,
    library: Library,
    threads: usize,
}

/// The binding allows one environment per process, for good.
static PROCESS: Mutex<Option<Arc<Process>>> = Mutex::new(None);

impl Ort {
    /// Opens the library, or shares it where this process has it open. Then the number of threads
    /// is the first opener's.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = &*process {
            return Self::share(process, options);
        }
        let library = find(options.library.as_deref())?;
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let started = contain_panics(|| start(&library, threads)).and_then(|started| started);
        let environment = started.map_err(|reason| OpenError::Start { library: library.clone(), reason })?;
        let opened = Arc::new(Process { environment, library, threads });
        *process = Some(Arc::clone(&opened));
        Ok(Self(opened))
    }

    /// The library that runs.
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    /// Threads that work on one request.
    pub fn threads(&self) -> usize {
        self.0.threads
    }

    fn share(process: &Arc<Process>, options: &Options) -> Result<Self, OpenError> {
        if let Some(wanted) = &options.library {
            let wanted = find(Some(wanted))?.path;
            if wanted.canonicalize().ok() != process.library.path.canonicalize().ok() {
                return Err(OpenError::AnotherLoaded { wanted, loaded: process.library.path.clone() });
            }
        }
        if ![0, process.threads].contains(&options.threads) {
            tracing::warn!(
                wanted = options.threads,
                threads = process.threads,
                "ONNX Runtime is open already: its number of threads stays"
            );
        }
        Ok(Self(Arc::clone(process)))
    }
}

impl Engine for Ort {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        let Library { path, version, .. } = &self.0.library;
        format!("ONNX Runtime {version}, {}", path.display())
    }

    fn compile(&self, segment: &Segment) -> Result<Arc<dyn Program>, CompileError> {
        Ok(Arc::new(OrtProgram::new(&self.0, segment)?))
    }

    fn node_times(
        &self,
        segment: &Segment,
        inputs: &[Tensor],
        runs: NonZeroUsize,
    ) -> Result<Option<Vec<NodeTime>>, RunError> {
        profile::node_times(&self.0, segment, inputs, runs).map(Some)
    }
}

fn start(library: &Library, threads: usize) -> Result<Environment, String> {
    let say = |error: ort::Error| error.to_string();
    let builder = ort::init_from(&library.path).map_err(|error| error.to_string())?;
    let pool = GlobalThreadPoolOptions::default()
        .with_intra_threads(threads)
        .and_then(|pool| pool.with_inter_threads(1))
        // A gateway has other work for a core than waiting on it for the next request.
        .and_then(|pool| pool.with_spin_control(false))
        .map_err(say)?;
    let environment = builder
        .with_name("kerf")
        .with_telemetry(false)
        .with_global_thread_pool(pool)
        .with_logger(Arc::new(log))
        .build()
        .map_err(say)?;
    environment.set_log_level(LogLevel::Warning);
    values::share_arena(&environment).map_err(say)?;
    Ok(environment)
}

/// Warnings of ONNX Runtime are about models, mostly that they could be smaller; whoever runs a
/// node can do nothing about them. Errors come back from the call as well.
fn log(level: LogLevel, _category: &str, session: &str, place: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => {
            tracing::warn!(target: "onnxruntime", session, place, "{message}")
        }
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", session, place, "{message}"),
        LogLevel::Verbose | LogLevel::Info => {}
    }
}
