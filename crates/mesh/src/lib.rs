#![allow(clippy::disallowed_methods, reason = "connections live in time")]
//! The cloud nodes of an edge node, as one thing to call.
//!
//! A request should not wait for a handshake, nor for a node that is known to be gone,
//! nor fail because the node that it went to did. So one connection per node is kept
//! warm in the background, a call takes the one with the least to do, and goes on to
//! another node while its attempts and its deadline allow. When there is none it says so
//! at once, for the edge can finish alone.
//!
//! Whom to choose, when to try again, and whom to leave out are pure ([`policy`]); the
//! rest is tasks and timers.

mod call;
mod link;
pub mod policy;

pub use call::{Attempt, Manner, MeshError, MeshFailure, OnSilence, Reply};

pub use kerf_transport::Way;
use kerf_transport::{CallError, CallFailure, Client, Connection};
use kerf_wire::{Answer, Intake, Refusal, Request, Response};
use link::Link;
use policy::{Candidate, Rotation, SkipList};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Where a cloud node is, and which one it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The name in its certificate. Replicas behind one address may share it.
    pub node: String,
    /// `host:port`, resolved anew for each connection.
    pub address: String,
}

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshConfig {
    /// A call whose connection was silent for so long goes elsewhere, or on a new connection.
    pub stall: Duration,
    /// How long new connections to a node that went silent are tried without a break; then as to one
    /// that was never there.
    pub vigil: Duration,
    /// An attempt to connect that takes longer has failed.
    pub connect_timeout: Duration,
    /// A node that is not heard over UDP for so long is tried over TCP as well; `None`: never.
    pub tcp_after: Option<Duration>,
    /// How often a node that is connected over TCP is tried over UDP.
    pub udp_again: Duration,
    /// Pause after the first failure to connect; doubles with each.
    pub backoff_min: Duration,
    /// Longest pause between attempts to connect.
    pub backoff_max: Duration,
    /// Nodes that one request may be sent to, one after the other.
    pub attempts: u32,
    /// How long a node that lacks a model is not asked for it.
    pub avoid: Duration,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            stall: Duration::from_millis(500),
            vigil: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(3),
            tcp_after: Some(Duration::from_secs(1)),
            udp_again: Duration::from_secs(60),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            attempts: 3,
            avoid: Duration::from_secs(30),
        }
    }
}

/// A node, for metrics and the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub node: String,
    /// Where it is looked for.
    pub address: String,
    /// Whether it takes requests.
    pub state: NodeState,
    /// How its packets travel, while connected.
    pub way: Option<Way>,
    /// Smoothed round-trip time, while connected.
    pub rtt: Option<Duration>,
    /// Requests that wait for its response.
    pub outstanding: usize,
    /// Why the last connection, or attempt at one, failed; kept after the next success.
    pub last_error: Option<String>,
}

/// Whether a node takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// An attempt to connect is under way.
    Connecting,
    /// It takes requests.
    Connected,
    /// It finishes what it has and takes no more.
    Draining,
    /// Nothing is heard of it any more; it is being tried.
    Silent,
    /// Not connected; the next attempt has its time.
    Disconnected,
}

impl NodeState {
    /// Lower-case name for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Draining => "draining",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
        }
    }
}

/// Why a node did not answer what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no connection to it now.
    #[error("not connected")]
    NotConnected,
    /// It refused.
    #[error("refused as {}: {}", .0.reason, .0.message)]
    Refused(Refusal),
    /// The call failed.
    #[error(transparent)]
    Call(CallError),
    /// It took longer than the request allows.
    #[error("no answer in time")]
    Deadline,
}

/// Connections to all cloud nodes. Cheap to clone; they end with the last clone.
#[derive(Clone)]
pub struct Mesh {
    inner: Arc<Inner>,
}

struct Inner {
    links: Vec<Arc<Link>>,
    config: MeshConfig,
    /// The policies' time starts here.
    epoch: Instant,
    policy: Mutex<Policy>,
    changed: watch::Receiver<()>,
    tasks: Vec<AbortHandle>,
}

#[derive(Default)]
struct Policy {
    rotation: Rotation,
    skips: SkipList,
}

impl Mesh {
    /// Starts connecting to all nodes. Needs a tokio runtime.
    pub fn new(client: Client, nodes: Vec<NodeAddress>, config: MeshConfig) -> Self {
        let (change, changed) = watch::channel(());
        let change = Arc::new(change);
        let links: Vec<_> = nodes.into_iter().map(|node| Arc::new(Link::new(node, change.clone()))).collect();
        let tasks = links
            .iter()
            .map(|link| tokio::spawn(link::maintain(link.clone(), client.clone(), config)).abort_handle())
            .collect();
        let policy = Mutex::default();
        Self { inner: Arc::new(Inner { links, config, epoch: Instant::now(), policy, changed, tasks }) }
    }

    /// Sends the request to a node, and to others where that fails and they may do
    /// better, within the request's deadline. Fails at once when no node is connected.
    /// Dropping the future takes the request back.
    ///
    /// Where the link to a node is lost and there is no other, the request is sent once more, under
    /// the same id, on a new connection: the node knows a copy for what it is.
    pub async fn call(&self, request: &Request) -> Result<Reply, MeshError> {
        self.call_into(request, Manner::default(), &mut ()).await
    }

