//! Requests that come twice.

use super::*;
use kerf_transport::CallFailure;
use kerf_wire::{CodedTensor, Growing, Payload, Reason};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Longer than a busy machine takes over anything here.
const SLOW: Duration = Duration::from_secs(2);

/// What a handler went through.
#[derive(Default)]
struct Seen {
    begun: AtomicUsize,
    done: AtomicUsize,
}

impl Seen {
    fn both(&self) -> (usize, usize) {
        (self.begun.load(Ordering::SeqCst), self.done.load(Ordering::SeqCst))
    }

    async fn until(&self, wanted: (usize, usize)) {
        let start = Instant::now();
        while self.both() != wanted {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}, not {wanted:?}", self.both());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Echoes after a while, and says so.
fn noting(pause: Duration) -> (Node, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let noted = seen.clone();
    let node = Node::new(move |request, arrival| {
        let seen = noted.clone();
        async move {
            seen.begun.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(pause).await;
            seen.done.fetch_add(1, Ordering::SeqCst);
            echo(request, arrival)
        }
    });
    (node, seen)
}

#[tokio::test]
async fn a_copy_joins_while_it_runs_and_is_given_the_answer_after() {
    let (node, seen) = noting(Duration::from_millis(200));
    let running = start(node, Config::default());
    let client = running.client(Config::default());
    let first = client.connect(running.address, "cloud-1").await.unwrap();
    let second = client.connect(running.address, "cloud-1").await.unwrap();
    let large = request(1, 24 << 20);
    let (a, b) = tokio::join!(first.call(&large, STALL), async {
        seen.until((1, 0)).await;
        let before = second.stats().sent_bytes;
        let response = second.call(&large, STALL).await;
        assert!(second.stats().sent_bytes - before < 12 << 20, "most of the copy stayed here");
        response
    });
    assert_eq!(answer(a.unwrap()).tensors, large.tensors);
    assert_eq!(answer(b.unwrap()).tensors, large.tensors);
    assert_eq!(answer(second.call(&large, STALL).await.unwrap()).tensors, large.tensors);
    assert_eq!(seen.both(), (1, 1));
}

#[tokio::test]
async fn the_same_id_with_another_question_is_another_request() {
    let (node, seen) = noting(Duration::ZERO);
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let first = request(1, 1000);
    let raw = Tensor::new(DType::U8, vec![500], vec![1; 500].into()).unwrap();
    let coded = CodedTensor { codec: 7, ..first.tensors[0].clone() };
    let others = [
        Request { boundary: 2, ..first.clone() },
        Request { digest: [9; 32], ..first.clone() },
        Request { outputs: vec!["y".into()], ..first.clone() },
        Request { reply: 3, ..first.clone() },
        Request { model: "n".into(), ..first.clone() },
        Request { ask: Ask::Profiles, boundary: 0, ..first.clone() },
        Request { tensors: vec![coded], ..first.clone() },
        Request { tensors: vec![NamedTensor { name: "x".into(), tensor: raw }.into()], ..first.clone() },
        Request { id: RequestId([0xee; 16]), ..first.clone() },
    ];
    for (index, other) in others.iter().enumerate() {
        assert_eq!(answer(connection.call(&first, STALL).await.unwrap()).tensors, first.tensors);
        assert_eq!(answer(connection.call(other, STALL).await.unwrap()).tensors, other.tensors);
        assert_eq!(seen.both().0, index + 2, "{other:?}");
    }
    // What changes from copy to copy makes no difference.
    let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    let copy = Request { deadline: Duration::from_secs(3), traceparent, ..first.clone() };
    answer(connection.call(&copy, STALL).await.unwrap());
    assert_eq!(seen.both().0, 1 + others.len());
}

#[tokio::test]
async fn a_copy_keeps_alive_what_the_first_one_takes_back() {
    let (node, seen) = noting(SLOW);
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let asked = request(1, 1000);
    let copy = {
        let first = connection.call(&asked, STALL);
        tokio::pin!(first);
        tokio::select! {
            _ = &mut first => panic!("too soon"),
            () = seen.until((1, 0)) => {}
        }
        let (connection, asked) = (connection.clone(), asked.clone());
        let copy = tokio::spawn(async move { connection.call(&asked, STALL).await });
        tokio::select! {
            _ = &mut first => panic!("too soon"),
            () = tokio::time::sleep(SLOW / 4) => {}
        }
        copy
    };
    assert_eq!(answer(copy.await.unwrap().unwrap()).tensors, asked.tensors);
    assert_eq!(seen.both(), (1, 1));
    // Nobody wants this one any more.
    let asked = request(2, 1000);
    tokio::select! {
        _ = connection.call(&asked, STALL) => panic!("too soon"),
        () = seen.until((2, 1)) => {}
    }
    tokio::time::sleep(SLOW * 5 / 4).await;
    assert_eq!(seen.both(), (2, 1));
}

#[tokio::test]
async fn a_lost_connection_does_not_end_what_may_be_asked_again() {
    let (node, seen) = noting(SLOW);
    let running = start(node, Config::default());
    let client = running.client(Config::default());
    let connection = client.connect(running.address, "cloud-1").await.unwrap();
    let asked = request(1, 1000);
    let (failed, ()) = tokio::join!(connection.call(&asked, STALL), async {
        seen.until((1, 0)).await;
        connection.abandon();
    });
    assert_eq!(failed.unwrap_err().failure, CallFailure::Closed);
    seen.until((1, 1)).await;
    let again = client.connect(running.address, "cloud-1").await.unwrap();
    assert_eq!(answer(again.call(&asked, STALL).await.unwrap()).tensors, asked.tensors);
    assert_eq!(seen.both(), (1, 1));
    // A client that goes for good takes its requests along.
    let asked = request(2, 1000);
    let (failed, ()) = tokio::join!(again.call(&asked, STALL), async {
        seen.until((2, 1)).await;
        client.close().await;
    });
    failed.unwrap_err();
    tokio::time::sleep(SLOW * 5 / 4).await;
    assert_eq!(seen.both(), (2, 1));
}

#[tokio::test]
async fn half_a_request_is_not_joined() {
    let (node, seen) = noting(Duration::from_millis(50));
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let (mut maker, growing) = Growing::new(10_000);
    let tensor = |data| CodedTensor { name: "x".into(), dtype: DType::U8, shape: vec![5000], codec: 9, data };
    let growing = Request { tensors: vec![tensor(Payload::Growing(growing))], ..request(1, 0) };
    let whole = Request { tensors: vec![tensor(vec![5; 5000].into())], ..request(1, 0) };
    maker.push(vec![5; 2000].into());
    let (first, ()) = tokio::join!(connection.call(&growing, STALL), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(answer(connection.call(&whole, STALL).await.unwrap()).tensors, whole.tensors);
        assert_eq!(seen.both(), (1, 1));
        maker.push(vec![5; 3000].into());
        maker.finish();
    });
    assert_eq!(answer(first.unwrap()).tensors, whole.tensors);
    assert_eq!(seen.both(), (1, 1), "its other half came too late to be run");
}

#[tokio::test]
async fn answers_are_kept_for_a_while_and_refusals_are_not() {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let node = Node::new(move |request, arrival| {
        let mut count = counted.lock().unwrap();
        *count += 1;
        let first = *count == 1;
        async move {
            let refusal = Refusal {
                id: request.id,
                node: "c".into(),
                reason: Reason::Overloaded,
                message: String::new(),
            };
            if first { Response::Refusal(refusal) } else { echo(request, arrival) }
        }
    });
    let running = start(node, Config { answer_age: SLOW, ..Config::default() });
    let connection = running.connect().await;
    let asked = request(1, 0);
    assert_eq!(refusal(connection.call(&asked, STALL).await.unwrap()).reason, Reason::Overloaded);
    for (pause, handled) in [(0, 2), (0, 2), (5, 3), (0, 3)] {
        tokio::time::sleep(SLOW / 4 * pause).await;
        answer(connection.call(&asked, STALL).await.unwrap());
        assert_eq!(*count.lock().unwrap(), handled);
    }
}
