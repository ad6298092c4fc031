mod connection;

pub use connection::{Connection, ConnectionStats};

use crate::error::plain;
use crate::{BindError, Config, ConnectError, close, socket};
use kerf_identity::{Identity, Role, SERVER_NAME};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, Endpoint, EndpointConfig, TokioRuntime, TransportConfig};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Opens connections, all from one socket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    identity: Identity,
    config: Arc<Config>,
    transport: Arc<TransportConfig>,
}

impl Client {
    /// Takes a UDP port. Needs a tokio runtime.
    pub fn new(identity: Identity, config: Config) -> Result<Self, BindError> {
        let any = (Ipv6Addr::UNSPECIFIED, 0).into();
        let endpoint = socket::bind_any(config.socket_buffer)
            .and_then(|socket| Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)))
            .map_err(|source| BindError::Socket { address: any, source })?;
        let transport = config.transport();
        Ok(Self { endpoint, identity, config: Arc::new(config), transport })
    }

    /// Connects to the cloud node `node`, and to no other that may be at `address`. Comes
    /// back when both ends have checked each other.
    pub async fn connect(&self, address: SocketAddr, node: &str) -> Result<Connection, ConnectError> {
        let wrong = |reason: String| ConnectError::Address { node: node.to_owned(), address, reason };
        let mut tls = self.identity.client_config(node)?;
        tls.alpn_protocols = self.config.protocols();
        let tls = QuicClientConfig::try_from(tls).map_err(|error| wrong(error.to_string()))?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(self.transport.clone());
        let connecting = self
            .endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| wrong(error.to_string()))?;
        let handshake = async {
            let connection = connecting.await?;
            confirmed(&connection).await?;
            Ok(connection)
        };
        let after = self.config.connect_timeout;
        match tokio::time::timeout(after, handshake).await {
            Ok(Ok(connection)) => Ok(Connection::new(connection, node, self.config.limits)),
            Ok(Err(error)) => Err(self.explain(error, node, address)),
            Err(_) => Err(ConnectError::Timeout { node: node.to_owned(), address, after }),
        }
    }

    /// Ends all connections and waits until their peers can know.
    pub async fn close(&self) {
        self.endpoint.close(close::DONE, b"");
        self.endpoint.wait_idle().await;
    }

    fn explain(&self, error: ConnectionError, node: &str, address: SocketAddr) -> ConnectError {
        let node = node.to_owned();
        match error {
            ConnectionError::TimedOut => {
                ConnectError::Timeout { node, address, after: self.config.idle_timeout }
            }
            ConnectionError::TransportError(error) => {
                ConnectError::Untrusted { node, address, reason: plain(&error.reason).to_owned() }
            }
            ConnectionError::ConnectionClosed(close) => {
                let said = String::from_utf8_lossy(&close.reason);
                let reason =
                    if said.is_empty() { close.error_code.to_string() } else { plain(&said).to_owned() };
                // It judged our certificate; say which of ours that was.
                let who = format!("{} presented by this {} node", self.identity.peer(), Role::Edge);
                ConnectError::Refused { node, address, reason: format!("{reason} ({who})") }
            }
            error => ConnectError::Refused { node, address, reason: error.to_string() },
        }
    }
}

/// In TLS 1.3 a client is done before the server has looked at its certificate. Only the
/// server's HANDSHAKE_DONE says that it liked it, and quinn shows that in a counter only.
async fn confirmed(connection: &quinn::Connection) -> Result<(), ConnectionError> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(error) = connection.close_reason() {
            return Err(error);
        }
        if connection.stats().frame_rx.handshake_done > 0 {
            return Ok(());
        }
        tokio::select! {
            error = connection.closed() => return Err(error),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_millis(20)),
        }
    }
}
