//! What a small request waits for behind a bulk one on the same connection, over an emulated link:
//! prints JSON.
//!
//! ```text
//! cargo run --release -p kerf-transport --example behind -- --mbit 8 --rtt 40 --rounds 15
//! ```

#![allow(clippy::unwrap_used, reason = "a panic is how a measurement fails")]
#![allow(clippy::disallowed_methods, reason = "measurements live in time")]

use kerf_identity::{Authority, Identity, PeerIdentity, Role};
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_testbed::link::{Link, LinkSettings};
use kerf_transport::{Client, Config, Congestion, Handler, Server};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, Load, Refusal, Request, RequestHeader, RequestId, Response, Timings,
};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

struct Answering;

impl Handler for Answering {
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
                node: "c".into(),
                engine: "none".into(),
                tensors: vec![],
                timings: Timings::default(),
                load: Load::default(),
                arrival,
            })
        })
    }
}

fn request(number: u128, bytes: usize) -> Request {
    let tensor = Tensor::new(DType::U8, vec![bytes], vec![7; bytes].into()).unwrap();
    Request {
        id: RequestId(number.to_le_bytes()),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 1,
        deadline: Duration::from_secs(60),
        traceparent: None,
        tensors: vec![NamedTensor { name: "x".into(), tensor }.into()],
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

async fn measure(congestion: Congestion, mbit: f64, rtt: Duration, rounds: u32) -> String {
    let authority = Authority::generate("CA").unwrap();
    let identity = |role, name: &str| {
        let made = authority.issue(role, name, &[], Duration::from_secs(3600), SystemTime::now()).unwrap();
        Identity::from_pem(authority.cert_pem(), &made.cert_pem, &made.key_pem).unwrap()
    };
    let config = Config { congestion, ..Config::default() };
    let server =
        Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity(Role::Cloud, "c"), config.clone()).unwrap();
    let settings = LinkSettings::symmetric(mbit * 1e6 / 8.0, rtt, 512 << 10).unwrap();
    let link = Link::start(settings, server.local_addr()).unwrap();
    tokio::spawn(server.serve(Arc::new(Answering), std::future::pending()));
    let client = Client::new(identity(Role::Edge, "e"), config).unwrap();
    let connection = client.connect(link.address(), "c").await.unwrap();
    let stall = Duration::from_secs(10);
    let (mut small, mut bulk, mut number) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        number += 2;
        let requests = (request(number, 500_000), request(number + 1, 4_000));
        let start = Instant::now();
        let (a, b) = tokio::join!(
            async {
                connection.call(&requests.0, stall).await.unwrap();
                start.elapsed().as_secs_f64() * 1e3
            },
            async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let start = Instant::now();
                connection.call(&requests.1, stall).await.unwrap();
                start.elapsed().as_secs_f64() * 1e3
            }
        );
        bulk.push(a);
        small.push(b);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2].round()
    };
    let (first, worst) = (small[0].round(), small.iter().copied().fold(0.0, f64::max).round());
    let (small, bulk) = (median(&mut small), median(&mut bulk));
    format!(
        r#"{{"congestion":"{congestion:?}","mbit":{mbit},"rtt_ms":{},"small_p50_ms":{small},"small_first_ms":{first},"small_worst_ms":{worst},"bulk_p50_ms":{bulk}}}"#,
        rtt.as_millis()
    )
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut mbit, mut rtt, mut rounds) = (8.0, 40, 15);
    while let (Some(key), Some(value)) = (args.next(), args.next()) {
        match key.as_str() {
            "--mbit" => mbit = value.parse().unwrap(),
            "--rtt" => rtt = value.parse().unwrap(),
            "--rounds" => rounds = value.parse().unwrap(),
            key => panic!("{key}?"),
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        println!("{}", runtime.block_on(measure(congestion, mbit, Duration::from_millis(rtt), rounds)));
    }
}
