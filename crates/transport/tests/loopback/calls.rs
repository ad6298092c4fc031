use super::*;
use bytes::Bytes;
use kerf_transport::{CallFailure, Source};
use kerf_wire::{Decoder, Limits, Reason, encode_request};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

#[tokio::test]
async fn a_large_request_comes_back_whole_with_its_arrival() {
    let running = start(Node::echo(), Config::default());
    let connection = running.connect().await;
    for bytes in [0, 1, 200_000] {
        let request = request(7, bytes);
        let answer = answer(connection.call(&request, STALL).await.unwrap());
        assert_eq!(answer.tensors, request.tensors);
        if bytes == 200_000 {
            assert!((100_000..200_000).contains(&answer.arrival.bytes_after_first), "{:?}", answer.arrival);
            assert!(answer.arrival.first_to_last > Duration::ZERO);
        }
    }
    let stats = connection.stats();
    assert!(stats.sent_bytes > 200_000 && stats.received_bytes > 200_000 && stats.rtt > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_get_each_their_own_answer() {
    let running =
        start(Node::slow(Duration::from_millis(20)), Config { max_streams: 16, ..Config::default() });
    let connection = running.connect().await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..64 {
        let connection = connection.clone();
        calls.spawn(async move {
            let request = request(number, 10_000 + number as usize);
            let answer = answer(connection.call(&request, STALL).await.unwrap());
            assert_eq!(answer.tensors, request.tensors);
        });
    }
    let done = calls.join_all().await;
    assert_eq!(done.len(), 64);
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_payload() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let mut node = Node::new(move |request, arrival| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { echo(request, arrival) }
    });
    node.admit = Box::new(|header| {
        let message = "no such model".into();
        Err(Refusal { id: header.id, node: "cloud-1".into(), reason: Reason::ModelMissing, message })
    });
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let before = connection.stats().sent_bytes;
    let refusal = refusal(connection.call(&request(1, 32 << 20), STALL).await.unwrap());
    assert_eq!((refusal.reason, refusal.message.as_str()), (Reason::ModelMissing, "no such model"));
    assert!(connection.stats().sent_bytes - before < 16 << 20, "most of the payload stayed here");
    assert_eq!(handled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused_on_either_side() {
    let small = Limits { payload: 10_000, ..Limits::default() };
    let running = start(Node::echo(), Config { limits: small, ..Config::default() });
    let refusal = refusal(running.connect().await.call(&request(1, 10_001), STALL).await.unwrap());
    assert_eq!(refusal.reason, Reason::BadRequest);
    assert_eq!(refusal.message, "10001 bytes of tensors, 10000 allowed");

    let client = running.client(Config { limits: small, ..Config::default() });
    let connection = client.connect(running.address, "cloud-1").await.unwrap();
    let error = connection.call(&request(1, 10_001), STALL).await.unwrap_err();
    assert!(matches!(error.failure, CallFailure::Encode(_)) && error.source == Source::Local && !error.retry);
    assert!(connection.call(&request(1, 10_000), STALL).await.is_ok(), "the connection lives");
}

#[tokio::test]
async fn an_answer_too_large_for_its_limits_is_a_refusal() {
    let node =
        Node::new(
            |asked, arrival| async move { echo(Request { id: asked.id, ..request(1, 50_000) }, arrival) },
        );
    let limits = Limits { payload: 10_000, ..Limits::default() };
    let running = start(node, Config { limits, ..Config::default() });
    let refusal = refusal(running.connect().await.call(&request(1, 1), STALL).await.unwrap());
    assert_eq!(refusal.reason, Reason::Failed);
    assert!(refusal.message.contains("50000 bytes of tensors"), "{}", refusal.message);
}

#[tokio::test]
async fn memory_that_is_taken_is_refused_and_comes_back() {
    let limits = Limits { payload: 100_000, ..Limits::default() };
    let config = Config { limits, payload_memory: 100_000, ..Config::default() };
    let running = start(Node::slow(Duration::from_millis(300)), config);
    let connection = running.connect().await;
    let (first, second) = (request(1, 80_000), request(2, 80_000));
    let (first, second) = tokio::join!(connection.call(&first, STALL), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection.call(&second, STALL).await
    });
    answer(first.unwrap());
    assert_eq!(refusal(second.unwrap()).reason, Reason::Overloaded);
    answer(connection.call(&request(3, 80_000), STALL).await.unwrap());
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_handler() {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begin, end) = (begun.clone(), ended.clone());
    let node = Node::new(move |request, arrival| {
        begin.fetch_add(1, Ordering::SeqCst);
        let guard = OnDrop(end.clone());
        async move {
            let _guard = guard;
            tokio::time::sleep(Duration::from_secs(60)).await;
            echo(request, arrival)
        }
    });
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let request = request(1, 1000);
    let call = connection.call(&request, STALL);
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    let waited = Instant::now();
    while ended.load(Ordering::SeqCst) == 0 {
        assert!(waited.elapsed() < Duration::from_secs(2), "the handler still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_request_only() {
    let node = Node::new(|request, arrival| async move {
        assert!(request.tensors[0].data.bytes() != 13, "unlucky");
        echo(request, arrival)
    });
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let error = connection.call(&request(1, 13), STALL).await.unwrap_err();
    assert!(
        matches!(error.failure, CallFailure::Reset { .. }) && error.source == Source::Peer && error.retry
    );
    answer(connection.call(&request(1, 14), STALL).await.unwrap());
}

/// A client that writes what it likes.
async fn raw(running: &Running) -> quinn::Connection {
    let edge = identity(&running.authority, &running.authority, Role::Edge, "gw-1", SystemTime::now());
    let (mut tls, _) = edge.client_config("cloud-1").unwrap();
    tls.alpn_protocols = vec![kerf_wire::ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    endpoint.connect(running.address, "kerf").unwrap().await.unwrap()
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_where_they_name_one_and_reset_where_not() {
    let pause = Duration::from_millis(200);
    // All of them name the same request: none is to be taken for a copy of the good one.
    let config = Config { header_timeout: pause, payload_idle: pause, answers: 0, ..Config::default() };
    let running = start(Node::echo(), config);
    let connection = raw(&running).await;
    let frame = Bytes::from(encode_request(&request(5, 100), &Limits::default()).unwrap().concat());
    let with = |end: &[u8]| Bytes::from([&frame, end].concat());
    let mut unknown_kind = frame.to_vec();
    unknown_kind[4] = 77;
    // What is written, whether the stream is ended, and what comes of it.
    type Outcome = Result<Option<Reason>, u32>;
    let cases: [(&str, Bytes, bool, Outcome); 8] = [
        ("a good one", frame.clone(), true, Ok(None)),
        ("bytes after the end", with(b"!"), true, Ok(Some(Reason::BadRequest))),
        ("cut in the payload", frame.slice(..frame.len() - 1), true, Ok(Some(Reason::BadRequest))),
        ("stalled in the payload", frame.slice(..frame.len() - 1), false, Ok(Some(Reason::Failed))),
        ("cut in the header", frame.slice(..20), true, Err(17)),
        ("stalled in the header", frame.slice(..20), false, Err(19)),
        ("HTTP", Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"), true, Err(17)),
        ("an unknown kind", unknown_kind.into(), true, Err(17)),
    ];
    for (what, bytes, ended, outcome) in cases {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_chunk(bytes).await.unwrap();
        if ended {
            send.finish().unwrap();
        }
        let got = receive.read_to_end(10_000).await;
        match (got, outcome) {
            (Ok(bytes), Ok(reason)) => {
                let mut decoder = Decoder::<Response>::new(Limits::default());
                decoder.push(bytes.into()).unwrap();
                let response = decoder.finish().unwrap();
                assert_eq!(response.id(), request(5, 0).id, "{what}");
                match response {
                    Response::Refusal(refusal) => {
                        assert_eq!(Some(refusal.reason), reason, "{what}: {refusal:?}")
                    }
                    Response::Answer(_) => assert_eq!(None, reason, "{what}"),
                }
            }
            (Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))), Err(wanted)) => {
                assert_eq!(code, wanted.into(), "{what}");
            }
            (got, _) => panic!("{what}: {got:?}"),
        }
    }
}
