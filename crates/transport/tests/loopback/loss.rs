use super::relay::Relay;
use super::*;
use kerf_transport::{CallFailure, Source};
use std::time::Instant;

#[tokio::test]
async fn a_node_that_vanishes_mid_request_is_a_lost_link_soon() {
    let running = start(Node::slow(Duration::from_secs(60)), Config::default());
    let relay = Relay::new(running.address, Duration::ZERO).await;
    let connection = running.client(Config::default()).connect(relay.address, "cloud-1").await.unwrap();
    let request = request(1, 50_000);
    let call = connection.call(&request, STALL);
    let (result, cut) = tokio::join!(call, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        relay.cut();
        Instant::now()
    });
    let (error, waited) = (result.unwrap_err(), cut.elapsed());
    assert!(matches!(error.failure, CallFailure::Stalled { .. }), "{error}");
    assert_eq!((error.source, error.retry, error.node.as_str()), (Source::Link, true, "cloud-1"));
    assert!(waited < 2 * STALL + Duration::from_millis(200), "{waited:?}");
}

#[tokio::test]
async fn a_process_that_dies_is_a_lost_link_soon() {
    let authority = Authority::generate("test CA").unwrap();
    let cloud = identity(&authority, &authority, Role::Cloud, "cloud-1", SystemTime::now());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = {
        let _within = runtime.enter();
        Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &cloud, Config::default()).unwrap()
    };
    let address = server.local_addr();
    runtime.spawn(server.serve(Arc::new(Node::slow(Duration::from_secs(60))), std::future::pending()));
    let edge = identity(&authority, &authority, Role::Edge, "gw-1", SystemTime::now());
    let client = Client::new(edge, Config::default()).unwrap();
    let connection = client.connect(address, "cloud-1").await.unwrap();
    let request = request(1, 50_000);
    let (result, died) = tokio::join!(connection.call(&request, STALL), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        runtime.shutdown_background();
        Instant::now()
    });
    let (error, waited) = (result.unwrap_err(), died.elapsed());
    assert!(error.retry, "{error}");
    assert!(waited < 2 * STALL + Duration::from_millis(200), "{waited:?}");
}

#[tokio::test]
async fn slow_is_not_lost() {
    // The node computes for four times as long as the link may be silent.
    let running = start(Node::slow(4 * STALL), Config::default());
    let relay = Relay::new(running.address, Duration::from_millis(30)).await;
    let connection = running.client(Config::default()).connect(relay.address, "cloud-1").await.unwrap();
    answer(connection.call(&request(1, 50_000), STALL).await.unwrap());
    // A stall that is shorter than the round trip is not taken at its word.
    let quick = start(Node::echo(), Config::default());
    let relay = Relay::new(quick.address, Duration::from_millis(100)).await;
    let connection = quick.client(Config::default()).connect(relay.address, "cloud-1").await.unwrap();
    answer(connection.call(&request(1, 50_000), Duration::from_millis(50)).await.unwrap());
}
