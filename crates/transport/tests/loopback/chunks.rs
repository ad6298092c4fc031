//! Tensors that are made while they are sent, and taken while they arrive.

use super::*;
use kerf_transport::{Begun, CallFailure, Source};
use kerf_wire::{CodedTensor, Growing, Intake, Maker, Payload, Reason, TensorHeader};
use std::sync::Mutex;

const CODEC: u16 = 0x1002;
const MOST: u64 = 300_000;

/// A request with a tensor that is being made.
fn made_later(number: u64) -> (Maker, Request) {
    let (maker, tensor) = tensor();
    (maker, Request { tensors: vec![tensor], ..request(number, 0) })
}

fn tensor() -> (Maker, CodedTensor) {
    let (maker, growing) = Growing::new(MOST);
    let data = Payload::Growing(growing);
    (maker, CodedTensor { name: "x".into(), dtype: DType::F32, shape: vec![100_000], codec: CODEC, data })
}

fn chunk(index: u8) -> Vec<u8> {
    vec![index; 10_000 + usize::from(index)]
}

fn all() -> Vec<u8> {
    (0..20).flat_map(chunk).collect()
}

/// Makes all of it, slowly.
async fn make(mut maker: Maker) {
    for index in 0..20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        maker.push(chunk(index).into());
    }
    maker.finish();
}

/// Notes which tensors come in chunks, and answers with what came, made later.
fn node(chunked: &Arc<Mutex<Vec<bool>>>) -> Node {
    let mut node = Node::new(|request, arrival| async move {
        assert_eq!(request.tensors[0].data.whole().unwrap(), &all());
        let (maker, tensor) = tensor();
        tokio::spawn(make(maker));
        echo(Request { tensors: vec![tensor], ..request }, arrival)
    });
    let chunked = chunked.clone();
    node.admit = Box::new(move |header| {
        chunked.lock().unwrap().push(header.tensors[0].chunked);
        Ok(())
    });
    node
}

#[tokio::test]
async fn peers_that_know_chunks_use_them_and_others_get_all_at_once() {
    for (here, there) in [(true, true), (true, false), (false, true), (false, false)] {
        let chunked = Arc::default();
        let running = start(node(&chunked), Config { chunks: there, ..Config::default() });
        let client = running.client(Config { chunks: here, ..Config::default() });
        let connection = client.connect(running.address, "cloud-1").await.unwrap();
        let (maker, request) = made_later(1);
        let (response, ()) = tokio::join!(connection.call(&request, STALL), make(maker));
        assert_eq!(answer(response.unwrap()).tensors[0].data.whole().unwrap(), &all(), "{here}, {there}");
        // Sent again, all of it is there; not as a copy, which would not be read.
        let request = Request { id: RequestId([0xee; 16]), ..request };
        let again = answer(connection.call(&request, STALL).await.unwrap());
        assert_eq!(again.tensors[0].data.whole().unwrap(), &all());
        assert_eq!(*chunked.lock().unwrap(), [here && there, false], "{here}, {there}");
    }
}

#[tokio::test]
async fn what_its_codec_gives_up_arrives_as_it_is() {
    let raw = Tensor::from_vec(&[100_000], vec![1.5f32; 100_000]).unwrap();
    let expected = raw.clone();
    let node = Node::new(move |request, arrival| {
        let got = request.tensors[0].as_raw().unwrap().unwrap();
        assert_eq!(got, expected);
        async move { echo(request, arrival) }
    });
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let (mut maker, request) = made_later(1);
    let give_up = async {
        maker.push(chunk(1).into());
        tokio::time::sleep(Duration::from_millis(20)).await;
        maker.give_up(raw.data().clone());
    };
    let (response, ()) = tokio::join!(connection.call(&request, STALL), give_up);
    assert_eq!(answer(response.unwrap()).tensors[0].as_raw().unwrap().unwrap(), raw);
}

