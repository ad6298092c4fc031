use super::budget::Share;
use super::once::{Found, Key, Waiter};
use super::{Begun, Handler, Shared};
use crate::close;
use crate::stream::{Receiver, SendError, Sender, all_made, most_bytes};
use kerf_identity::PeerIdentity;
use kerf_wire::{Decoder, Frame, Reason, Refusal, Request, RequestId, Response};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A stream on which a request comes.
pub(super) struct Incoming {
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    pub(super) peer: Arc<PeerIdentity>,
    /// Whether the peer knows tensors in chunks.
    pub(super) chunks: bool,
}

/// One request, from its first byte to the acknowledgement of its response's last.
pub(super) async fn serve(incoming: Incoming, handler: Arc<dyn Handler>, shared: Shared) {
    let Incoming { send, receive, peer, chunks } = incoming;
    let _running = Running::new(&shared.running);
    let mut sender = Sender::new(send, close::INTERNAL);
    let mut receiver = Receiver::new(receive);
    let (response, key) = match receive_request(&mut receiver, &peer, handler.as_ref(), &shared).await {
        Ok(Received::New { key, request, begun, share }) => {
            let arrival = receiver.arrival();
            let run = || {
                let handling = match begun {
                    Some(begun) => begun.handle(request, arrival),
                    None => handler.handle(&peer, request, arrival),
                };
                async move {
                    let response = handling.await;
                    drop(share);
                    response
                }
            };
            match await_response(&mut sender, shared.once.enter(key.clone(), run), &peer).await {
                Some(response) => (response, Some(key)),
                None => return,
            }
        }
        Ok(Received::Copy { key, found }) => {
            tracing::debug!(%peer, ?key, "a copy");
            receiver.stop(close::REFUSED);
            match await_response(&mut sender, found, &peer).await {
                Some(response) => (response, Some(key)),
                None => return,
            }
        }
        Err(End::Refuse(refusal)) => {
            let Refusal { id, reason, message, .. } = &refusal;
            tracing::debug!(%peer, %id, %reason, message, "refused");
            receiver.stop(close::REFUSED);
            (Response::Refusal(refusal), None)
        }
        Err(End::Reset(code)) => {
            receiver.stop(code);
            return sender.reset(code);
        }
        Err(End::Gone) => return,
    };
    let delivery = deliver(&mut sender, response, chunks, &shared);
    match tokio::time::timeout(shared.config.payload_timeout, delivery).await {
        Ok(true) => {}
        Ok(false) => key.iter().for_each(|key| shared.once.forget(key)),
        Err(_) => tracing::warn!(%peer, "a response was not taken in time"),
    }
}

/// The response, for as long as it is wanted.
async fn await_response(sender: &mut Sender, found: Found, peer: &PeerIdentity) -> Option<Response> {
    let mut waiter: Waiter = match found {
        Found::Answered(response) => return Some(response),
        Found::Running(waiter) => waiter,
    };
    let stopped = sender.stream.stopped();
    tokio::select! {
        response = waiter.response() => {
            if response.is_none() {
                tracing::error!(%peer, "a request's task failed");
            }
            response
        }
        ended = stopped => {
            if let Err(StoppedError::ConnectionLost(error)) = ended
                && may_return(&error)
            {
                tracing::debug!(%peer, %error, "goes on for a client that may be back");
                waiter.leave();
            } else {
                tracing::debug!(%peer, "taken back");
            }
            None
        }
    }
}

/// Whether who lost the connection so may ask again on another one.
fn may_return(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::ApplicationClosed(closed) => closed.error_code == close::LOST,
        ConnectionError::TimedOut | ConnectionError::Reset => true,
        _ => false,
    }
}

/// What came.
enum Received {
    /// A request of which all is there.
    New {
        key: Key,
        request: Request,
        /// What the handler began to make of it.
        begun: Option<Box<dyn Begun>>,
        share: Share,
    },
    /// The start of one that is known.
    Copy { key: Key, found: Found },
}

/// How a request ends that reaches no handler.
enum End {
    Refuse(Refusal),
    /// Not even whose it was is known.
    Reset(VarInt),
    /// The client took it back, or is gone.
    Gone,
}

/// A request whose header was judged.
struct Admitted {
    id: RequestId,
    key: Key,
    share: Share,
    until: Duration,
}

