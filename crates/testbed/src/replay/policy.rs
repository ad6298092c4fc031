//! Whoever decides, what it is told, and what it may do.

use std::time::Duration;

/// Decides for each request of one edge.
pub trait Policy {
    /// What now? Asked when a request comes, again when a thread takes it after it waited, and at each
    /// boundary where it stops and no head answered.
    fn decide(&mut self, now: Duration, situation: &Situation) -> Decision;

    /// Is told what the node would be told.
    fn observe(&mut self, _now: Duration, _event: &Event) {}
}

/// What to do, and whether to look at the link on the side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// With the request.
    pub action: Action,
    /// Payload bytes to send beside it that only a [`Transfer`] comes back of.
    pub probe: Option<f64>,
}

impl From<Action> for Decision {
    fn from(action: Action) -> Self {
        Self { action, probe: None }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Run to a later boundary, ask the head there, and decide again. The last is the answer.
    GoOn {
        /// Which.
        to: usize,
    },
    /// Send a boundary at which the request is or was.
    Ship {
        /// Which.
        boundary: usize,
        /// How to encode it.
        codec: usize,
        /// Go on here after so many seconds without an answer, boundary by boundary and behind all other
        /// work. The first answer wins, the other way is cancelled; a range that runs, on either side,
        /// runs to its end.
        race: Option<f64>,
    },
}

/// Where a request is when a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It came just now.
    Arrival,
    /// It waited, and has a thread now.
    Thread,
    /// It ran, and has its thread still.
    Boundary,
}

/// What the edge node knows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Which request.
    pub request: usize,
    /// Where it is.
    pub place: Place,
    /// Its boundary.
    pub at: usize,
    /// Boundaries whose tensors it has, `at` among them, one bit each.
    pub held: u64,
    /// Since it came.
    pub age: Duration,
    /// Seconds until a thread would take it, by what others said they would do.
    pub edge_wait: f64,
    /// Requests that wait for a thread.
    pub edge_queue: usize,
    /// Requests and probes that were sent and not answered.
    pub unanswered: usize,
    /// Their bytes on the wire.
    pub unanswered_bytes: u64,
    /// Bytes on the wire that were sent and not acknowledged by now: not through half a round trip and
    /// the way of the acknowledgement ago.
    pub unacknowledged: u64,
}

/// What a policy is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A message was handed to the uplink.
    Sent {
        /// Whose; `None` is a probe, of which boundary and codec say nothing.
        request: Option<usize>,
        /// What was sent.
        boundary: usize,
        /// How it was encoded.
        codec: usize,
        /// Its bytes.
        payload: f64,
        /// Its bytes on the wire.
        bytes: u64,
    },
    /// It was answered.
    Answered {
        /// Whose.
        request: Option<usize>,
        /// What that showed.
        transfer: Transfer,
    },
    /// It will not be answered: the uplink's queue was full, or the request was answered here before.
    Lost {
        /// Whose.
        request: Option<usize>,
        /// Whether it was taken back, because of an answer found here.
        cancelled: bool,
    },
    /// The edge ran a range.
    Ran {
        /// From this boundary.
        from: usize,
        /// To that.
        to: usize,
        /// Whether a head was asked at its end.
        with_head: bool,
        /// Whether the request was away meanwhile.
        as_race: bool,
        /// Both together.
        seconds: f64,
    },
}

/// One exchange with the cloud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer {
    /// When it was sent.
    pub sent: Duration,
    /// Payload to the cloud.
    pub up_bytes: f64,
    /// Payload back.
    pub down_bytes: f64,
    /// Seconds until the answer was complete, without what the node says that it took.
    pub elapsed: f64,
    /// What the node saw.
    pub arrival: Arrival,
    /// What the edge saw of the answer.
    pub answer_arrival: Arrival,
    /// Bytes on the wire, sent before and not through when it was sent.
    pub ahead: u64,
    /// Seconds that it waited at the node for a worker.
    pub queue: f64,
    /// Seconds that the node computed.
    pub compute: f64,
}

/// How a message came in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arrival {
    /// Seconds from the first packet to the last.
    pub first_to_last: f64,
    /// Payload after the first packet.
    pub bytes_after_first: f64,
}
