use super::{Handler, Shared, request};
use crate::close;
use crate::stream::knows_chunks;
use kerf_identity::{PeerError, PeerIdentity};
use quinn::{ConnectionError, Incoming};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use tokio::task::JoinSet;

/// One connection, from its handshake to its end. What still runs then is dropped.
pub(super) async fn serve(incoming: Incoming, handler: Arc<dyn Handler>, mut shared: Shared) {
    let address = incoming.remote_address();
    let handshake = async { incoming.accept()?.await };
    let connection = match tokio::time::timeout(shared.config.connect_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::warn!(peer = %address, %error, "handshake failed"),
        Err(_) => return tracing::warn!(peer = %address, "handshake took too long"),
    };
    let peer = match identity(&connection) {
        Ok(peer) => Arc::new(peer),
        Err(error) => return tracing::warn!(peer = %address, %error, "no identity"),
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

fn identity(connection: &quinn::Connection) -> Result<PeerIdentity, PeerError> {
    let chain =
        connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    match chain.as_deref().and_then(|chain| chain.first()) {
        Some(certificate) => PeerIdentity::of_certificate(certificate),
        None => Err(PeerError::NoId),
    }
}
