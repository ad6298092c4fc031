//! One call, over as many nodes as it takes.

use crate::Mesh;
use kerf_transport::{CallFailure, Source};
use kerf_wire::{Answer, Intake, Reason, Refusal, Request, Response, Retry};
use std::time::{Duration, Instant};

/// An answer, and how it was come by.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// The node that gave it.
    pub node: String,
    /// Nodes that were asked, this one among them.
    pub attempts: u32,
    /// Of the last attempt, what the node's own time does not explain.
    pub network: Duration,
}

/// Why no node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshError {
    /// What ended the call.
    pub failure: MeshFailure,
    /// Whose fault that was.
    pub source: Source,
    /// Every node that was asked, in order.
    pub attempts: Vec<Attempt>,
    /// Time that the call took.
    pub elapsed: Duration,
}

/// What ended a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeshFailure {
    /// No node is connected that may have the model and was not asked yet.
    #[error("no cloud node is available")]
    Unavailable,
    /// All attempts allowed were made.
    #[error("no cloud node answered")]
    Exhausted,
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// A node refused what every node would refuse, or may not know the codec of the tensors
    /// ([`Reason::Unsupported`]).
    #[error("refused as {}", .0.reason)]
    Refused(Refusal),
    /// The request cannot be sent to any node.
    #[error("{0}")]
    Request(CallFailure),
}

/// A node that was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its name.
    pub node: String,
    /// Why it did not answer.
    pub reason: String,
}

pub(crate) async fn call(
    mesh: &Mesh,
    request: &Request,
    intake: &mut dyn Intake,
) -> Result<Reply, MeshError> {
    let config = &mesh.inner.config;
    let start = Instant::now();
    let mut attempts = Vec::new();
    let mut tried = Vec::new();
    let mut source = Source::Link;
    let failure = loop {
        let left = request.deadline.saturating_sub(start.elapsed());
        if left.is_zero() {
            break MeshFailure::Deadline;
        }
        if tried.len() >= config.attempts as usize {
            break MeshFailure::Exhausted;
        }
        let Some((index, link, connection)) = mesh.pick(request, &tried) else {
            break if tried.is_empty() { MeshFailure::Unavailable } else { MeshFailure::Exhausted };
        };
        tried.push(index);
        let node = link.name().to_owned();
        let mut fail = |reason| attempts.push(Attempt { node: node.clone(), reason });
        let _outstanding = link.begin();
        let sent = Instant::now();
        let attempt = Request { deadline: left, ..request.clone() };
        let exchange = connection.call_into(&attempt, config.stall, intake);
        match tokio::time::timeout(left, exchange).await.map(|done| done.map(|done| done.response)) {
            Ok(Ok(Response::Answer(answer))) => {
                let network = sent.elapsed().saturating_sub(answer.timings.total);
                return Ok(Reply { answer, node, attempts: tried.len() as u32, network });
            }
            Ok(Ok(Response::Refusal(refusal))) => {
                source = Source::Peer;
                fail(format!("{}: {}", refusal.reason, refusal.message));
                if refusal.reason == Reason::Draining {
                    link.drain();
                }
                // What the node does not know may be the codec only: the caller can send another.
                if refusal.reason == Reason::Unsupported && request.is_coded() {
                    break MeshFailure::Refused(refusal);
                }
                match refusal.reason.retry() {
                    Retry::ElsewhereNow => {}
                    Retry::ElsewhereAvoid => mesh.avoid(index, request),
                    Retry::Never => break MeshFailure::Refused(refusal),
                }
            }
            Ok(Err(error)) => {
                source = error.source;
                fail(error.failure.to_string());
                if matches!(error.failure, CallFailure::Stalled { .. }) {
                    // After a silence, QUIC's own timers would keep this connection slow
                    // for as long again: a new one is faster.
                    connection.abandon();
                }
                if !error.retry {
                    break MeshFailure::Request(error.failure);
                }
            }
            Err(_) => {
                source = Source::Peer;
                fail("no answer within the deadline".into());
            }
        }
    };
    Err(MeshError { failure, source, attempts, elapsed: start.elapsed() })
}

impl std::fmt::Display for MeshError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.failure)?;
        for (index, Attempt { node, reason }) in self.attempts.iter().enumerate() {
            write!(f, "{} cloud/{node}: {reason}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for MeshError {}
