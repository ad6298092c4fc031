//! Large tensors, encoded while they are sent and decoded while they arrive: the same bytes and the
//! same tensors as all at once.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use kerf_bundle::{Coding, Metric, Pack, PackRequest};
use kerf_codec::{Bits, BuiltIn, Per};
use kerf_engine::SegmentStore;
use kerf_engines::{EngineChoice, open};
use kerf_graph::{Model, NoExternalData};
use kerf_repository::{Overwrite, Repository};
use kerf_serving::{Compute, EarlyDecoder, Models, Served, Shipment, Tell};
use kerf_tensor::{NamedTensor, Tensor};
use kerf_testbed::models::{ModelBuilder, Op};
use kerf_wire::{
    Ask, CODEC_RAW, CodedTensor, Decoder, Frame, Limits, Payload, Request, RequestId, encode_request,
};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A model with a tensor of any size as its first boundary; no codecs but the built-in ones.
fn served() -> (TempDir, Arc<Served>) {
    let onnx = ModelBuilder::new("relu")
        .input("x: f32[N, 16, H, W]")
        .output("y: f32[N, 16, H, W]")
        .node(Op::new("Relu", &["x"], &["y"]))
        .build();
    let model = Model::load(onnx.clone(), &NoExternalData).unwrap();
    let pack = Pack::new(PackRequest {
        name: "relu",
        source_file: "relu.onnx",
        source: &onnx,
        model: &model,
        boundaries: 2,
        preprocess: None,
        metric: Metric::Numeric,
        tolerance: 1e-4,
    });
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::new(folder.path());
    repository.write(&pack.unwrap(), Overwrite::Refuse).unwrap();
    let engines = open(&EngineChoice::default()).unwrap().engines;
    let models = Models::load(&repository, &[], &engines, &Arc::new(SegmentStore::new(1 << 20))).unwrap();
    (folder, Arc::clone(models.find("relu").unwrap()))
}

fn tensor(name: &str, side: usize) -> NamedTensor {
    // Noise: what hardly compresses comes in many pieces.
    let mut state = 1u32;
    let value = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 1e6 - 3.0
    };
    let values = (0..16 * side * side).map(value).collect();
    NamedTensor { name: name.into(), tensor: Tensor::from_vec(&[1, 16, side, side], values).unwrap() }
}

fn coding(codec: BuiltIn) -> Coding {
    Coding::from_number(codec.id().0).unwrap()
}

