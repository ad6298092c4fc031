use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use tokio::net::TcpListener;

/// A UDP socket whose kernel buffers hold a burst: at 1 Gbit/s, 4 MiB are 32 ms.
pub(crate) fn bind(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Off by default on some systems; one that lacks it still serves IPv6.
        if let Err(error) = socket.set_only_v6(false) {
            tracing::debug!(%error, "no IPv4 on the IPv6 socket");
        }
    }
    // A kernel that gives less costs speed, not correctness.
    for (direction, set) in
        [("receive", socket.set_recv_buffer_size(buffer)), ("send", socket.set_send_buffer_size(buffer))]
    {
        if let Err(error) = set {
            tracing::debug!(%error, buffer, direction, "socket buffer left at its default");
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A TCP socket that takes connections. Needs a tokio runtime.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6()
        && let Err(error) = socket.set_only_v6(false)
    {
        tracing::debug!(%error, "no IPv4 on the IPv6 socket");
    }
    // A node that starts again finds connections of the one before in their last minute.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

/// For connections to anywhere: both families where the host has them.
pub(crate) fn bind_any(buffer: usize) -> io::Result<UdpSocket> {
    bind((Ipv6Addr::UNSPECIFIED, 0).into(), buffer)
        .or_else(|_| bind((Ipv4Addr::UNSPECIFIED, 0).into(), buffer))
}
