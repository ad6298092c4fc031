mod connection;
mod handshake;
mod known;
mod ledger;

pub use connection::{Connection, ConnectionStats, Exchange, Way};
pub use handshake::Opening;

use crate::tunnel::Tunnel;
use crate::{BindError, Config, ConnectError, close, socket};
use handshake::Target;
use kerf_identity::{Identity, SERVER_NAME};
use known::{Known, Nodes};
use quinn::{ClientConfig, Endpoint, EndpointConfig, TokioRuntime};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Opens connections, all from one socket. Cheap to clone.
///
/// It remembers the nodes that it connected to: the next connection to one of them begins with a
/// ticket of the last ones, and can carry requests at once.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    identity: Arc<Identity>,
    config: Arc<Config>,
    nodes: Arc<Nodes>,
}

impl Client {
    /// Takes a UDP port. Needs a tokio runtime.
    pub fn new(identity: Identity, config: Config) -> Result<Self, BindError> {
        let endpoint = endpoint(&config)?;
        Ok(Self { endpoint, identity: Arc::new(identity), config: Arc::new(config), nodes: Arc::default() })
    }

    /// The same client, which knows the same nodes, with a UDP port of its own.
    pub fn elsewhere(&self) -> Result<Self, BindError> {
        Ok(Self { endpoint: endpoint(&self.config)?, ..self.clone() })
    }

    /// Connects to the cloud node `node`, and to no other that may be at `address`. Comes
    /// back when both ends have checked each other.
    pub async fn connect(&self, address: SocketAddr, node: &str) -> Result<Connection, ConnectError> {
        self.confirm(address, node, async { self.open(address, node) }).await
    }

    /// As [`Self::connect`], over TCP: for networks that let no UDP pass.
    pub async fn connect_tcp(&self, address: SocketAddr, node: &str) -> Result<Connection, ConnectError> {
        self.confirm(address, node, self.open_tcp(address, node)).await
    }

    /// Begins to connect, as [`Self::connect`] does, and waits for nothing: with a ticket in stock,
    /// [`Opening::early`] takes requests at once. Nothing limits the time that it takes but
    /// [`Config::idle_timeout`].
    pub fn open(&self, address: SocketAddr, node: &str) -> Result<Opening, ConnectError> {
        self.begin(address, node, None)
    }

    /// As [`Self::open`], once there is a TCP connection to the node.
    pub async fn open_tcp(&self, address: SocketAddr, node: &str) -> Result<Opening, ConnectError> {
        let tunnel = Tunnel::open(&self.identity, address, node).await;
        let tunnel = tunnel.map_err(|source| ConnectError::Tcp { node: node.to_owned(), address, source })?;
        self.begin(address, node, Some(Arc::new(tunnel)))
    }

    async fn confirm(
        &self,
        address: SocketAddr,
        node: &str,
        opening: impl Future<Output = Result<Opening, ConnectError>>,
    ) -> Result<Connection, ConnectError> {
        let after = self.config.connect_timeout;
        let handshake = async {
            let connection = opening.await?.established().await?;
            connection.confirmed().await?;
            Ok(connection)
        };
        let late = |_| Err(ConnectError::Timeout { node: node.to_owned(), address, after });
        tokio::time::timeout(after, handshake).await.unwrap_or_else(late)
    }

    fn begin(
        &self,
        address: SocketAddr,
        node: &str,
        tunnel: Option<Arc<Tunnel>>,
    ) -> Result<Opening, ConnectError> {
        let wrong = |reason: String| ConnectError::Address { node: node.to_owned(), address, reason };
        let known = self.nodes.find(address, node, || Known::new(&self.identity, node, &self.config))?;
        let towards = tunnel.as_ref().map_or(address, |tunnel| tunnel.local);
        let target = Target { node: node.into(), address, identity: self.identity.clone(), known, tunnel };
        let (transport, meter) = self.config.metered_transport(target.known.rtt());
        let mut config = ClientConfig::new(target.known.tls());
        config.transport_config(transport);
        let connecting = self
            .endpoint
            .connect_with(config, towards, SERVER_NAME)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Opening::new(connecting, target, &self.config, meter))
    }

    /// Tickets in stock for the node at the address: connections that can begin with a request.
    pub fn tickets(&self, address: SocketAddr, node: &str) -> usize {
        self.nodes.peek(address, node).map_or(0, |known| known.tickets.count())
    }

    /// Moves all connections to a new socket: for when this host's address, or what a NAT made of it,
    /// is no longer the one that peers answer to. They go on as they are, those apart whose handshake
    /// is not done.
    pub fn rebind(&self) -> io::Result<()> {
        self.endpoint.rebind(socket::bind_any(self.config.socket_buffer)?)
    }

    /// Ends all connections of this port and waits until their peers can know.
    pub async fn close(&self) {
        self.endpoint.close(close::DONE, b"");
        self.endpoint.wait_idle().await;
    }
}

fn endpoint(config: &Config) -> Result<Endpoint, BindError> {
    let any = (Ipv6Addr::UNSPECIFIED, 0).into();
    socket::bind_any(config.socket_buffer)
        .and_then(|socket| Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)))
        .map_err(|source| BindError::Socket { address: any, source })
}
