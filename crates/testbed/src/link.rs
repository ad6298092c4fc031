//! A slow link where there is none: a UDP proxy with a rate, a delay and a queue in each direction.
//!
//! What a split costs depends on the link, so tests, the demo and `plan --measure` need links of
//! known properties, on any machine, without the privileges that `tc netem` asks for. A [`Link`]
//! stands between clients and one server: clients send to [`Link::address`], and each of them has
//! a socket of its own towards the server, as behind a NAT. All clients share the two directions.
//!
//! What happens to a datagram is decided by a [`Pipe`], which is pure; sockets and threads follow
//! it. Sizes are those of the UDP payload and [`OVERHEAD`]. Not carried over: ECN marks and IP
//! options. There is no MTU: a datagram of any size is one datagram. Where senders outrun this
//! process itself, the kernel's receive buffers drop datagrams that no count here includes.

mod pipe;
mod proxy;

pub use pipe::{InvalidPipe, OVERHEAD, Pipe, PipeSettings, PipeStats, Verdict};

use proxy::Proxy;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkSettings {
    /// From clients to the server.
    pub up: PipeSettings,
    /// From the server to clients.
    pub down: PipeSettings,
}

impl LinkSettings {
    /// The same both ways: `rate` in bytes per second, half of the round-trip time `rtt` each way,
    /// `queue` in bytes.
    pub fn symmetric(rate: f64, rtt: Duration, queue: u64) -> Result<Self, InvalidPipe> {
        let pipe = PipeSettings::new(rate, rtt / 2, queue)?;
        Ok(Self { up: pipe, down: pipe })
    }
}

/// What went through each direction, and what did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// From clients to the server.
    pub up: PipeStats,
    /// From the server to clients.
    pub down: PipeStats,
    /// Clients that have a socket towards the server now.
    pub clients: usize,
    /// Datagrams that came through a pipe, and which the kernel then did not take.
    pub unsent: u64,
}

/// A running link. It ends when dropped; what is under way then is lost.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    proxy: Proxy,
}

impl Link {
    /// Listens on a free loopback port of the server's address family, on threads of its own: it
    /// needs no runtime. Fails where a socket or a thread cannot be made.
    pub fn start(settings: LinkSettings, server: SocketAddr) -> io::Result<Self> {
        let (address, proxy) = Proxy::start(settings, server)?;
        Ok(Self { address, proxy })
    }

    /// Where clients find the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the link from now on, also for what waits to be sent; see [`Pipe::set`].
    pub fn set(&self, settings: LinkSettings) {
        self.proxy.up().set(settings.up);
        self.proxy.down().set(settings.down);
    }

    /// Blackout: everything under way is lost, and everything sent until [`Link::resume`].
    pub fn pause(&self) {
        self.proxy.up().pause();
        self.proxy.down().pause();
    }

    /// Ends a blackout.
    pub fn resume(&self) {
        self.proxy.up().resume();
        self.proxy.down().resume();
    }

    /// Since the start.
    pub fn stats(&self) -> LinkStats {
        LinkStats {
            up: self.proxy.up().stats(),
            down: self.proxy.down().stats(),
            clients: self.proxy.clients(),
            unsent: self.proxy.up().unsent() + self.proxy.down().unsent(),
        }
    }
}
