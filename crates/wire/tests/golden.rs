//! The bytes of version 1. Edges and clouds are upgraded apart: a change here breaks the
//! ones that are out there, and needs another ALPN instead.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, CodedTensor, DecodeError, Decoder, Frame, Growing, Limits, Load,
    Message, Payload, Reason, Refusal, Request, RequestId, Response, Timings, encode_request,
    encode_response,
};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const REQUEST: &str = include_str!("golden/request.hex");
const CODED: &str = include_str!("golden/coded.hex");
const CHUNKED: &str = include_str!("golden/chunked.hex");
const ANSWER: &str = include_str!("golden/answer.hex");
const REFUSAL: &str = include_str!("golden/refusal.hex");

fn id() -> RequestId {
    RequestId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
}

fn request() -> Request {
    Request {
        id: id(),
        ask: Ask::Finish,
        model: "mobilenet".into(),
        digest: [0xd1; 32],
        boundary: 300,
        deadline: Duration::from_millis(40),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        tensors: vec![
            NamedTensor {
                name: "a".into(),
                tensor: Tensor::from_vec(&[1, 3], vec![1.0f32, -2.5, 0.0]).unwrap(),
            }
            .into(),
            NamedTensor { name: "s".into(), tensor: Tensor::from_strings(&[2], &["x", "kerf"]).unwrap() }
                .into(),
        ],
        outputs: vec!["logits".into()],
        reply: CODEC_RAW,
    }
}

fn coded() -> Request {
    let tensor = CodedTensor {
        name: "a".into(),
        dtype: DType::F32,
        shape: vec![1, 160, 7, 7],
        codec: 0x1002,
        data: Bytes::from_static(b"few bytes").into(),
    };
    Request { tensors: vec![tensor], reply: 0x1001, ..request() }
}

fn answer() -> Response {
    Response::Answer(Answer {
        id: id(),
        node: "cloud-1".into(),
        engine: "ort".into(),
        tensors: vec![
            NamedTensor { name: "logits".into(), tensor: Tensor::from_vec(&[2], vec![7i64, -1]).unwrap() }
                .into(),
        ],
        timings: Timings {
            queue: Duration::from_micros(5),
            decode: Duration::from_micros(20),
            compute: Duration::from_millis(3),
            encode: Duration::ZERO,
            total: Duration::from_micros(3_100),
        },
        load: Load { queued: 2, running: 1 },
        arrival: Arrival { first_to_last: Duration::from_micros(400), bytes_after_first: 48_000 },
    })
}

fn refusal() -> Response {
    Response::Refusal(Refusal {
        id: id(),
        node: "cloud-1".into(),
        reason: Reason::DigestMismatch { have: [0xaa; 32] },
        message: "another version of mobilenet".into(),
    })
}

/// A request whose tensors are still being made when its header is written: what it is then, and what
/// is written.
fn chunked() -> (Request, Vec<u8>) {
    let tensor = |name: &str, data: Payload| CodedTensor {
        name: name.into(),
        dtype: DType::F32,
        shape: vec![2],
        codec: 0x1002,
        data,
    };
    let (mut maker, growing) = Growing::new(300);
    let (given_up, nothing) = Growing::new(8);
    let raw = Bytes::from_static(&[0, 0, 128, 63, 0, 0, 32, 192]);
    let tensors = vec![
        tensor("a", Payload::Growing(growing)),
        tensor("b", Bytes::from_static(b"all").into()),
        tensor("c", Payload::Growing(nothing)),
    ];
    let mut frame = Frame::of_request(&Request { tensors, ..coded() }, &Limits::default()).unwrap();
    maker.push(Bytes::from_static(b"few"));
    maker.push(Bytes::from_static(b" bytes"));
    maker.finish();
    given_up.give_up(raw.clone());
    let mut written = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok(Some(pieces))) = pin!(frame.next()).as_mut().poll(&mut context) {
        written.extend(pieces.concat());
    }
    let tensors = vec![
        tensor("a", Bytes::from_static(b"few bytes").into()),
        tensor("b", Bytes::from_static(b"all").into()),
        CodedTensor { codec: CODEC_RAW, ..tensor("c", raw.into()) },
    ];
    (Request { tensors, ..coded() }, written)
}

#[test]
fn chunks_are_written_and_read_as_ever() {
    let (request, frame) = chunked();
    assert_eq!(hex(&frame), CHUNKED, "these bytes are out there already");
    assert_eq!(decode::<Request>(unhex(CHUNKED)).unwrap(), request);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect()
}

fn decode<M: Message>(frame: Vec<u8>) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from(frame))?;
    decoder.finish()
}

#[test]
fn version_1_is_written_and_read_as_ever() {
    let limits = Limits::default();
    let frames = [
        ("request", REQUEST, encode_request(&request(), &limits).unwrap()),
        ("coded", CODED, encode_request(&coded(), &limits).unwrap()),
        ("answer", ANSWER, encode_response(&answer(), &limits).unwrap()),
        ("refusal", REFUSAL, encode_response(&refusal(), &limits).unwrap()),
    ];
    for (name, golden, frame) in frames {
        assert_eq!(hex(&frame.concat()), golden, "{name}: these bytes are out there already");
    }
    assert_eq!(decode::<Request>(unhex(REQUEST)).unwrap(), request());
    assert_eq!(decode::<Request>(unhex(CODED)).unwrap(), coded());
    assert_eq!(decode::<Response>(unhex(ANSWER)).unwrap(), answer());
    assert_eq!(decode::<Response>(unhex(REFUSAL)).unwrap(), refusal());
}

