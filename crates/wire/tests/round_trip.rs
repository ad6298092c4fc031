//! What goes in comes out, in whatever pieces it travels.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, CodedTensor, Decoder, EncodeError, Limits, Load, Message, Reason,
    Refusal, Request, RequestId, Response, Timings, encode_request, encode_response,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

fn tensors() -> impl Strategy<Value = Vec<CodedTensor>> {
    vec((0..DType::ALL.len(), vec(0usize..5, 0..5), any::<u64>(), 0u16..3), 0..5).prop_map(|drawn| {
        drawn
            .into_iter()
            .enumerate()
            .map(|(index, (dtype, shape, seed, codec))| {
                let (name, dtype) = (format!("tensor/{index}:0"), DType::ALL[dtype]);
                if codec == CODEC_RAW || dtype == DType::String {
                    return NamedTensor { name, tensor: tensor(dtype, shape, seed) }.into();
                }
                let data = Bytes::from(seed.to_le_bytes()[..usize::from(codec) * 2].to_vec()).into();
                CodedTensor { name, dtype, shape, codec, data }
            })
            .collect()
    })
}

fn tensor(dtype: DType, shape: Vec<usize>, seed: u64) -> Tensor {
    let elements: usize = shape.iter().product();
    let noise = |index: usize| (seed.rotate_left(index as u32 % 64) ^ index as u64) as u8;
    match dtype.size() {
        None => {
            let words: Vec<Vec<u8>> =
                (0..elements).map(|index| vec![noise(index); usize::from(noise(index)) % 9]).collect();
            Tensor::from_strings(&shape, &words).unwrap()
        }
        Some(size) => {
            let mask = if dtype == DType::Bool { 1 } else { 0xff };
            let bytes: Vec<u8> = (0..elements * size).map(|index| noise(index) & mask).collect();
            Tensor::new(dtype, shape, bytes.into()).unwrap()
        }
    }
}

prop_compose! {
    fn request()(
        id: [u8; 16], profiles: bool, model in "[a-z0-9é/_-]{0,40}", digest: [u8; 32], boundary: u16, deadline: u64,
        traced: bool, tensors in tensors(), outputs in vec("\\PC{0,20}", 0..4), reply: u16,
    ) -> Request {
        let traceparent = traced.then(|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".to_owned());
        let deadline = Duration::from_nanos(deadline);
        let ask = if profiles { Ask::Profiles } else { Ask::Finish };
        Request { id: RequestId(id), ask, model, digest, boundary, deadline, traceparent, tensors, outputs, reply }
    }
}

prop_compose! {
    fn answer()(
        id: [u8; 16], node in "[a-z]{0,9}", engine in "[a-z]{0,9}", tensors in tensors(),
        times: [u64; 6], queued: u32, running: u32, bytes_after_first: u64,
    ) -> Response {
        let [queue, decode, compute, encode, total, first_to_last] = times.map(Duration::from_nanos);
        Response::Answer(Answer {
            id: RequestId(id), node, engine, tensors,
            timings: Timings { queue, decode, compute, encode, total },
            load: Load { queued, running },
            arrival: Arrival { first_to_last, bytes_after_first },
        })
    }
}

prop_compose! {
    fn refusal()(id: [u8; 16], node in "[a-z]{0,9}", reason in 0usize..8, have: [u8; 32], message in "\\PC{0,60}")
    -> Response {
        let reason = [
            Reason::ModelMissing, Reason::DigestMismatch { have }, Reason::Overloaded, Reason::DeadlinePassed,
            Reason::BadRequest, Reason::Unsupported, Reason::Draining, Reason::Failed,
        ][reason];
        Response::Refusal(Refusal { id: RequestId(id), node, reason, message })
    }
}

/// Decodes `frame` cut at multiples of the sizes, in turn.
fn decode<M: Message>(frame: &Bytes, sizes: &[usize]) -> M {
    let mut decoder = Decoder::new(Limits::default());
    let mut rest = frame.clone();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        assert!(!decoder.is_complete());
        decoder.push(rest.split_to((*size).min(rest.len()))).unwrap();
    }
    assert!(decoder.header().is_some() && decoder.is_complete());
    decoder.finish().unwrap()
}

