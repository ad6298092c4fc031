#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! The clients that were heard of, each with its socket towards the server: what a NAT keeps.

use super::MAX_DATAGRAM;
use super::lane::{Datagram, Lane};
use crate::link::LinkStats;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};

/// Each has a socket; the one that was silent for longest makes room for another.
const MAX_CLIENTS: usize = 256;

/// Sockets from before a change of addresses, which count what still comes to them.
const MAX_FORMER: usize = 64;

/// What the kernel is asked to hold while the receiving thread waits for a core.
const SOCKET_BUFFER: usize = 4 << 20;

/// What others see of the flows, and ask of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    clients: AtomicUsize,
    misaddressed: AtomicU64,
    unroutable: AtomicU64,
    /// How often addresses changed.
    epoch: AtomicU64,
}

impl Counts {
    /// Every socket that there is belongs to the past; each client gets another when it next sends.
    pub(super) fn rebind(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Without the pipes'.
    pub(super) fn stats(&self) -> LinkStats {
        LinkStats {
            clients: self.clients.load(Ordering::Relaxed),
            misaddressed: self.misaddressed.load(Ordering::Relaxed),
            unroutable: self.unroutable.load(Ordering::Relaxed),
            ..LinkStats::default()
        }
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

pub(super) struct Flows {
    front: Arc<UdpSocket>,
    server: SocketAddr,
    down: Arc<Lane>,
    flows: HashMap<SocketAddr, Flow>,
    former: VecDeque<AbortHandle>,
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

struct Flow {
    socket: Arc<UdpSocket>,
    heard: Instant,
    epoch: u64,
    task: AbortHandle,
}

impl Flows {
    pub(super) fn new(
        front: Arc<UdpSocket>,
        server: SocketAddr,
        down: Arc<Lane>,
        counts: Arc<Counts>,
    ) -> Self {
        let (flows, former, tasks) = (HashMap::new(), VecDeque::new(), JoinSet::new());
        Self { front, server, down, flows, former, tasks, counts }
    }

    /// Where clients send to.
    pub(super) fn front(&self) -> Arc<UdpSocket> {
        self.front.clone()
    }

    /// The client's socket, a new one where it has none of this epoch; none if none can be made.
    pub(super) fn socket(&mut self, client: SocketAddr, now: Instant) -> Option<Arc<UdpSocket>> {
        let epoch = self.counts.epoch();
        if let Some(flow) = self.flows.get_mut(&client).filter(|flow| flow.epoch == epoch) {
            flow.heard = now;
            return Some(flow.socket.clone());
        }
        // Its former socket is still there, so that the kernel cannot give the same port again.
        let Ok(socket) = self.connect() else {
            self.counts.unroutable.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let back = Back {
            socket: socket.clone(),
            front: self.front.clone(),
            client,
            epoch,
            down: self.down.clone(),
            counts: self.counts.clone(),
        };
        let task = self.tasks.spawn(back.receive());
        if let Some(former) =
            self.flows.insert(client, Flow { socket: socket.clone(), heard: now, epoch, task })
        {
            self.retire(former);
        }
        if self.flows.len() > MAX_CLIENTS {
            self.drop_most_silent();
        }
        self.counts.clients.store(self.flows.len(), Ordering::Relaxed);
        while self.tasks.try_join_next().is_some() {}
        Some(socket)
    }

    fn connect(&self) -> io::Result<Arc<UdpSocket>> {
        let any = match self.server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = bind(any)?;
        socket.connect(self.server)?;
        Ok(Arc::new(UdpSocket::from_std(socket)?))
    }

    fn retire(&mut self, flow: Flow) {
        self.former.push_back(flow.task);
        if self.former.len() > MAX_FORMER
            && let Some(oldest) = self.former.pop_front()
        {
            oldest.abort();
        }
    }

    fn drop_most_silent(&mut self) {
        let silent = self.flows.iter().min_by_key(|(_, flow)| flow.heard).map(|(client, _)| *client);
        if let Some(flow) = silent.and_then(|client| self.flows.remove(&client)) {
            flow.task.abort();
        }
    }
}

/// From the server to one client.
struct Back {
    socket: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    epoch: u64,
    down: Arc<Lane>,
    counts: Arc<Counts>,
}

impl Back {
    /// Into the pipe, for ever.
    async fn receive(self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            match self.socket.recv(&mut buffer).await {
                Ok(_) if self.epoch != self.counts.epoch() => {
                    self.counts.misaddressed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(length) => {
                    let datagram = Datagram::to_client(self.front.clone(), self.client);
                    self.down.offer(&buffer[..length], datagram);
                }
                Err(error) => after(error).await,
            }
        }
    }
}

/// A refusal is news of a datagram sent before, when no server was there; the socket is well. What
/// else goes wrong may go on: then this must not spin.
pub(super) async fn after(error: io::Error) {
    if error.kind() != io::ErrorKind::ConnectionRefused {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Plain: no segmentation or receive offload, so that each datagram is one packet.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // A kernel that gives less drops sooner when this process gets no core; nothing else changes.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
