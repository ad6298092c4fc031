//! How long did other programs hold the processor that a run wanted?
//!
//! On a busy machine most runs that are longer than a time slice of the scheduler are interrupted,
//! most shorter ones are not, and medians of long and short ranges stop fitting together. Linux
//! counts for each thread how long it was ready and did not run. That wait is no part of the model's
//! time: load is another device factor, which changes while a profile does not.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

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
    /// For the thread that calls this, and the others that there are by now.
    pub(crate) fn new() -> Self {
        let own = fs::read_link("/proc/thread-self").ok();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let is_other =
            |path: &std::path::PathBuf| own.as_ref().and_then(|own| own.file_name()) != path.file_name();
        let others = tasks.map(|task| task.path()).filter(is_other);
        Self {
            own: File::open("/proc/thread-self/schedstat").ok(),
            others: others.filter_map(|task| File::open(task.join("schedstat")).ok()).collect(),
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
    }
}
