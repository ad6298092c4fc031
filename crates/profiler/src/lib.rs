//! What does a model cost on this very machine?
//!
//! A packed model of n boundaries has n(n−1)/2 ranges; compiling and running each until its time
//! is known takes a laptop a minute and a gateway an hour. So the measuring is budgeted: a
//! [`Schedule`], which knows no clock, says which range to visit next and for how long, and
//! comes back to each in a second round, so that a disturbance of some seconds does not spoil one
//! range alone. The whole model, run in between, tells how fast the machine was just then, and
//! every time is brought to the machine's median speed; time for which other programs held the
//! processor is not counted at all.
//!
//! Requests that come apart find a machine that went to sleep and caches that others used: they take
//! a tenth longer, small models half as long again. So the whole, heads and tails are also timed after
//! pauses, in the way that a node runs them: by a thread that is woken for it.
//!
//! [`profile`] measures and hands out the unfinished profile after each range; an interrupted or
//! too short measurement is [continued](can_continue) from its file.
#![allow(clippy::disallowed_methods, reason = "times are this crate's results")]

mod apart;
mod device;
mod layers;
mod resident;
mod samples;
mod schedule;
mod session;
mod sizes;
mod waits;

pub use apart::Apart;
pub use device::device;
pub use layers::layers;
pub use schedule::{Range, Schedule, Visit, Visited, enough};
pub use sizes::{Request, sizes};
pub use waits::{timed, waited};

use kerf_engine::Engine;
use kerf_graph::CutModel;
use kerf_profile::{Misfit, Profile, RangeTime};
use kerf_tensor::NamedTensor;
use session::Session;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What is measured.
pub struct Subject<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The version digest in lower-case hexadecimal.
    pub digest: &'a str,
    /// The model.
    pub model: &'a CutModel,
    /// The engine that is timed, and after it those that may stand in where only tensors are needed:
    /// a range that the first refuses is a failure, not another engine's time.
    pub engines: &'a [Arc<dyn Engine>],
    /// Threads that the engine works with.
    pub threads: usize,
    /// Inputs of a request of so many members, by the model's names.
    pub inputs: &'a dyn Fn(usize) -> Result<Vec<NamedTensor>, String>,
}

/// How much is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Time for all of it, compiling included. The whole model is timed however long it takes.
    pub budget: Duration,
    /// Batches to time the tails `a..n` at, beside 1.
    pub batches: Vec<usize>,
    /// Time without work before each run of those that are apart; zero for none of them.
    pub pause: Duration,
    /// Bytes of compiled programs to keep for the next round; those beyond are compiled again.
    pub memory: u64,
}

/// A pause after which a longer one changes nothing more: times rise up to a tenth of a second of it.
pub const PAUSE: Duration = Duration::from_millis(100);

impl Default for Options {
    fn default() -> Self {
        // A gateway has other things to hold.
        let memory = device::available().map_or(512 << 20, |bytes| (bytes / 4).min(1 << 30));
        Self { budget: Duration::from_secs(120), batches: Vec::new(), pause: PAUSE, memory }
    }
}

/// A sensor that counts energy.
pub trait Meter {
    /// Joules since some moment that does not change; `None` where it cannot be read now.
    fn joules(&mut self) -> Option<f64>;
}

impl<F: FnMut() -> Option<f64>> Meter for F {
    fn joules(&mut self) -> Option<f64> {
        self()
    }
}

/// Where a measurement stands.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The range that was just visited.
    pub range: Range,
    /// Ranges that were timed or failed; those that are timed apart as well count twice.
    pub done: usize,
    /// All that there are.
    pub of: usize,
    /// Time until it is done, estimated: at most what is left of the budget.
    pub left: Duration,
}

