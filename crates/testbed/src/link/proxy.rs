#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! Sockets and threads that do what two [`Pipe`](super::Pipe)s say.
//!
//! One thread receives, and one per direction delivers, asleep until the pipe's next arrival.
//! Kernel timers of threads are good to some 60 µs, where those of tokio are good to 1 ms; and the
//! application's own runtime, busy or blocked, must not bend the link that it is measured by.
//! Nobody spins: the link shares its cores with what it measures. Where every core is busy, whoever
//! wakes waits for the scheduler, up to a tick (4 ms on many kernels): single datagrams then come
//! late, and rates stay what they are.

mod lane;

use super::LinkSettings;
use lane::{Datagram, Lane};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Each has a socket; the one that was silent for longest makes room for another.
const MAX_CLIENTS: usize = 256;

/// What the kernel is asked to hold while the receiving thread waits for a core.
const SOCKET_BUFFER: usize = 4 << 20;

const MAX_DATAGRAM: usize = 65_535;

/// Threads that carry datagrams between clients and a server.
#[derive(Debug)]
pub(super) struct Proxy {
    up: Arc<Lane>,
    down: Arc<Lane>,
    clients: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Where it listens, and the proxy.
    pub(super) fn start(settings: LinkSettings, server: SocketAddr) -> io::Result<(SocketAddr, Self)> {
        let loopback = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        };
        let front = bind(loopback)?;
        let address = front.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (up, down) = (Arc::new(Lane::new(settings.up)), Arc::new(Lane::new(settings.down)));
        let (stop, stopped) = oneshot::channel();
        let clients = Arc::new(AtomicUsize::new(0));
        // From here on dropping the proxy ends the threads that there are.
        let mut proxy = Self {
            up: up.clone(),
            down: down.clone(),
            clients: clients.clone(),
            stop: Some(stop),
            threads: vec![],
        };
        for (name, lane) in [("link-up", up.clone()), ("link-down", down.clone())] {
            proxy.threads.push(Builder::new().name(name.into()).spawn(move || lane.deliver())?);
        }
        let receive = move || {
            runtime.block_on(async {
                let Ok(front) = UdpSocket::from_std(front) else { return };
                let flows = Flows::new(Arc::new(front), server, down, clients);
                tokio::select! {
                    () = receive_up(flows, &up) => {}
                    _ = stopped => {}
                }
            });
        };
        proxy.threads.push(Builder::new().name("link-receive".into()).spawn(receive)?);
        Ok((address, proxy))
    }

    pub(super) fn up(&self) -> &Lane {
        &self.up
    }

    pub(super) fn down(&self) -> &Lane {
        &self.down
    }

    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.take();
        self.up.stop();
        self.down.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The clients that were heard of, each with its socket towards the server.
struct Flows {
    front: Arc<UdpSocket>,
    server: SocketAddr,
    down: Arc<Lane>,
    flows: HashMap<SocketAddr, Flow>,
    tasks: JoinSet<()>,
    count: Arc<AtomicUsize>,
}

struct Flow {
    socket: Arc<UdpSocket>,
    heard: Instant,
    task: tokio::task::AbortHandle,
}

impl Flows {
    fn new(front: Arc<UdpSocket>, server: SocketAddr, down: Arc<Lane>, count: Arc<AtomicUsize>) -> Self {
        Self { front, server, down, flows: HashMap::new(), tasks: JoinSet::new(), count }
    }

    /// The client's socket, a new one where it has none.
    fn socket(&mut self, client: SocketAddr, now: Instant) -> io::Result<Arc<UdpSocket>> {
        if let Some(flow) = self.flows.get_mut(&client) {
            flow.heard = now;
            return Ok(flow.socket.clone());
        }
        if self.flows.len() >= MAX_CLIENTS {
            self.drop_most_silent();
        }
        let any = match self.server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = bind(any)?;
        socket.connect(self.server)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let back = receive_down(socket.clone(), self.front.clone(), client, self.down.clone());
        let task = self.tasks.spawn(back);
        self.flows.insert(client, Flow { socket: socket.clone(), heard: now, task });
        self.count.store(self.flows.len(), Ordering::Relaxed);
        Ok(socket)
    }

    fn drop_most_silent(&mut self) {
        let silent = self.flows.iter().min_by_key(|(_, flow)| flow.heard).map(|(client, _)| *client);
        if let Some(flow) = silent.and_then(|client| self.flows.remove(&client)) {
            flow.task.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }
}

/// From clients into the pipe to the server, for ever.
async fn receive_up(mut flows: Flows, up: &Lane) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let front = flows.front.clone();
    loop {
        match front.recv_from(&mut buffer).await {
            Ok((length, client)) => {
                let now = Instant::now();
                // Without a socket for this client, for want of descriptors: lost, as in a full NAT.
                let Ok(socket) = flows.socket(client, now) else { continue };
                up.offer(now, &buffer[..length], Datagram::to_server(socket));
            }
            Err(error) => after(error).await,
        }
    }
}

/// From the server into the pipe to one client, for ever.
async fn receive_down(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, down: Arc<Lane>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match back.recv(&mut buffer).await {
            Ok(length) => {
                down.offer(Instant::now(), &buffer[..length], Datagram::to_client(front.clone(), client));
            }
            Err(error) => after(error).await,
        }
    }
}

/// A refusal is news of a datagram sent before, when no server was there; the socket is well. What
/// else goes wrong may go on: then this must not spin.
async fn after(error: io::Error) {
    if error.kind() != io::ErrorKind::ConnectionRefused {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Plain: no segmentation or receive offload, so that each datagram is one packet.
fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // A kernel that gives less drops sooner when this process gets no core; nothing else changes.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