proptest! {
    #[test]
    fn requests(request in request(), sizes in vec(1usize..200, 1..5)) {
        let frame = Bytes::from(encode_request(&request, &Limits::default()).unwrap().concat());
        prop_assert_eq!(decode::<Request>(&frame, &sizes), request.clone());
        prop_assert_eq!(decode::<Request>(&frame, &[usize::MAX]), request);
    }

    #[test]
    fn responses(response in prop_oneof![answer(), refusal()], sizes in vec(1usize..200, 1..5)) {
        let frame = Bytes::from(encode_response(&response, &Limits::default()).unwrap().concat());
        prop_assert_eq!(decode::<Response>(&frame, &sizes), response.clone());
        prop_assert_eq!(decode::<Response>(&frame, &[usize::MAX]), response);
    }
}

#[test]
fn large_tensors_are_not_copied_where_they_need_not_be() {
    let data = Bytes::from(vec![7u8; 100_000]);
    let large = NamedTensor {
        name: "x".into(),
        tensor: Tensor::new(DType::U8, vec![100_000], data.clone()).unwrap(),
    }
    .into();
    let request = Request {
        id: RequestId([1; 16]),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 0,
        deadline: Duration::from_secs(1),
        traceparent: None,
        tensors: vec![large],
        outputs: vec![],
        reply: CODEC_RAW,
    };
    let frame = encode_request(&request, &Limits::default()).unwrap();
    assert_eq!(frame.len(), 2);
    assert_eq!(frame[1].as_ptr(), data.as_ptr());
    let whole = Bytes::from(frame.concat());
    let decoded: Request = decode(&whole, &[usize::MAX]);
    assert_eq!(decoded.tensors[0].data.whole().unwrap().as_ptr(), whole.slice(frame[0].len()..).as_ptr());
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let limits = Limits { header: 300, payload: 100, tensors: 2, rank: 3 };
    let named = |name: &str, shape: &[usize]| {
        CodedTensor::from(NamedTensor { name: name.into(), tensor: tensor(DType::U8, shape.to_vec(), 1) })
    };
    let coded = CodedTensor { codec: 7, shape: vec![101], ..named("a", &[1]) };
    let base = Request {
        id: RequestId([1; 16]),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 0,
        deadline: Duration::MAX,
        traceparent: None,
        tensors: vec![],
        outputs: vec![],
        reply: CODEC_RAW,
    };
    assert!(encode_request(&base, &limits).is_ok(), "a deadline past what fits is cut, not refused");
    let with = |tensors: Vec<CodedTensor>| Request { tensors, ..base.clone() };
    for (request, error) in [
        (with(vec![named("a", &[101])]), EncodeError::PayloadTooLarge { bytes: 101, limit: 100 }),
        (with(vec![coded]), EncodeError::PayloadTooLarge { bytes: 101, limit: 100 }),
        (with(vec![named("a", &[1]); 3]), EncodeError::TooManyTensors { count: 3, limit: 2 }),
        (with(vec![named("a", &[1]); 2]), EncodeError::DuplicateTensor("a".into())),
        (with(vec![named("a", &[1; 4])]), EncodeError::Rank { name: "a".into(), rank: 4, limit: 3 }),
        (with(vec![named(&"a".repeat(300), &[1])]), EncodeError::HeaderTooLarge),
        (Request { traceparent: Some("x".into()), ..base.clone() }, EncodeError::Traceparent("x".into())),
    ] {
        assert_eq!(encode_request(&request, &limits).unwrap_err(), error);
    }
}

#[test]
fn a_long_complaint_still_fits_its_refusal() {
    let refusal = Response::Refusal(Refusal {
        id: RequestId([1; 16]),
        node: "c".into(),
        reason: Reason::BadRequest,
        message: "é".repeat(100_000),
    });
    let frame = Bytes::from(encode_response(&refusal, &Limits::default()).unwrap().concat());
    match decode(&frame, &[usize::MAX]) {
        Response::Refusal(refusal) => assert_eq!(refusal.message, "é".repeat(1024)),
        Response::Answer(_) => panic!("not a refusal"),
    }
}
