//! Where UDP does not pass.

use super::*;
use kerf_transport::{ConnectError, Way};
use tokio::net::{TcpListener, TcpStream};

/// A port at which TCP is passed on, and nobody takes UDP.
async fn firewall(server: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let passing = tokio::spawn(async move {
        let mut streams = tokio::task::JoinSet::new();
        while let Ok((mut from, _)) = listener.accept().await {
            streams.spawn(async move {
                let mut to = TcpStream::connect(server).await.unwrap();
                from.set_nodelay(true).and_then(|()| to.set_nodelay(true)).unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    (address, passing)
}

#[tokio::test]
async fn requests_go_over_tcp_as_they_would_over_udp() {
    let running = start(Node::echo(), Config::default());
    let (address, passing) = firewall(running.address).await;
    let client = running.client(Config { connect_timeout: Duration::from_millis(500), ..Config::default() });
    assert!(matches!(client.connect(address, "cloud-1").await.unwrap_err(), ConnectError::Timeout { .. }));
    let connection = client.connect_tcp(address, "cloud-1").await.unwrap();
    assert_eq!(connection.way(), Way::Tcp);
    for (number, bytes) in [(1, 0), (2, 6_000), (3, 3_000_000)] {
        let asked = request(number, bytes);
        assert_eq!(answer(connection.call(&asked, STALL).await.unwrap()).tensors, asked.tensors);
    }
    // Another one begins with a ticket, as ever.
    let opening = client.open_tcp(address, "cloud-1").await.unwrap();
    let early = opening.early().unwrap().clone();
    let asked = request(4, 10_000);
    assert_eq!(answer(early.call(&asked, STALL).await.unwrap()).tensors, asked.tensors);
    // A path that ends is a lost link.
    passing.abort();
    let error = connection.call(&request(5, 100), STALL).await.unwrap_err();
    assert_eq!((error.source, error.retry), (kerf_transport::Source::Link, true), "{error}");
    let error = client.connect_tcp(address, "cloud-1").await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cloud/cloud-1 at {address} over TCP: ")), "{error}");
}

#[tokio::test]
async fn tcp_is_for_those_who_may_connect_and_where_it_is_wanted() {
    let running = start(Node::echo(), Config::default());
    let stranger = Authority::generate("another CA").unwrap();
    let edge = identity(&running.authority, &stranger, Role::Edge, "gw-1", SystemTime::now());
    let client = Client::new(edge, Config { connect_timeout: Duration::from_secs(1), ..Config::default() });
    client.unwrap().connect_tcp(running.address, "cloud-1").await.unwrap_err();
    let named = running.client(Config::default());
    let error = named.connect_tcp(running.address, "cloud-2").await.unwrap_err();
    assert!(error.to_string().contains("peer is cloud/cloud-1, expected cloud/cloud-2"), "{error}");
    let without = start(Node::echo(), Config { tcp: false, ..Config::default() });
    let error = without.client(Config::default()).connect_tcp(without.address, "cloud-1").await.unwrap_err();
    assert!(matches!(error, ConnectError::Tcp { .. }), "{error}");
}
