//! What to do about a node that was there and says nothing.
//!
//! Nobody tells when a radio link is back. A connection that waits finds out when its own timers let
//! it say something again, and those double with each silence: after half a minute it is late by as
//! much. So new connections are begun at short, even pauses until one is answered, a few at a time.
//! The first of them begins with a ticket and takes what was asked in vain at once: what ended may have
//! been the old connection only. The others are bare, little more than a kilobyte each, and are sent
//! the requests when they are answered: a round trip more, but the dark is not filled with payloads.
//! Every other one comes from a new socket, should a NAT on the way be stuck with the old one.

use super::{Link, Phase, resolve};
use crate::MeshConfig;
use crate::policy::Vigil;
use kerf_transport::{Client, ConnectError, Connection, Way};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::task::{AbortHandle, JoinSet};

/// A connection to the node that is heard again.
pub(super) struct Revived {
    pub(super) connection: Connection,
    pub(super) address: SocketAddr,
    /// Whose socket it uses.
    pub(super) client: Client,
}

/// Begins connections until one is answered; `None` after [`MeshConfig::vigil`]. `lost` is the one that
/// went silent.
pub(super) async fn revive(
    link: &Link,
    client: &Client,
    config: &MeshConfig,
    mut address: SocketAddr,
    lost: &Connection,
) -> Option<Revived> {
    let (began, vigil, was_tcp) = (Instant::now(), Vigil::new(lost.stats().min_rtt), lost.way() == Way::Tcp);
    let mut attempts = JoinSet::new();
    // Those whose time is over make room; some are given much more, for a way, or a machine, that is
    // slower than it was.
    let (mut brief, mut patient) = (VecDeque::new(), VecDeque::new());
    let mut names = JoinSet::new();
    let mut elsewhere = client.clone();
    for turn in 0_u32.. {
        if began.elapsed() > config.vigil {
            break;
        }
        if vigil.moves(turn) {
            match client.elsewhere() {
                Ok(moved) => elsewhere = moved,
                Err(error) => link.note(error.to_string()),
            }
        }
        if vigil.resolves(turn) && names.is_empty() {
            let (node, config) = (link.node.clone(), *config);
            names.spawn(async move { resolve(&node, &config).await });
        }
        let order = if vigil.is_patient(turn) { &mut patient } else { &mut brief };
        make_room(order, vigil.attempts());
        let client = if turn % 2 == 0 { client } else { &elsewhere };
        match begin(link, client, address, turn == 0) {
            Ok(attempt) => order.push_back(attempts.spawn(attempt)),
            Err(error) => link.note(error.to_string()),
        }
        if config.tcp_after.is_some() && vigil.is_tcp(turn, was_tcp) {
            order.push_back(attempts.spawn(begin_tcp(client.clone(), address, link.name().to_owned())));
        }
        // From now on, not from when it was due: a machine that is late is not to catch up in a burst.
        let next = tokio::time::Instant::now() + vigil.pause();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                Some(done) = attempts.join_next() => match done {
                    Ok(Ok(revived)) => return Some(revived),
                    Ok(Err(error)) => link.note(error.to_string()),
                    // Aborted: its time was over.
                    Err(_) => {}
                },
                Some(found) = names.join_next() => if let Ok(Ok(found)) = found
                    && !found.contains(&address)
                    && let Some(first) = found.first()
                {
                    address = *first;
                },
            }
        }
    }
    None
}

/// Gives the oldest attempts up until there are fewer than `most`.
fn make_room(order: &mut VecDeque<AbortHandle>, most: usize) {
    while order.len() >= most
        && let Some(oldest) = order.pop_front()
    {
        oldest.abort();
    }
}

/// An attempt, which offers itself to those who wait where it is the `first`.
fn begin(
    link: &Link,
    client: &Client,
    address: SocketAddr,
    first: bool,
) -> Result<impl Future<Output = Result<Revived, ConnectError>> + Send + use<>, ConnectError> {
    let client = client.clone();
    let opening = client.open(address, link.name())?;
    let unheard = Unheard(opening.early().cloned());
    if first && let Some(early) = opening.early() {
        tracing::debug!(node = link.name(), "early data");
        link.enter(Phase::Silent(Some(early.clone())));
    }
    Ok(async move {
        let mut unheard = unheard;
        let connection = opening.established().await?;
        unheard.0 = None;
        Ok(Revived { connection, address, client })
    })
}

async fn begin_tcp(client: Client, address: SocketAddr, node: String) -> Result<Revived, ConnectError> {
    let connection = client.open_tcp(address, &node).await?.established().await?;
    Ok(Revived { connection, address, client })
}

/// A connection that requests may wait on: given up, it tells them, and the node that they may come
/// again.
struct Unheard(Option<Connection>);

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.abandon();
        }
    }
}