fn request(tensors: Vec<CodedTensor>) -> Request {
    Request {
        id: RequestId([1; 16]),
        ask: Ask::Finish,
        model: "relu".into(),
        digest: [0; 32],
        boundary: 0,
        deadline: Duration::from_secs(1),
        traceparent: None,
        tensors,
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

/// Encodes ahead; the request's frame is begun when its first block is there, and `begun` sees it.
async fn sent_ahead(
    served: &Arc<Served>,
    tensors: &[NamedTensor],
    coding: Coding,
    begun: impl FnOnce(&Request),
) -> (Vec<u8>, Shipment) {
    let (compute, far) = (Compute::new(1), Instant::now() + Duration::from_secs(60));
    let (go_on, wait) = mpsc::channel();
    let (served, tensors) = (served.clone(), tensors.to_vec());
    let work = move |tell: Tell<Shipment>| {
        served.codecs.encode_ahead(0, tensors, coding, |shipment| {
            tell.tell(shipment);
            wait.recv().unwrap();
        });
    };
    let shipment = compute.run_until_told(far, work).await.unwrap().value;
    let request = request(shipment.tensors.clone());
    begun(&request);
    let mut frame = Frame::of_request(&request, &Limits::default()).unwrap();
    go_on.send(()).unwrap();
    let mut bytes = Vec::new();
    while let Some(pieces) = frame.next().await.unwrap() {
        bytes.extend(pieces.concat());
    }
    (bytes, shipment)
}

/// Receives a frame in pieces, as an early decoder gets it.
fn received(served: &Arc<Served>, frame: &[u8], width: usize, piece: usize) -> (Request, EarlyDecoder) {
    let mut early = EarlyDecoder::new(served.clone(), 0, Compute::new(width));
    let mut decoder = Decoder::<Request>::new(Limits::default());
    for piece in frame.chunks(piece) {
        decoder.push(piece.to_vec().into()).unwrap();
        decoder.deliver(&mut early);
    }
    (decoder.finish().unwrap(), early)
}

fn codecs() -> [BuiltIn; 5] {
    let (bits, per) = (Bits::B8, Per::Channel);
    [
        BuiltIn::F16,
        BuiltIn::Lossless,
        BuiltIn::Int { bits, per },
        BuiltIn::IntZstd { bits, per },
        BuiltIn::Int { bits: Bits::B3, per: Per::Tensor },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_the_same_bytes_and_the_same_tensors_as_a_whole() {
    let (_folder, served) = served();
    let tensors = [tensor("small", 4), tensor("x", 128), tensor("also small", 5), tensor("large", 96)];
    for codec in codecs() {
        let whole = served.codecs.encode(0, tensors.to_vec(), coding(codec));
        let expected = served.codecs.decode(0, whole.tensors.clone()).unwrap();
        let growing = |request: &Request| {
            let growing = request.tensors.iter().map(|it| matches!(it.data, Payload::Growing(_)));
            assert_eq!(growing.collect::<Vec<_>>(), [false, true, false, true], "{codec}");
        };
        let (frame, shipment) = sent_ahead(&served, &tensors, coding(codec), growing).await;
        assert!(shipment.uncoded.reason().is_none());
        assert_eq!(shipment.bytes(), whole.bytes(), "{codec}");
        let as_ever = encode_request(&request(whole.tensors), &Limits::default()).unwrap().concat();
        let made = encode_request(&request(shipment.tensors), &Limits::default()).unwrap().concat();
        assert!(made == as_ever, "{codec}: made, it goes as ever");
        for (frame, width, piece) in [(&frame, 2, 1200), (&frame, 1, 10_000), (&as_ever, 2, 1200)] {
            let (got, early) = received(&served, frame, width, piece);
            let taken = got.tensors.iter().map(|it| matches!(it.data, Payload::Taken { .. }));
            assert_eq!(taken.collect::<Vec<_>>(), [false, true, false, true], "{codec}");
            assert!(early.finish(got.tensors).unwrap() == expected, "{codec}, {width} threads");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tensor_that_its_codec_refuses_halfway_arrives_as_it_is() {
    let (_folder, served) = served();
    let bad = |name: &str, value: f32| {
        let NamedTensor { name, tensor } = tensor(name, 128);
        let mut values = tensor.elements::<f32>().unwrap().to_vec();
        *values.last_mut().unwrap() = value;
        NamedTensor { name, tensor: Tensor::from_vec(tensor.shape(), values).unwrap() }
    };
    let tensors = [bad("x", f32::NAN), tensor("good", 128), bad("too", f32::INFINITY)];
    for codec in [codecs()[2], codecs()[3]] {
        let (frame, shipment) = sent_ahead(&served, &tensors, coding(codec), |_| {}).await;
        let reason = shipment.uncoded.reason().unwrap().to_string();
        assert!(reason.contains("'x' under codec") && reason.contains("NaN"), "{reason}");
        let (got, early) = received(&served, &frame, 2, 1200);
        assert_eq!(
            got.tensors.iter().map(|it| it.codec == CODEC_RAW).collect::<Vec<_>>(),
            [true, false, true]
        );
        let got = early.finish(got.tensors).unwrap();
        for (index, named) in tensors.iter().enumerate().filter(|(index, _)| *index != 1) {
            assert!(got[index].tensor.data() == named.tensor.data(), "{}", named.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_are_none_are_an_error_that_names_the_tensor() {
    let (_folder, served) = served();
    let coding = coding(codecs()[3]);
    let shipment = served.codecs.encode(0, vec![tensor("x", 128)], coding);
    let good = shipment.tensors[0].clone();
    let data = good.data.whole().unwrap().to_vec();
    let mut flipped = data.clone();
    flipped[..4].fill(0xff);
    for (data, complaint) in [
        (data[..data.len() - 1].to_vec(), "'x' under codec int8c+zstd"),
        (data[..9000].to_vec(), "cut short"),
        ([&data[..], &[1; 70_000]].concat(), "'x' under codec int8c+zstd"),
        (flipped, "the most"),
        (Vec::new(), "cut short"),
    ] {
        let coded = CodedTensor { data: data.into(), ..good.clone() };
        let frame = encode_request(&request(vec![coded]), &Limits::default()).unwrap().concat();
        for width in [1, 2] {
            let (got, early) = received(&served, &frame, width, 1200);
            let error = early.finish(got.tensors).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decoded_early_where_other_work_wants_the_threads() {
    let (_folder, served) = served();
    let tensors = vec![tensor("x", 128)];
    let shipment = served.codecs.encode(0, tensors, coding(codecs()[2]));
    let expected = served.codecs.decode(0, shipment.tensors.clone()).unwrap();
    let frame = encode_request(&request(shipment.tensors), &Limits::default()).unwrap().concat();
    let compute = Compute::new(1);
    let (release, held) = mpsc::channel::<()>();
    assert!(compute.run_if_free(move || held.recv().unwrap()));
    let mut early = EarlyDecoder::new(served.clone(), 0, compute.clone());
    let mut decoder = Decoder::<Request>::new(Limits::default());
    for piece in frame.chunks(1200) {
        decoder.push(piece.to_vec().into()).unwrap();
        decoder.deliver(&mut early);
        assert_eq!(compute.running(), 1);
    }
    assert!(early.finish(decoder.finish().unwrap().tensors).unwrap() == expected);
    release.send(()).unwrap();
}
