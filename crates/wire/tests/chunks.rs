//! Tensors that are made while they are sent: what comes out, what is refused, what it costs.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_wire::{
    Abandoned, Answer, Arrival, Ask, CODEC_RAW, CodedTensor, DecodeError, Decoder, EncodeError, Frame,
    Growing, Intake, Limits, Load, Maker, Payload, Request, RequestId, Response, TensorHeader, Timings,
    encode_request,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const CODEC: u16 = 0x1002;

fn request(tensors: Vec<CodedTensor>) -> Request {
    Request {
        id: RequestId([1; 16]),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 1,
        deadline: Duration::from_secs(1),
        traceparent: None,
        tensors,
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

fn coded(name: &str, elements: usize, data: impl Into<Payload>) -> CodedTensor {
    CodedTensor {
        name: name.into(),
        dtype: DType::F32,
        shape: vec![elements],
        codec: CODEC,
        data: data.into(),
    }
}

fn raw(name: &str, elements: usize) -> CodedTensor {
    NamedTensor { name: name.into(), tensor: tensor(elements) }.into()
}

fn tensor(elements: usize) -> Tensor {
    Tensor::from_vec(&[elements], (0..elements).map(|at| at as f32).collect()).unwrap()
}

/// A tensor that is being made, and who makes it.
fn growing(name: &str, elements: usize, most: u64) -> (Maker, CodedTensor) {
    let (maker, growing) = Growing::new(most);
    (maker, coded(name, elements, Payload::Growing(growing)))
}

/// What is ready of a frame now, and whether that was all.
fn ready(frame: &mut Frame) -> Result<(Vec<u8>, bool), Abandoned> {
    let mut out = Vec::new();
    loop {
        match pin!(frame.next()).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => return Ok((out, false)),
            Poll::Ready(Ok(None)) => return Ok((out, true)),
            Poll::Ready(Ok(Some(pieces))) => out.extend(pieces.concat()),
            Poll::Ready(Err(abandoned)) => return Err(abandoned),
        }
    }
}

/// A frame of a request with one tensor of 1000 elements in chunks, up to the chunks.
fn opened(most: u64) -> Vec<u8> {
    let (maker, tensor) = growing("x", 1000, most);
    let mut frame = Frame::of_request(&request(vec![tensor]), &Limits::default()).unwrap();
    let (head, done) = ready(&mut frame).unwrap();
    assert!(!done);
    drop(maker);
    head
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

fn decode(frame: &[u8], limits: Limits, sizes: &[usize]) -> Result<Request, DecodeError> {
    let mut decoder = Decoder::<Request>::new(limits);
    let mut rest = Bytes::copy_from_slice(frame);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        decoder.push(rest.split_to((*size).min(rest.len())))?;
    }
    decoder.finish()
}

/// Takes some tensors.
#[derive(Default)]
struct Taker {
    wanted: Vec<usize>,
    begun: usize,
    taken: Vec<Vec<u8>>,
}

impl Intake for Taker {
    fn begin(&mut self, tensors: &[TensorHeader]) -> Vec<usize> {
        self.begun += 1;
        self.taken = vec![Vec::new(); tensors.len()];
        self.wanted.clone()
    }

    fn take(&mut self, tensor: usize, bytes: &[u8]) {
        assert!(self.wanted.contains(&tensor) && !bytes.is_empty());
        self.taken[tensor].extend_from_slice(bytes);
    }
}

#[derive(Clone, Debug)]
enum Kind {
    /// Whole, coded.
    Whole(Vec<u8>),
    Raw(usize),
    /// In chunks; those before the header is written, and after it.
    Growing(Vec<Vec<u8>>, Vec<Vec<u8>>),
    /// In chunks, and then as it is after all.
    GivenUp(Vec<Vec<u8>>, usize),
}

fn kind() -> impl Strategy<Value = Kind> {
    let chunks = || vec(vec(any::<u8>(), 0..60), 0..5);
    prop_oneof![
        vec(any::<u8>(), 0..60).prop_map(Kind::Whole),
        (0usize..30).prop_map(Kind::Raw),
        (chunks(), chunks()).prop_map(|(before, after)| Kind::Growing(before, after)),
        (chunks(), 0usize..30).prop_map(|(chunks, elements)| Kind::GivenUp(chunks, elements)),
    ]
}

proptest! {
    /// However tensors are made, cut, sent, received and taken, they are what they were.
    #[test]
    fn chunks_of_any_size_give_the_same_tensors(
        kinds in vec(kind(), 0..5), sizes in vec(1usize..200, 1..5), wanted in vec(0usize..5, 0..5), is_answer: bool,
    ) {
        let mut makers = Vec::new();
        let mut sent = Vec::new();
        let mut expected = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            let name = index.to_string();
            match kind {
                Kind::Whole(bytes) => {
                    sent.push(coded(&name, 30, bytes.clone()));
                    expected.push(sent[index].clone());
                }
                Kind::Raw(elements) => {
                    sent.push(raw(&name, *elements));
                    expected.push(sent[index].clone());
                }
                Kind::Growing(before, after) => {
                    let (mut maker, tensor) = growing(&name, 30, 600);
                    before.iter().for_each(|chunk| maker.push(chunk.clone().into()));
                    makers.push((maker, after.clone(), None));
                    sent.push(tensor);
                    expected.push(coded(&name, 30, [before.concat(), after.concat()].concat()));
                }
                Kind::GivenUp(chunks, elements) => {
                    let (maker, tensor) = growing(&name, *elements, 600);
                    makers.push((maker, chunks.clone(), Some(self::tensor(*elements).data().clone())));
                    sent.push(tensor);
                    expected.push(raw(&name, *elements));
                }
            }
        }
        let limits = Limits::default();
        let request = request(sent.clone());
        let answer = Response::Answer(Answer {
            id: request.id, node: "c".into(), engine: "e".into(), tensors: sent, timings: Timings::default(),
            load: Load::default(), arrival: Arrival::default(),
        });
        let frame = || if is_answer { Frame::of_response(&answer, &limits) } else { Frame::of_request(&request, &limits) };
        let mut early = frame().unwrap();
        let mut bytes = ready(&mut early).unwrap().0;
        for (mut maker, chunks, given_up) in makers {
            for chunk in chunks {
                maker.push(chunk.into());
                bytes.extend(ready(&mut early).unwrap().0);
            }
            match given_up {
                Some(tensor) => maker.give_up(tensor),
                None => maker.finish(),
            }
            bytes.extend(ready(&mut early).unwrap().0);
        }
        prop_assert_eq!(ready(&mut early), Ok((Vec::new(), true)));
        // Sent again when all is made, it goes as version 1 has it.
        let (late, done) = ready(&mut frame().unwrap()).unwrap();
        prop_assert!(done);
        let has_no_chunks = Frame::of_request(&self::request(expected.clone()), &limits).unwrap();
        if !is_answer {
            prop_assert_eq!(&late, &ready(&mut { has_no_chunks }).unwrap().0);
        }

        for frame in [bytes, late] {
            let mut taker = Taker { wanted: wanted.clone(), ..Taker::default() };
            let tensors = if is_answer {
                match receive::<Response>(&frame, &sizes, &mut taker) {
                    Response::Answer(answer) => answer.tensors,
                    Response::Refusal(refusal) => panic!("{refusal:?}"),
                }
            } else {
                receive::<Request>(&frame, &sizes, &mut taker).tensors
            };
            prop_assert_eq!(tensors.len(), expected.len());
            for (index, (got, expected)) in tensors.into_iter().zip(&expected).enumerate() {
                let got = match got.data {
                    Payload::Taken { bytes } => {
                        let taken = std::mem::take(&mut taker.taken[index]);
                        prop_assert_eq!(taken.len() as u64, bytes);
                        CodedTensor { data: taken.into(), ..got }
                    }
                    _ => got,
                };
                prop_assert_eq!(&got, expected);
            }
        }
    }
}

