//! Models as this edge node serves them: loaded, and with their route chosen.

use crate::course::{Course, Way};
use crate::exits::{Exits, ExitsError, Kept, Watch};
use kerf_bundle::{Coding, MeasuredCodec};
use kerf_planner::Coded;
use kerf_serving::{LoadError, Served};
pub(crate) use kerf_settings::Fallback;
use kerf_settings::{CodecChoice, ExitChoice, ModelSettings, PlanSettings, RaceChoice, Split};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Least time kept back for finishing here, whatever was learnt.
const RESERVE_FLOOR: Duration = Duration::from_millis(10);

/// A model and its settings on this node.
pub(crate) struct Model {
    pub(crate) served: Arc<Served>,
    /// The course that requests take now, and what the plan that chose it expects.
    course: Mutex<(Course, Option<String>)>,
    /// Whether plans may change it.
    pub(crate) is_planned: bool,
    codec: CodecChoice,
    /// Least agreement of codecs chosen by themselves.
    agreement: f64,
    /// Its early exits, where it has some and they may answer.
    pub(crate) exits: Option<Exits>,
    /// Boundaries before this one never leave the node.
    pub(crate) privacy_floor: usize,
    pub(crate) fallback: Fallback,
    pub(crate) race: RaceChoice,
    /// Time given to a request that names none.
    pub(crate) deadline: Duration,
    /// By the boundary where it begins, recent time of the rest run here, in microseconds; 0 until
    /// there was one.
    tails_us: Vec<AtomicU64>,
    /// Ranges that were compiled in the background, or were tried to be.
    fused: Mutex<BTreeSet<(usize, usize)>>,
    fusing: Mutex<()>,
}

/// Why a model of the settings cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The split names a boundary that the model lacks.
    #[error(
        "models.{model}.split is b{boundary}, but {model} has boundaries b0 to b{last}; see `partitioner inspect`"
    )]
    NoSuchBoundary {
        /// The model.
        model: String,
        /// As configured.
        boundary: usize,
        /// The model's last boundary.
        last: usize,
    },
    /// The codec is none that the model was packed with.
    #[error(
        "models.{model}.codec is {codec}, but {model} has no codec of that name at b{boundary}; it has {known}; \
         `partitioner pack --inputs` fits codecs"
    )]
    NoSuchCodec {
        /// The model.
        model: String,
        /// As configured.
        codec: String,
        /// Where it is cut.
        boundary: usize,
        /// The codecs there.
        known: String,
    },
    /// The exits cannot be used.
    #[error("models.{model}.exits: {source}")]
    Exits {
        /// The model.
        model: String,
        /// Why.
        source: ExitsError,
    },
}

impl Model {
    pub(crate) fn new(
        served: Arc<Served>,
        settings: &ModelSettings,
        plan: &PlanSettings,
        profiles: Option<&Path>,
    ) -> Result<Self, ModelError> {
        let last = served.last();
        let split = match settings.split {
            // Until there is a plan.
            Split::Auto | Split::Edge => last,
            Split::Cloud => 0,
            Split::Boundary(boundary) if usize::from(boundary) <= last => boundary.into(),
            Split::Boundary(boundary) => {
                let boundary = boundary.into();
                return Err(ModelError::NoSuchBoundary { model: served.name.clone(), boundary, last });
            }
        };
        let is_planned = settings.split == Split::Auto;
        if let CodecChoice::Named(name) = &settings.codec
            && !is_planned
            && split < last
            && served.codecs.named(split, name).is_none()
        {
            let names = served.codecs.measured().into_iter().flat_map(|codecs| codecs.at(split));
            let names: Vec<&str> = names.map(|codec| codec.name.as_str()).chain(["raw"]).collect();
            let (model, codec, known) = (served.name.clone(), name.clone(), names.join(", "));
            return Err(ModelError::NoSuchCodec { model, codec, boundary: split, known });
        }
        let (codec, agreement) = (settings.codec.clone(), settings.agreement.as_f64());
        let way = codings(&served, split, &codec, agreement);
        let exits = match (&served.heads, settings.exits) {
            (Some(heads), ExitChoice::Auto) => {
                let kept = profiles.map(|folder| Kept::new(folder, &served.name, heads.exits())).transpose();
                let (share, bytes) = (settings.audit.as_f64(), settings.audit_bytes);
                let exits = kept
                    .map_err(ExitsError::from)
                    .and_then(|kept| Exits::new(heads, share, bytes, kept, Instant::now()));
                Some(exits.map_err(|source| ModelError::Exits { model: served.name.clone(), source })?)
            }
            (None, _) | (_, ExitChoice::None) => None,
        };
        Ok(Self {
            served,
            course: Mutex::new((Course::Fixed(way), None)),
            is_planned,
            codec,
            agreement,
            exits,
            privacy_floor: plan.privacy_floor.into(),
            fallback: settings.fallback,
            race: settings.race,
            deadline: settings.deadline,
            tails_us: (0..=last).map(|_| AtomicU64::new(0)).collect(),
            fused: Mutex::default(),
            fusing: Mutex::default(),
        })
    }