/// A frame as another version writes it: its extensions, which end the header, replaced.
/// `old` is the encoding of the extensions in the frame.
fn with_extensions(golden: &str, old: usize, new: &[(u16, &[u8])]) -> Vec<u8> {
    let frame = unhex(golden);
    let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
    let mut header = frame[4..4 + length - old].to_vec();
    header.push(new.len() as u8);
    for (tag, bytes) in new {
        // bincode's variable-length integers: below 251 a byte, else a marker and two.
        if *tag < 251 {
            header.push(*tag as u8);
        } else {
            header.push(251);
            header.extend(tag.to_le_bytes());
        }
        assert!(bytes.len() < 251);
        header.push(bytes.len() as u8);
        header.extend(*bytes);
    }
    let mut out = (header.len() as u32).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(&frame[4 + length..]);
    out
}

const REQUEST_EXTENSIONS: usize = 1 + (1 + 1 + 55);
const ANSWER_EXTENSIONS: usize = 1 + (1 + 1 + 32) + 2 * (1 + 1 + 16);
const REFUSAL_EXTENSIONS: usize = 1 + (1 + 1 + 32);

#[test]
fn a_later_version_s_optional_extensions_are_skipped() {
    let plain = Request { traceparent: None, ..request() };
    let later = with_extensions(REQUEST, REQUEST_EXTENSIONS, &[(77, b"later"), (0x7fff, b"")]);
    assert_eq!(decode::<Request>(later).unwrap(), plain);

    // Timings that grew by a word, a load that did not.
    let mut timings = Vec::new();
    for nanoseconds in [5_000u64, 20_000, 3_000_000, 3_100_000, 999, 77] {
        timings.extend(nanoseconds.to_le_bytes());
    }
    let later = with_extensions(ANSWER, ANSWER_EXTENSIONS, &[(1, &timings), (900, b"later")]);
    let (Response::Answer(got), Response::Answer(wanted)) = (decode::<Response>(later).unwrap(), answer())
    else {
        panic!("not an answer")
    };
    assert_eq!(got.timings, Timings { encode: Duration::from_nanos(999), ..wanted.timings });
    assert_eq!((got.load, got.arrival), (Load::default(), Arrival::default()));

    // A reason that is not of this version: its caller goes elsewhere.
    let mut later = with_extensions(REFUSAL, REFUSAL_EXTENSIONS, &[]);
    let reason = later.windows(8).position(|window| window == b"\x07cloud-1").unwrap() + 8;
    later[reason] = 99;
    match decode::<Response>(later).unwrap() {
        Response::Refusal(refusal) => assert_eq!(refusal.reason, Reason::Failed),
        Response::Answer(_) => panic!("not a refusal"),
    }
}

#[test]
fn an_earlier_version_s_frame_reads_with_defaults() {
    let earlier = with_extensions(REQUEST, REQUEST_EXTENSIONS, &[]);
    assert_eq!(decode::<Request>(earlier).unwrap(), Request { traceparent: None, ..request() });

    // Timings that had two words once.
    let earlier =
        with_extensions(ANSWER, ANSWER_EXTENSIONS, &[(1, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])]);
    let Response::Answer(got) = decode::<Response>(earlier).unwrap() else { panic!("not an answer") };
    let timings =
        Timings { queue: Duration::from_nanos(1), decode: Duration::from_nanos(2), ..Timings::default() };
    assert_eq!(got.timings, timings);

    let earlier = with_extensions(REFUSAL, REFUSAL_EXTENSIONS, &[]);
    let Response::Refusal(got) = decode::<Response>(earlier).unwrap() else { panic!("not a refusal") };
    assert_eq!(got.reason, Reason::DigestMismatch { have: [0; 32] });
}

#[test]
fn a_question_that_is_not_known_is_refused() {
    let asked = |code: &[u8]| with_extensions(REQUEST, REQUEST_EXTENSIONS, &[(0x8001, code)]);
    let profiles = Request { ask: Ask::Profiles, traceparent: None, ..request() };
    assert_eq!(decode::<Request>(asked(&[1, 0])).unwrap(), profiles);
    for code in [&[2, 0][..], &[1], &[]] {
        assert_eq!(refused::<Request>(asked(code)), DecodeError::CriticalExtension(0x8001));
    }
}

#[test]
fn a_critical_extension_is_refused_by_name() {
    for (name, error) in [
        ("request", refused::<Request>(with_extensions(REQUEST, REQUEST_EXTENSIONS, &[(0x8001, b"must")]))),
        ("answer", refused::<Response>(with_extensions(ANSWER, ANSWER_EXTENSIONS, &[(0x8001, b"must")]))),
        ("refusal", refused::<Response>(with_extensions(REFUSAL, REFUSAL_EXTENSIONS, &[(0x8001, b"must")]))),
    ] {
        assert_eq!(error, DecodeError::CriticalExtension(0x8001), "{name}");
        assert_eq!(error.reason(), Reason::Unsupported);
        assert!(error.to_string().contains("0x8001"), "{error}");
    }
}

fn refused<M: Message + std::fmt::Debug>(frame: Vec<u8>) -> DecodeError {
    let mut decoder = Decoder::<M>::new(Limits::default());
    let error = decoder.push(Bytes::from(frame)).unwrap_err();
    assert_eq!(decoder.id(), Some(id()), "the refusal can name the request");
    assert_eq!(decoder.finish().unwrap_err(), error, "the error stays");
    error
}
