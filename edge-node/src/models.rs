//! Models as this edge node serves them: loaded, and with their route chosen.

use crate::exits::{Exits, ExitsError, Kept, Watch};
use kerf_bundle::Coding;
use kerf_serving::{LoadError, Served};
pub(crate) use kerf_settings::Fallback;
use kerf_settings::{CodecChoice, ExitChoice, ModelSettings, PlanSettings, Split};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Least time kept back for finishing here, whatever was learnt.
const RESERVE_FLOOR: Duration = Duration::from_millis(10);

/// A model and its settings on this node.
pub(crate) struct Model {
    pub(crate) served: Arc<Served>,
    /// The way that requests take now, and what the plan that chose it expects.
    way: Mutex<(Way, Option<String>)>,
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
    /// Time given to a request that names none.
    pub(crate) deadline: Duration,
    /// Recent time of a local tail in microseconds; 0 until there was one.
    tail_us: AtomicU64,
}

/// The way of a request; one takes it whole, since plans change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Boundary to ship from: 0 ships the inputs, the last one nothing.
    pub(crate) split: usize,
    /// How its tensors travel.
    pub(crate) there: Coding,
    /// How the answer may.
    pub(crate) back: Coding,
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
            way: Mutex::new((way, None)),
            is_planned,
            codec,
            agreement,
            exits,
            privacy_floor: plan.privacy_floor.into(),
            fallback: settings.fallback,
            deadline: settings.deadline,
            tail_us: AtomicU64::new(0),
        })
    }

    /// The way that requests take now.
    pub(crate) fn way(&self) -> Way {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The way that requests would take with this split.
    pub(crate) fn way_from(&self, split: usize) -> Way {
        codings(&self.served, split, &self.codec, self.agreement)
    }

    /// Boundary to ship from.
    pub(crate) fn split(&self) -> usize {
        self.way().split
    }

    /// What the plan in force expects, for people.
    pub(crate) fn plan(&self) -> Option<String> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Exits on the way to a split, and their boundaries. An exit that is closed remains a stop: the
    /// ranges between stops are those that are compiled.
    pub(crate) fn stops(&self, split: usize) -> impl Iterator<Item = (usize, usize)> {
        let heads = self.exits.as_ref().and(self.served.heads.as_ref());
        let exits = heads.into_iter().flat_map(|heads| &heads.fitted().exits);
        exits.map(|exit| usize::from(exit.boundary)).enumerate().filter(move |(_, at)| *at <= split)
    }

    /// What a request for these outputs is held to on its way past the exits; none where no exit could
    /// answer it.
    pub(crate) fn watch(&self, outputs: &[String]) -> Option<Watch> {
        let (exits, heads) = (self.exits.as_ref()?, self.served.heads.as_ref()?);
        let answers = outputs.iter().all(|output| *output == heads.fitted().output);
        answers.then(|| exits.watch(rand::random()))
    }

    /// Compiles what a split needs first, and keeps what must never have to be compiled.
    pub(crate) fn prepare(&self, split: usize) -> Result<(), LoadError> {
        let required = self.fallback == Fallback::Required;
        for (from, to) in self.ranges(split) {
            self.served.prepare(from, to, required)?;
        }
        for (exit, _) in self.stops(split) {
            self.served.prepare_head(exit)?;
        }
        if split < self.served.last() && required {
            self.served.prepare(split, self.served.last(), true)?;
        }
        Ok(())
    }

    /// Moves the split once what it needs is ready. Requests under way end as they began.
    pub(crate) fn follow(&self, split: usize, plan: String) -> Result<(), LoadError> {
        let before = self.split();
        if split != before {
            self.prepare(split)?;
        }
        let way = self.way_from(split);
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = (way, Some(plan));
        if split == before {
            return Ok(());
        }
        // Another tail takes another time.
        self.tail_us.store(0, Ordering::Relaxed);
        let last = self.served.last();
        let needed: Vec<_> = self.ranges(split).into_iter().chain([(split, last)]).collect();
        let held = self.ranges(before).into_iter().chain([(before, last)]);
        let unneeded = held.filter(|range| !needed.contains(range));
        unneeded.for_each(|(from, to)| self.served.release(from, to));
        Ok(())
    }

    /// From the inputs to a split, as requests run there.
    fn ranges(&self, split: usize) -> Vec<(usize, usize)> {
        let stops = self.stops(split).map(|(_, boundary)| boundary).chain([split]);
        let ranges = stops.scan(0, |from, to| Some((std::mem::replace(from, to), to)));
        ranges.filter(|(from, to)| from < to).collect()
    }

    /// How long the cloud may take: what is left until `deadline`, less what finishing here would
    /// need. Half of what is left is kept back until a local tail has been timed.
    pub(crate) fn patience(&self, deadline: Instant, now: Instant) -> Duration {
        let left = deadline.saturating_duration_since(now);
        if self.fallback == Fallback::None {
            return left;
        }
        let reserve = match self.tail_us.load(Ordering::Relaxed) {
            0 => left / 2,
            known => Duration::from_micros(known) * 2 + RESERVE_FLOOR,
        };
        left.saturating_sub(reserve)
    }

    /// Notes the time of a local tail: rises at once, falls slowly.
    pub(crate) fn learn_tail(&self, elapsed: Duration) {
        let sample = elapsed.as_micros() as u64;
        let known = self.tail_us.load(Ordering::Relaxed);
        let next = if sample >= known { sample } else { known - (known - sample) / 8 };
        self.tail_us.store(next.max(1), Ordering::Relaxed);
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
    Way { split, there, back }
}
