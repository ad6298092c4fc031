//! QUIC's datagrams over TLS over TCP, for networks that let no UDP pass.
//!
//! ```text
//! (length: u16 BE | datagram)*
//! ```
//! Nothing above knows: connections, their streams and what survives a lost link are the same. What is
//! lost is that packets are apart: one that TCP has to repeat holds up all, and what QUIC takes for the
//! path is TCP's buffer. So this is for where there is no other way. At both ends a relay on the
//! loopback interface stands for the peer; what comes in faster than TCP takes it, its socket drops.
//!
//! TLS is there for networks that let nothing else pass, and so that a cloud node relays for its edges
//! only. QUIC inside trusts none of it.

use kerf_identity::{Identity, IdentityError};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What the outer TLS negotiates.
const ALPN: &[u8] = b"kerf-tcp/1";

/// The longest datagram.
const LONGEST: usize = u16::MAX as usize;

/// Datagrams that are written at once, at most, in bytes.
const BATCH: usize = 64 << 10;

/// The client's end: a local address that stands for the node. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) local: SocketAddr,
    task: AbortHandle,
}

impl Tunnel {
    /// Connects to the node; `name` is the one in its certificate.
    pub(crate) async fn open(identity: &Identity, address: SocketAddr, name: &str) -> io::Result<Self> {
        let (mut tls, _) = identity.client_config(name).map_err(io::Error::other)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // The QUIC inside resumes; one of these lasts for one connection.
        tls.resumption = Resumption::disabled();
        tls.enable_early_data = false;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let server = kerf_identity::SERVER_NAME.try_into().map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(server, stream).await?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let local = socket.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = relay(stream, socket, None, Duration::MAX).await {
                tracing::debug!(%address, %error, "TCP ended");
            }
        });
        Ok(Self { local, task: task.abort_handle() })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server's end.
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    tls: TlsAcceptor,
    /// Where the server takes datagrams.
    server: SocketAddr,
    places: Arc<Semaphore>,
    /// For a handshake, and for silence.
    limits: (Duration, Duration),
}

impl Entrance {
    /// Beside a server at `server`, for `most` tunnels at once.
    pub(crate) fn new(
        listener: TcpListener,
        identity: &Identity,
        server: SocketAddr,
        most: usize,
        limits: (Duration, Duration),
    ) -> Result<Self, IdentityError> {
        let mut tls = identity.server_config(1, 0)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.max_early_data_size = 0;
        let server = match server {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
            some => some,
        };
        let (tls, places) = (TlsAcceptor::from(Arc::new(tls)), Arc::new(Semaphore::new(most)));
        Ok(Self { listener, tls, server, places, limits })
    }

