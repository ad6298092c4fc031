//! How soon after a blackout the cloud answers again, over an emulated link: prints JSON.
//!
//! ```text
//! cargo run --release -p kerf-mesh --example blackout -- --rtt 20,80,200 --dark 1,3,10,30 --rounds 3
//! ```
//!
//! A node echoes; requests of 6 kB are sent ten times a second, each as an edge node would: where the
//! node is connected it is asked, else nothing is sent. One more request at a time waits the blackout
//! out. The emulated link drops everything while it is dark. Times are from the moment that the link
//! is back to the first answer after it: to the request that waited, and to a new one.

#![allow(clippy::unwrap_used, reason = "a panic is how a measurement fails")]
#![allow(clippy::disallowed_methods, reason = "measurements live in time")]

use kerf_identity::{Authority, Identity, PeerIdentity, Role};
use kerf_mesh::{Manner, Mesh, MeshConfig, NodeAddress, OnSilence};
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_testbed::link::{Link, LinkSettings};
use kerf_transport::{Client, Config, Handler, Server};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, Load, Refusal, Request, RequestHeader, RequestId, Response, Timings,
};
use serde_json::json;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
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
                node: "c".into(),
                engine: "echo".into(),
                tensors: vec![],
                timings: Timings::default(),
                load: Load::default(),
                arrival,
            })
        })
    }
}

fn request(deadline: Duration) -> Request {
    let tensor = Tensor::new(DType::U8, vec![6000], vec![7; 6000].into()).unwrap();
    Request {
        id: RequestId(rand::random()),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 1,
        deadline,
        traceparent: None,
        tensors: vec![NamedTensor { name: "x".into(), tensor }.into()],
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

/// When answers came to requests that waited, and to new ones.
#[derive(Default)]
struct Answers {
    waited: Mutex<Vec<Instant>>,
    new: Mutex<Vec<Instant>>,
}

async fn first_after(answers: &Mutex<Vec<Instant>>, back: Instant) -> f64 {
    loop {
        let found = answers.lock().unwrap().iter().find(|at| **at > back).copied();
        match found {
            Some(at) => return (at - back).as_secs_f64() * 1e3,
            None if back.elapsed() > Duration::from_secs(30) => return f64::INFINITY,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn measure(rtt: Duration, dark: &[u64], rounds: usize) -> Vec<serde_json::Value> {
    let authority = Authority::generate("CA").unwrap();
    let identity = |role, name: &str| {
        let made = authority.issue(role, name, &[], Duration::from_secs(7200), SystemTime::now()).unwrap();
        Identity::from_pem(authority.cert_pem(), &made.cert_pem, &made.key_pem).unwrap()
    };
    let config = Config { keep_alive: Duration::from_millis(300), ..Config::default() };
    let server =
        Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity(Role::Cloud, "c"), config.clone()).unwrap();
    let settings = LinkSettings::symmetric(2.5e6, rtt, 1 << 18).unwrap();
    let link = Link::start(settings, server.local_addr()).unwrap();
    tokio::spawn(server.serve(Arc::new(Echo), std::future::pending()));
    let client = Client::new(identity(Role::Edge, "e"), config).unwrap();
    let node = NodeAddress { node: "c".into(), address: link.address().to_string() };
    let mesh = Mesh::new(client, vec![node], MeshConfig::default());
    mesh.connected().await;
    let answers = Arc::<Answers>::default();
    let new = {
        let (mesh, answers) = (mesh.clone(), answers.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                if mesh.available("m", &[0; 32]) {
                    let (mesh, answers) = (mesh.clone(), answers.clone());
                    tokio::spawn(async move {
                        if mesh.call(&request(Duration::from_secs(2))).await.is_ok_and(|reply| !reply.again) {
                            answers.new.lock().unwrap().push(Instant::now());
                        }
                    });
                }
            }
        })
    };
    let waiting = {
        let (mesh, answers) = (mesh.clone(), answers.clone());
        tokio::spawn(async move {
            loop {
                let call = request(Duration::from_secs(120));
                if mesh
                    .call_into(&call, Manner { on_silence: OnSilence::WaitOut, first: None }, &mut ())
                    .await
                    .is_ok()
                {
                    answers.waited.lock().unwrap().push(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    let mut out = Vec::new();
    for seconds in dark {
        let (mut waited, mut fresh) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            tokio::time::sleep(Duration::from_millis(2000 + 37 * round as u64)).await;
            link.pause();
            tokio::time::sleep(Duration::from_secs(*seconds) + Duration::from_millis(61 * round as u64))
                .await;
            link.resume();
            let back = Instant::now();
            let (a, b) = tokio::join!(first_after(&answers.waited, back), first_after(&answers.new, back));
            waited.push(a.round());
            fresh.push(b.round());
        }
        let bound = 2.0 * rtt.as_secs_f64() * 1e3 + 300.0;
        let worst = waited.iter().copied().fold(0.0, f64::max);
        let row = json!({
            "rtt_ms": rtt.as_millis() as u64, "blackout_s": seconds, "waited_ms": waited, "new_ms": fresh,
            "bound_ms": bound, "within": worst <= bound,
        });
        eprintln!("{row}");
        out.push(row);
    }
    new.abort();
    waiting.abort();
    out
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut rtts, mut dark, mut rounds) = (vec![20, 80, 200], vec![1, 3, 10, 30], 3);
    while let (Some(key), Some(value)) = (args.next(), args.next()) {
        let list = || value.split(',').map(|it| it.parse::<u64>().unwrap()).collect::<Vec<_>>();
        match key.as_str() {
            "--rtt" => rtts = list(),
            "--dark" => dark = list(),
            "--rounds" => rounds = value.parse().unwrap(),
            key => panic!("{key}?"),
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows: Vec<_> = runtime.block_on(async {
        // The links are apart: their blackouts can run side by side.
        let mut runs = tokio::task::JoinSet::new();
        for rtt in rtts {
            let dark = dark.clone();
            runs.spawn(async move { measure(Duration::from_millis(rtt), &dark, rounds).await });
        }
        runs.join_all().await.concat()
    });
    println!("{}", json!({ "link": "emulated", "rows": rows }));
}