#[tokio::test]
async fn what_nobody_makes_any_more_is_an_error_at_once() {
    let running = start(Node::echo(), Config::default());
    let connection = running.connect().await;
    let (mut maker, request) = made_later(1);
    let abandon = async {
        maker.push(chunk(1).into());
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(maker);
    };
    let (response, ()) = tokio::join!(connection.call(&request, STALL), abandon);
    let error = response.unwrap_err();
    assert!(
        matches!(error.failure, CallFailure::Abandoned(_)) && error.source == Source::Local && !error.retry
    );
    let error = connection.call(&request, STALL).await.unwrap_err();
    assert!(matches!(error.failure, CallFailure::Encode(_)), "{error}");

    // An answer that ends so: another node may do better.
    let node = Node::new(|request, arrival| async move {
        if request.tensors[0].data.bytes() == 0 {
            return echo(request, arrival);
        }
        let (mut maker, tensor) = tensor();
        maker.push(chunk(1).into());
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(maker);
        });
        echo(Request { tensors: vec![tensor], ..request }, arrival)
    });
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let error = connection.call(&super::request(1, 1), STALL).await.unwrap_err();
    assert!(matches!(error.failure, CallFailure::Reset { .. }) && error.retry, "{error}");
    answer(connection.call(&super::request(2, 0), STALL).await.unwrap());
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_what_is_still_made() {
    let mut node = Node::echo();
    node.admit = Box::new(|header| {
        let message = "no".into();
        Err(Refusal { id: header.id, node: "cloud-1".into(), reason: Reason::ModelMissing, message })
    });
    let running = start(node, Config::default());
    let connection = running.connect().await;
    let (mut maker, request) = made_later(1);
    maker.push(chunk(1).into());
    assert_eq!(refusal(connection.call(&request, STALL).await.unwrap()).reason, Reason::ModelMissing);
    assert!(maker.is_wanted(), "it may be sent elsewhere");
    drop(request);
    assert!(!maker.is_wanted());
}

/// Takes the first tensor of requests that have two, as it arrives.
struct Taking;

struct Taken(Vec<u8>);

impl Intake for Taken {
    fn begin(&mut self, _: &[TensorHeader]) -> Vec<usize> {
        self.0.clear();
        vec![0]
    }

    fn take(&mut self, tensor: usize, bytes: &[u8]) {
        assert_eq!(tensor, 0);
        self.0.extend_from_slice(bytes);
    }
}

impl Begun for Taken {
    fn intake(&mut self) -> &mut dyn Intake {
        self
    }

    fn handle(self: Box<Self>, mut request: Request, arrival: Arrival) -> Handling {
        assert_eq!(request.tensors[0].data, Payload::Taken { bytes: self.0.len() as u64 });
        request.tensors[0].data = self.0.into();
        Box::pin(async move { echo(request, arrival) })
    }
}

impl Handler for Taking {
    fn admit(&self, _: &PeerIdentity, _: &RequestHeader) -> Result<(), Refusal> {
        Ok(())
    }

    fn begin(&self, _: &PeerIdentity, header: &RequestHeader) -> Option<Box<dyn Begun>> {
        (header.tensors.len() == 2).then(|| Box::new(Taken(Vec::new())) as Box<dyn Begun>)
    }

    fn handle(&self, _: &PeerIdentity, request: Request, arrival: Arrival) -> Handling {
        assert!(request.tensors.iter().all(|tensor| tensor.data.whole().is_some()));
        Box::pin(async move { echo(request, arrival) })
    }
}

#[tokio::test]
async fn tensors_are_taken_while_they_arrive_at_both_ends() {
    let running = start(Taking, Config::default());
    let connection = running.connect().await;
    let whole = CodedTensor { data: all().into(), ..tensor().1 };
    let other = CodedTensor { name: "y".into(), ..whole.clone() };
    for tensors in [vec![whole.clone()], vec![whole.clone(), other.clone()]] {
        let mut taken = Taken(b"of an attempt that failed".to_vec());
        let request = Request { tensors: tensors.clone(), ..request(1, 0) };
        let mut answer = answer(connection.call_into(&request, STALL, &mut taken).await.unwrap().response);
        assert_eq!(answer.tensors[0].data, Payload::Taken { bytes: all().len() as u64 });
        answer.tensors[0].data = taken.0.into();
        assert_eq!(answer.tensors, tensors);
    }
    let (maker, mut request) = made_later(1);
    request.tensors.push(other.clone());
    let (response, ()) = tokio::join!(connection.call(&request, STALL), make(maker));
    assert_eq!(answer(response.unwrap()).tensors, [whole, other]);
}

#[tokio::test]
async fn a_tensor_that_is_being_made_counts_as_what_it_may_become() {
    let running = start(Node::echo(), Config::default());
    let connection = running.connect().await;
    // Whether the node knows chunks is known from here on.
    answer(connection.call(&request(1, 100), STALL).await.unwrap());
    let (mut maker, large) = made_later(2);
    maker.push(chunk(0).into());
    let small = request(3, 100);
    let calls = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let exchange = connection.call_into(&small, STALL, &mut ()).await.unwrap();
        maker.finish();
        exchange
    };
    let (large, small) = tokio::join!(connection.call(&large, STALL), calls);
    assert!((MOST - 20_000..=MOST).contains(&small.ahead), "{}", small.ahead);
    assert_eq!(answer(large.unwrap()).tensors[0].data.whole().unwrap(), &chunk(0));
    // What it became is all that is left of it.
    assert!(connection.call_into(&request(4, 100), STALL, &mut ()).await.unwrap().ahead < 20_000);
}