    /// The course that requests take now. One takes it whole, since plans change it.
    pub(crate) fn course(&self) -> Course {
        self.course.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The way that requests would take with this split.
    pub(crate) fn way_from(&self, split: usize) -> Way {
        codings(&self.served, split, &self.codec, self.agreement)
    }

    /// How answers come back where requests decide: what answers lose, tensors on the way there cannot,
    /// so by the codec with which both together take the fewest bytes where that is best.
    pub(crate) fn answer_coding(&self) -> Coding {
        let (CodecChoice::Auto, Some(codecs)) = (&self.codec, self.served.codecs.measured()) else {
            return Coding::RAW;
        };
        let last = self.served.last();
        // Shares are quotients of small integers; their sums are not.
        let there = |agreement: f64| {
            let at = |boundary| codecs.smallest(boundary, agreement - 1e-9);
            let bytes = (self.privacy_floor..last).filter_map(at).map(|codec| codec.bytes.mean);
            bytes.min_by(f64::total_cmp).unwrap_or(f64::MAX)
        };
        let allowed = codecs.at(last).filter(|codec| codec.expected >= self.agreement);
        let both = |codec: &MeasuredCodec| codec.bytes.mean + there(self.agreement + 1.0 - codec.expected);
        let best = allowed.min_by(|a, b| both(a).total_cmp(&both(b)));
        best.and_then(|codec| Coding::from_number(codec.id)).unwrap_or(Coding::RAW)
    }

    /// The codecs that tensors may travel by from a boundary, as they were measured.
    pub(crate) fn codings_at(&self, boundary: usize) -> Vec<Coded> {
        let codecs = self.served.codecs.measured().into_iter().flat_map(|codecs| codecs.at(boundary));
        let is_meant = |codec: &&MeasuredCodec| match &self.codec {
            CodecChoice::Auto => codec.is_on_front && codec.id != Coding::RAW.number(),
            CodecChoice::Raw => false,
            CodecChoice::Named(name) => codec.name == *name,
        };
        codecs.filter(is_meant).map(Coded::from).collect()
    }

    /// Whether one codec is asked for, and used wherever the model has it.
    pub(crate) fn is_codec_named(&self) -> bool {
        matches!(self.codec, CodecChoice::Named(_))
    }

    /// Least share of answers that codecs must leave as they are.
    pub(crate) fn floor(&self) -> f64 {
        match self.codec {
            CodecChoice::Auto => self.agreement,
            // What is asked for by name is used.
            CodecChoice::Raw | CodecChoice::Named(_) => 0.0,
        }
    }

    /// What packing measured of a coding; none for tensors as they are.
    pub(crate) fn measured(&self, boundary: usize, coding: Coding) -> Option<Coded> {
        let codecs = self.served.codecs.measured().filter(|_| coding != Coding::RAW)?;
        codecs.at(boundary).find(|codec| codec.id == coding.number()).map(Coded::from)
    }

    /// What the plan in force expects, for people.
    pub(crate) fn plan(&self) -> Option<String> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Boundaries of exits, in order. An exit that is closed remains a stop: the ranges between stops
    /// are those that are compiled.
    pub(crate) fn exit_boundaries(&self) -> impl Iterator<Item = usize> {
        let heads = self.exits.as_ref().and(self.served.heads.as_ref());
        let exits = heads.into_iter().flat_map(|heads| &heads.fitted().exits);
        exits.map(|exit| usize::from(exit.boundary))
    }

    /// The exit at a boundary.
    pub(crate) fn exit_at(&self, boundary: usize) -> Option<usize> {
        self.exit_boundaries().position(|exit| exit == boundary)
    }

    /// What a request for these outputs is held to on its way past the exits; none where no exit could
    /// answer it.
    pub(crate) fn watch(&self, outputs: &[String]) -> Option<Watch> {
        let (exits, heads) = (self.exits.as_ref()?, self.served.heads.as_ref()?);
        let answers = outputs.iter().all(|output| *output == heads.fitted().output);
        answers.then(|| exits.watch(rand::random()))
    }

    /// Sends requests along another course, once the ranges that it runs are ready; those of the course
    /// before that it does not run may be dropped. Requests under way end as they began.
    pub(crate) fn follow(&self, course: Course, said: Option<String>) -> Result<(), LoadError> {
        let needed = self.ranges(&course);
        if let Err(error) = self.prepare(&needed) {
            // What was made ready for nothing shall not stay for ever.
            self.release(&needed, &self.ranges(&self.course()));
            return Err(error);
        }
        let before = {
            let mut now = self.course.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *now, (course, said)).0
        };
        self.release(&self.ranges(&before), &needed);
        self.fused.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Compiles ranges, and the heads at their ends.
    fn prepare(&self, ranges: &[(usize, usize)]) -> Result<(), LoadError> {
        let required = self.fallback == Fallback::Required;
        for &(from, to) in ranges {
            self.served.prepare(from, to, required)?;
        }
        let asked = |boundary: &usize| ranges.iter().any(|(_, to)| to == boundary);
        let exits = self.exit_boundaries().enumerate().filter(|(_, boundary)| asked(boundary));
        exits.map(|(exit, _)| exit).try_for_each(|exit| self.served.prepare_head(exit))
    }

    fn release(&self, ranges: &[(usize, usize)], needed: &[(usize, usize)]) {
        let unneeded = ranges.iter().filter(|range| !needed.contains(range));
        unneeded.for_each(|(from, to)| self.served.release(*from, *to));
    }

    /// Compiles a range in the background, where a chain of others has served for it. Each is tried once:
    /// where there is no room for all, the chain goes on serving.
    pub(crate) fn fuse(self: &Arc<Self>, from: usize, to: usize) {
        let is_new = self.fused.lock().unwrap_or_else(PoisonError::into_inner).insert((from, to));
        if !is_new {
            return;
        }
        let model = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // One after the other: requests need the cores.
            let _turn = model.fusing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = model.served.prepare(from, to, false) {
                let name = &model.served.name;
                tracing::warn!(model = name, %error, "several segments go on serving for one");
            }
        });
    }

    /// What a course runs here; the rest after a failed call only where that must not have to be
    /// compiled first.
    fn ranges(&self, course: &Course) -> Vec<(usize, usize)> {
        let (last, way) = (self.served.last(), course.way());
        let mut ranges = course.ranges(self.exit_boundaries(), last);
        if let (Course::Fixed(_), Fallback::BestEffort | Fallback::None) = (course, self.fallback) {
            ranges.retain(|(from, _)| *from < way.split);
        }
        ranges
    }

    /// How long the cloud may take over a request that stands at boundary `at` here: what is left until
    /// `deadline`, less what finishing here would need. Half of what is left is kept back until that has
    /// been timed.
    pub(crate) fn patience(&self, at: usize, deadline: Instant, now: Instant) -> Duration {
        let left = deadline.saturating_duration_since(now);
        if self.fallback == Fallback::None {
            return left;
        }
        let reserve = match self.tails_us.get(at).map_or(0, |tail| tail.load(Ordering::Relaxed)) {
            0 => left / 2,
            known => Duration::from_micros(known) * 2 + RESERVE_FLOOR,
        };
        left.saturating_sub(reserve)
    }

    /// When this node begins to work on what it shipped as well, if it ever does.
    pub(crate) fn race_begins(
        &self,
        at: usize,
        way: &Way,
        deadline: Instant,
        now: Instant,
    ) -> Option<Instant> {
        let latest = now + self.patience(at, deadline, now);
        match (self.fallback, self.race, way.chosen) {
            (Fallback::None, ..) | (_, RaceChoice::Never, _) => None,
            (_, _, Some(chosen)) => {
                let after = chosen.local_after.and_then(|after| Duration::try_from_secs_f64(after).ok());
                Some(after.map_or(latest, |after| latest.min(now + after)))
            }
            (_, RaceChoice::Deadline, None) => Some(latest),
            (_, RaceChoice::Always, None) => Some(now),
        }
    }

    /// Notes the time that the rest took here: rises at once, falls slowly.
    pub(crate) fn learn_tail(&self, from: usize, elapsed: Duration) {
        let Some(tail) = self.tails_us.get(from) else { return };
        let sample = elapsed.as_micros() as u64;
        let known = tail.load(Ordering::Relaxed);
        let next = if sample >= known { sample } else { known - (known - sample) / 8 };
        tail.store(next.max(1), Ordering::Relaxed);
    }
}

/// How tensors travel from a split, and answers back to it.
fn codings(served: &Served, split: usize, choice: &CodecChoice, agreement: f64) -> Way {
    let codings = match choice {
        CodecChoice::Raw => None,
        // A plan may move the split to where no codec has that name.
        CodecChoice::Named(name) => served.codecs.named(split, name).map(|there| (there, Coding::RAW)),
        CodecChoice::Auto => served.codecs.measured().map(|codecs| {
            let pair = codecs.pair(split, served.last(), agreement);
            let [there, back] = [pair.there, pair.back]
                .map(|codec| codec.and_then(|codec| Coding::from_number(codec.id)).unwrap_or(Coding::RAW));
            (there, back)
        }),
    };
    let (there, back) = codings.unwrap_or((Coding::RAW, Coding::RAW));
    Way { split, there, back, chosen: None }
}
