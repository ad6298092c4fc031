//! Connections that begin with a ticket, and those that may not.

use super::relay::Relay;
use super::*;
use kerf_transport::{CallFailure, ConnectError};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Counts the requests that it echoes.
fn counting() -> (Node, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let node = Node::new(move |request, arrival| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { echo(request, arrival) }
    });
    (node, count)
}

/// Serves at an address as `cloud-1`, until aborted.
async fn serve(
    address: SocketAddr,
    cloud: &Identity,
    node: Node,
    config: Config,
) -> (SocketAddr, JoinHandle<Drained>) {
    let start = Instant::now();
    let server = loop {
        match Server::bind(address, cloud, config.clone()) {
            Ok(server) => break server,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    (server.local_addr(), tokio::spawn(server.serve(Arc::new(node), std::future::pending())))
}

/// Connects, makes one call, and waits for the tickets.
async fn stock(client: &Client, address: SocketAddr) {
    let connection = client.connect(address, "cloud-1").await.unwrap();
    drop(answer(connection.call(&request(1, 100), STALL).await.unwrap()));
    let waited = Instant::now();
    while client.tickets(address, "cloud-1") < 8 {
        assert!(waited.elapsed() < Duration::from_secs(2), "no tickets");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_second_connection_brings_its_request_along() {
    let (node, count) = counting();
    let running = start(node, Config::default());
    let relay = Relay::new(running.address, Duration::from_millis(100)).await;
    let client = running.client(Config::default());
    assert!(client.open(relay.address, "cloud-1").unwrap().early().is_none(), "nothing is known of it");
    stock(&client, relay.address).await;
    for number in 2..5 {
        let (began, before) = (Instant::now(), client.tickets(relay.address, "cloud-1"));
        let opening = client.open(relay.address, "cloud-1").unwrap();
        assert_eq!(client.tickets(relay.address, "cloud-1"), before - 1, "each attempt spends one");
        let connection = opening.early().unwrap().clone();
        assert!(connection.is_early());
        // More than the first datagrams hold.
        let request = request(number, 20_000);
        assert_eq!(answer(connection.call(&request, STALL).await.unwrap()).tensors, request.tensors);
        let took = began.elapsed();
        assert!((Duration::from_millis(200)..Duration::from_millis(380)).contains(&took), "{took:?}");
        opening.established().await.unwrap().confirmed().await.unwrap();
        let waited = Instant::now();
        while client.tickets(relay.address, "cloud-1") < 8 {
            assert!(waited.elapsed() < Duration::from_secs(2), "the stock is not filled up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn early_data_that_is_refused_is_sent_again() {
    let authority = Authority::generate("test CA").unwrap();
    let cloud = identity(&authority, &authority, Role::Cloud, "cloud-1", SystemTime::now());
    let edge = identity(&authority, &authority, Role::Edge, "gw-1", SystemTime::now());
    let client = Client::new(edge, Config::default()).unwrap();
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let (address, first) = serve(any, &cloud, counting().0, Config::default()).await;
    stock(&client, address).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // The same node, which remembers nothing; and knows less than before, which nothing was told of.
    let (node, count) = counting();
    let (_, second) = serve(address, &cloud, node, Config { chunks: false, ..Config::default() }).await;
    let opening = client.open(address, "cloud-1").unwrap();
    let connection = opening.early().unwrap().clone();
    let requests: Vec<_> = (10..14).map(|number| request(number, 30_000)).collect();
    let (a, b, c, d) = tokio::join!(
        connection.call(&requests[0], STALL),
        connection.call(&requests[1], STALL),
        connection.call(&requests[2], STALL),
        connection.call(&requests[3], STALL),
    );
    for (response, request) in [a, b, c, d].into_iter().zip(&requests) {
        assert_eq!(answer(response.unwrap()).tensors, request.tensors);
    }
    assert_eq!(count.load(Ordering::SeqCst), 4, "once each");
    opening.established().await.unwrap().confirmed().await.unwrap();
    second.abort();
}

#[tokio::test]
async fn a_ticket_that_is_refused_takes_no_other_along() {
    let running = start(counting().0, Config { sessions: 8, ..Config::default() });
    let client = running.client(Config::default());
    stock(&client, running.address).await;
    for _ in 0..2 {
        // The node forgets the oldest for these.
        stock(&running.client(Config::default()), running.address).await;
    }
    let opening = client.open(running.address, "cloud-1").unwrap();
    let connection = opening.early().unwrap().clone();
    answer(connection.call(&request(2, 100), STALL).await.unwrap());
    opening.established().await.unwrap().confirmed().await.unwrap();
    let waited = Instant::now();
    while client.tickets(running.address, "cloud-1") < 7 + 8 {
        assert!(waited.elapsed() < Duration::from_secs(2), "{}", client.tickets(running.address, "cloud-1"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lets certificates end while tickets that stand for them live on.
async fn expired(edge_lives: Duration, cloud_lives: Duration) -> (ConnectError, Option<CallFailure>, usize) {
    let authority = Authority::generate("test CA").unwrap();
    let issue = |role, name: &str, lives| {
        let made = authority.issue(role, name, &[], lives, SystemTime::now()).unwrap();
        Identity::from_pem(authority.cert_pem(), &made.cert_pem, &made.key_pem).unwrap()
    };
    let edge = issue(Role::Edge, "gw-1", edge_lives);
    let cloud = issue(Role::Cloud, "cloud-1", cloud_lives);
    let (node, count) = counting();
    let (address, serving) = serve((Ipv4Addr::LOCALHOST, 0).into(), &cloud, node, Config::default()).await;
    let client = Client::new(edge, Config::default()).unwrap();
    stock(&client, address).await;
    tokio::time::sleep(edge_lives.min(cloud_lives) + Duration::from_millis(1500)).await;
    let opening = client.open(address, "cloud-1").unwrap();
    let call = match opening.early().cloned() {
        Some(connection) => Some(connection.call(&request(2, 100), STALL).await.unwrap_err().failure),
        None => None,
    };
    // And again, without a ticket.
    let error = client.connect(address, "cloud-1").await.unwrap_err();
    serving.abort();
    (error, call, count.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_ticket_does_not_outlive_the_certificates() {
    let (short, long) = (Duration::from_secs(2), Duration::from_secs(3600));
    let ((refused, call, asked), (untrusted, early, _)) =
        tokio::join!(expired(short, long), expired(long, short));
    assert!(
        matches!(&call, Some(CallFailure::Untrusted(reason)) if reason.contains("edge/gw-1 expired")),
        "{call:?}"
    );
    assert!(
        matches!(&refused, ConnectError::Refused { reason, .. } if reason.contains("edge/gw-1 expired")),
        "{refused}"
    );
    assert_eq!(asked, 1, "what came with the ticket was not looked at");
    assert_eq!(early, None, "no request goes to whom nobody vouches for");
    assert!(
        matches!(&untrusted, ConnectError::Untrusted { reason, .. } if reason.contains("cloud/cloud-1 expired")),
        "{untrusted}"
    );
}

#[tokio::test]
async fn early_data_that_is_played_back_runs_nothing() {
    let (node, count) = counting();
    let running = start(node, Config::default());
    let client = running.client(Config::default());
    // Between the two, somebody who keeps what the client sends.
    let relay = Relay::new(running.address, Duration::ZERO).await;
    stock(&client, relay.address).await;
    let before = relay.sent().len();
    let opening = client.open(relay.address, "cloud-1").unwrap();
    let connection = opening.early().unwrap().clone();
    answer(connection.call(&request(2, 100), STALL).await.unwrap());
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let sent = relay.sent();
    let elsewhere = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    elsewhere.connect(running.address).unwrap();
    for _ in 0..3 {
        for datagram in &sent[before..] {
            elsewhere.send(datagram).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
    answer(connection.call(&request(3, 100), STALL).await.unwrap());
}
