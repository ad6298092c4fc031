#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! [`kerf_wire`] over QUIC: this crate has the sockets, the timers and the TLS, and no opinion.
//!
//! A caller must learn three things from a call that failed: whose fault it was, whether
//! another node may do better, and that soon. Soon is the hard part: a slow link is not a
//! lost one, and to resend on it doubles its load. So a call waits as long as *anything*
//! arrives from its peer (acknowledgements count, and are asked for where there would be
//! none), and gives up when nothing at all has come for a while.
//!
//! On the other side, a [`Server`] holds no more of its peers' bytes than it was told to,
//! refuses from the header before a payload is read, and drops the work for a request
//! whose client is gone.
//!
//! Tensors may be written while they are still being encoded, and handed on while they still
//! arrive. Peers tell in the handshake (ALPN) whether they know the chunks that this takes; for
//! one that does not, a message waits until it is all there.

mod client;
mod close;
mod config;
mod congestion;
mod error;
mod server;
mod socket;
mod stall;
mod stream;
mod tunnel;

pub use client::{Client, Connection, ConnectionStats, Exchange, Opening, Way};
pub use config::{Config, Congestion};
pub use error::{BindError, CallError, CallFailure, ConnectError, Source};
pub use server::{Begun, Drained, Handler, Server};
