use crate::stall::{Verdict, Watch};
use crate::stream::{Receiver, SendError, Sender, all_made, knows_chunks};
use crate::{CallError, CallFailure, close};
use bytes::Bytes;
use kerf_wire::{Decoder, Frame, Intake, Limits, Request, Response};
use quinn::WriteError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection to one cloud node. Cheap to clone; calls do not wait for each other.
#[derive(Clone, Debug)]
pub struct Connection {
    quic: quinn::Connection,
    node: Arc<str>,
    limits: Limits,
    /// Whether the node knows tensors in chunks.
    chunks: bool,
    /// When some call last probed; one probe serves all calls.
    probed: Arc<Mutex<Option<Instant>>>,
}

/// Counters of a connection since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Least round-trip time seen.
    pub min_rtt: Duration,
    /// Congestion window, bytes.
    pub window: u64,
    /// UDP payload bytes sent, repeats among them.
    pub sent_bytes: u64,
    /// UDP payload bytes received.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets believed lost.
    pub lost_packets: u64,
}

impl Connection {
    pub(crate) fn new(quic: quinn::Connection, node: &str, limits: Limits) -> Self {
        let chunks = knows_chunks(&quic);
        Self { quic, node: node.into(), limits, chunks, probed: Arc::default() }
    }

    /// The node at the other end.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Sends a request on a stream of its own and waits for the response, for as long as
    /// the connection lives: gives up when no datagram at all has arrived for `stall`, or
    /// for three round trips where those are longer. Dropping the future takes the request back.
    ///
    /// Tensors that are still being made are sent as they are, to a node that knows chunks; another
    /// one is sent them when they are complete.
    pub async fn call(&self, request: &Request, stall: Duration) -> Result<Response, CallError> {
        self.call_into(request, stall, &mut ()).await
    }

    /// As [`Self::call`]; `intake` takes tensors of the answer while they arrive.
    pub async fn call_into(
        &self,
        request: &Request,
        stall: Duration,
        intake: &mut dyn Intake,
    ) -> Result<Response, CallError> {
        let failed = |failure| CallError::new(&self.node, failure);
        tokio::select! {
            biased;
            response = self.exchange(request, intake) => response.map_err(failed),
            silence = self.silence(stall) => Err(failed(CallFailure::Stalled { silence })),
        }
    }

    /// Smoothed round-trip time.
    pub fn rtt(&self) -> Duration {
        self.quic.rtt()
    }

    /// Counters.
    pub fn stats(&self) -> ConnectionStats {
        let stats = self.quic.stats();
        ConnectionStats {
            rtt: stats.path.rtt,
            min_rtt: stats.path.min_rtt,
            window: stats.path.cwnd,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
        }
    }

    /// Whether it has ended, for whatever reason.
    pub fn is_closed(&self) -> bool {
        self.quic.close_reason().is_some()
    }

    /// Waits for its end and says why.
    pub async fn closed(&self) -> CallError {
        CallError::new(&self.node, self.quic.closed().await.into())
    }

    /// Ends it, and with it all calls: for one that is lost, without a word back.
    pub fn abandon(&self) {
        self.quic.close(close::LOST, b"lost");
    }

    async fn exchange(&self, request: &Request, intake: &mut dyn Intake) -> Result<Response, CallFailure> {
        if !self.chunks {
            all_made(&request.tensors).await;
        }
        let frame = Frame::of_request(request, &self.limits).map_err(CallFailure::Encode)?;
        let (send, receive) = self.quic.open_bi().await?;
        let mut sender = Sender::new(send, close::CANCELLED);
        let response = {
            let send = sender.send(frame);
            let receive = receive_response(Receiver::new(receive), self.limits, intake);
            tokio::pin!(send, receive);
            // A node may refuse before it has the whole request.
            let mut sending = true;
            loop {
                tokio::select! {
                    response = &mut receive => break response?,
                    sent = &mut send, if sending => match sent {
                        // Stopped: the reason is on its way, as a response.
                        Ok(()) | Err(SendError::Write(WriteError::Stopped(_))) => sending = false,
                        Err(SendError::Write(WriteError::ConnectionLost(error))) => return Err(error.into()),
                        Err(SendError::Write(WriteError::ClosedStream | WriteError::ZeroRttRejected)) => {
                            return Err(CallFailure::Closed);
                        }
                        Err(SendError::Abandoned(abandoned)) => return Err(CallFailure::Abandoned(abandoned)),
                    },
                }
            }
        };
        sender.done();
        if response.id() == request.id { Ok(response) } else { Err(CallFailure::WrongId) }
    }

    /// Returns when the link is lost.
    async fn silence(&self, stall: Duration) -> Duration {
        let start = Instant::now();
        let mut watch = Watch::new(stall, Duration::ZERO, self.quic.stats().udp_rx.datagrams);
        loop {
            let stats = self.quic.stats();
            match watch.look(start.elapsed(), stats.udp_rx.datagrams, stats.path.rtt) {
                Verdict::Wait(next) => tokio::time::sleep(next).await,
                Verdict::Probe(next) => {
                    self.probe(next);
                    tokio::time::sleep(next).await;
                }
                Verdict::Lost(silence) => return silence,
            }
        }
    }

    fn probe(&self, apart: Duration) {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if probed.is_none_or(|last| last.elapsed() >= apart) {
            *probed = Some(Instant::now());
            // A peer that takes no datagrams is judged by its keep-alives.
            let _ = self.quic.send_datagram(Bytes::new());
        }
    }
}

async fn receive_response(
    mut receiver: Receiver,
    limits: Limits,
    intake: &mut dyn Intake,
) -> Result<Response, CallFailure> {
    let mut decoder = Decoder::<Response>::new(limits);
    while let Some(chunks) = receiver.next().await? {
        for chunk in chunks {
            decoder.push(chunk).map_err(CallFailure::Decode)?;
        }
        decoder.deliver(intake);
    }
    decoder.finish().map_err(CallFailure::Decode)
}