    /// As [`Self::call`]; `intake` takes tensors of the answer while they arrive, and with
    /// [`OnSilence::WaitOut`] the call lasts until the deadline while a node is silent that was there.
    pub async fn call_into(
        &self,
        request: &Request,
        manner: Manner,
        intake: &mut dyn Intake,
    ) -> Result<Reply, MeshError> {
        call::call(self, request, manner, intake).await
    }

    /// Asks one node, once: what only that node can answer.
    pub async fn ask(&self, node: &str, request: &Request) -> Result<Answer, AskError> {
        let link = self.inner.links.iter().find(|link| link.name() == node).ok_or(AskError::NotConnected)?;
        let connection = link.connection().ok_or(AskError::NotConnected)?;
        match tokio::time::timeout(request.deadline, connection.call(request, self.inner.config.stall)).await
        {
            Ok(Ok(Response::Answer(answer))) => Ok(answer),
            Ok(Ok(Response::Refusal(refusal))) => Err(AskError::Refused(refusal)),
            Ok(Err(error)) => {
                if let CallFailure::Stalled { .. } = error.failure {
                    link.lose(&connection);
                }
                Err(AskError::Call(error))
            }
            Err(_) => Err(AskError::Deadline),
        }
    }

    /// Becomes ready when the state of some node changes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.inner.changed.clone()
    }

    /// Whether some node would be asked for this model now.
    pub fn available(&self, model: &str, digest: &[u8; 32]) -> bool {
        !self.candidates(model, digest, &[], &mut self.policy()).is_empty()
    }

    /// Which nodes would be asked for this model now, in the order in which they were given.
    pub fn available_nodes(&self, model: &str, digest: &[u8; 32]) -> Vec<bool> {
        let candidates = self.candidates(model, digest, &[], &mut self.policy());
        let is_candidate = |index| candidates.iter().any(|candidate| candidate.index == index);
        (0..self.inner.links.len()).map(is_candidate).collect()
    }

    /// Returns once some node is connected.
    pub async fn connected(&self) {
        let mut changed = self.inner.changed.clone();
        // The sender lives in the links, which `self` keeps.
        let some = |_: &()| self.inner.links.iter().any(|link| link.connection().is_some());
        let _ = changed.wait_for(some).await;
    }

    /// All nodes, in the order in which they were given.
    pub fn status(&self) -> Vec<NodeStatus> {
        self.inner.links.iter().map(|link| link.status()).collect()
    }

    /// A connected node for the model that is not among `tried`, unless those are enough.
    fn pick(
        &self,
        request: &Request,
        first: Option<usize>,
        tried: &[usize],
    ) -> Option<(usize, Arc<Link>, Connection)> {
        if tried.len() >= self.inner.config.attempts as usize {
            return None;
        }
        let mut policy = self.policy();
        let candidates = self.candidates(&request.model, &request.digest, tried, &mut policy);
        let wanted = first.filter(|first| candidates.iter().any(|candidate| candidate.index == *first));
        let index = wanted.or_else(|| policy.rotation.pick(&candidates))?;
        let link = self.inner.links.get(index)?.clone();
        let connection = link.connection()?;
        Some((index, link, connection))
    }

    /// A connection for a request that was `tried` on some nodes, and whose links to some of those were
    /// `lost`: to another node, or a new one to one of the latter. Waits for it while there may be one.
    async fn revived(
        &self,
        request: &Request,
        tried: &[usize],
        lost: &[(usize, Connection)],
    ) -> Option<(usize, Arc<Link>, Connection)> {
        let mut changed = self.inner.changed.clone();
        loop {
            changed.mark_unchanged();
            if let Some(other) = self.pick(request, None, tried) {
                return Some(other);
            }
            for (index, lost) in lost {
                let link = self.inner.links.get(*index)?;
                if let Some(connection) = link.next_connection().filter(|next| next.id() != lost.id()) {
                    return Some((*index, link.clone(), connection));
                }
            }
            let may_return =
                |index: usize| !tried.contains(&index) || lost.iter().any(|(lost, _)| *lost == index);
            let silent = |(index, link): (usize, &Arc<Link>)| link.is_silent() && may_return(index);
            // The sender lives in the links, which `self` keeps.
            if !self.inner.links.iter().enumerate().any(silent) || changed.changed().await.is_err() {
                return None;
            }
        }
    }

    fn candidates(
        &self,
        model: &str,
        digest: &[u8; 32],
        tried: &[usize],
        policy: &mut Policy,
    ) -> Vec<Candidate> {
        let now = self.inner.epoch.elapsed();
        let links = self.inner.links.iter().enumerate();
        links
            .filter(|(index, link)| {
                !tried.contains(index)
                    && link.connection().is_some()
                    && !policy.skips.contains(*index, model, digest, now)
            })
            .map(|(index, link)| Candidate { index, outstanding: link.outstanding() })
            .collect()
    }

    fn avoid(&self, index: usize, request: &Request) {
        let until = self.inner.epoch.elapsed() + self.inner.config.avoid;
        self.policy().skips.insert(index, &request.model, &request.digest, until);
    }

    fn policy(&self) -> MutexGuard<'_, Policy> {
        self.inner.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("nodes", &self.status()).finish_non_exhaustive()
    }
}
