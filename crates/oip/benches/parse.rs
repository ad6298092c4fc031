//! Reading one image, 3×224×224 FP32, in both encodings.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kerf_oip::codec::{OutputEncoding, RequestTarget, format_request, format_response, parse_request};
use kerf_oip::{InferRequest, InferResponse, Limits};
use kerf_tensor::{NamedTensor, Tensor};

fn benches(criterion: &mut Criterion) {
    // Values as normalised pixels have them: most digits used.
    let pixels = (0..3 * 224 * 224).map(|index| (index as f32 * 0.618_034).fract() * 4.5 - 2.2).collect();
    let tensor = Tensor::from_vec(&[1, 3, 224, 224], pixels).unwrap();
    let request = InferRequest {
        model: "camera".to_owned(),
        version: None,
        id: Some("1".to_owned()),
        inputs: vec![NamedTensor { name: "x".to_owned(), tensor }],
        outputs: Vec::new(),
        parameters: Default::default(),
        traceparent: None,
    };
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("parse 1x3x224x224 FP32");
    for (name, binary) in [("json", false), ("binary", true)] {
        let body = format_request(&request, &OutputEncoding::default(), |_| binary).unwrap();
        let (length, size) = (body.header_length(), body.len());
        let whole = Bytes::from(body.into_chunks().concat());
        // One chunk is what a small body is; a large one comes in pieces and is joined once.
        for (arrival, chunk) in [("one chunk", size), ("64 KiB chunks", 64 << 10)] {
            let chunks: Vec<Bytes> =
                (0..size).step_by(chunk).map(|at| whole.slice(at..(at + chunk).min(size))).collect();
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("{name}, {arrival}"), |bencher| {
                bencher.iter_batched(
                    || chunks.clone(),
                    |chunks| parse_request(RequestTarget::default(), chunks, length, &limits).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();

    let response = InferResponse {
        model: request.model,
        version: None,
        id: request.id,
        outputs: request.inputs,
        parameters: Default::default(),
    };
    let mut group = criterion.benchmark_group("format 1x3x224x224 FP32");
    for (name, binary) in [("json", false), ("binary", true)] {
        let encoding = OutputEncoding { binary, ..OutputEncoding::default() };
        group.bench_function(name, |bencher| bencher.iter(|| format_response(&response, &encoding).unwrap()));
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
