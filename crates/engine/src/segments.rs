//! Which compiled segments stay in memory.
//!
//! A model with `k` boundaries has `k²/2` segments, a node several models, and a gateway
//! little memory. Programs are compiled when first asked for, by one thread while the others
//! that want the same one wait, and are dropped again, least recently used first, when their
//! sum passes the cap. Pinned ones, a local route that must always be there, are outside the
//! cap and never dropped.

use crate::{CompileError, Program, SegmentId};
use kerf_tensor::TensorSpec;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Compiled segments of all models of a process, within a cap.
#[derive(Debug)]
pub struct SegmentStore {
    cap: u64,
    state: Mutex<State>,
}

/// What a store holds and did; counters are since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The cap, in bytes.
    pub cap: u64,
    /// Programs that may be dropped.
    pub programs: usize,
    /// Their bytes; past the cap only while a single program is larger than it.
    pub bytes: u64,
    /// Programs that may not be dropped.
    pub pinned: usize,
    /// Their bytes.
    pub pinned_bytes: u64,
    /// Programs compiled, those compiled again included.
    pub compiles: u64,
    /// Segments that no engine compiled.
    pub failures: u64,
    /// Requests for a program that was there, or being made for another request.
    pub hits: u64,
    /// Programs dropped to make room.
    pub evictions: u64,
}

/// A segment as its owner's engines compiled it.
pub(crate) struct Compiled {
    pub(crate) program: Arc<dyn Program>,
    pub(crate) engine: &'static str,
    pub(crate) inputs: Vec<TensorSpec>,
    pub(crate) outputs: Vec<TensorSpec>,
}

/// Whose segment: a number that [`SegmentStore::join`] gave, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(u64);

type Key = (Owner, SegmentId);
type Outcome = Result<Arc<Compiled>, CompileError>;

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    owners: u64,
    clock: u64,
    stats: StoreStats,
}

/// The cell is filled outside the store's lock. A failure stays in it: what an engine refuses
/// once it refuses again, and asking costs as much as compiling.
struct Entry {
    cell: Arc<OnceLock<Outcome>>,
    bytes: u64,
    used: u64,
    pinned: bool,
}

impl SegmentStore {
    /// An empty store that keeps programs of at most `cap_bytes` in all, pinned ones not counted.
    ///
    /// The most recently used program stays even when it alone is larger than the cap: running it
    /// takes that memory anyway, and compiling it for each request would save none.
    pub fn new(cap_bytes: u64) -> Self {
        Self { cap: cap_bytes, state: Mutex::default() }
    }

    /// What the store holds and did.
    pub fn stats(&self) -> StoreStats {
        let state = self.lock();
        let mut stats = StoreStats { cap: self.cap, ..state.stats };
        for entry in state.entries.values().filter(|entry| entry.is_program()) {
            let (programs, bytes) = match entry.pinned {
                true => (&mut stats.pinned, &mut stats.pinned_bytes),
                false => (&mut stats.programs, &mut stats.bytes),
            };
            *programs += 1;
            *bytes += entry.bytes;
        }
        stats
    }

    pub(crate) fn join(&self) -> Owner {
        let mut state = self.lock();
        state.owners += 1;
        Owner(state.owners)
    }

    /// The segments of an owner that are compiled and may be run at once.
    pub(crate) fn ready(&self, owner: Owner) -> Vec<SegmentId> {
        let state = self.lock();
        let programs = state.entries.iter().filter(|((of, _), entry)| *of == owner && entry.is_program());
        programs.map(|((_, segment), _)| *segment).collect()
    }

    /// Puts a pinned program under the cap again; it counts as just used.
    pub(crate) fn unpin(&self, owner: Owner, segment: SegmentId) {
        let key = (owner, segment);
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.pinned = false;
        }
        state.make_room(self.cap, key);
    }

    /// Drops all of an owner's programs, pinned ones too.
    pub(crate) fn leave(&self, owner: Owner) {
        self.lock().entries.retain(|(of, _), _| *of != owner);
    }

    /// The program of a segment, compiled with `compile` if it is not there; whether it was
    /// there, or had to be compiled here or waited for.
    pub(crate) fn obtain(
        &self,
        owner: Owner,
        segment: SegmentId,
        pin: bool,
        compile: impl FnOnce() -> Result<Compiled, CompileError>,
    ) -> (Outcome, bool) {
        let key = (owner, segment);
        let cell = {
            let mut state = self.lock();
            state.clock += 1;
            let clock = state.clock;
            let entry = state.entries.entry(key).or_insert_with(Entry::new);
            entry.used = clock;
            entry.pinned |= pin;
            Arc::clone(&entry.cell)
        };
        let was_there = cell.get().is_some();
        let mut compiled_here = false;
        let outcome = cell.get_or_init(|| {
            compiled_here = true;
            compile().map(Arc::new)
        });
        self.settle(key, outcome, compiled_here);
        (outcome.clone(), was_there)
    }

    /// Accounts for a program after it was compiled or, since programs grow with the shapes that
    /// they meet, used; then makes room.
    fn settle(&self, key: Key, outcome: &Outcome, compiled_here: bool) {
        let bytes = outcome.as_ref().map_or(0, |compiled| compiled.program.resident_bytes());
        let mut state = self.lock();
        match (compiled_here, outcome) {
            (true, Ok(_)) => state.stats.compiles += 1,
            (true, Err(_)) => state.stats.failures += 1,
            (false, _) => state.stats.hits += 1,
        }
        // Gone if its owner left meanwhile.
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.bytes = bytes;
        }
        state.make_room(self.cap, key);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so what a poisoned one guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what was used longest ago until the cap is kept, but never `key`, which is in use.
    fn make_room(&mut self, cap: u64, key: Key) {
        while self.droppable_bytes() > cap {
            let oldest = self
                .entries
                .iter()
                .filter(|(other, entry)| **other != key && !entry.pinned && entry.is_program())
                .min_by_key(|(_, entry)| entry.used)
                .map(|(oldest, _)| *oldest);
            let Some(oldest) = oldest else { break };
            self.entries.remove(&oldest);
            self.stats.evictions += 1;
            tracing::debug!(segment = %oldest.1, "dropped a compiled segment to stay within the memory cap");
        }
    }

    fn droppable_bytes(&self) -> u64 {
        self.entries.values().filter(|entry| !entry.pinned).map(|entry| entry.bytes).sum()
    }
}

