//! Activations under codecs, between real nodes on loopback.

use crate::mesh::{Mesh, ask, near, within};
use kerf_bundle::{Bytes, Codecs, Interval, Measured, MeasuredCodec};
use kerf_codec::{Bits, Book, BuiltIn, CodecId, Entry, Per};
use kerf_engine::{Engine, SegmentStore};
use kerf_engines::{EngineChoice, open};
use kerf_identity::{Identity, PeerIdentity};
use kerf_repository::Repository;
use kerf_serving::Models;
use kerf_testbed::models::tiny_classifier;
use kerf_transport::{Config, Handler, Server};
use kerf_wire::{
    Answer, Arrival, CODEC_RAW, Load, Reason, Refusal, Request, RequestHeader, Response, Timings,
};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

const SPLIT: u16 = 2;

fn image() -> Value {
    let data: Vec<f64> = (0..3 * 16 * 16).map(|index| ((index * 37) % 97) as f64 / 97.0).collect();
    json!({ "inputs": [{ "name": "x", "shape": [1, 3, 16, 16], "datatype": "FP32", "data": data }] })
}

/// Two codecs of the book at the split and a built-in one there, one for the answers: as if packing
/// had found the first untrue, the second the smallest that is true enough.
fn codecs(mesh: &Mesh) -> Codecs {
    let bundle = Repository::new(mesh.repository()).open("tiny").unwrap();
    let tensors = |boundary: usize, codec: BuiltIn| {
        let specs = bundle.model.boundaries()[boundary].tensors.iter();
        specs.map(|spec| (spec.name.clone(), codec.into())).collect::<Vec<_>>()
    };
    let int = |bits| BuiltIn::Int { bits, per: Per::Tensor };
    let last = mesh.last();
    let entry = |boundary: usize, name: &str, codec| Entry {
        boundary: boundary as u16,
        name: name.to_owned(),
        tensors: tensors(boundary, codec),
    };
    let split = usize::from(SPLIT);
    let book = Book::new(vec![
        entry(split, "coarse", int(Bits::B2)),
        entry(split, "fine", int(Bits::B8)),
        entry(last, "half", BuiltIn::F16),
    ])
    .unwrap();
    let figure = |boundary: usize, id: CodecId, name: &str, mean: f64, same: u32| MeasuredCodec {
        boundary: boundary as u16,
        id: id.0,
        name: name.to_owned(),
        bytes: Bytes { mean, p90: mean },
        encode: 1e-5,
        decode: 1e-5,
        agreement: Interval { same, of: 1000, low: 0.0, high: 1.0 },
        expected: f64::from(same) / 1000.0,
        accuracy: None,
        is_on_front: true,
    };
    let fitted = |k| CodecId::fitted(k).unwrap();
    let figures = vec![
        figure(split, fitted(0), "coarse", 10.0, 900),
        figure(split, fitted(1), "fine", 40.0, 999),
        figure(split, BuiltIn::F16.id(), "f16", 80.0, 1000),
        figure(split, CodecId::RAW, "raw", 160.0, 1000),
        figure(last, fitted(0), "half", 8.0, 1000),
        figure(last, CodecId::RAW, "raw", 16.0, 1000),
    ];
    let measured = Measured { inputs: 1000, metric: "top1".into(), confidence: 0.95, codecs: figures };
    Codecs { book, measured }
}

