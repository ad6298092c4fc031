use super::{Handler, Shared, request};
use crate::close;
use crate::stream::knows_chunks;
use kerf_identity::{Identity, PeerError, PeerIdentity};
use quinn::{Connection, ConnectionError, Incoming};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::JoinSet;

/// One connection, from its handshake to its end. What still runs then is dropped.
pub(super) async fn serve(incoming: Incoming, handler: Arc<dyn Handler>, mut shared: Shared) {
    let address = incoming.remote_address();
    let limit = shared.config.connect_timeout;
    let (connection, peer) = match tokio::time::timeout(limit, meet(incoming, &shared.identity)).await {
        Ok(Ok((connection, Ok(peer)))) => (connection, Arc::new(peer)),
        Ok(Ok((connection, Err(error)))) => {
            connection.close(close::UNTRUSTED, error.to_string().as_bytes());
            return tracing::warn!(peer = %address, %error, "not trusted");
        }
        Ok(Err(error)) => return tracing::warn!(peer = %address, %error, "handshake failed"),
        Err(_) => return tracing::warn!(peer = %address, "handshake took too long"),
    };
    let chunks = knows_chunks(&connection);
    tracing::info!(%peer, %address, chunks, "connected");
    let mut draining = *shared.draining.borrow();
    let mut requests = JoinSet::new();
    while !(draining && requests.is_empty()) {
        tokio::select! {
            changed = shared.draining.changed(), if !draining => draining = changed.is_err() || *shared.draining.borrow(),
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    let incoming = request::Incoming { send, receive, peer: peer.clone(), chunks };
                    requests.spawn(request::serve(incoming, handler.clone(), shared.clone()));
                }
                Err(error) => {
                    // Each finds its stream ended, and knows whether to end with it.
                    requests.detach_all();
                    match error {
                        ConnectionError::ApplicationClosed(_) => tracing::info!(%peer, %error, "disconnected"),
                        error => tracing::warn!(%peer, %error, "connection ended"),
                    }
                    return;
                }
            },
            Some(ended) = requests.join_next() => if let Err(error) = ended {
                tracing::error!(%peer, %error, "a request's task failed");
            },
        }
    }
    connection.close(close::DRAINING, b"draining");
}

/// Takes the connection as soon as it is known whose it is: with a ticket, before the handshake is
/// done, so that requests that came with it do not wait.
async fn meet(
    incoming: Incoming,
    identity: &Identity,
) -> Result<(Connection, Result<PeerIdentity, PeerError>), ConnectionError> {
    let mut connecting = incoming.accept()?;
    connecting.handshake_data().await?;
    let (connection, established) = match connecting.into_0rtt() {
        Ok(early) => early,
        // Servers always can.
        Err(connecting) => {
            let connection = connecting.await?;
            let peer = check(&connection, identity);
            return Ok((connection, peer));
        }
    };
    if connection.peer_identity().is_some() {
        let peer = check(&connection, identity);
        if peer.is_err() {
            // What is said before the handshake is done, the peer cannot read.
            established.await;
        }
        return Ok((connection, peer));
    }
    established.await;
    match connection.close_reason() {
        None => {
            let peer = check(&connection, identity);
            Ok((connection, peer))
        }
        Some(error) => Err(error),
    }
}

/// Looks at the peer's certificate again: a ticket brings back what it said, unlooked at.
fn check(connection: &Connection, identity: &Identity) -> Result<PeerIdentity, PeerError> {
    let chain =
        connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let chain = chain.as_deref().map(Vec::as_slice).unwrap_or_default();
    identity.check_edge(chain, SystemTime::now())
}
