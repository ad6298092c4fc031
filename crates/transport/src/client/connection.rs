use super::handshake::{Stage, Target, confirmed};
use super::ledger::{Ledger, UnderWay};
use crate::stall::{Verdict, Watch};
use crate::stream::{Receiver, SendError, Sender, all_made, made_bytes, most_bytes};
use crate::{CallError, CallFailure, Config, ConnectError, close};
use bytes::Bytes;
use kerf_wire::{Arrival, Decoder, Frame, Intake, Limits, Request, Response};
use quinn::WriteError;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A connection to one cloud node. Cheap to clone; calls do not wait for each other.
#[derive(Clone, Debug)]
pub struct Connection {
    quic: quinn::Connection,
    about: Arc<About>,
}

/// What all clones of a connection share.
#[derive(Debug)]
struct About {
    target: Target,
    limits: Limits,
    idle: Duration,
    keep_alive: Duration,
    stage: watch::Receiver<Stage>,
    /// Why this end does not trust the other after all.
    untrusted: Arc<OnceLock<String>>,
    ledger: Ledger,
    /// When some call last probed; one probe serves all calls.
    probed: Mutex<Option<Instant>>,
}

/// A response, and what its way was like.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What came back.
    pub response: Response,
    /// How the response's bytes came in.
    pub arrival: Arrival,
    /// Bytes of requests that were on their way on the connection when this one was sent: about as
    /// many were before it in the queues of the path.
    pub ahead: u64,
}

/// How a connection's packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// As UDP datagrams.
    Udp,
    /// Through TLS over TCP, one behind the other.
    Tcp,
}

impl Way {
    /// Lower-case name for labels and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
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
    pub(super) fn new(
        quic: quinn::Connection,
        target: Target,
        config: &Config,
        stage: watch::Receiver<Stage>,
        untrusted: Arc<OnceLock<String>>,
        ledger: Ledger,
    ) -> Self {
        let Config { limits, idle_timeout: idle, keep_alive, .. } = *config;
        let probed = Mutex::default();
        Self {
            quic,
            about: Arc::new(About { target, limits, idle, keep_alive, stage, untrusted, ledger, probed }),
        }
    }

    /// The node at the other end.
    pub fn node(&self) -> &str {
        &self.about.target.node
    }

    /// How its packets travel.
    pub fn way(&self) -> Way {
        if self.about.target.tunnel.is_some() { Way::Tcp } else { Way::Udp }
    }

    /// Tells it from other connections of the client.
    pub fn id(&self) -> usize {
        self.quic.stable_id()
    }

    /// Whether the node has said nothing yet: requests go as early data.
    pub fn is_early(&self) -> bool {
        *self.about.stage.borrow() == Stage::Early
    }

    /// Waits until the node has answered, or the connection has ended.
    pub async fn established(&self) {
        // A sender that is gone has said its last.
        let _ = self.about.stage.clone().wait_for(|stage| *stage == Stage::Established).await;
    }

    /// Waits until the node has said that it takes this one. Calls need not: where it does not, they
    /// fail, and this says why.
    pub async fn confirmed(&self) -> Result<(), ConnectError> {
        confirmed(&self.quic).await.map_err(|error| self.explain(error))
    }

    /// Sends a request on a stream of its own and waits for the response, for as long as
    /// the connection lives: gives up when no datagram at all has arrived for `stall`, or
    /// for three round trips where those are longer. Dropping the future takes the request back.
    ///
    /// Tensors that are still being made are sent as they are, to a node that knows chunks; another
    /// one is sent them when they are complete.
    pub async fn call(&self, request: &Request, stall: Duration) -> Result<Response, CallError> {
        Ok(self.call_into(request, stall, &mut ()).await?.response)
    }

    /// As [`Self::call`]; `intake` takes tensors of the answer while they arrive. Where the node did
    /// not take the request as early data, it is sent again, and the intake begins anew.
    pub async fn call_into(
        &self,
        request: &Request,
        stall: Duration,
        intake: &mut dyn Intake,
    ) -> Result<Exchange, CallError> {
        tokio::select! {
            biased;
            done = self.exchange(request, intake) => {
                self.about.target.known.set_rtt(self.quic.rtt());
                done.map_err(|failure| self.failed(failure))
            }
            silence = self.silence(stall) => Err(self.failed(CallFailure::Stalled { silence })),
        }
    }

