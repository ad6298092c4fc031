use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

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

/// For connections to anywhere: both families where the host has them.
pub(crate) fn bind_any(buffer: usize) -> io::Result<UdpSocket> {
    bind((Ipv6Addr::UNSPECIFIED, 0).into(), buffer)
        .or_else(|_| bind((Ipv4Addr::UNSPECIFIED, 0).into(), buffer))
}
