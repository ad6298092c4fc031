use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

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
        let asked = Instant::now();
        let waiting = Counted::new(&self.waiting);
        let place = tokio::time::timeout_at(deadline.into(), Arc::clone(&self.width).acquire_owned())
            .await
            .map_err(|_| ComputeError::Deadline { waited: asked.elapsed() })?
            .map_err(|closed| ComputeError::Stopped(closed.to_string()))?;
        drop(waiting);
        let queued = asked.elapsed();
        let running = Counted::new(&self.running);
        tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let value = work();
            let elapsed = started.elapsed();
            drop((place, running));
            Done { value, queued, elapsed }
        })
        .await
        .map_err(|failed| ComputeError::Stopped(failed.to_string()))
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
        assert!(compute.run(far, || ()).await.is_ok());
    }
}
