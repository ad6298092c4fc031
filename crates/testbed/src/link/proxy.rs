#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! Sockets and threads that do what two [`Pipe`](super::Pipe)s say.
//!
//! One thread receives, and one per direction delivers, asleep until the pipe's next arrival.
//! Kernel timers of threads are good to some 60 µs, where those of tokio are good to 1 ms; and the
//! application's own runtime, busy or blocked, must not bend the link that it is measured by.
//! Nobody spins: the link shares its cores with what it measures. Where every core is busy, whoever
//! wakes waits for the scheduler, up to a tick (4 ms on many kernels): single datagrams then come
//! late, and rates stay what they are.

mod flows;
mod lane;

use super::{LinkSettings, LinkStats};
use flows::{Counts, Flows, after, bind};
use lane::{Datagram, Lane};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

const MAX_DATAGRAM: usize = 65_535;

/// Threads that carry datagrams between clients and a server.
#[derive(Debug)]
pub(super) struct Proxy {
    up: Arc<Lane>,
    down: Arc<Lane>,
    counts: Arc<Counts>,
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
        let now = Instant::now();
        let (up, down) = (Arc::new(Lane::new(settings.up, now)), Arc::new(Lane::new(settings.down, now)));
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        // From here on dropping the proxy ends the threads that there are.
        let mut proxy = Self {
            up: up.clone(),
            down: down.clone(),
            counts: counts.clone(),
            stop: Some(stop),
            threads: vec![],
        };
        for (name, lane) in [("link-up", up.clone()), ("link-down", down.clone())] {
            proxy.threads.push(Builder::new().name(name.into()).spawn(move || lane.deliver())?);
        }
        let receive = move || {
            runtime.block_on(async {
                let Ok(front) = UdpSocket::from_std(front) else { return };
                let flows = Flows::new(Arc::new(front), server, down, counts);
                tokio::select! {
                    () = receive_up(flows, &up) => {}
                    _ = stopped => {}
                }
            });
        };
        proxy.threads.push(Builder::new().name("link-receive".into()).spawn(receive)?);
        Ok((address, proxy))
    }

    pub(super) fn set(&self, settings: LinkSettings) -> Instant {
        // Both at once, and nobody offers in between what is later than `now`.
        let (mut up, mut down) = (self.up.lock(), self.down.lock());
        let now = Instant::now();
        up.pipe.set(now, settings.up);
        down.pipe.set(now, settings.down);
        drop((up, down));
        self.up.wake();
        self.down.wake();
        now
    }

    pub(super) fn pause(&self) {
        self.up.lock().pipe.pause(Instant::now());
        self.down.lock().pipe.pause(Instant::now());
    }

    pub(super) fn resume(&self) {
        self.up.lock().pipe.resume();
        self.down.lock().pipe.resume();
    }

    pub(super) fn rebind(&self) {
        self.counts.rebind();
    }

    pub(super) fn stats(&self) -> LinkStats {
        LinkStats {
            up: self.up.lock().pipe.stats(),
            down: self.down.lock().pipe.stats(),
            unsent: self.up.unsent() + self.down.unsent(),
            ..self.counts.stats()
        }
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

/// From clients into the pipe to the server, for ever.
async fn receive_up(mut flows: Flows, up: &Lane) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let front = flows.front();
    loop {
        match front.recv_from(&mut buffer).await {
            Ok((length, client)) => {
                // Without a socket for this client, for want of descriptors: lost, as in a full NAT.
                let Some(socket) = flows.socket(client, Instant::now()) else { continue };
                up.offer(&buffer[..length], Datagram::to_server(socket));
            }
            Err(error) => after(error).await,
        }
    }
}
