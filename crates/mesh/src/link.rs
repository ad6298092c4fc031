//! One node: its connection, kept.

use crate::policy::Backoff;
use crate::{MeshConfig, NodeAddress, NodeState, NodeStatus};
use kerf_transport::{Client, Connection};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
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

    pub(crate) fn status(&self) -> NodeStatus {
        let state = self.state();
        let (name, connection) = match &state.phase {
            Phase::Connecting => (NodeState::Connecting, None),
            Phase::Connected(connection) => (NodeState::Connected, Some(connection)),
            Phase::Draining(connection) => (NodeState::Draining, Some(connection)),
            Phase::Disconnected => (NodeState::Disconnected, None),
        };
        NodeStatus {
            node: self.node.node.clone(),
            address: self.node.address.clone(),
            state: name,
            rtt: connection.map(Connection::rtt),
            outstanding: self.outstanding(),
            last_error: state.last_error.clone(),
        }
    }

    fn enter(&self, phase: Phase) {
        self.state().phase = phase;
        self.change.send_replace(());
    }

    fn fail(&self, error: String) {
        {
            let mut state = self.state();
            state.phase = Phase::Disconnected;
            state.last_error = Some(error);
        }
        self.change.send_replace(());
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
pub(crate) async fn maintain(link: Arc<Link>, client: Client, config: MeshConfig) {
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max);
    let mut turn = 0;
    loop {
        link.enter(Phase::Connecting);
        let pause = match connect(&link.node, &client, &config, turn).await {
            Ok(connection) => {
                let since = Instant::now();
                tracing::info!(node = link.name(), address = link.node.address, "connected");
                link.enter(Phase::Connected(connection.clone()));
                let end = connection.closed().await;
                tracing::warn!(node = link.name(), error = %end, "disconnected");
                link.fail(end.to_string());
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

/// Tries the addresses of the name, beginning with another one at each turn.
async fn connect(
    node: &NodeAddress,
    client: &Client,
    config: &MeshConfig,
    turn: usize,
) -> Result<Connection, String> {
    let NodeAddress { node: name, address } = node;
    let lookup = tokio::time::timeout(config.connect_timeout, tokio::net::lookup_host(address));
    let mut found: Vec<_> = match lookup.await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(format!("cloud/{name}: {address} does not resolve: {error}")),
        Err(_) => return Err(format!("cloud/{name}: {address} does not resolve in time")),
    };
    found.truncate(16);
    let start = turn.checked_rem(found.len()).unwrap_or_default();
    found.rotate_left(start);
    let mut last = format!("cloud/{name}: {address} resolves to no address");
    for socket in found {
        last = match tokio::time::timeout(config.connect_timeout, client.connect(socket, name)).await {
            Ok(Ok(connection)) => return Ok(connection),
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