fn receive<M: kerf_wire::Message>(frame: &[u8], sizes: &[usize], taker: &mut Taker) -> M {
    let mut decoder = Decoder::<M>::new(Limits::default());
    let mut rest = Bytes::copy_from_slice(frame);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        assert!(!decoder.is_complete());
        decoder.push(rest.split_to((*size).min(rest.len()))).unwrap();
        decoder.deliver(taker);
    }
    assert!(decoder.is_complete());
    assert_eq!(taker.begun, 1);
    decoder.finish().unwrap()
}

#[test]
fn chunks_that_lie_are_refused() {
    let most = DecodeError::Chunks { name: "x".into(), most: 100 };
    let head = opened(100);
    let whole = chunk(&[7; 100]);
    let end = [0; 4];
    let as_it_is = [0xff; 4];
    let cases: [(&str, Vec<u8>, Result<u64, DecodeError>); 12] = [
        ("one chunk", [&whole[..], &end].concat(), Ok(100)),
        ("none", end.to_vec(), Ok(0)),
        ("a hundred", [chunk(&[7]).repeat(100), end.to_vec()].concat(), Ok(100)),
        ("given up", [&whole[..], &as_it_is, &[0; 4000]].concat(), Ok(4000)),
        ("one that is too long", chunk(&[7; 101]), Err(most.clone())),
        ("one that says so", 101u32.to_le_bytes().to_vec(), Err(most.clone())),
        ("the longest", 0xffff_fffeu32.to_le_bytes().to_vec(), Err(most.clone())),
        ("no end of them", chunk(&[7]).repeat(101), Err(most)),
        ("no end", whole.clone(), Err(DecodeError::Truncated)),
        ("half a prefix", [&whole[..], &[0; 2]].concat(), Err(DecodeError::Truncated)),
        ("two ends", [&whole[..], &end, &end].concat(), Err(DecodeError::Trailing)),
        ("given up, and cut short", [&as_it_is[..], &[0; 3999]].concat(), Err(DecodeError::Truncated)),
    ];
    for (what, chunks, outcome) in cases {
        for sizes in [1, 3, usize::MAX] {
            let got = decode(&[&head[..], &chunks].concat(), Limits::default(), &[sizes]);
            let got = got.map(|request| request.tensors[0].data.bytes());
            assert_eq!(got, outcome, "{what}, in pieces of {sizes}");
        }
    }
}

