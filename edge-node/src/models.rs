//! Models as this edge node serves them: loaded, and with their route chosen.

use kerf_serving::{LoadError, Served};
pub(crate) use kerf_settings::Fallback;
use kerf_settings::{ModelSettings, Split};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Least time kept back for finishing here, whatever was learnt.
const RESERVE_FLOOR: Duration = Duration::from_millis(10);

/// A model and its settings on this node.
pub(crate) struct Model {
    pub(crate) served: Arc<Served>,
    /// Boundary to ship from: 0 ships the inputs, the last one nothing.
    split: AtomicUsize,
    /// Whether plans may move it.
    pub(crate) is_planned: bool,
    /// What the plan in force expects, for people.
    plan: Mutex<Option<String>>,
    pub(crate) fallback: Fallback,
    /// Time given to a request that names none.
    pub(crate) deadline: Duration,
    /// Recent time of a local tail in microseconds; 0 until there was one.
    tail_us: AtomicU64,
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
}

impl Model {
    pub(crate) fn new(served: Arc<Served>, settings: &ModelSettings) -> Result<Self, ModelError> {
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
        Ok(Self {
            served,
            split: AtomicUsize::new(split),
            is_planned: settings.split == Split::Auto,
            plan: Mutex::default(),
            fallback: settings.fallback,
            deadline: settings.deadline,
            tail_us: AtomicU64::new(0),
        })
    }

    /// Boundary to ship from; a request reads it once, since a plan may move it.
    pub(crate) fn split(&self) -> usize {
        self.split.load(Ordering::Relaxed)
    }

    /// What the plan in force expects.
    pub(crate) fn plan(&self) -> Option<String> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compiles what a split needs first, and keeps what must never have to be compiled.
    pub(crate) fn prepare(&self, split: usize) -> Result<(), LoadError> {
        let required = self.fallback == Fallback::Required;
        if split > 0 {
            self.served.prepare(0, split, required)?;
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
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
        if split == before {
            return Ok(());
        }
        self.split.store(split, Ordering::Relaxed);
        // Another tail takes another time.
        self.tail_us.store(0, Ordering::Relaxed);
        let last = self.served.last();
        let needed = [(0, split), (split, last)];
        let unneeded = [(0, before), (before, last)].into_iter().filter(|range| !needed.contains(range));
        unneeded.for_each(|(from, to)| self.served.release(from, to));
        Ok(())
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
