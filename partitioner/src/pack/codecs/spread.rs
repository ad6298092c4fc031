//! The same work on many requests, on every processor.

use std::num::NonZero;
use std::thread;

/// What `work` makes of each item, in their order; the first error ends it.
pub(crate) fn spread<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let work = &work;
        let start =
            |part| scope.spawn(move || <[T]>::iter(part).map(work).collect::<anyhow::Result<Vec<R>>>());
        let parts: Vec<_> = items.chunks(share).map(start).collect();
        let mut all = Vec::with_capacity(items.len());
        for part in parts {
            let done = part.join().map_err(|_| anyhow::anyhow!("a thread that tried codecs panicked"))?;
            all.extend(done?);
        }
        Ok(all)
    })
}
