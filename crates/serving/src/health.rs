//! Probing a node from its own container: its admin listener is on loopback,
//! where the kubelet cannot reach it, so the node's own binary asks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Why a node is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing answers there.
    #[error("no node answers on admin listener {address}: {source}")]
    Unreachable {
        /// The admin listener.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It answers that it is not ready.
    #[error("the node on {address} is not ready: {status}")]
    NotReady {
        /// The admin listener.
        address: SocketAddr,
        /// The HTTP status line.
        status: String,
    },
}

/// Asks the admin listener at `address` for `/healthz`; an error unless it says 200.
pub fn probe(address: SocketAddr) -> Result<(), ProbeError> {
    let status = status_line(address).map_err(|source| ProbeError::Unreachable { address, source })?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(ProbeError::NotReady { address, status }),
    }
}

fn status_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut head = Vec::new();
    stream.take(1024).read_to_end(&mut head)?;
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}