impl Entry {
    fn new() -> Self {
        Self { cell: Arc::default(), bytes: 0, used: 0, pinned: false }
    }

    fn is_program(&self) -> bool {
        matches!(self.cell.get(), Some(Ok(_)))
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.bytes)
            .field("pinned", &self.pinned)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunError;
    use kerf_tensor::Tensor;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    struct Sized(u64);

    impl Program for Sized {
        fn run(&self, _: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
            Ok(Vec::new())
        }

        fn resident_bytes(&self) -> u64 {
            self.0
        }
    }

    fn compiled(bytes: u64) -> Result<Compiled, CompileError> {
        let program = Arc::new(Sized(bytes));
        Ok(Compiled { program, engine: "test", inputs: vec![], outputs: vec![] })
    }

    fn id(to: usize) -> SegmentId {
        SegmentId { from: 0, to }
    }

    #[test]
    fn least_recently_used_goes_first() {
        let store = SegmentStore::new(100);
        let owner = store.join();
        let have = |to: usize| store.obtain(owner, id(to), false, || compiled(40)).1;
        assert!(!have(1));
        assert!(!have(2));
        assert!(have(1), "1 is now the most recent");
        assert!(!have(3), "drops 2");
        assert!(have(1));
        assert!(!have(2), "was dropped; drops 3");
        let stats = store.stats();
        assert_eq!(
            (stats.programs, stats.bytes, stats.evictions, stats.compiles, stats.hits),
            (2, 80, 2, 4, 2)
        );
    }

    #[test]
    fn pinned_programs_are_outside_the_cap() {
        let store = SegmentStore::new(50);
        let owner = store.join();
        store.obtain(owner, id(1), true, || compiled(400)).0.unwrap();
        store.obtain(owner, id(2), false, || compiled(40)).0.unwrap();
        store.obtain(owner, id(3), false, || compiled(40)).0.unwrap();
        let stats = store.stats();
        assert_eq!((stats.pinned, stats.pinned_bytes, stats.programs, stats.bytes), (1, 400, 1, 40));
        store.leave(owner);
        assert_eq!(store.stats().pinned, 0);
    }

    #[test]
    fn one_program_larger_than_the_cap_stays_until_another_is_used() {
        let store = SegmentStore::new(10);
        let owner = store.join();
        assert!(!store.obtain(owner, id(1), false, || compiled(400)).1);
        assert!(store.obtain(owner, id(1), false, || compiled(400)).1);
        store.obtain(owner, id(2), false, || compiled(5)).0.unwrap();
        assert_eq!(store.stats().bytes, 5);
    }

    #[test]
    fn failures_are_kept() {
        let store = SegmentStore::new(10);
        let owner = store.join();
        let refuse = || {
            Err(CompileError::Refused { engine: "test", segment: id(1), reason: "no such operator".into() })
        };
        for hit in [false, true] {
            let (outcome, was_there) = store.obtain(owner, id(1), false, refuse);
            assert_eq!((outcome.is_err(), was_there), (true, hit));
        }
        assert_eq!((store.stats().failures, store.stats().programs), (1, 0));
    }

    #[test]
    fn concurrent_requests_compile_once() {
        let (store, compiles, start) = (SegmentStore::new(100), AtomicUsize::new(0), Barrier::new(4));
        let owner = store.join();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let compile = || {
                        compiles.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(20));
                        compiled(1)
                    };
                    store.obtain(owner, id(1), false, compile).0.unwrap();
                });
            }
        });
        assert_eq!((compiles.into_inner(), store.stats().hits), (1, 3));
    }
}
