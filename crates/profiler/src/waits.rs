//! How long did other programs hold the processor that a run wanted?
//!
//! On a busy machine most runs that are longer than a time slice of the scheduler are interrupted,
//! most shorter ones are not, and medians of long and short ranges stop fitting together. Linux
//! counts for each thread how long it was ready and did not run. That wait is no part of the model's
//! time: load is another device factor, which changes while a profile does not.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// A run takes at least this share of its elapsed time, whatever the system says of waiting.
const LEAST_SHARE: f64 = 0.02;

/// The waits of this process's threads; always nothing where the system does not count them.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    own: Option<File>,
    others: Vec<File>,
}

/// Seconds of waiting since the threads began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Waited {
    /// Of the thread that measures.
    pub(crate) own: f64,
    /// Of all others, which may be an engine's.
    pub(crate) others: f64,
}

impl Waits {
    /// For the thread that calls this alone.
    pub(crate) fn of_this_thread() -> Self {
        Self { own: File::open("/proc/thread-self/schedstat").ok(), others: Vec::new() }
    }

    /// For the thread that calls this, and the others that there are by now.
    pub(crate) fn new() -> Self {
        let own = fs::read_link("/proc/thread-self").ok();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let is_other =
            |path: &std::path::PathBuf| own.as_ref().and_then(|own| own.file_name()) != path.file_name();
        let others = tasks.map(|task| task.path()).filter(is_other);
        Self {
            others: others.filter_map(|task| File::open(task.join("schedstat")).ok()).collect(),
            ..Self::of_this_thread()
        }
    }

    pub(crate) fn read(&self) -> Waited {
        let waited = |file: &File| {
            let mut text = [0; 96];
            let length = file.read_at(&mut text, 0).unwrap_or(0);
            delay(&text[..length]).unwrap_or(0.0)
        };
        Waited { own: self.own.as_ref().map_or(0.0, waited), others: self.others.iter().map(waited).sum() }
    }
}

/// Does `work` on this thread; its seconds, without those that the thread waited for a processor.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let waits = Waits::of_this_thread();
    let (before, start) = (waits.read(), Instant::now());
    let done = work();
    let took = start.elapsed();
    (done, without(took, waits.read().own - before.own))
}

/// How long all threads that this process has now waited for a processor, ever.
pub fn waited() -> Duration {
    let Waited { own, others } = Waits::new().read();
    Duration::try_from_secs_f64(own + others).unwrap_or_default()
}

/// Seconds of a run without those that its thread waited.
pub(crate) fn without(took: Duration, waited: f64) -> f64 {
    let took = took.as_secs_f64();
    (took - waited).max(took * LEAST_SHARE).max(1e-9)
}

/// The second of three numbers: nanoseconds on a processor, waiting for one, and time slices.
fn delay(schedstat: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(schedstat).ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<u64>().ok()? as f64 * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read() {
        assert_eq!(delay(b"13860000 2500000 9\n"), Some(0.0025));
        assert_eq!(delay(b""), None);
        let waits = Waits::new();
        let (first, then) = (waits.read(), waits.read());
        assert!(then.own >= first.own && then.own < 3600.0);
        let (slept, seconds) = timed(|| std::thread::sleep(Duration::from_millis(5)));
        assert_eq!(slept, ());
        assert!((0.004..1.0).contains(&seconds), "to sleep is not to wait for a processor: {seconds}");
        assert_eq!(without(Duration::from_millis(10), 1.0), 10e-3 * LEAST_SHARE);
    }
}
