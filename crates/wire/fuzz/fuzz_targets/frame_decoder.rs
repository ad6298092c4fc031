//! Any bytes in chunks of any size: an error or a message, never a panic, and the same in
//! whatever pieces they come, and whoever takes tensors on the way. What decodes encodes again, to
//! what decodes the same.
//!
//! Input: a byte that says which message, and whether its header is given, with a byte for each of
//! two tensors in chunks and one in between; a byte that sizes the pieces; the frame, or the rest
//! of it.

#![no_main]

use bytes::Bytes;
use kerf_tensor::DType;
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, CodedTensor, DecodeError, Decoder, EncodeError, Frame, Growing, Intake,
    Limits, Load, Message, Payload, Request, RequestId, Response, TensorHeader, Timings, encode_request,
    encode_response,
};
use libfuzzer_sys::fuzz_target;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const LIMITS: Limits = Limits { header: 64 << 10, payload: 1 << 20, tensors: 256, rank: 16 };

fuzz_target!(|input: &[u8]| {
    let [kind, seed, rest @ ..] = input else { return };
    let (start, rest) = match rest {
        _ if kind & 2 == 0 => (Vec::new(), rest),
        [a, b, c, rest @ ..] => (start(*kind, [*a, *b, *c]), rest),
        _ => return,
    };
    let frame = Bytes::from([&start, rest].concat());
    let taken = kind >> 4;
    if kind & 1 == 0 {
        check::<Request>(&frame, *seed, taken, |request| encode_request(request, &LIMITS));
    } else {
        check::<Response>(&frame, *seed, taken, |response| encode_response(response, &LIMITS));
    }
});

/// A header with a tensor in chunks, a whole one, and another in chunks.
fn start(kind: u8, sizes: [u8; 3]) -> Vec<u8> {
    let mut makers = Vec::new();
    let tensors = sizes.into_iter().enumerate().map(|(index, size)| {
        let (maker, growing) = Growing::new(size.into());
        makers.push(maker);
        let data = if index == 1 { vec![0; size.into()].into() } else { Payload::Growing(growing) };
        let (name, shape) = (index.to_string(), vec![usize::from(size) / 4]);
        CodedTensor { name, dtype: DType::F32, shape, codec: 2, data }
    });
    let (id, tensors) = (RequestId([1; 16]), tensors.collect());
    let frame = if kind & 1 == 0 {
        Frame::of_request(
            &Request {
                id,
                ask: Ask::Finish,
                model: "m".into(),
                digest: [0; 32],
                boundary: 1,
                deadline: Duration::from_secs(1),
                traceparent: None,
                tensors,
                outputs: vec![],
                reply: CODEC_RAW,
            },
            &LIMITS,
        )
    } else {
        let (timings, load, arrival) = (Timings::default(), Load::default(), Arrival::default());
        let (node, engine) = (String::new(), String::new());
        Frame::of_response(
            &Response::Answer(Answer { id, node, engine, tensors, timings, load, arrival }),
            &LIMITS,
        )
    };
    let mut frame = frame.expect("a message within the limits");
    // What is there before the first chunk: the header.
    match pin!(frame.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(Some(pieces))) => pieces.concat(),
        other => panic!("no header: {other:?}"),
    }
}

fn check<M: Message + PartialEq + std::fmt::Debug>(
    frame: &Bytes,
    seed: u8,
    taken: u8,
    encode: impl Fn(&M) -> Result<Vec<Bytes>, EncodeError>,
) {
    let whole = decode::<M>(frame, std::iter::once(usize::MAX), &mut ());
    // A small linear congruential generator: the pieces are as odd as the seed.
    let mut state = u32::from(seed);
    let sizes = std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(1 + (state >> 20) as usize % (1 + usize::from(seed)))
    });
    assert_eq!(whole, decode::<M>(frame, sizes.clone(), &mut ()));
    let mut taker = Taker { mask: taken, ..Taker::default() };
    let rest = decode::<M>(frame, sizes, &mut taker);
    assert!(taker.bytes <= frame.len());
    match (&whole, rest) {
        (Ok(_), rest) => assert!(rest.is_ok()),
        (Err(error), rest) => assert_eq!(rest.as_ref().err(), Some(error)),
    }
    let Ok(message) = whole else { return };
    // A name that fills the header leaves no room for what this version would add to it.
    let Ok(again) = encode(&message) else { return };
    let again = Bytes::from(again.concat());
    assert_eq!(decode::<M>(&again, std::iter::once(usize::MAX), &mut ()), Ok(message));
}

/// Takes the tensors of a mask.
#[derive(Default)]
struct Taker {
    mask: u8,
    bytes: usize,
}

impl Intake for Taker {
    fn begin(&mut self, tensors: &[TensorHeader]) -> Vec<usize> {
        // One more than there are: asking for nothing does nothing.
        (0..=tensors.len()).filter(|index| self.mask >> (index % 4) & 1 == 1).collect()
    }

    fn take(&mut self, tensor: usize, bytes: &[u8]) {
        assert!(self.mask >> (tensor % 4) & 1 == 1);
        self.bytes += bytes.len();
    }
}

fn decode<M: Message>(
    frame: &Bytes,
    sizes: impl Iterator<Item = usize>,
    intake: &mut dyn Intake,
) -> Result<M, DecodeError> {
    let mut decoder = Decoder::<M>::new(LIMITS);
    let mut rest = frame.clone();
    for size in sizes {
        if rest.is_empty() {
            break;
        }
        decoder.push(rest.split_to(size.min(rest.len())))?;
        decoder.deliver(intake);
    }
    decoder.finish()
}
