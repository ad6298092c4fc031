//! How a request was answered: who did what, and how long each stage took.

use std::time::Duration;

/// Who did what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    /// Boundary from which the request was, or would have been, shipped.
    pub(crate) split: usize,
    /// What the request could have done, where somebody asked.
    pub(crate) explanation: Option<String>,
    /// Heads that were asked, in order.
    pub(crate) asked: Vec<Exited>,
    /// The exit that answered.
    pub(crate) exit: Option<Exited>,
    /// Node that produced the final outputs.
    pub(crate) node: String,
    /// Engine that ran the head here, if there was one.
    pub(crate) head_engine: Option<String>,
    /// Engine that ran the tail, there or here, if there was one.
    pub(crate) tail_engine: Option<String>,
    /// Why the edge finished what the cloud was meant to.
    pub(crate) fallback: Option<String>,
    /// Who was first, `edge` or `cloud`, where both worked at the same time.
    pub(crate) raced: Option<&'static str>,
    /// Bytes of tensors shipped.
    pub(crate) shipped: u64,
    /// The codec that they were shipped under.
    pub(crate) codec: String,
    /// Why some went as they were, though a codec was chosen.
    pub(crate) uncoded: Option<String>,
    /// Bytes of the answer's tensors, as they came.
    pub(crate) received: u64,
}

/// Where a head stands, and how sure it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exited {
    pub(crate) boundary: usize,
    /// 0 to 1.
    pub(crate) confidence: f64,
}

/// Time by stage; zero for stages that did not happen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timings {
    /// Waiting for compute threads here.
    pub(crate) queue: Duration,
    /// Images to tensors, here.
    pub(crate) preprocess: Duration,
    /// The head, here.
    pub(crate) head: Duration,
    /// Exit heads, here, with what decides whether they are sure.
    pub(crate) exits: Duration,
    /// Tensors to bytes, here, until the first were sent.
    pub(crate) encode: Duration,
    /// The call to the cloud less the cloud's stages below: its own bookkeeping counts here.
    pub(crate) network: Duration,
    /// The cloud's own waiting.
    pub(crate) cloud_queue: Duration,
    /// Bytes and images to tensors, in the cloud.
    pub(crate) cloud_decode: Duration,
    /// The cloud's computing.
    pub(crate) cloud_compute: Duration,
    /// Answers to bytes, in the cloud, until the first were sent.
    pub(crate) cloud_encode: Duration,
    /// The answer's bytes to tensors, here, after the last came.
    pub(crate) decode: Duration,
    /// The tail, here.
    pub(crate) tail: Duration,
}

impl Route {
    /// Who made the answer: an `exit`, the `edge` as planned, the `cloud`, `fallback`, or the edge in
    /// a `race` with the cloud.
    pub(crate) fn by(&self) -> &'static str {
        match (&self.exit, &self.fallback, self.raced, self.shipped) {
            (Some(_), ..) => "exit",
            (None, Some(_), ..) => "fallback",
            (None, None, Some("edge"), _) => "race",
            (None, None, _, 0) => "edge",
            (None, None, ..) => "cloud",
        }
    }
}

impl Timings {
    /// The stages in the order in which they happen.
    pub(crate) fn stages(&self) -> [(&'static str, Duration); 12] {
        [
            ("queue", self.queue),
            ("preprocess", self.preprocess),
            ("head", self.head),
            ("exits", self.exits),
            ("encode", self.encode),
            ("network", self.network),
            ("cloud_queue", self.cloud_queue),
            ("cloud_decode", self.cloud_decode),
            ("cloud_compute", self.cloud_compute),
            ("cloud_encode", self.cloud_encode),
            ("decode", self.decode),
            ("tail", self.tail),
        ]
    }
}
