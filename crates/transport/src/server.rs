mod budget;
mod connection;
mod once;
mod request;

use crate::tunnel::Entrance;
use crate::{BindError, Config, close, socket};
use budget::Budget;
use kerf_identity::{Identity, PeerIdentity};
use kerf_wire::{Arrival, Intake, Refusal, Request, RequestHeader, Response};
use once::{Bounds, Once};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a server does with requests.
pub trait Handler: Send + Sync + 'static {
    /// Judges a request by its header, before its payload is read. Runs on the way of
    /// every request, so it must not wait.
    fn admit(&self, peer: &PeerIdentity, header: &RequestHeader) -> Result<(), Refusal>;

    /// Takes on a request that was admitted, and whose payload is about to come, to begin with it
    /// before it is all there. `None`: [`Self::handle`] gets all of it.
    fn begin(&self, _peer: &PeerIdentity, _header: &RequestHeader) -> Option<Box<dyn Begun>> {
        None
    }

    /// Answers. The request's deadline is what was left when its last byte came. The
    /// future is dropped when the client takes the request back, and no copy of it waits for
    /// the same answer; where the link was lost it goes on, for the client may ask again.
    /// Tensors of the answer may still be in the making.
    fn handle(
        &self,
        peer: &PeerIdentity,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>>;
}

/// A request that is being received, with what was made of it already. Dropped when it does not
/// come to its end.
pub trait Begun: Send {
    /// What takes its tensors.
    fn intake(&mut self) -> &mut dyn Intake;

    /// Answers in place of [`Handler::handle`], when the last byte has come.
    fn handle(
        self: Box<Self>,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>>;
}

/// Accepts connections from edge nodes.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    /// For those who cannot come as UDP.
    entrance: Option<Entrance>,
    address: SocketAddr,
    shared: Shared,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that still ran at the end of the time that they were given.
    pub cut: usize,
}

/// What all connections share.
#[derive(Clone, Debug)]
struct Shared {
    config: Arc<Config>,
    identity: Arc<Identity>,
    /// Of this node, for refusals.
    node: Arc<str>,
    memory: Budget,
    once: Once,
    running: Arc<AtomicUsize>,
    /// Becomes true once.
    draining: watch::Receiver<bool>,
}

impl Server {
    /// Listens. Needs a tokio runtime.
    pub fn bind(address: SocketAddr, identity: &Identity, config: Config) -> Result<Self, BindError> {
        let mut tls = identity.server_config(config.sessions, config.tickets)?;
        tls.alpn_protocols = config.protocols();
        let tls = QuicServerConfig::try_from(tls).map_err(|error| BindError::Tls(error.to_string()))?;
        let mut quic = ServerConfig::with_crypto(Arc::new(tls));
        quic.transport_config(config.transport());
        let (socket, address, listener) = listen(address, &config)?;
        let wrong = |source| BindError::Socket { address, source };
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(quic), socket, Arc::new(TokioRuntime))
            .map_err(wrong)?;
        let limits = (config.connect_timeout, 2 * config.idle_timeout);
        let entrance = listener
            .map(|listener| Entrance::new(listener, identity, address, config.max_connections, limits))
            .transpose()?;
        let (entries, bytes, age) = (config.answers, config.answer_memory, config.answer_age);
        let shared = Shared {
            once: Once::new(Bounds { entries, bytes, age }),
            memory: Budget::new(config.payload_memory.max(config.limits.payload)),
            node: identity.name().into(),
            identity: Arc::new(identity.clone()),
            running: Arc::default(),
            draining: watch::channel(false).1,
            config: Arc::new(config),
        };
        Ok(Self { endpoint, entrance, address, shared })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; then takes no more, gives what runs [`Config::drain`] to
    /// finish, and tells clients to go elsewhere.
    pub async fn serve(self, handler: Arc<dyn Handler>, shutdown: impl Future<Output = ()>) -> Drained {
        let Self { endpoint, entrance, mut shared, .. } = self;
        let (drain, draining) = watch::channel(false);
        shared.draining = draining;
        let mut connections = JoinSet::new();
        // Ends with this future: what comes through it is served, and drained, like all else.
        let mut tunnels = JoinSet::new();
        if let Some(entrance) = entrance {
            tunnels.spawn(entrance.serve());
        }
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                incoming = endpoint.accept() => match incoming {
                    None => break,
                    Some(incoming) if connections.len() >= shared.config.max_connections => {
                        tracing::warn!(peer = %incoming.remote_address(), "too many connections: one turned away");
                        incoming.refuse();
                    }
                    Some(incoming) => {
                        connections.spawn(connection::serve(incoming, handler.clone(), shared.clone()));
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        endpoint.set_server_config(None);
        drain.send_replace(true);
        let finished = async { while connections.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(shared.config.drain, finished).await.is_ok();
        let cut = if in_time { 0 } else { shared.running.load(Ordering::Relaxed) };
        endpoint.close(close::DRAINING, b"draining");
        connections.abort_all();
        // The time for the last close frames to go out, not for their acknowledgement.
        let _ = tokio::time::timeout(Duration::from_millis(200), endpoint.wait_idle()).await;
        Drained { cut }
    }
}

/// A UDP socket and, where it is wanted, a TCP one at the same port.
fn listen(
    address: SocketAddr,
    config: &Config,
) -> Result<(UdpSocket, SocketAddr, Option<TcpListener>), BindError> {
    // Where any port will do, its TCP half may be somebody else's.
    let mut attempts = 16;
    loop {
        let socket = socket::bind(address, config.socket_buffer)
            .map_err(|source| BindError::Socket { address, source })?;
        let bound = socket.local_addr().map_err(|source| BindError::Socket { address, source })?;
        if !config.tcp {
            return Ok((socket, bound, None));
        }
        match socket::listen(bound) {
            Ok(listener) => return Ok((socket, bound, Some(listener))),
            Err(_) if address.port() == 0 && attempts > 0 => attempts -= 1,
            Err(source) => return Err(BindError::Tcp { address: bound, source }),
        }
    }
}