    /// Takes tunnels until dropped.
    pub(crate) async fn serve(self) {
        let mut tunnels = JoinSet::new();
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of files, most likely: others may end soon.
                    tracing::warn!(%error, "no TCP connection taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while tunnels.try_join_next().is_some() {}
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                tracing::warn!(%peer, "too many TCP connections: one turned away");
                continue;
            };
            let (tls, server, (handshake, idle)) = (self.tls.clone(), self.server, self.limits);
            tunnels.spawn(async move {
                let _place = place;
                let relaying = async {
                    stream.set_nodelay(true)?;
                    let stream = within(handshake, tls.accept(stream)).await?;
                    let any: SocketAddr = match server {
                        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                    };
                    let socket = UdpSocket::bind(any).await?;
                    socket.connect(server).await?;
                    tracing::info!(%peer, local = ?socket.local_addr().ok(), "comes over TCP");
                    relay(stream, socket, Some(server), idle).await
                };
                if let Err(error) = relaying.await {
                    tracing::info!(%peer, %error, "TCP ended");
                }
            });
        }
    }
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entrance").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Carries datagrams both ways until the stream ends, or for `idle` no datagram comes whole or what goes
/// out is not taken. `peer` is who is at the
/// socket's other end; `None`: whoever spoke last.
async fn relay(
    stream: impl AsyncRead + AsyncWrite,
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    idle: Duration,
) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let last = Mutex::new(peer);
    let set = |from| *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
    let outwards = async {
        let (mut datagram, mut batch) = (vec![0; LONGEST], Vec::with_capacity(BATCH + LONGEST));
        loop {
            let (length, from) = socket.recv_from(&mut datagram).await?;
            set(from);
            append(&mut batch, &datagram[..length]);
            while batch.len() < BATCH
                && let Ok((length, _)) = socket.try_recv_from(&mut datagram)
            {
                append(&mut batch, &datagram[..length]);
            }
            let writing = async {
                writer.write_all(&batch).await?;
                writer.flush().await
            };
            within(idle, writing).await?;
            batch.clear();
        }
    };
    let inwards = async {
        let mut reader = BufReader::with_capacity(BATCH, reader);
        let mut datagram = vec![0; LONGEST];
        loop {
            // Its length and its body together: a peer may be lost in the middle of one.
            let reading = async {
                let length = usize::from(reader.read_u16().await?);
                reader.read_exact(&mut datagram[..length]).await
            };
            let length = within(idle, reading).await?;
            let datagram = &datagram[..length];
            let to = *last.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(to) = to {
                // One that the socket does not take is lost, as on any path.
                let _ = if peer.is_some() {
                    socket.send(datagram).await
                } else {
                    socket.send_to(datagram, to).await
                };
            }
        }
    };
    tokio::select! {
        ended = outwards => ended,
        ended = inwards => ended,
    }
}

async fn within<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(limit, doing).await.unwrap_or_else(late)
}

fn append(batch: &mut Vec<u8>, datagram: &[u8]) {
    // A UDP datagram is shorter than its 16-bit length field can say.
    let length = datagram.len() as u16;
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(datagram);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::DuplexStream;

    #[tokio::test]
    async fn datagrams_keep_their_bounds_and_their_order() {
        let (here, there) = tokio::io::duplex(1000);
        let local = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (near, far, client, server) =
            (local().await.unwrap(), local().await.unwrap(), local().await.unwrap(), local().await.unwrap());
        far.connect(server.local_addr().unwrap()).await.unwrap();
        client.connect(near.local_addr().unwrap()).await.unwrap();
        let peer = Some(server.local_addr().unwrap());
        tokio::spawn(relay(here, near, None, Duration::MAX));
        let end = tokio::spawn(relay(there, far, peer, Duration::from_millis(300)));
        let mut buffer = vec![0; LONGEST];
        for length in [0, 1, 1200, 1472, 60_000] {
            let datagram: Vec<u8> = (0..length).map(|index| index as u8).collect();
            client.send(&datagram).await.unwrap();
            let (got, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..got], datagram);
            server.send_to(&datagram, from).await.unwrap();
            let got = client.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..got], datagram);
        }
        assert_eq!(end.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// A relay of a server, the other end of its stream, and of its socket.
    async fn relayed(idle: Duration) -> (tokio::task::JoinHandle<io::Result<()>>, DuplexStream, UdpSocket) {
        let (here, there) = tokio::io::duplex(1000);
        let (socket, server) = (
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
        );
        socket.connect(server.local_addr().unwrap()).await.unwrap();
        server.connect(socket.local_addr().unwrap()).await.unwrap();
        let peer = server.local_addr().ok();
        (tokio::spawn(relay(here, socket, peer, idle)), there, server)
    }

    async fn timed_out(ended: tokio::task::JoinHandle<io::Result<()>>) {
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
        assert_eq!(ended.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_is_lost_within_a_datagram_holds_no_place() {
        let (ended, mut stream, _server) = relayed(Duration::from_millis(100)).await;
        stream.write_all(&[1, 0, 7, 7, 7]).await.unwrap();
        timed_out(ended).await;
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_holds_no_place() {
        let (ended, mut stream, server) = relayed(Duration::from_millis(500)).await;
        // It says something all the while: empty datagrams.
        let talking = tokio::spawn(async move {
            while stream.write_all(&[0, 0]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        server.send(&[7; 5000]).await.unwrap();
        timed_out(ended).await;
        talking.await.unwrap();
    }
}
