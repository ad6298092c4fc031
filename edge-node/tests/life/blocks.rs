//! Large tensors in blocks, both ways, between real nodes on loopback.

use crate::mesh::{Mesh, ask, near, within};
use kerf_bundle::{Bytes, Codecs, Interval, Measured, MeasuredCodec};
use kerf_codec::{Bits, Book, BuiltIn, CodecId, Per};
use kerf_engine::{Engine, SegmentStore};
use kerf_engines::{EngineChoice, open};
use kerf_identity::{Identity, PeerIdentity};
use kerf_repository::Repository;
use kerf_serving::Models;
use kerf_testbed::models::{Array, ModelBuilder, Op};
use kerf_transport::{Config, Handler, Server};
use kerf_wire::{Answer, Arrival, Load, Refusal, Request, RequestHeader, Response, Timings};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHAPE: [usize; 4] = [1, 16, 96, 96];
const BYTES: u64 = 4 * 16 * 96 * 96;

/// Inputs and answers of half a megabyte and more; `last` is the input's last value.
fn wide(seed: u32, last: f64) -> Value {
    let mut state = seed;
    let mut data: Vec<f64> = (0..BYTES / 4)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 16) / 65_536.0
        })
        .collect();
    *data.last_mut().unwrap() = last;
    json!({ "inputs": [{ "name": "x", "shape": SHAPE, "datatype": "FP32", "data": data }] })
}

