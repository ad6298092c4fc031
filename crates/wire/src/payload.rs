//! The bytes of a tensor, which may still be in the making when the first of them are sent.
//!
//! Encoding a large tensor takes about as long as sending it. So an encoder on a thread of its own
//! ([`Maker`]) appends chunks to a payload that others ([`Growing`]) read from its start, each at
//! its own pace: a second attempt at sending finds what the first one sent. The encoder never waits
//! for a link, since threads that compute are few and links are slow; what it is ahead by is at most
//! the payload, which is kept until the answer is there in any case.

use bytes::Bytes;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a tensor is sent as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// All of it. Tensors that were received are so, unless they were taken.
    Whole(Bytes),
    /// The start of it, and more to come.
    Growing(Growing),
    /// It was received, and an [`Intake`](crate::Intake) has it.
    Taken {
        /// How many there were.
        bytes: u64,
    },
}

impl Payload {
    /// All of it, where it is here.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Growing(_) | Self::Taken { .. } => None,
        }
    }

    /// Bytes that there are, as far as they are made.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Growing(growing) => growing.state().bytes(),
            Self::Taken { bytes } => *bytes,
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes.into())
    }
}

/// A payload as its senders see it. Cheap to clone; equal only to its clones.
#[derive(Clone)]
pub struct Growing {
    state: Arc<Mutex<State>>,
    most: u64,
}

/// Makes a payload. Dropped before [`Self::finish`] or [`Self::give_up`], it leaves one that nobody
/// can send.
#[derive(Debug)]
pub struct Maker {
    state: Arc<Mutex<State>>,
    most: u64,
}

/// How a payload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With its last chunk.
    Complete,
    /// Its codec could not do it: the tensor's own bytes take its place.
    AsItIs(Bytes),
    /// Without anybody to make the rest.
    Abandoned,
}

/// What there is of a payload from some chunk on.
#[derive(Debug)]
pub(crate) struct Grown {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) end: Option<End>,
}

#[derive(Debug, Default)]
struct State {
    chunks: Vec<Bytes>,
    made: u64,
    end: Option<End>,
    waiting: Vec<Waker>,
}

/// Of one chunk; the frame counts them in 32 bits and keeps the largest number for itself.
const LONGEST_CHUNK: u64 = u32::MAX as u64 - 1;

impl Growing {
    /// A payload of `most` bytes at most, and who makes it.
    pub fn new(most: u64) -> (Maker, Self) {
        let state = Arc::new(Mutex::new(State::default()));
        (Maker { state: Arc::clone(&state), most }, Self { state, most })
    }

    /// The most bytes that it will have.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Waits until nothing is added any more.
    pub async fn ended(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.state();
            if state.end.is_some() { Poll::Ready(()) } else { state.wait(context) }
        })
        .await;
    }

    /// What there is, where there is something beyond `from` chunks or an end.
    pub(crate) fn poll_from(&self, from: usize, context: &mut Context<'_>) -> Poll<Grown> {
        let mut state = self.state();
        if from < state.chunks.len() || state.end.is_some() {
            return Poll::Ready(state.grown(from));
        }
        state.wait(context)
    }

    /// What there is now.
    pub(crate) fn now(&self, from: usize) -> Grown {
        self.state().grown(from)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maker {
    /// Appends a chunk. What is more than was announced abandons the payload: no reader would take it.
    pub fn push(&mut self, chunk: Bytes) {
        let bytes = chunk.len() as u64;
        if bytes == 0 {
            return;
        }
        let fits = bytes <= self.room() && bytes <= LONGEST_CHUNK;
        self.change(|state| match state.end {
            None if fits => {
                state.made += bytes;
                state.chunks.push(chunk);
            }
            None => state.end = Some(End::Abandoned),
            Some(_) => {}
        });
    }

    /// Bytes that may still be added.
    pub fn room(&self) -> u64 {
        self.most.saturating_sub(lock(&self.state).made)
    }

    /// Whether anybody would still read it.
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }

    /// That was the last chunk.
    pub fn finish(self) {
        self.end(End::Complete);
    }

    /// The codec cannot do it, whatever it made until now: the tensor goes as it is.
    pub fn give_up(self, tensor: Bytes) {
        self.end(End::AsItIs(tensor));
    }

    fn end(&self, end: End) {
        self.change(|state| {
            state.end.get_or_insert(end);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = lock(&self.state);
            change(&mut state);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.end(End::Abandoned);
    }
}

impl State {
    fn grown(&self, from: usize) -> Grown {
        Grown { chunks: self.chunks.get(from..).unwrap_or_default().to_vec(), end: self.end.clone() }
    }

    fn bytes(&self) -> u64 {
        match &self.end {
            Some(End::AsItIs(tensor)) => tensor.len() as u64,
            _ => self.made,
        }
    }

    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartialEq for Growing {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for Growing {}

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let ended = state.end.is_some();
        f.debug_struct("Growing").field("bytes", &state.bytes()).field("ended", &ended).finish()
    }
}