#[test]
fn headers_that_lie_of_chunks_are_refused() {
    // The extension is the last of the header: tag 0x8002 as a marker and two bytes, its length, its bits.
    let head = opened(100);
    let (start, extension) = head.split_at(head.len() - 5);
    assert_eq!(extension, [251, 0x02, 0x80, 1, 1]);
    let with = |bits: &[u8]| {
        let mut head = [start, &extension[..3], &[bits.len() as u8], bits].concat();
        let length = head.len() as u32 - 4;
        head[..4].copy_from_slice(&length.to_le_bytes());
        [head, vec![0; 4]].concat()
    };
    let limits = Limits::default();
    assert!(decode(&with(&[1]), limits, &[usize::MAX]).is_ok());
    assert!(decode(&with(&[1, 0, 0]), limits, &[usize::MAX]).is_ok(), "it may grow");
    for bits in [&[3][..], &[1, 0x80]] {
        let error = decode(&with(bits), limits, &[usize::MAX]).unwrap_err();
        assert!(
            matches!(&error, DecodeError::Header(reason) if reason.contains("of 1 is chunked")),
            "{error}"
        );
    }
    // Without its bit it is a whole tensor, which 4 bytes are not.
    for bits in [&[][..], &[0]] {
        assert_eq!(decode(&with(bits), limits, &[usize::MAX]), Err(DecodeError::Truncated));
    }
    let small = Limits { payload: 3999, ..limits };
    let too_large = DecodeError::PayloadTooLarge { bytes: 4000, limit: 3999 };
    assert_eq!(decode(&with(&[1]), small, &[usize::MAX]), Err(too_large), "of what it decodes to");
    let bytes = 5000;
    let too_large = DecodeError::PayloadTooLarge { bytes, limit: 4999 };
    let small = Limits { payload: 4999, ..limits };
    assert_eq!(decode(&opened(bytes), small, &[usize::MAX]), Err(too_large), "of what may come");

    // A raw tensor's length is known.
    let mut frame = encode_request(&request(vec![raw("x", 1)]), &limits).unwrap().concat();
    let mut header = frame.split_off(4);
    header.truncate(header.len() - 4 - 1);
    header.extend([1, 251, 0x02, 0x80, 1, 1]);
    let frame = [&(header.len() as u32).to_le_bytes()[..], &header].concat();
    assert_eq!(decode(&frame, limits, &[usize::MAX]), Err(DecodeError::ChunkedRaw("x".into())));
}

