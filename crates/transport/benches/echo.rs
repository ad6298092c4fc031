//! A request and its answer over loopback, mTLS and all: what the network layers cost
//! when the network costs nothing.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]
#![allow(clippy::disallowed_methods, reason = "benchmarks live in time")]

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kerf_identity::{Authority, Identity, PeerIdentity, Role};
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_transport::{Client, Config, Connection, Handler, Server};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, Load, Refusal, Request, RequestHeader, RequestId, Response, Timings,
};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

struct Echo;

impl Handler for Echo {
    fn admit(&self, _: &PeerIdentity, _: &RequestHeader) -> Result<(), Refusal> {
        Ok(())
    }

    fn handle(
        &self,
        _: &PeerIdentity,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        Box::pin(async move {
            Response::Answer(Answer {
                id: request.id,
                node: "cloud-1".into(),
                engine: "echo".into(),
                tensors: request.tensors,
                timings: Timings::default(),
                load: Load::default(),
                arrival,
            })
        })
    }
}

fn identity(authority: &Authority, role: Role, name: &str) -> Identity {
    let made = authority.issue(role, name, &[], Duration::from_secs(3600), SystemTime::now()).unwrap();
    Identity::from_pem(authority.cert_pem(), &made.cert_pem, &made.key_pem).unwrap()
}

async fn connect() -> Connection {
    let authority = Authority::generate("bench CA").unwrap();
    let cloud = identity(&authority, Role::Cloud, "cloud-1");
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &cloud, Config::default()).unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(Arc::new(Echo), std::future::pending()));
    let client = Client::new(identity(&authority, Role::Edge, "gw-1"), Config::default()).unwrap();
    client.connect(address, "cloud-1").await.unwrap()
}

fn request(bytes: usize) -> Request {
    let tensor = Tensor::new(DType::U8, vec![bytes], vec![7; bytes].into()).unwrap();
    Request {
        id: RequestId([0; 16]),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 1,
        deadline: Duration::from_secs(10),
        traceparent: None,
        tensors: vec![NamedTensor { name: "x".into(), tensor }.into()],
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

fn echo(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connection = runtime.block_on(connect());
    let mut group = criterion.benchmark_group("echo");
    group.sampling_mode(SamplingMode::Flat);
    let mut numbers = 0;
    for (name, bytes) in [("1 kB", 1_000), ("50 kB", 50_000), ("200 kB", 200_000)] {
        let mut request = request(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut times = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        // A copy would be answered without being handled.
                        numbers += 1;
                        request.id = RequestId(u128::to_le_bytes(numbers));
                        let sent = Instant::now();
                        let response = connection.call(&request, Duration::from_secs(1)).await.unwrap();
                        assert!(matches!(response, Response::Answer(_)));
                        times.push(sent.elapsed());
                    }
                    start.elapsed()
                })
            });
        });
        times.sort_unstable();
        if let (Some(p50), Some(p99)) = (times.get(times.len() / 2), times.get(times.len() * 99 / 100)) {
            println!("echo/{name}: p50 {p50:?}, p99 {p99:?}, {} calls", times.len());
        }
    }
    group.finish();
}

criterion_group!(benches, echo);
criterion_main!(benches);
