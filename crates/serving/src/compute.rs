use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Threads for engines, apart from those that move bytes.
///
/// At most `width` pieces of work run at once; the others wait in order of
/// arrival. The wait is bounded by [`crate::Admission`] and by each deadline.
#[derive(Clone, Debug)]
pub struct Compute {
    width: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

/// A finished piece of work and the time it took.
#[derive(Debug)]
pub struct Done<T> {
    /// What the work returned.
    pub value: T,
    /// Time spent waiting for a thread.
    pub queued: Duration,
    /// Time spent running.
    pub elapsed: Duration,
}

/// Why work did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The deadline passed while waiting; the work did not start.
    #[error("the deadline passed after {waited:?} in the queue for a compute thread")]
    Deadline {
        /// How long it waited.
        waited: Duration,
    },
    /// The work panicked, or the runtime is shutting down.
    #[error("the compute thread stopped: {0}")]
    Stopped(String),
}

impl Compute {
    /// A pool that runs at most `width` pieces of work at once.
    pub fn new(width: usize) -> Self {
        let width = width.clamp(1, 1024);
        Self {
            width: Arc::new(Semaphore::new(width)),
            waiting: Arc::new(AtomicUsize::new(0)),
            running: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Runs `work` on a blocking thread, if one is free before `deadline`. Once started, work
    /// runs to its end even when the caller has gone: engines cannot be interrupted.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Done<T>, ComputeError> {
        let (place, queued) = self.place(deadline).await?;
        tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let value = work();
            let elapsed = started.elapsed();
            drop(place);
            Done { value, queued, elapsed }
        })
        .await
        .map_err(|failed| ComputeError::Stopped(failed.to_string()))
    }

    /// As [`Self::run`], but comes back as soon as the work tells its result. The work may go on,
    /// and keeps its place until its end.
    pub async fn run_until_told<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(Tell<T>) + Send + 'static,
    ) -> Result<Done<T>, ComputeError> {
        let (place, queued) = self.place(deadline).await?;
        let (sender, told) = oneshot::channel();
        let running = tokio::task::spawn_blocking(move || {
            work(Tell { sender, started: Instant::now() });
            drop(place);
        });
        match told.await {
            Ok((value, elapsed)) => Ok(Done { value, queued, elapsed }),
            Err(_) => {
                let ended =
                    running.await.map_or_else(|failed| failed.to_string(), |()| "it told nothing".into());
                Err(ComputeError::Stopped(ended))
            }
        }
    }

    /// Runs `work` if there is a place for it now; says whether it does.
    pub fn run_if_free(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.width).try_acquire_owned() else { return false };
        let place = Place { _permit: permit, _running: Counted::new(&self.running) };
        tokio::task::spawn_blocking(move || {
            work();
            drop(place);
        });
        true
    }

    /// Waits for a place, and says how long.
    async fn place(&self, deadline: Instant) -> Result<(Place, Duration), ComputeError> {
        let asked = Instant::now();
        let waiting = Counted::new(&self.waiting);
        let permit = tokio::time::timeout_at(deadline.into(), Arc::clone(&self.width).acquire_owned())
            .await
            .map_err(|_| ComputeError::Deadline { waited: asked.elapsed() })?
            .map_err(|closed| ComputeError::Stopped(closed.to_string()))?;
        drop(waiting);
        Ok((Place { _permit: permit, _running: Counted::new(&self.running) }, asked.elapsed()))
    }

    /// Pieces of work that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Pieces of work that run.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// Takes the result of work that goes on after it.
#[derive(Debug)]
pub struct Tell<T> {
    sender: oneshot::Sender<(T, Duration)>,
    started: Instant,
}

impl<T> Tell<T> {
    /// This is the result. Nobody may be waiting for it any more.
    pub fn tell(self, value: T) {
        drop(self.sender.send((value, self.started.elapsed())));
    }
}

/// Work runs while it lives.
struct Place {
    _permit: OwnedSemaphorePermit,
    _running: Counted,
}

/// Counts itself while it lives, so that a cancelled future is not counted for ever.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_work_gives_up_at_its_deadline() {
        let compute = Compute::new(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let far = Instant::now() + Duration::from_secs(60);
        let busy = tokio::spawn({
            let compute = compute.clone();
            async move { compute.run(far, move || held.recv()).await }
        });
        while compute.running() == 0 {
            tokio::task::yield_now().await;
        }
        let late = compute.run(Instant::now() + Duration::from_millis(20), || ()).await;
        assert!(matches!(late, Err(ComputeError::Deadline { .. })));
        assert_eq!(compute.waiting(), 0);
        release.send(()).unwrap();
        assert!(busy.await.unwrap().is_ok());
        assert!(compute.run(far, || 7).await.is_ok_and(|done| done.value == 7));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let far = Instant::now() + Duration::from_secs(60);
        let compute = Compute::new(1);
        let outcome = compute.run(far, || panic!("boom")).await;
        assert!(matches!(outcome, Err(ComputeError::Stopped(_))));
        assert_eq!(compute.running(), 0);
        let outcome = compute.run_until_told(far, |_: Tell<()>| panic!("boom")).await;
        assert!(matches!(outcome, Err(ComputeError::Stopped(reason)) if reason.contains("boom")));
        assert!(compute.run(far, || ()).await.is_ok());
    }

    #[tokio::test]
    async fn work_that_goes_on_keeps_its_place() {
        let compute = Compute::new(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let far = Instant::now() + Duration::from_secs(60);
        let work = move |tell: Tell<u32>| {
            tell.tell(7);
            let _ = held.recv();
        };
        assert!(compute.run_until_told(far, work).await.is_ok_and(|done| done.value == 7));
        assert_eq!(compute.running(), 1);
        assert!(!compute.run_if_free(|| ()));
        release.send(()).unwrap();
        assert!(compute.run(far, || 8).await.is_ok_and(|done| done.value == 8));
        assert!(compute.run_if_free(|| ()));
    }
}