/// 8 bits there and half precision back, as if packing had found both true enough.
fn mesh() -> Mesh {
    let onnx = ModelBuilder::new("wide")
        .input("x: f32[N, 16, 96, 96]")
        .output("y: f32[N, 16, 96, 96]")
        .constant("half", Array::filled(&[1], 0.5).tensor())
        .node(Op::new("Relu", &["x"], &["positive"]))
        .node(Op::new("Mul", &["positive", "half"], &["y"]))
        .build();
    let mut mesh = Mesh::new("wide", onnx.clone());
    let figure = |boundary: usize, id: CodecId, name: &str, mean: f64| MeasuredCodec {
        boundary: boundary as u16,
        id: id.0,
        name: name.to_owned(),
        bytes: Bytes { mean, p90: mean },
        encode: 1e-5,
        decode: 1e-5,
        agreement: Interval { same: 1000, of: 1000, low: 0.99, high: 1.0 },
        expected: 1.0,
        accuracy: None,
        is_on_front: true,
    };
    let int8 = BuiltIn::Int { bits: Bits::B8, per: Per::Channel };
    let last = mesh.last();
    let codecs = vec![
        figure(0, int8.id(), "int8c", BYTES as f64 / 4.0),
        figure(0, CodecId::RAW, "raw", BYTES as f64),
        figure(last, BuiltIn::F16.id(), "f16", BYTES as f64 / 2.0),
        figure(last, CodecId::RAW, "raw", BYTES as f64),
    ];
    let measured = Measured { inputs: 1000, metric: "top1".into(), confidence: 0.95, codecs };
    mesh.repack_with("wide", onnx, Some(Codecs { book: Book::default(), measured }));
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn large_tensors_arrive_both_ways_and_those_that_no_codec_takes_as_they_are() {
    let mut mesh = mesh();
    let cloud = mesh.start_cloud().await;
    let edge = mesh.start_edge("b0", "none").await;
    let alone = mesh.start_edge("edge", "required").await;
    mesh.wait_connected(&edge).await;
    for seed in 0..3 {
        let body = wide(seed, 0.5);
        let (status, answer) = ask(&edge, "wide", &body).await;
        assert_eq!(status, 200, "{answer}");
        let parameters = &answer["parameters"];
        assert_eq!((&parameters["node"], &parameters["codec"]), (&json!("cloud-1"), &json!("int8c")));
        assert_eq!(parameters["uncoded"], Value::Null);
        let [shipped, received] =
            [&parameters["shipped_bytes"], &parameters["received_bytes"]].map(|it| it.as_u64().unwrap());
        assert!((BYTES / 4..BYTES / 3).contains(&shipped), "{shipped}");
        assert_eq!(received, BYTES / 2);
        within(&answer["outputs"], &ask(&alone, "wide", &body).await.1["outputs"], 0.003);
    }
    // Its place is in the last block, and half of it is too much for the answer's codec too.
    let body = wide(7, 2e38);
    let (status, answer) = ask(&edge, "wide", &body).await;
    assert_eq!(status, 200, "{answer}");
    let parameters = &answer["parameters"];
    assert!(parameters["uncoded"].as_str().unwrap().contains("under codec int8c"), "{parameters}");
    assert_eq!((&parameters["shipped_bytes"], &parameters["received_bytes"]), (&json!(BYTES), &json!(BYTES)));
    near(&answer["outputs"], &ask(&alone, "wide", &body).await.1["outputs"]);
    for edge in [edge, alone] {
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_goes_while_large_tensors_are_on_their_way_loses_none() {
    let mut mesh = mesh();
    let mut cloud = Some(mesh.start_cloud().await);
    let edge = Arc::new(mesh.start_edge("b0", "required").await);
    mesh.wait_connected(&edge).await;
    let body = Arc::new(wide(1, 0.5));
    let mut makers = Vec::new();
    for round in 0..4 {
        let requests: Vec<_> = (0..3)
            .map(|_| {
                let (edge, body) = (Arc::clone(&edge), Arc::clone(&body));
                tokio::spawn(async move { ask(&edge, "wide", &body).await })
            })
            .collect();
        if round == 1 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            cloud.take().unwrap().kill();
        }
        for request in requests {
            let (status, answer) = request.await.unwrap();
            assert_eq!(status, 200, "round {round}: {}", answer["error"]);
            makers.push(answer["parameters"]["node"].as_str().unwrap().to_owned());
        }
        if round == 2 {
            cloud = Some(mesh.start_cloud().await);
            mesh.wait_connected(&edge).await;
        }
    }
    assert!(makers[..3].iter().chain(&makers[9..]).all(|maker| maker == "cloud-1"), "{makers:?}");
    assert!(makers[6..9].iter().all(|maker| maker == "edge-1"), "{makers:?}");
    cloud.unwrap().stop().await;
}

/// A cloud node that notes which requests come in chunks, and reads them all at once.
struct Noting {
    models: Models,
    chunked: Arc<Mutex<Vec<bool>>>,
}

impl Handler for Noting {
    fn admit(&self, _: &PeerIdentity, header: &RequestHeader) -> Result<(), Refusal> {
        self.chunked.lock().unwrap().push(header.tensors.iter().any(|tensor| tensor.chunked));
        Ok(())
    }

    fn handle(
        &self,
        _: &PeerIdentity,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let served = Arc::clone(self.models.find("wide").unwrap());
        Box::pin(async move {
            let tensors = served.codecs.decode(request.boundary, request.tensors).unwrap();
            let mut values = served.accept(request.boundary.into(), tensors).unwrap();
            let run = served.runner.run(request.boundary.into(), served.last(), &mut values).unwrap();
            let outputs = served.outputs(&request.outputs, &values).unwrap();
            Response::Answer(Answer {
                id: request.id,
                node: "cloud-1".into(),
                engine: run.engine.to_owned(),
                tensors: outputs.into_iter().map(Into::into).collect(),
                timings: Timings::default(),
                load: Load::default(),
                arrival,
            })
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_before_there_were_chunks_is_sent_none() {
    for knows in [true, false] {
        let mut mesh = mesh();
        let engines: Vec<Arc<dyn Engine>> = open(&EngineChoice::default()).unwrap().engines;
        let store = Arc::new(SegmentStore::new(1 << 30));
        let models = Models::load(&Repository::new(mesh.repository()), &[], &engines, &store).unwrap();
        let pem = |name: &str| mesh.file(name);
        let identity = Identity::from_pem(&pem("ca.pem"), &pem("cloud-1.pem"), &pem("cloud-1.key")).unwrap();
        let config = Config { chunks: knows, ..Config::default() };
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity, config).unwrap();
        mesh.use_cloud(server.local_addr());
        let chunked = Arc::default();
        let node = Noting { models, chunked: Arc::clone(&chunked) };
        tokio::spawn(server.serve(Arc::new(node), std::future::pending()));

        let edge = mesh.start_edge("b0", "none").await;
        mesh.wait_connected(&edge).await;
        for seed in 0..4 {
            let (status, answer) = ask(&edge, "wide", &wide(seed, 0.5)).await;
            assert_eq!(status, 200, "{answer}");
            assert_eq!(answer["parameters"]["codec"], "int8c", "{answer}");
        }
        // An encoder that is done before its header is written has no need of chunks.
        let chunked = chunked.lock().unwrap().clone();
        assert_eq!(chunked.len(), 4);
        assert_eq!(chunked.contains(&true), knows, "{chunked:?}");
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
}