async fn receive_request(
    receiver: &mut Receiver,
    peer: &Arc<PeerIdentity>,
    handler: &dyn Handler,
    shared: &Shared,
) -> Result<Received, End> {
    let config = &shared.config;
    let mut decoder = Decoder::<Request>::new(config.limits);
    let refuse =
        |id, reason, message| End::Refuse(Refusal { id, node: shared.node.to_string(), reason, message });
    let started = Instant::now();
    // Set when the header has been judged.
    let mut admitted: Option<Admitted> = None;
    let mut begun: Option<Box<dyn Begun>> = None;
    loop {
        let limit = match &admitted {
            None => config.header_timeout.saturating_sub(started.elapsed()),
            Some(Admitted { until, .. }) => config.payload_idle.min(until.saturating_sub(started.elapsed())),
        };
        let more = match tokio::time::timeout(limit, receiver.next()).await {
            Ok(Ok(chunks)) => {
                let mut pushed = Ok(());
                let more = chunks.is_some();
                for chunk in chunks.into_iter().flatten() {
                    pushed = pushed.and_then(|()| decoder.push(chunk));
                }
                pushed.map(|()| more)
            }
            Ok(Err(ReadError::Reset(_) | ReadError::ConnectionLost(_))) => return Err(End::Gone),
            Ok(Err(_)) => return Err(End::Reset(close::INTERNAL)),
            Err(_) => {
                return Err(match (&admitted, decoder.header()) {
                    (Some(Admitted { id, .. }), Some(header)) if started.elapsed() >= header.deadline => {
                        refuse(*id, Reason::DeadlinePassed, "the payload came too slowly".into())
                    }
                    (Some(Admitted { id, .. }), _) => {
                        let message = format!("the payload stalled for {} ms", limit.as_millis());
                        refuse(*id, Reason::Failed, message)
                    }
                    _ => End::Reset(close::SLOW),
                });
            }
        };
        let more = more.map_err(|error| match decoder.id() {
            Some(id) => refuse(id, error.reason(), error.to_string()),
            None => End::Reset(close::BAD_FRAME),
        })?;
        if admitted.is_none()
            && let Some(header) = decoder.header()
        {
            let id = header.id;
            let key = Key::new(peer, header);
            if let Some(found) = shared.once.find(&key) {
                return Ok(Received::Copy { key, found });
            }
            if *shared.draining.borrow() {
                return Err(refuse(id, Reason::Draining, "the node is going away".into()));
            }
            handler.admit(peer, header).map_err(End::Refuse)?;
            let Some(share) = shared.memory.take(header.memory()) else {
                let message = format!("no memory for {} bytes of tensors now", header.memory());
                return Err(refuse(id, Reason::Overloaded, message));
            };
            let until = header.deadline.min(config.payload_timeout);
            admitted = Some(Admitted { id, key, share, until });
            begun = handler.begin(peer, header);
        }
        if let Some(begun) = &mut begun {
            decoder.deliver(begun.intake());
        }
        if more {
            continue;
        }
        let id = decoder.id();
        let finished = decoder.finish();
        return match (finished, admitted) {
            (Ok(mut request), Some(Admitted { key, share, .. })) => {
                let spent = receiver.began().map_or(Duration::ZERO, |began| began.elapsed());
                request.deadline = request.deadline.saturating_sub(spent);
                Ok(Received::New { key, request, begun, share })
            }
            (Err(error), _) => match id {
                Some(id) => Err(refuse(id, error.reason(), error.to_string())),
                None => Err(End::Reset(close::BAD_FRAME)),
            },
            (Ok(_), None) => Err(End::Reset(close::INTERNAL)),
        };
    }
}

/// Returns when the client has it all, or does not want it. Whether the response is one that can be
/// sent, now or again.
async fn deliver(sender: &mut Sender, response: Response, chunks: bool, shared: &Shared) -> bool {
    let limits = &shared.config.limits;
    if let Response::Answer(answer) = &response
        && !chunks
    {
        all_made(&answer.tensors).await;
    }
    if let Response::Answer(answer) = &response {
        sender.set_size(most_bytes(&answer.tensors));
    }
    let mut sound = true;
    let frame = Frame::of_response(&response, limits).or_else(|error| {
        sound = false;
        tracing::error!(id = %response.id(), %error, "a response cannot be sent");
        let node = shared.node.to_string();
        let message = format!("the response cannot be sent: {error}");
        let refusal = Refusal { id: response.id(), node, reason: Reason::Failed, message };
        Frame::of_response(&Response::Refusal(refusal), limits)
    });
    let Ok(frame) = frame else { return false };
    match sender.send(frame).await {
        Ok(()) => {
            // Done only once acknowledged: a connection closed earlier would lose the rest.
            let _ = sender.stream.stopped().await;
            sender.done();
            sound
        }
        Err(SendError::Abandoned(error)) => {
            tracing::error!(id = %response.id(), %error, "half a response");
            false
        }
        // Not wanted any more.
        Err(SendError::Write(_)) => sound,
    }
}

/// Counts requests in progress.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
