//! From the first packet to a connection that both ends agreed to.
//!
//! There are three moments. With a ticket, requests can go with the first packet (*early*). When the
//! node has answered, it is known whether it took them (*established*). In TLS 1.3 it judges this
//! end's certificate only after that (*confirmed*).

use super::Connection;
use super::known::Known;
use super::ledger::Ledger;
use crate::congestion::Meter;
use crate::error::plain;
use crate::stream::knows_chunks;
use crate::tunnel::Tunnel;
use crate::{Config, ConnectError, close};
use kerf_identity::{Identity, Role};
use quinn::{Connecting, ConnectionError, ZeroRttAccepted};
use rustls_pki_types::CertificateDer;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Whom a connection is to, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) node: Arc<str>,
    pub(super) address: SocketAddr,
    pub(super) identity: Arc<Identity>,
    pub(super) known: Arc<Known>,
    /// What the connection goes through, where it does not go as UDP.
    pub(super) tunnel: Option<Arc<Tunnel>>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The node has said nothing yet.
    Early,
    /// It has answered, or the connection has ended.
    Established,
}

/// A connection in the making. Dropped, it comes to nothing.
#[derive(Debug)]
pub struct Opening {
    state: State,
}

#[derive(Debug)]
enum State {
    Early(Connection),
    Silent(Box<Silent>),
}

#[derive(Debug)]
struct Silent {
    connecting: Connecting,
    target: Target,
    config: Config,
    meter: Arc<Meter>,
}

impl Opening {
    pub(super) fn new(connecting: Connecting, target: Target, config: &Config, meter: Arc<Meter>) -> Self {
        let state = match connecting.into_0rtt() {
            Ok((quic, accepted)) => {
                let (stage, stages) = watch::channel(Stage::Early);
                let untrusted = Arc::new(OnceLock::new());
                tokio::spawn(answered(quic.clone(), accepted, target.clone(), untrusted.clone(), stage));
                let ledger = Ledger::new(meter);
                State::Early(Connection::new(quic, target, config, stages, untrusted, ledger))
            }
            Err(connecting) => {
                State::Silent(Box::new(Silent { connecting, target, config: config.clone(), meter }))
            }
        };
        Self { state }
    }

    /// The connection, where it takes requests before the node has answered: they are sent again
    /// on it where the node does not take them so.
    pub fn early(&self) -> Option<&Connection> {
        match &self.state {
            State::Early(connection) => Some(connection),
            State::Silent(_) => None,
        }
    }

    /// Waits until the node has answered and shown who it is: one round trip. Whether it takes
    /// *this* node is known later, see [`Connection::confirmed`]; requests can be sent before.
    pub async fn established(self) -> Result<Connection, ConnectError> {
        let connection = match self.state {
            State::Early(connection) => {
                connection.established().await;
                connection
            }
            State::Silent(silent) => {
                let Silent { connecting, target, config, meter } = *silent;
                let quic = connecting.await.map_err(|error| target.explain(error, config.idle_timeout))?;
                let untrusted = Arc::new(OnceLock::new());
                check(&quic, &target, &untrusted);
                let (_, stages) = watch::channel(Stage::Established);
                Connection::new(quic, target, &config, stages, untrusted, Ledger::new(meter))
            }
        };
        match connection.end() {
            None => Ok(connection),
            Some(error) => Err(error),
        }
    }
}

/// Sees to it that an early connection learns what became of it.
async fn answered(
    quic: quinn::Connection,
    accepted: ZeroRttAccepted,
    target: Target,
    untrusted: Arc<OnceLock<String>>,
    stage: watch::Sender<Stage>,
) {
    let accepted = accepted.await;
    if quic.close_reason().is_none() {
        tracing::debug!(node = %target.node, accepted, "early data");
        // The ticket is spent; others may be of another process behind the address, or newer than what
        // this one forgot. Not so where they are bound to a protocol that is not spoken any more.
        if !accepted && knows_chunks(&quic) != target.known.chunks() {
            target.known.tickets.clear();
        }
        check(&quic, &target, &untrusted);
    }
    stage.send_replace(Stage::Established);
}

/// Looks at the node's certificate, which resuming does not, and notes what else is known now.
fn check(quic: &quinn::Connection, target: &Target, untrusted: &OnceLock<String>) {
    let chain = quic.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let chain = chain.as_deref().map(Vec::as_slice).unwrap_or_default();
    if let Err(error) = target.identity.check_cloud(&target.node, chain, SystemTime::now()) {
        target.known.tickets.clear();
        let reason = untrusted.get_or_init(|| error.to_string());
        return quic.close(close::UNTRUSTED, reason.as_bytes());
    }
    target.known.set_chunks(knows_chunks(quic));
    target.known.set_rtt(quic.rtt());
}

/// Waits until the node has judged this end's certificate. Only its HANDSHAKE_DONE says that it liked
/// it, and quinn shows that in a counter only.
pub(super) async fn confirmed(quic: &quinn::Connection) -> Result<(), ConnectionError> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(error) = quic.close_reason() {
            return Err(error);
        }
        if quic.stats().frame_rx.handshake_done > 0 {
            return Ok(());
        }
        let pausing: Pin<Box<tokio::time::Sleep>> = Box::pin(tokio::time::sleep(pause));
        tokio::select! {
            error = quic.closed() => return Err(error),
            () = pausing => pause = (pause * 2).min(Duration::from_millis(20)),
        }
    }
}

impl Target {
    /// Why there is no connection; `idle` is how long the node may be silent.
    pub(super) fn explain(&self, error: ConnectionError, idle: Duration) -> ConnectError {
        let (node, address) = (self.node.to_string(), self.address);
        // It judged our certificate; say which of ours that was.
        let ours = |reason: &str| {
            let who = format!("{} presented by this {} node", self.identity.peer(), Role::Edge);
            format!("{reason} ({who})")
        };
        match error {
            ConnectionError::TimedOut => ConnectError::Timeout { node, address, after: idle },
            ConnectionError::TransportError(error) => {
                ConnectError::Untrusted { node, address, reason: plain(&error.reason).to_owned() }
            }
            ConnectionError::ConnectionClosed(close) => {
                let said = String::from_utf8_lossy(&close.reason);
                let reason =
                    if said.is_empty() { close.error_code.to_string() } else { plain(&said).to_owned() };
                ConnectError::Refused { node, address, reason: ours(&reason) }
            }
            ConnectionError::ApplicationClosed(close) if close.error_code == close::UNTRUSTED => {
                // The ticket stood for a certificate that is not taken any more.
                self.known.tickets.clear();
                let reason = ours(&String::from_utf8_lossy(&close.reason));
                ConnectError::Refused { node, address, reason }
            }
            error => ConnectError::Refused { node, address, reason: error.to_string() },
        }
    }
}
