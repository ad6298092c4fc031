//! One node: its connection, kept.

mod revive;

use crate::policy::Backoff;
use crate::{MeshConfig, NodeAddress, NodeState, NodeStatus};
use kerf_transport::{CallFailure, Client, ConnectError, Connection, Way};
use revive::Revived;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) struct Link {
    node: NodeAddress,
    state: Mutex<State>,
    outstanding: AtomicUsize,
    change: Arc<watch::Sender<()>>,
}

enum Phase {
    Connecting,
    Connected(Connection),
    Draining(Connection),
    /// Nothing is heard of the node, and new connections are tried. One of them may take requests in
    /// the dark.
    Silent(Option<Connection>),
    Disconnected,
}

struct State {
    phase: Phase,
    last_error: Option<String>,
}

impl Link {
    pub(crate) fn new(node: NodeAddress, change: Arc<watch::Sender<()>>) -> Self {
        let state = State { phase: Phase::Connecting, last_error: None };
        Self { node, state: Mutex::new(state), outstanding: AtomicUsize::new(0), change }
    }

    pub(crate) fn name(&self) -> &str {
        &self.node.node
    }

    /// The connection, where it takes requests.
    pub(crate) fn connection(&self) -> Option<Connection> {
        match &self.state().phase {
            Phase::Connected(connection) if !connection.is_closed() => Some(connection.clone()),
            _ => None,
        }
    }

    /// The connection for a request that another one lost: it may be one on which nothing was heard
    /// yet.
    pub(crate) fn next_connection(&self) -> Option<Connection> {
        match &self.state().phase {
            Phase::Connected(connection) | Phase::Silent(Some(connection)) if !connection.is_closed() => {
                Some(connection.clone())
            }
            _ => None,
        }
    }

    /// Whether a connection may be there soon: the node was heard a while ago.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.state().phase, Phase::Silent(_))
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn begin(&self) -> Outstanding<'_> {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Outstanding(&self.outstanding)
    }

    /// The node said that it takes no more; the connection stays for what it has.
    pub(crate) fn drain(&self) {
        let mut state = self.state();
        if let Phase::Connected(connection) = &state.phase {
            state.phase = Phase::Draining(connection.clone());
        }
    }

    /// Nothing was heard on the connection for too long. QUIC's own timers would keep it slow for as
    /// long again: a new one is faster.
    pub(crate) fn lose(&self, lost: &Connection) {
        {
            let mut state = self.state();
            if let Phase::Connected(connection) | Phase::Draining(connection) = &state.phase
                && connection.id() == lost.id()
            {
                state.phase = Phase::Silent(None);
            }
        }
        lost.abandon();
        self.change.send_replace(());
    }

    pub(crate) fn status(&self) -> NodeStatus {
        let state = self.state();
        let (name, connection) = match &state.phase {
            Phase::Connecting => (NodeState::Connecting, None),
            Phase::Connected(connection) => (NodeState::Connected, Some(connection)),
            Phase::Draining(connection) => (NodeState::Draining, Some(connection)),
            Phase::Silent(_) => (NodeState::Silent, None),
            Phase::Disconnected => (NodeState::Disconnected, None),
        };
        NodeStatus {
            node: self.node.node.clone(),
            address: self.node.address.clone(),
            state: name,
            way: connection.map(Connection::way),
            rtt: connection.map(Connection::rtt),
            outstanding: self.outstanding(),
            last_error: state.last_error.clone(),
        }
    }

    fn enter(&self, phase: Phase) {
        self.state().phase = phase;
        self.change.send_replace(());
    }

    fn note(&self, error: String) {
        self.state().last_error = Some(error);
    }

    fn fail(&self, error: String) {
        self.note(error);
        self.enter(Phase::Disconnected);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way.
pub(crate) struct Outstanding<'a>(&'a AtomicUsize);

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connects, and again whenever the connection ends.
pub(crate) async fn maintain(link: Arc<Link>, mut client: Client, config: MeshConfig) {
    // A socket of its own can move without disturbing other links.
    match client.elsewhere() {
        Ok(own) => client = own,
        Err(error) => tracing::debug!(node = link.name(), %error, "no socket of its own"),
    }
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max);
    let mut turn = 0;
    loop {
        link.enter(Phase::Connecting);
        let pause = match connect(&link.node, &client, &config, turn).await {
            Ok((mut connection, mut address)) => {
                let since = Instant::now();
                let end = loop {
                    let way = connection.way();
                    tracing::info!(node = link.name(), address = link.node.address, ?way, "connected");
                    link.enter(Phase::Connected(connection.clone()));
                    let end = match ended(&link, &connection, &config, &client, address).await {
                        End::Because(end) => end,
                        End::Udp(better) => {
                            // The old one stays for the requests that are on it.
                            connection = *better;
                            continue;
                        }
                    };
                    if !link.is_silent() {
                        break end;
                    }
                    tracing::warn!(node = link.name(), "silent");
                    link.note(end.clone());
                    match revive::revive(&link, &client, &config, address, &connection).await {
                        Some(revived) => Revived { connection, address, client } = revived,
                        None => break end,
                    }
                };
                tracing::warn!(node = link.name(), error = end, "disconnected");
                link.fail(end);
                backoff.lost(since.elapsed(), rand::random())
            }
            Err(error) => {
                tracing::warn!(node = link.name(), error, "not connected");
                link.fail(error);
                backoff.failed(rand::random())
            }
        };
        turn += 1;
        tokio::time::sleep(pause).await;
    }
}

