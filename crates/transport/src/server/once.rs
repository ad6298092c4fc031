//! A request that comes twice runs once.
//!
//! An edge that hears nothing sends its request again, on a new connection, while the first copy may
//! have arrived, be running, or be answered into the void. So requests are known by who sent them, the
//! id that its sender made, and what is asked: the same id with other tensors (another boundary, or
//! raw where a codec was refused) is another request. A copy of one that runs waits with it, one of
//! one that was answered lately is given the same answer.
//!
//! Only what is there to its last byte counts: the first copy may have been cut in the middle.

mod answers;

use answers::Answers;
use kerf_identity::PeerIdentity;
use kerf_tensor::DType;
use kerf_wire::{Ask, RequestHeader, RequestId, Response};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// What makes two requests the same. Not the deadline, which is less the second time, nor how many
/// bytes were announced: a tensor that was still being encoded the first time is complete the second.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    peer: Arc<PeerIdentity>,
    id: RequestId,
    asked: Arc<Asked>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    finish: bool,
    model: String,
    digest: [u8; 32],
    boundary: u16,
    tensors: Vec<(String, DType, Vec<usize>, u16)>,
    outputs: Vec<String>,
    reply: u16,
}

impl Key {
    pub(super) fn new(peer: &Arc<PeerIdentity>, header: &RequestHeader) -> Self {
        let tensors = header.tensors.iter();
        let asked = Asked {
            finish: header.ask == Ask::Finish,
            model: header.model.clone(),
            digest: header.digest,
            boundary: header.boundary,
            tensors: tensors.map(|it| (it.name.clone(), it.dtype, it.shape.clone(), it.codec)).collect(),
            outputs: header.outputs.clone(),
            reply: header.reply,
        };
        Self { peer: peer.clone(), id: header.id, asked: Arc::new(asked) }
    }
}

/// How many answers are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: u64,
    pub(super) age: Duration,
}

/// Requests that run, and answers that were given. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Once {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    running: HashMap<Key, Running>,
    answers: Answers,
    /// Tells a run from a later one of the same request.
    runs: u64,
}

#[derive(Debug)]
struct Running {
    run: u64,
    /// Who waits for it; nobody does: it ends.
    waiting: usize,
    outcome: watch::Receiver<Option<Response>>,
    /// Ends it early.
    stop: oneshot::Sender<()>,
}

/// What there is for one copy of a request.
pub(super) enum Found {
    Answered(Response),
    Running(Waiter),
}

/// One copy of a request that runs. When the last is dropped, the run ends.
#[derive(Debug)]
pub(super) struct Waiter {
    table: Arc<Mutex<Table>>,
    key: Key,
    run: u64,
    outcome: watch::Receiver<Option<Response>>,
    stays: bool,
}

impl Once {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (running, answers) = (HashMap::new(), Answers::new(bounds));
        Self { table: Arc::new(Mutex::new(Table { running, answers, runs: 0 })) }
    }

    /// What there is already.
    pub(super) fn find(&self, key: &Key) -> Option<Found> {
        self.find_in(&mut lock(&self.table), key)
    }

    /// What there is already, or else a run of the request, on a task of its own.
    pub(super) fn enter<F>(&self, key: Key, handle: impl FnOnce() -> F) -> Found
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let (tell, outcome) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let run = {
            let mut table = lock(&self.table);
            if let Some(found) = self.find_in(&mut table, &key) {
                return found;
            }
            table.runs += 1;
            let run = table.runs;
            table.running.insert(key.clone(), Running { run, waiting: 1, outcome: outcome.clone(), stop });
            run
        };
        // Unlocked: a runtime that shuts down drops what it is given at once, and with it the ending.
        let mut ending = Ending { table: self.table.clone(), key: key.clone(), run, answer: None };
        let waiter = Waiter { table: self.table.clone(), key, run, outcome, stays: false };
        let handling = handle();
        tokio::spawn(async move {
            let response = tokio::select! {
                biased;
                response = handling => response,
                _ = stopped => return,
            };
            if let Response::Answer(_) = &response {
                ending.answer = Some(response.clone());
            }
            // Kept before it is told, so that no copy in between runs anew.
            drop(ending);
            tell.send_replace(Some(response));
        });
        Found::Running(waiter)
    }

    /// The answer turned out to be none that can be sent.
    pub(super) fn forget(&self, key: &Key) {
        lock(&self.table).answers.remove(key);
    }

    fn find_in(&self, table: &mut Table, key: &Key) -> Option<Found> {
        if let Some(running) = table.running.get_mut(key) {
            running.waiting += 1;
            let (table, key) = (self.table.clone(), key.clone());
            let (run, outcome) = (running.run, running.outcome.clone());
            return Some(Found::Running(Waiter { table, key, run, outcome, stays: false }));
        }
        table.answers.find(key, Instant::now()).map(Found::Answered)
    }
}

impl Waiter {
    /// Waits for the response; `None`: the handler panicked, or the runtime shuts down.
    pub(super) async fn response(&mut self) -> Option<Response> {
        self.outcome.wait_for(Option::is_some).await.ok().and_then(|response| response.clone())
    }

    /// The client may be back for the answer: lets the run come to its end without it.
    pub(super) fn leave(mut self) {
        self.stays = true;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        let unwanted = {
            let mut table = lock(&self.table);
            let Some(running) = table.running.get_mut(&self.key).filter(|running| running.run == self.run)
            else {
                return;
            };
            running.waiting -= 1;
            if running.waiting > 0 {
                return;
            }
            table.running.remove(&self.key)
        };
        if let Some(Running { stop, .. }) = unwanted {
            // An error says that it has ended.
            let _ = stop.send(());
        }
    }
}

/// The end of a run, however it comes.
struct Ending {
    table: Arc<Mutex<Table>>,
    key: Key,
    run: u64,
    answer: Option<Response>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if table.running.get(&self.key).is_some_and(|running| running.run == self.run) {
            table.running.remove(&self.key);
        }
        if let Some(answer) = self.answer.take() {
            table.answers.insert(self.key.clone(), answer, Instant::now());
        }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_identity::Role;
    use kerf_wire::CODEC_RAW;
    use std::sync::mpsc;

    fn key(number: u8) -> Key {
        let asked = Asked {
            finish: true,
            model: "m".into(),
            digest: [0; 32],
            boundary: 1,
            tensors: vec![],
            outputs: vec![],
            reply: CODEC_RAW,
        };
        let peer = Arc::new(PeerIdentity { role: Role::Edge, name: "gw-1".into() });
        Key { peer, id: RequestId([number; 16]), asked: Arc::new(asked) }
    }

    #[test]
    fn a_runtime_that_shuts_down_takes_requests_to_their_end() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let once = Once::new(Bounds { entries: 4, bytes: 100, age: Duration::from_secs(60) });
        let before = {
            let _within = handle.enter();
            once.enter(key(0), std::future::pending)
        };
        runtime.shutdown_background();
        // On a thread of its own: what this is about never comes back.
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let _within = handle.enter();
            let after = [once.enter(key(1), std::future::pending), once.enter(key(1), std::future::pending)];
            let mut outcomes = Vec::new();
            for found in after.into_iter().chain([before]) {
                let Found::Running(mut waiter) = found else { panic!("nothing was answered") };
                let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
                outcomes.push(other.block_on(waiter.response()));
            }
            done.send((outcomes, lock(&once.table).running.len())).unwrap();
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)).unwrap(), (vec![None, None, None], 0));
    }
}
