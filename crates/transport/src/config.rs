use crate::congestion::{CappedConfig, Meter};
use kerf_wire::{ALPN, ALPN_CHUNKS, Limits};
use quinn::congestion::{BbrConfig, CubicConfig};
use quinn::{IdleTimeout, TransportConfig, VarInt};
use std::sync::Arc;
use std::time::Duration;

/// How fast to send. The window of either is capped near what the path holds without a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// Cubic (RFC 9438): a loss halves the rate, more or less.
    #[default]
    Cubic,
    /// BBR: better where a percent of the packets is lost by chance; its start is less bounded.
    Bbr,
}

/// Settings of either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A connection on which nothing has arrived for so long is gone.
    pub idle_timeout: Duration,
    /// A quiet connection says something this often, so that neither the peer nor a NAT forgets it.
    pub keep_alive: Duration,
    /// A handshake that takes longer has failed.
    pub connect_timeout: Duration,
    /// Bytes that may be on the way before the first acknowledgement. 64 to 100 KB halve
    /// the first request's time against the 12 KB that RFC 9002 starts with.
    pub initial_window: u64,
    /// How fast to send after that.
    pub congestion: Congestion,
    /// Requests at once on one connection; a client waits for a place.
    pub max_streams: u32,
    /// Connections at once; a server turns more away.
    pub max_connections: usize,
    /// Bytes that may wait unread in one stream.
    pub stream_window: u32,
    /// Bytes that may wait unread in one connection.
    pub connection_window: u32,
    /// Bytes of tensors that a server holds for all requests together; a request that does
    /// not fit is refused as overloaded. At least [`Limits::payload`] is taken.
    pub payload_memory: u64,
    /// Answers that a server keeps for requests that come again.
    pub answers: usize,
    /// Bytes of the answers that it keeps.
    pub answer_memory: u64,
    /// How long it keeps them: longer than links are lost.
    pub answer_age: Duration,
    /// The header of a request must have come by then.
    pub header_timeout: Duration,
    /// Longest silence within a payload.
    pub payload_idle: Duration,
    /// A whole payload must have come by then; the request's deadline may be sooner.
    pub payload_timeout: Duration,
    /// What requests that run at shutdown are given to finish.
    pub drain: Duration,
    /// Bytes of kernel buffer to ask for, each way; the kernel may give less.
    pub socket_buffer: usize,
    /// Limits of messages, both ways.
    pub limits: Limits,
    /// Whether tensors that are still being encoded are sent, to peers that know chunks too. Without,
    /// this end passes for one of before there were chunks.
    pub chunks: bool,
    /// Whether a server takes connections over TCP too, at the same port.
    pub tcp: bool,
    /// Tickets that a server gives to each connection. A client spends one per connection that it
    /// begins, and gets as many again.
    pub tickets: usize,
    /// Tickets of all clients together that a server remembers, about 2 kB each; the oldest go first.
    pub sessions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(20),
            keep_alive: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            initial_window: 96 << 10,
            congestion: Congestion::default(),
            max_streams: 256,
            max_connections: 1024,
            stream_window: 4 << 20,
            connection_window: 16 << 20,
            payload_memory: 512 << 20,
            answers: 4096,
            answer_memory: 64 << 20,
            answer_age: Duration::from_secs(60),
            header_timeout: Duration::from_secs(5),
            payload_idle: Duration::from_secs(10),
            payload_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            socket_buffer: 4 << 20,
            limits: Limits::default(),
            chunks: true,
            tcp: true,
            tickets: 8,
            sessions: 8192,
        }
    }
}

impl Config {
    /// What to offer to peers, or to choose from what they offer: the first one that both know.
    pub(crate) fn protocols(&self) -> Vec<Vec<u8>> {
        let chunks = self.chunks.then_some(ALPN_CHUNKS);
        chunks.into_iter().chain([ALPN]).map(<[u8]>::to_vec).collect()
    }

    /// For a server.
    pub(crate) fn transport(&self) -> Arc<TransportConfig> {
        self.metered_transport(None).0
    }

    /// For one connection of a client, to a node whose round-trip time was `rtt` the last time, and
    /// what counts its acknowledgements.
    pub(crate) fn metered_transport(&self, rtt: Option<Duration>) -> (Arc<TransportConfig>, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        let mut transport = TransportConfig::default();
        match self.congestion {
            Congestion::Cubic => {
                let mut cubic = CubicConfig::default();
                cubic.initial_window(self.initial_window);
                let capped = CappedConfig { inner: Arc::new(cubic), meter: meter.clone() };
                transport.congestion_controller_factory(Arc::new(capped));
            }
            Congestion::Bbr => {
                let mut bbr = BbrConfig::default();
                bbr.initial_window(self.initial_window);
                let capped = CappedConfig { inner: Arc::new(bbr), meter: meter.clone() };
                transport.congestion_controller_factory(Arc::new(capped));
            }
        }
        if let Some(rtt) = rtt {
            // RFC 9002, 6.2.2: a packet that gets lost at the start is repeated after three of these.
            transport.initial_rtt(rtt.clamp(LEAST_RTT, DEFAULT_RTT));
        }
        transport
            .max_idle_timeout(Some(
                IdleTimeout::try_from(self.idle_timeout).unwrap_or_else(|_| VarInt::MAX.into()),
            ))
            .keep_alive_interval(Some(self.keep_alive))
            .max_concurrent_bidi_streams(self.max_streams.into())
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(self.stream_window.into())
            .receive_window(self.connection_window.into())
            // Datagrams are empty probes, see `stall`: nobody reads them.
            .datagram_receive_buffer_size(Some(4096));
        (Arc::new(transport), meter)
    }
}

/// A timer that is shorter than a busy machine's pauses repeats what was not lost.
const LEAST_RTT: Duration = Duration::from_millis(20);
/// What RFC 9002 assumes of a path that nothing is known of.
const DEFAULT_RTT: Duration = Duration::from_millis(333);
