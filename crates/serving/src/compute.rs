use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

/// Threads for engines, apart from those that move bytes.
///
/// At most `width` pieces of work run at once; the others wait in order of
/// arrival. The wait is bounded by [`crate::Admission`] and by each deadline.
#[derive(Clone, Debug)]
pub struct Compute {
    width: Arc<Semaphore>,
    threads: usize,
    waiting: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    freed: Arc<Notify>,
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
            threads: width,
            waiting: Arc::new(AtomicUsize::new(0)),
            running: Arc::new(AtomicUsize::new(0)),
            freed: Arc::default(),
        }
    }

    /// Runs `work` on a blocking thread, if one is free before `deadline`. Once started, work
    /// runs to its end even when the caller has gone: engines cannot be interrupted.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Done<T>, ComputeError> {
        let place = self.place(deadline).await?;
        self.run_at(place, work).await
    }

    /// Runs `work` on a thread that it has a place for.
    pub async fn run_at<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Done<T>, ComputeError> {
        let queued = place.queued;
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
        let place = self.place(deadline).await?;
        let queued = place.queued;
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
        let place = self.taken(permit, Duration::ZERO);
        tokio::task::spawn_blocking(move || {
            work();
            drop(place);
        });
        true
    }

    /// Waits for a place, in turn.
    pub async fn place(&self, deadline: Instant) -> Result<Place, ComputeError> {
        let asked = Instant::now();
        // Dropped last, whatever becomes of the wait: those behind all others may go now.
        let _freed = Freed(Arc::clone(&self.freed));
        let waiting = Counted::new(&self.waiting);
        let permit = tokio::time::timeout_at(deadline.into(), Arc::clone(&self.width).acquire_owned())
            .await
            .map_err(|_| ComputeError::Deadline { waited: asked.elapsed() })?
            .map_err(|closed| ComputeError::Stopped(closed.to_string()))?;
        drop(waiting);
        Ok(self.taken(permit, asked.elapsed()))
    }

    /// Waits for a place that nobody else waits for: for work that may not be needed in the end.
    pub async fn place_behind(&self, deadline: Instant) -> Result<Place, ComputeError> {
        let asked = Instant::now();
        let free = async {
            loop {
                let freed = self.freed.notified();
                let mut freed = std::pin::pin!(freed);
                // From here on no place is freed unnoticed.
                freed.as_mut().enable();
                if self.waiting() == 0
                    && let Ok(permit) = Arc::clone(&self.width).try_acquire_owned()
                {
                    return permit;
                }
                freed.await;
            }
        };
        let permit = tokio::time::timeout_at(deadline.into(), free).await;
        let permit = permit.map_err(|_| ComputeError::Deadline { waited: asked.elapsed() })?;
        Ok(self.taken(permit, asked.elapsed()))
    }

    fn taken(&self, permit: OwnedSemaphorePermit, queued: Duration) -> Place {
        let freed = Freed(Arc::clone(&self.freed));
        Place { queued, _running: Counted::new(&self.running), _permit: permit, _freed: freed }
    }

    /// Most pieces of work that run at once.
    pub fn width(&self) -> usize {
        self.threads
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

/// A thread for one piece of work, taken as long as this lives.
#[derive(Debug)]
pub struct Place {
    /// How long was waited for it.
    queued: Duration,
    // Dropped in this order: a place is told of once it is free.
    _running: Counted,
    _permit: OwnedSemaphorePermit,
    _freed: Freed,
}

/// Tells those that wait behind all others.
#[derive(Debug)]
struct Freed(Arc<Notify>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// Counts itself while it lives, so that a cancelled future is not counted for ever.
#[derive(Debug)]
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
    async fn what_may_not_be_needed_waits_behind_all_others() {
        let compute = Compute::new(1);
        let far = Instant::now() + Duration::from_secs(60);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = |who: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(who)
        };
        let busy = tokio::spawn({
            let compute = compute.clone();
            async move { compute.run(far, move || held.recv()).await }
        });
        while compute.running() == 0 {
            tokio::task::yield_now().await;
        }
        let behind = async {
            let place = compute.place_behind(far).await.unwrap();
            compute.run_at(place, note("behind")).await
        };
        let mut behind = std::pin::pin!(behind);
        assert!(tokio::time::timeout(Duration::from_millis(5), &mut behind).await.is_err());
        let (first, second) = (compute.run(far, note("first")), compute.run(far, note("second")));
        let let_go = async { release.send(()).unwrap() };
        let (first, second, behind, ()) = tokio::join!(first, second, behind, let_go);
        assert!(first.is_ok() && second.is_ok() && behind.is_ok());
        assert_eq!(*order.lock().unwrap(), ["first", "second", "behind"]);
        assert!(busy.await.unwrap().is_ok());
        assert!(compute.place_behind(far).await.is_ok());
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
