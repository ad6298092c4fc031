//! A slow link where there is none: a UDP proxy with a capacity, a delay, a queue and faults in each
//! direction.
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

mod faults;
mod pipe;
mod proxy;
mod settings;
mod transmitter;

pub use faults::{Blackout, Blackouts, Loss, Reordering};
pub use pipe::{Pipe, PipeStats, Verdict};
pub use settings::{InvalidPipe, OVERHEAD, PipeSettings};

use proxy::Proxy;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Both directions.
#[derive(Clone, Debug, PartialEq)]
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
        Ok(Self { up: pipe.clone(), down: pipe })
    }

    /// All chance is drawn from this, for each direction from a stream of its own.
    pub fn seeded(self, seed: u64) -> Self {
        // Seeds that are near each other give streams that have nothing in common.
        Self { up: self.up.seeded(seed), down: self.down.seeded(!seed) }
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
    /// Answers to addresses from before a [`Link::rebind`], which reach nobody.
    pub misaddressed: u64,
    /// Datagrams of clients for which no socket could be made.
    pub unroutable: u64,
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

    /// Changes the link, also for what waits to be sent; see [`Pipe::set`]. The moment from which it
    /// is changed: traces and schedules that begin anew are counted from it, in both directions.
    pub fn set(&self, settings: LinkSettings) -> Instant {
        self.proxy.set(settings)
    }

    /// Blackout: everything under way is lost, and everything sent until [`Link::resume`].
    pub fn pause(&self) {
        self.proxy.pause();
    }

    /// Ends a blackout.
    pub fn resume(&self) {
        self.proxy.resume();
    }

    /// Changes addresses, as a NAT does that forgot its clients: what clients send from now on leaves
    /// from new ports towards the server, and what the server sends to the old ones is lost. What is
    /// in the pipes arrives.
    pub fn rebind(&self) {
        self.proxy.rebind();
    }

    /// Since the start.
    pub fn stats(&self) -> LinkStats {
        self.proxy.stats()
    }
}
