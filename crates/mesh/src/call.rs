//! One call, over as many nodes as it takes.

use crate::Mesh;
use kerf_transport::{CallFailure, Connection, Exchange, Source};
use kerf_wire::{Answer, Arrival, Intake, Reason, Refusal, Request, Response, Retry};
use std::time::{Duration, Instant};

/// An answer, and how it was come by.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// The node that gave it.
    pub node: String,
    /// The same, by the order in which they were given: names may be shared.
    pub index: usize,
    /// Times that the request was sent, this one among them.
    pub attempts: u32,
    /// Of the last attempt, what the node's own time does not explain.
    pub network: Duration,
    /// Of the last attempt, from its start to the last byte of the answer.
    pub elapsed: Duration,
    /// How the answer's bytes came in.
    pub arrival: Arrival,
    /// Bytes of this edge's requests that were on the way on the same connection, before this one.
    pub ahead: u64,
    /// Whether a copy was sent to the node before: it may have run then, so no time of this reply says
    /// what a request takes, or what the link can do.
    pub again: bool,
}

/// What a call does while no node is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSilence {
    /// Tries one new connection, and fails when that is silent as well: the caller can do without.
    #[default]
    GiveUp,
    /// Waits for a node that was there to come back, until the deadline.
    WaitOut,
}

/// What a call is to do beside what its request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// While no node is heard.
    pub on_silence: OnSilence,
    /// The node to ask first, by the order in which they were given, where it takes requests;
    /// otherwise the one with the least to do.
    pub first: Option<usize>,
}

/// Why no node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshError {
    /// What ended the call.
    pub failure: MeshFailure,
    /// Whose fault that was.
    pub source: Source,
    /// Every time that it was sent in vain, in order.
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

/// A request that was sent in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// To which node.
    pub node: String,
    /// Why it did not answer.
    pub reason: String,
}

pub(crate) async fn call(
    mesh: &Mesh,
    request: &Request,
    Manner { on_silence, first }: Manner,
    intake: &mut dyn Intake,
) -> Result<Reply, MeshError> {
    let config = &mesh.inner.config;
    let start = Instant::now();
    let mut attempts = Vec::new();
    let mut tried = Vec::new();
    // Nodes to which the link was lost, with the connection on which it was.
    let mut lost: Vec<(usize, Connection)> = Vec::new();
    let mut source = Source::Link;
    let failure = loop {
        let left = request.deadline.saturating_sub(start.elapsed());
        if left.is_zero() {
            break MeshFailure::Deadline;
        }
        let patience = match (on_silence, lost.is_empty()) {
            (OnSilence::WaitOut, _) => left,
            (OnSilence::GiveUp, false) => left.min(config.stall),
            (OnSilence::GiveUp, true) => Duration::ZERO,
        };
        let picked = match mesh.pick(request, first, &tried) {
            None if patience > Duration::ZERO => {
                let revived = mesh.revived(request, &tried, &lost);
                tokio::time::timeout(patience, revived).await.unwrap_or_default()
            }
            picked => picked,
        };
        let Some((index, link, connection)) = picked else {
            break match attempts.is_empty() {
                _ if start.elapsed() >= request.deadline => MeshFailure::Deadline,
                true => MeshFailure::Unavailable,
                false => MeshFailure::Exhausted,
            };
        };
        let again = tried.contains(&index);
        if !again {
            tried.push(index);
        }
        let node = link.name().to_owned();
        let mut fail = |reason| attempts.push(Attempt { node: node.clone(), reason });
        let _outstanding = link.begin();
        let sent = Instant::now();
        let left = request.deadline.saturating_sub(start.elapsed());
        let attempt = Request { deadline: left, ..request.clone() };
        match tokio::time::timeout(left, connection.call_into(&attempt, config.stall, intake)).await {
            Ok(Ok(Exchange { response: Response::Answer(answer), arrival, ahead })) => {
                let elapsed = sent.elapsed();
                let network = elapsed.saturating_sub(answer.timings.total);
                let attempts = attempts.len() as u32 + 1;
                return Ok(Reply { answer, node, index, attempts, network, elapsed, arrival, ahead, again });
            }
            Ok(Ok(Exchange { response: Response::Refusal(refusal), .. })) => {
                source = Source::Peer;
                fail(format!("{}: {}", refusal.reason, refusal.message));
                lost.retain(|(other, _)| *other != index);
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
                let stalled = matches!(error.failure, CallFailure::Stalled { .. });
                fail(error.failure.to_string());
                if !error.retry {
                    break MeshFailure::Request(error.failure);
                }
                lost.retain(|(other, _)| *other != index);
                if source == Source::Link {
                    link.lose(&connection);
                    // A new connection that is as silent: the node, or the link, is gone.
                    if !(again && stalled && on_silence == OnSilence::GiveUp) {
                        lost.push((index, connection));
                    }
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