    /// Returns when nothing is heard of the node any more, without a call that would find out. Says
    /// nothing itself for as long as keep-alives are answered: then asks, and looks as closely as a
    /// call does.
    pub async fn silent(&self, stall: Duration) -> Duration {
        let apart = self.about.keep_alive + self.about.keep_alive / 2 + Duration::from_millis(50);
        loop {
            let before = self.quic.stats().udp_rx.datagrams;
            tokio::time::sleep(apart).await;
            if self.quic.stats().udp_rx.datagrams == before {
                tokio::select! {
                    silence = self.silence(stall) => return silence + apart,
                    () = self.heard(before) => {}
                }
            }
        }
    }

    /// Returns once more datagrams than `before` have come.
    async fn heard(&self, before: u64) {
        while self.quic.stats().udp_rx.datagrams == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
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
        let error = self.quic.closed().await;
        self.failed(error.into())
    }

    /// Why it is not usable, where it has ended.
    pub(super) fn end(&self) -> Option<ConnectError> {
        self.quic.close_reason().map(|error| self.explain(error))
    }

    /// Ends it, and with it all calls: for one that is lost, without a word back.
    pub fn abandon(&self) {
        self.quic.close(close::LOST, b"lost");
    }

    fn explain(&self, error: quinn::ConnectionError) -> ConnectError {
        match self.about.untrusted.get() {
            None => self.about.target.explain(error, self.about.idle),
            Some(reason) => ConnectError::Untrusted {
                node: self.node().to_owned(),
                address: self.about.target.address,
                reason: reason.clone(),
            },
        }
    }

    fn failed(&self, failure: CallFailure) -> CallError {
        let failure = match (self.about.untrusted.get(), failure) {
            (Some(reason), CallFailure::Closed) => CallFailure::Untrusted(reason.clone()),
            (_, failure) => failure,
        };
        if let CallFailure::Untrusted(_) = failure {
            // Tickets stand for certificates that one end does not take any more.
            self.about.target.known.tickets.clear();
        }
        CallError::new(self.node(), failure)
    }

    async fn exchange(&self, request: &Request, intake: &mut dyn Intake) -> Result<Exchange, CallFailure> {
        let early = self.is_early();
        match self.attempt(request, intake).await {
            // Its streams are closed, and it is not: the node did not take early data.
            Err(CallFailure::Closed) if early && !self.is_closed() => {
                self.established().await;
                self.attempt(request, intake).await
            }
            done => done,
        }
    }

    async fn attempt(&self, request: &Request, intake: &mut dyn Intake) -> Result<Exchange, CallFailure> {
        if !self.about.target.known.chunks() {
            all_made(&request.tensors).await;
        }
        let frame = Frame::of_request(request, &self.about.limits).map_err(CallFailure::Encode)?;
        let bytes = most_bytes(&request.tensors);
        let (send, receive) = self.quic.open_bi().await?;
        let mut sender = Sender::new(send, close::CANCELLED);
        sender.set_size(bytes);
        let (ahead, under_way) = self.about.ledger.begin(bytes);
        let mut under_way: Option<UnderWay> = Some(under_way);
        let delivered = sender.stream.stopped();
        let (response, arrival) = {
            let send = sender.send(frame);
            let receive = receive_response(Receiver::new(receive), self.about.limits, intake);
            tokio::pin!(send, receive, delivered);
            // A node may refuse before it has the whole request.
            let mut sending = true;
            loop {
                tokio::select! {
                    response = &mut receive => break response?,
                    sent = &mut send, if sending => match sent {
                        Ok(()) => {
                            sending = false;
                            if let Some(under_way) = &mut under_way {
                                under_way.settle(made_bytes(&request.tensors));
                            }
                        }
                        // The reason is on its way, as a response.
                        Err(SendError::Write(WriteError::Stopped(_))) => sending = false,
                        Err(SendError::Write(WriteError::ConnectionLost(error))) => return Err(error.into()),
                        Err(SendError::Write(WriteError::ClosedStream | WriteError::ZeroRttRejected)) => {
                            return Err(CallFailure::Closed);
                        }
                        Err(SendError::Abandoned(abandoned)) => return Err(CallFailure::Abandoned(abandoned)),
                    },
                    _ = &mut delivered, if under_way.is_some() => under_way = None,
                }
            }
        };
        sender.done();
        if response.id() == request.id {
            Ok(Exchange { response, arrival, ahead })
        } else {
            Err(CallFailure::WrongId)
        }
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
        let mut probed = self.about.probed.lock().unwrap_or_else(PoisonError::into_inner);
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
) -> Result<(Response, Arrival), CallFailure> {
    let mut decoder = Decoder::<Response>::new(limits);
    while let Some(chunks) = receiver.next().await? {
        for chunk in chunks {
            decoder.push(chunk).map_err(CallFailure::Decode)?;
        }
        decoder.deliver(intake);
    }
    Ok((decoder.finish().map_err(CallFailure::Decode)?, receiver.arrival()))
}