/// Gets told of each visit, with the profile so far if it asks for that, and may stop it all.
pub type Report<'a> = dyn FnMut(&Progress, &dyn Fn() -> Profile) -> ControlFlow<()> + 'a;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// No engine was given.
    #[error("no engine")]
    NoEngine,
    /// There are no inputs to run on.
    #[error("inputs for a batch of {batch}: {reason}")]
    Inputs {
        /// Members.
        batch: usize,
        /// In the words of whoever makes them.
        reason: String,
    },
    /// Not a single range ran.
    #[error("{engine} runs no part of the model: {reason}")]
    NothingRuns {
        /// The engine.
        engine: &'static str,
        /// What it said of the whole.
        reason: String,
    },
    /// The file to continue is another measurement's.
    #[error(transparent)]
    Continue(#[from] ContinueError),
}

/// Why a profile cannot be continued here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContinueError {
    /// Of another model.
    #[error(transparent)]
    Model(#[from] Misfit),
    /// Measured with something else, or elsewhere.
    #[error("measured with {what} {found}, now it is {now}")]
    Changed {
        /// What changed.
        what: &'static str,
        /// The profile's.
        found: String,
        /// The present one.
        now: String,
    },
}

/// Measures within the budget, starting from `earlier` where that is given.
///
/// What is returned is `complete` if every range was timed in two rounds or failed, and those that are
/// timed apart were so; an `earlier` that is complete comes back as it is.
pub fn profile(
    subject: &Subject<'_>,
    options: &Options,
    earlier: Option<Profile>,
    meter: Option<&mut dyn Meter>,
    report: &mut Report<'_>,
) -> Result<Profile, MeasureError> {
    let mut session = Session::new(subject, options, earlier, meter)?;
    let last = subject.model.last();
    let budget = options.budget.as_secs_f64();
    let mut apart = if options.pause.is_zero() { Apart::none() } else { Apart::new(last, budget) };
    let mut schedule = Schedule::new(last, &options.batches, apart.leaves(budget));
    session.known(&mut schedule, &mut apart);
    let mut flow = ControlFlow::Continue(());
    if !schedule.is_complete() {
        flow = session.run(&mut schedule, &apart, report)?;
    }
    if flow.is_continue() && !apart.is_complete() {
        session.run_apart(&mut apart, &schedule, report)?;
    }
    let mut profile = session.profile();
    profile.complete = schedule.is_complete() && apart.is_complete();
    Ok(profile)
}

/// Times `ranges`, whatever `profile` says of them, at the speed that it was brought to: to see how
/// well they were predicted. Those that fail, or that the budget does not reach, are left out.
pub fn check(
    subject: &Subject<'_>,
    options: &Options,
    profile: &Profile,
    ranges: &[(usize, usize)],
    report: &mut Report<'_>,
) -> Result<Vec<RangeTime>, MeasureError> {
    let blank = Profile { ranges: Vec::new(), failed: Vec::new(), ..profile.clone() };
    let mut session = Session::new(subject, options, Some(blank), None)?;
    let mut schedule = Schedule::of(subject.model.last(), ranges, options.budget.as_secs_f64());
    let _ = session.run(&mut schedule, &Apart::none(), report)?;
    let measured = session.profile().ranges;
    Ok(measured.into_iter().filter(|range| ranges.contains(&(range.from, range.to))).collect())
}

/// Whether `profile` is one of this subject on this machine, so that more can be added to it.
pub fn can_continue(profile: &Profile, subject: &Subject<'_>) -> Result<(), ContinueError> {
    profile.fits(subject.name, subject.digest, subject.model.boundaries().len())?;
    let Some(engine) = subject.engines.first() else { return Ok(()) };
    let (then, now) = (&profile.device, device());
    for (what, found, now) in [
        ("engine", &profile.engine.name, engine.name().to_owned()),
        ("engine", &profile.engine.version, engine.version()),
        ("threads", &profile.engine.threads.to_string(), subject.threads.to_string()),
        ("host", &then.host, now.host),
        ("processor", &then.cpu, now.cpu),
        ("cores", &then.cores.to_string(), now.cores.to_string()),
    ] {
        if *found != now {
            return Err(ContinueError::Changed { what, found: found.clone(), now });
        }
    }
    Ok(())
}