#[test]
fn a_payload_that_cannot_be_ended_is_not_sent_to_its_end() {
    let limits = Limits::default();
    let (mut maker, tensor) = growing("x", 1000, 100);
    let request = request(vec![tensor.clone(), raw("y", 3)]);
    assert_eq!(encode_request(&request, &limits), Err(EncodeError::Unfinished));
    let mut frame = Frame::of_request(&request, &limits).unwrap();
    maker.push(vec![7; 60].into());
    assert!(ready(&mut frame).is_ok_and(|(_, done)| !done));
    assert_eq!((maker.room(), maker.is_wanted()), (40, true));
    // More than was announced would be refused by who reads it.
    maker.push(vec![7; 41].into());
    assert_eq!(ready(&mut frame), Err(Abandoned));
    maker.finish();
    assert_eq!(encode_request(&request, &limits), Err(EncodeError::Absent("x".into())));

    let (maker, tensor) = growing("x", 1000, 100);
    let request = self::request(vec![tensor]);
    let mut frame = Frame::of_request(&request, &limits).unwrap();
    drop(request);
    assert!(maker.is_wanted());
    assert!(ready(&mut frame).is_ok());
    drop(maker);
    assert_eq!(ready(&mut frame), Err(Abandoned), "nobody makes the rest");

    let (maker, tensor) = growing("x", 1000, 100);
    drop(tensor);
    assert!(!maker.is_wanted());

    let taken = coded("x", 1, Payload::Taken { bytes: 4 });
    assert_eq!(encode_request(&self::request(vec![taken]), &limits), Err(EncodeError::Absent("x".into())));
    let (_maker, as_raw) = growing("x", 1, 4);
    let as_raw = CodedTensor { codec: CODEC_RAW, ..as_raw };
    assert_eq!(
        Frame::of_request(&self::request(vec![as_raw]), &limits).err(),
        Some(EncodeError::Absent("x".into()))
    );
    let (_maker, large) = growing("x", 1, limits.payload + 1);
    let error = Frame::of_request(&self::request(vec![large]), &limits).err();
    let bytes = limits.payload + 1;
    assert_eq!(error, Some(EncodeError::PayloadTooLarge { bytes, limit: limits.payload }));
}

#[test]
fn who_waits_is_woken() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let (mut maker, growing) = Growing::new(100);
    let request = request(vec![coded("x", 100, Payload::Growing(growing.clone()))]);
    let mut frame = Frame::of_request(&request, &Limits::default()).unwrap();
    assert!(pin!(frame.next()).poll(&mut context).is_ready(), "the header");
    let mut ended = pin!(growing.ended());
    for _ in 0..3 {
        assert!(pin!(frame.next()).poll(&mut context).is_pending());
        assert!(ended.as_mut().poll(&mut context).is_pending());
    }
    maker.push(Bytes::new());
    assert_eq!(count.0.load(Ordering::SeqCst), 0, "nothing came");
    maker.push(vec![1].into());
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "once, however often it waited");
    assert!(pin!(frame.next()).poll(&mut context).is_ready());
    assert!(ended.as_mut().poll(&mut context).is_pending());
    maker.finish();
    assert_eq!(count.0.load(Ordering::SeqCst), 2);
    assert!(ended.as_mut().poll(&mut context).is_ready());
}
