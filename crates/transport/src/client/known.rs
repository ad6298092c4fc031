//! What is remembered of the nodes that a client connected to.

use crate::{Config, ConnectError};
use kerf_identity::{Identity, Tickets};
use quinn::crypto::rustls::QuicClientConfig;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A node at an address: behind another one there may be another process, which knows no ticket of
/// this one.
pub(super) struct Known {
    tls: Arc<QuicClientConfig>,
    pub(super) tickets: Tickets,
    /// Microseconds, smoothed; 0 while unknown.
    rtt: AtomicU64,
    /// Whether it knew chunks when the tickets were made, which a ticket is bound to.
    chunks: AtomicBool,
}

impl Known {
    pub(super) fn new(identity: &Identity, node: &str, config: &Config) -> Result<Self, ConnectError> {
        let (mut tls, tickets) = identity.client_config(node)?;
        tls.alpn_protocols = config.protocols();
        let tls = QuicClientConfig::try_from(tls).map_err(|error| ConnectError::Tls(error.to_string()))?;
        let (rtt, chunks) = (AtomicU64::new(0), AtomicBool::new(false));
        Ok(Self { tls: Arc::new(tls), tickets, rtt, chunks })
    }

    pub(super) fn tls(&self) -> Arc<QuicClientConfig> {
        self.tls.clone()
    }

    /// The round-trip time of the last connection.
    pub(super) fn rtt(&self) -> Option<Duration> {
        let micros = self.rtt.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(super) fn set_rtt(&self, rtt: Duration) {
        self.rtt.store(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn chunks(&self) -> bool {
        self.chunks.load(Ordering::Relaxed)
    }

    pub(super) fn set_chunks(&self, chunks: bool) {
        self.chunks.store(chunks, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("tickets", &self.tickets)
            .field("rtt", &self.rtt())
            .finish_non_exhaustive()
    }
}

/// The latest nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    known: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    address: SocketAddr,
    node: String,
    known: Arc<Known>,
}

/// More than an edge node is configured with, names that resolve to many addresses among them.
const MOST: usize = 256;

impl Nodes {
    pub(super) fn peek(&self, address: SocketAddr, node: &str) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|entry| entry.address == address && entry.node == node);
        found.map(|entry| entry.known.clone())
    }

    pub(super) fn find<E>(
        &self,
        address: SocketAddr,
        node: &str,
        make: impl FnOnce() -> Result<Known, E>,
    ) -> Result<Arc<Known>, E> {
        if let Some(known) = self.peek(address, node) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST {
            known.pop_front();
        }
        known.push_back(Entry { address, node: node.to_owned(), known: made.clone() });
        Ok(made)
    }
}