fn mesh() -> Mesh {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    let codecs = codecs(&mesh);
    mesh.repack_with("tiny", tiny_classifier(), Some(codecs));
    mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_codec_that_is_true_enough_is_used_both_ways() {
    let mut mesh = mesh();
    let cloud = mesh.start_cloud().await;
    let mut shipped = Vec::new();
    let mut whole = Value::Null;
    for (codec, used, tolerance) in
        [("raw", "raw", 0.0), ("auto", "fine", 0.02), ("coarse", "coarse", 1.0), ("fine", "fine", 0.02)]
    {
        let edge = mesh.start_edge_with(&format!("b{SPLIT}"), "required", codec).await;
        mesh.wait_connected(&edge).await;
        let (status, answer) = ask(&edge, "tiny", &image()).await;
        assert_eq!(status, 200, "{answer}");
        let parameters = &answer["parameters"];
        assert_eq!(
            (&parameters["codec"], &parameters["node"]),
            (&json!(used), &json!("cloud-1")),
            "{answer}"
        );
        assert_eq!(parameters["uncoded"], Value::Null, "{answer}");
        shipped.push(
            [&parameters["shipped_bytes"], &parameters["received_bytes"]].map(|it| it.as_u64().unwrap()),
        );
        if whole.is_null() {
            whole = answer["outputs"].clone();
        }
        within(&answer["outputs"], &whole, tolerance);
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
    let [raw, auto, coarse, fine] = shipped[..] else { panic!("four answers") };
    // A quarter of the bytes, or a sixteenth, and the bounds; answers at half precision.
    assert!(auto[0] < raw[0] / 3 && coarse[0] < auto[0] / 2, "{shipped:?}");
    assert_eq!((auto[0], auto[1] * 2), (fine[0], raw[1]), "{shipped:?}");
    // Named codecs say nothing of answers.
    assert_eq!((fine[1], coarse[1]), (raw[1], raw[1]), "{shipped:?}");
    cloud.stop().await;
}

/// Over a slow link the raw tensors of the split take longer than all the rest of the model here; under
/// a codec they do not. Requests find out that the link is not slow, and may leave elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_codec_moves_the_plan() {
    let mut mesh = mesh();
    mesh.write_profile("edge-1", 0.4);
    mesh.write_profile("cloud-1", 0.000_1);
    let cloud = mesh.start_cloud().await;
    let last = format!("b{}", mesh.last());
    let cut = format!("b{SPLIT}");
    for (codec, split, used) in
        [("raw", last.as_str(), ""), ("auto", &cut, "fine"), ("coarse", &cut, "coarse"), ("f16", &cut, "f16")]
    {
        let link = "bandwidth: 16kbps, rtt: 1ms";
        let edge = mesh.start_edge_over(link, "auto", "required", codec, "").await.unwrap();
        let (planned, plan) = mesh.wait_planned(&edge).await;
        assert_eq!(planned, format!("{split} of {}", mesh.last()), "{codec}: {plan}");
        assert_eq!(plan.contains(" with cloud-1"), split == cut, "{plan}");
        mesh.wait_connected(&edge).await;
        let (status, answer) = ask(&edge, "tiny", &image()).await;
        assert_eq!(status, 200, "{answer}");
        if split == cut {
            assert!(plan.contains(&format!("ms as {used} with")), "{plan}");
        }
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_that_the_model_lacks_is_refused_at_the_start() {
    let mesh = mesh();
    let error = mesh.try_start_edge("b1", "none", "fine").await.err().unwrap().to_string();
    assert!(error.contains("has no codec of that name at b1; it has raw"), "{error}");
}

/// What a codec cannot carry goes as it is, and the answer says so.
#[tokio::test(flavor = "multi_thread")]
async fn values_beyond_a_codec_travel_raw() {
    let mut mesh = mesh();
    let cloud = mesh.start_cloud().await;
    let edge = mesh.start_edge_with(&format!("b{SPLIT}"), "required", "f16").await;
    mesh.wait_connected(&edge).await;
    let mut body = image();
    // Half precision ends at 65,504.
    body["inputs"][0]["data"] = json!(vec![1e30; 3 * 16 * 16]);
    let (status, answer) = ask(&edge, "tiny", &body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["parameters"]["node"], "cloud-1", "{answer}");
    assert!(answer["parameters"]["uncoded"].as_str().unwrap().contains("under codec f16"), "{answer}");
    assert!(edge.stop(Duration::from_secs(5)).await);
    cloud.stop().await;
}

/// A cloud node of a version before codecs: it refuses them by header, and computes what comes raw.
struct Older {
    models: Models,
}

impl Handler for Older {
    fn admit(&self, _: &PeerIdentity, header: &RequestHeader) -> Result<(), Refusal> {
        match header.tensors.iter().find(|tensor| tensor.codec != CODEC_RAW) {
            None => Ok(()),
            Some(tensor) => Err(Refusal {
                id: header.id,
                node: "cloud-1".into(),
                reason: Reason::Unsupported,
                message: format!("codec {} is unknown to this version", tensor.codec),
            }),
        }
    }

    fn handle(
        &self,
        _: &PeerIdentity,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let served = Arc::clone(self.models.find("tiny").unwrap());
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
async fn a_node_without_the_codec_is_sent_the_tensors_as_they_are() {
    let mut mesh = mesh();
    let engines: Vec<Arc<dyn Engine>> = open(&EngineChoice::default()).unwrap().engines;
    let store = Arc::new(SegmentStore::new(1 << 30));
    let models = Models::load(&Repository::new(mesh.repository()), &[], &engines, &store).unwrap();
    let pem = |name: &str| mesh.file(name);
    let identity = Identity::from_pem(&pem("ca.pem"), &pem("cloud-1.pem"), &pem("cloud-1.key")).unwrap();
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity, Config::default()).unwrap();
    mesh.use_cloud(server.local_addr());
    tokio::spawn(server.serve(Arc::new(Older { models }), std::future::pending()));

    let whole = {
        let edge = mesh.start_edge("edge", "required").await;
        let (_, answer) = ask(&edge, "tiny", &image()).await;
        assert!(edge.stop(Duration::from_secs(5)).await);
        answer["outputs"].clone()
    };
    let edge = mesh.start_edge(&format!("b{SPLIT}"), "none").await;
    mesh.wait_connected(&edge).await;
    for _ in 0..3 {
        let (status, answer) = ask(&edge, "tiny", &image()).await;
        assert_eq!(status, 200, "{answer}");
        let parameters = &answer["parameters"];
        assert_eq!(
            (&parameters["codec"], &parameters["node"]),
            (&json!("raw"), &json!("cloud-1")),
            "{answer}"
        );
        assert!(parameters["uncoded"].as_str().unwrap().contains("unknown to this version"), "{answer}");
        near(&answer["outputs"], &whole);
    }
    assert!(edge.stop(Duration::from_secs(5)).await);
}
