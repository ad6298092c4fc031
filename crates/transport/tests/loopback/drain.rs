use super::*;
use kerf_transport::{CallFailure, Source};
use kerf_wire::Reason;

#[tokio::test]
async fn what_runs_is_finished_and_what_comes_is_sent_elsewhere() {
    let mut running = start(Node::slow(Duration::from_millis(500)), Config::default());
    let connection = running.connect().await;
    let stop = running.stop.take().unwrap();
    let (early, late) = (request(1, 200_000), request(2, 1000));
    let (early, late) = tokio::join!(connection.call(&early, STALL), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection.call(&late, STALL).await
    });
    assert_eq!(answer(early.unwrap()).tensors[0].data.bytes(), 200_000);
    assert_eq!(refusal(late.unwrap()).reason, Reason::Draining);
    assert_eq!(running.done.await.unwrap(), Drained { cut: 0 });
    let closed = connection.closed().await;
    assert_eq!((closed.source, closed.retry, closed.failure), (Source::Peer, true, CallFailure::Draining));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_is_cut_and_told_to_retry() {
    let config = Config { drain: Duration::from_millis(100), ..Config::default() };
    let mut running = start(Node::slow(Duration::from_secs(60)), config);
    let connection = running.connect().await;
    let stop = running.stop.take().unwrap();
    let request = request(1, 1000);
    let (cut, ()) = tokio::join!(connection.call(&request, STALL), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.send(()).unwrap();
    });
    let error = cut.unwrap_err();
    assert_eq!((error.source, error.retry, error.failure), (Source::Peer, true, CallFailure::Draining));
    assert_eq!(running.done.await.unwrap(), Drained { cut: 1 });
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let mut running = start(Node::echo(), Config::default());
    let connection = running.connect().await;
    running.stop.take().unwrap().send(()).unwrap();
    assert!(matches!(connection.closed().await.failure, CallFailure::Draining));
    assert!(tokio::time::timeout(Duration::from_secs(1), running.done).await.is_ok());
}
