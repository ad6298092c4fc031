//! The link over real sockets, against arithmetic. Exact counts are tested in virtual time
//! (`link::pipe`); here bounds leave room for a machine that is busy with other tests.

#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_testbed::link::{Link, LinkSettings, OVERHEAD};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

mod faults;
mod rates;

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(500);
const PAYLOAD: usize = 1200;

#[test]
fn clients_get_their_own_answers() {
    let server = socket();
    let link = Link::start(settings(1e6, 5, 100_000), address(&server)).unwrap();
    for (index, client) in [connected(&link), connected(&link)].iter().enumerate() {
        client.send(&[index as u8; 10]).unwrap();
        let mut buffer = [0; 10];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 10);
        assert_eq!(buffer, [index as u8; 10]);
    }
    assert_eq!(link.stats().down.delivered, 2);
    assert_eq!(link.stats().down.delivered_bytes, 2 * (10 + OVERHEAD));
}

#[test]
fn a_link_changes_while_it_runs() {
    let server = socket();
    let link = Link::start(settings(25e3, 0, 100_000), address(&server)).unwrap();
    let client = connected(&link);
    let start = Instant::now();
    for _ in 0..20 {
        client.send(&[0; PAYLOAD]).unwrap();
    }
    thread::sleep(MS * 50);
    // 20 datagrams would take 0.98 s; what is left of them is sent within 10 ms now.
    link.set(settings(2.5e6, 0, 100_000));
    let arrivals = drain(&server);
    assert_eq!(arrivals.len(), 20);
    let last = arrivals[19].at - start;
    assert!((MS * 55..MS * 500).contains(&last), "{last:?}");
}

#[test]
fn a_server_may_come_late_and_a_link_leaves_nothing_behind() {
    let server = socket();
    let to = address(&server);
    drop(server);
    let link = Link::start(settings(1e6, 1, 64_000), to).unwrap();
    let client = connected(&link);
    for _ in 0..3 {
        client.send(b"nobody").unwrap();
        thread::sleep(MS * 10);
    }
    let server = UdpSocket::bind(to).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send(b"somebody").unwrap();
    assert_eq!(server.recv(&mut [0; 16]).unwrap(), 8);
    let listened = link.address();
    drop(link);
    UdpSocket::bind(listened).unwrap();
}

#[test]
fn the_largest_datagram_and_the_empty_one_pass() {
    let server = socket();
    let link = Link::start(settings(1e8, 0, 1 << 20), address(&server)).unwrap();
    let client = connected(&link);
    for length in [0, 65_507, 1] {
        client.send(&vec![1; length]).unwrap();
        assert_eq!(server.recv(&mut [0; 65_535]).unwrap(), length);
    }
}

#[test]
fn ipv6_servers_have_ipv6_links() {
    let Ok(server) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let link = Link::start(settings(1e6, 1, 64_000), address(&server)).unwrap();
    let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    client.send_to(b"six", link.address()).unwrap();
    assert_eq!(server.recv(&mut [0; 16]).unwrap(), 3);
}

/// Applications start and drop links inside of their runtime.
#[tokio::test]
async fn a_link_lives_inside_a_runtime() {
    let server = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let link = Link::start(settings(1e6, 1, 64_000), server.local_addr().unwrap()).unwrap();
    let client = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    client.send_to(b"hello", link.address()).await.unwrap();
    assert_eq!(server.recv(&mut [0; 16]).await.unwrap(), 5);
}

struct Arrival {
    at: Instant,
    number: u32,
    from: SocketAddr,
}

/// Everything until nothing has come for [`QUIET`].
fn drain(server: &UdpSocket) -> Vec<Arrival> {
    server.set_read_timeout(Some(QUIET)).unwrap();
    let mut buffer = [0; PAYLOAD];
    let next = || {
        let (_, from) = server.recv_from(&mut buffer).ok()?;
        let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
        Some(Arrival { at: Instant::now(), number, from })
    };
    let arrivals = std::iter::from_fn(next).collect();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    arrivals
}

fn settings(rate: f64, one_way_ms: u32, queue: u64) -> LinkSettings {
    LinkSettings::symmetric(rate, MS * 2 * one_way_ms, queue).unwrap()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn connected(link: &Link) -> UdpSocket {
    let socket = socket();
    socket.connect(link.address()).unwrap();
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never came");
        thread::sleep(MS);
    }
}