/// How a connection ceases to be a link's.
enum End {
    Because(String),
    /// There is one that needs no TCP.
    Udp(Box<Connection>),
}

/// Waits for the connection's end, or for a silence that is one. Moves it along when this host's address
/// changes.
async fn ended(
    link: &Link,
    connection: &Connection,
    config: &MeshConfig,
    client: &Client,
    address: SocketAddr,
) -> End {
    let moving = async {
        // Before the handshake is done, nothing may move.
        while connection.confirmed().await.is_ok() {
            moved(address).await;
            match client.rebind() {
                Ok(()) => tracing::info!(node = link.name(), "this host's address changed: another socket"),
                Err(error) => tracing::warn!(node = link.name(), %error, "this host's address changed"),
            }
        }
        // How it ended, others say.
        std::future::pending().await
    };
    let renewing = async {
        loop {
            tokio::time::sleep(RENEWS).await;
            // Over the way in use: where that is TCP, UDP does not pass.
            let renewed = match connection.way() {
                Way::Udp => client.connect(address, link.name()).await,
                Way::Tcp => client.connect_tcp(address, link.name()).await,
            };
            match renewed {
                // The tickets come after the handshake.
                Ok(_leaves_them) => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(error) => tracing::debug!(node = link.name(), %error, "no new tickets"),
            }
        }
    };
    let bettering = async {
        while connection.way() == Way::Tcp {
            tokio::time::sleep(config.udp_again).await;
            if let Ok(better) = client.connect(address, link.name()).await {
                return End::Udp(Box::new(better));
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        end = moving => end,
        end = renewing => end,
        end = bettering => end,
        end = connection.closed() => {
            if let CallFailure::Lost(_) = end.failure {
                link.lose(connection);
            }
            End::Because(end.to_string())
        }
        silence = connection.silent(config.stall) => {
            link.lose(connection);
            End::Because(format!("cloud/{}: {}", link.name(), CallFailure::Stalled { silence }))
        }
    }
}

/// Returns when packets to the address would leave from another address of this host than before.
async fn moved(address: SocketAddr) {
    let before = source_towards(address);
    loop {
        tokio::time::sleep(MOVES).await;
        let now = source_towards(address);
        if now.is_some() && now != before {
            return;
        }
    }
}

/// From stock of tickets to stock of tickets: they are good for a day.
const RENEWS: Duration = Duration::from_secs(8 * 3600);

/// From look to look at this host's address: a few system calls, and no packet.
const MOVES: Duration = Duration::from_millis(500);

fn source_towards(address: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Tries the addresses of the name, beginning with another one at each turn.
async fn connect(
    node: &NodeAddress,
    client: &Client,
    config: &MeshConfig,
    turn: usize,
) -> Result<(Connection, SocketAddr), String> {
    let NodeAddress { node: name, address } = node;
    let mut found = resolve(node, config).await?;
    let start = turn.checked_rem(found.len()).unwrap_or_default();
    found.rotate_left(start);
    let mut last = format!("cloud/{name}: {address} resolves to no address");
    for socket in found {
        let connecting = either(client, config, socket, name);
        last = match tokio::time::timeout(config.connect_timeout, connecting).await {
            Ok(Ok(connection)) => return Ok((connection, socket)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                format!(
                    "cloud/{name} at {socket}: no answer within {} ms",
                    config.connect_timeout.as_millis()
                )
            }
        };
    }
    Err(last)
}

/// Connects over UDP, or over TCP where nothing is heard over UDP for a while.
async fn either(
    client: &Client,
    config: &MeshConfig,
    address: SocketAddr,
    name: &str,
) -> Result<Connection, ConnectError> {
    let udp = client.connect(address, name);
    let Some(after) = config.tcp_after else { return udp.await };
    let tcp = async {
        tokio::time::sleep(after).await;
        client.connect_tcp(address, name).await
    };
    tokio::pin!(udp, tcp);
    tokio::select! {
        done = &mut udp => match done {
            // An answer, or a word from the node: TCP would lead to the same one.
            Err(ConnectError::Timeout { .. }) => tcp.await.or(done),
            done => done,
        },
        done = &mut tcp => match done {
            Ok(connection) => Ok(connection),
            Err(error) => {
                tracing::debug!(node = name, %error, "nor over TCP");
                udp.await
            }
        },
    }
}

/// All addresses of the name, within reason.
async fn resolve(node: &NodeAddress, config: &MeshConfig) -> Result<Vec<SocketAddr>, String> {
    let NodeAddress { node: name, address } = node;
    let lookup = tokio::time::timeout(config.connect_timeout, tokio::net::lookup_host(address));
    match lookup.await {
        Ok(Ok(found)) => Ok(found.take(16).collect()),
        Ok(Err(error)) => Err(format!("cloud/{name}: {address} does not resolve: {error}")),
        Err(_) => Err(format!("cloud/{name}: {address} does not resolve in time")),
    }
}
