//! The header's form in bytes, and every check that a header must pass before anything
//! is allocated for what it announces.

use super::{AnswerHeader, RequestHeader, ResponseHeader, TensorHeader, decoded_bytes};
use crate::decode::DecodeError;
use crate::{
    Answer, Arrival, Ask, CODEC_RAW, CRITICAL, EncodeError, Limits, Load, Reason, Refusal, Request,
    RequestId, Timings, is_traceparent,
};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use kerf_tensor::{DType, element_count};
use std::collections::HashSet;
use std::time::Duration;

/// First byte of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Request = 1,
    Answer = 2,
    Refusal = 3,
}

type Extensions = Vec<(u16, Vec<u8>)>;

const REQUEST_TRACEPARENT: u16 = 1;
const REQUEST_REPLY: u16 = 2;
/// A reader that skipped it would run the model on a profile.
const REQUEST_ASK: u16 = CRITICAL | 1;
const ANSWER_TIMINGS: u16 = 1;
const ANSWER_LOAD: u16 = 2;
const ANSWER_ARRIVAL: u16 = 3;
const REFUSAL_HAVE: u16 = 1;
/// Of requests and answers: which tensors come in chunks, a bit each, from the lowest of the first
/// byte on. A reader that skipped it would take the chunks' lengths for tensors.
const CHUNKED: u16 = CRITICAL | 2;

#[derive(Encode, Decode)]
struct RawRequest {
    id: [u8; 16],
    model: String,
    digest: [u8; 32],
    boundary: u16,
    deadline_ns: u64,
    tensors: Vec<RawTensor>,
    outputs: Vec<String>,
    extensions: Extensions,
}

#[derive(Encode, Decode)]
struct RawAnswer {
    id: [u8; 16],
    node: String,
    engine: String,
    tensors: Vec<RawTensor>,
    extensions: Extensions,
}

#[derive(Encode, Decode)]
struct RawRefusal {
    id: [u8; 16],
    node: String,
    reason: u16,
    message: String,
    extensions: Extensions,
}

#[derive(Encode, Decode)]
struct RawTensor {
    name: String,
    /// `TensorProto.DataType` of onnx.proto3.
    dtype: u8,
    shape: Vec<u64>,
    codec: u16,
    bytes: u64,
}

pub(crate) fn write_request(request: &Request, tensors: &[TensorHeader]) -> Result<Vec<u8>, EncodeError> {
    let mut extensions = Extensions::new();
    if let Some(traceparent) = &request.traceparent {
        if !is_traceparent(traceparent) {
            return Err(EncodeError::Traceparent(traceparent.clone()));
        }
        extensions.push((REQUEST_TRACEPARENT, traceparent.clone().into_bytes()));
    }
    if let Some(code) = ask_code(request.ask) {
        extensions.push((REQUEST_ASK, code.to_le_bytes().to_vec()));
    }
    if request.reply != CODEC_RAW {
        extensions.push((REQUEST_REPLY, request.reply.to_le_bytes().to_vec()));
    }
    extensions.extend(chunked(tensors));
    write(
        Kind::Request,
        RawRequest {
            id: request.id.0,
            model: request.model.clone(),
            digest: request.digest,
            boundary: request.boundary,
            deadline_ns: nanoseconds(request.deadline),
            tensors: tensors.iter().map(RawTensor::of).collect(),
            outputs: request.outputs.clone(),
            extensions,
        },
    )
}

pub(crate) fn write_answer(answer: &Answer, tensors: &[TensorHeader]) -> Result<Vec<u8>, EncodeError> {
    let Timings { queue, decode, compute, encode, total } = answer.timings;
    let mut timings = words([queue, decode, compute, total].map(nanoseconds));
    if !encode.is_zero() {
        timings.extend(nanoseconds(encode).to_le_bytes());
    }
    let Load { queued, running } = answer.load;
    let Arrival { first_to_last, bytes_after_first } = answer.arrival;
    let mut extensions = vec![
        (ANSWER_TIMINGS, timings),
        (ANSWER_LOAD, words([queued.into(), running.into()])),
        (ANSWER_ARRIVAL, words([nanoseconds(first_to_last), bytes_after_first])),
    ];
    extensions.extend(chunked(tensors));
    write(
        Kind::Answer,
        RawAnswer {
            id: answer.id.0,
            node: answer.node.clone(),
            engine: answer.engine.clone(),
            tensors: tensors.iter().map(RawTensor::of).collect(),
            extensions,
        },
    )
}

pub(crate) fn write_refusal(refusal: &Refusal) -> Result<Vec<u8>, EncodeError> {
    let extensions = match refusal.reason {
        Reason::DigestMismatch { have } => vec![(REFUSAL_HAVE, have.to_vec())],
        _ => Extensions::new(),
    };
    write(
        Kind::Refusal,
        RawRefusal {
            id: refusal.id.0,
            node: refusal.node.clone(),
            reason: refusal.reason.code(),
            message: shortened(&refusal.message).to_owned(),
            extensions,
        },
    )
}

/// Says whose header it was as soon as that is known, so that a bad one can be refused by name.
pub(crate) fn parse_request(
    header: &[u8],
    limits: &Limits,
    id: &mut Option<RequestId>,
) -> Result<RequestHeader, DecodeError> {
    let raw: RawRequest = match header.split_first() {
        Some((kind, body)) if *kind == Kind::Request as u8 => read(body)?,
        other => return Err(DecodeError::Kind(other.map(|(kind, _)| *kind))),
    };
    *id = Some(RequestId(raw.id));
    check_extensions(&raw.extensions, &[REQUEST_TRACEPARENT, REQUEST_REPLY, REQUEST_ASK, CHUNKED])?;
    if raw.outputs.len() > limits.tensors {
        return Err(DecodeError::TooManyTensors { count: raw.outputs.len(), limit: limits.tensors });
    }
    let traceparent = match extension(&raw.extensions, REQUEST_TRACEPARENT) {
        None => None,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if is_traceparent(text) => Some(text.to_owned()),
            _ => return Err(DecodeError::Traceparent),
        },
    };
    let ask = match extension(&raw.extensions, REQUEST_ASK) {
        None => Ask::Finish,
        Some(code) => ask(code).ok_or(DecodeError::CriticalExtension(REQUEST_ASK))?,
    };
    let reply = extension(&raw.extensions, REQUEST_REPLY).and_then(|code| code.first_chunk().copied());
    Ok(RequestHeader {
        id: RequestId(raw.id),
        ask,
        model: raw.model,
        digest: raw.digest,
        boundary: raw.boundary,
        deadline: Duration::from_nanos(raw.deadline_ns),
        traceparent,
        tensors: check_tensors(raw.tensors, &raw.extensions, limits)?,
        outputs: raw.outputs,
        reply: reply.map_or(CODEC_RAW, u16::from_le_bytes),
    })
}

/// As [`parse_request`], of a response.
pub(crate) fn parse_response(
    header: &[u8],
    limits: &Limits,
    id: &mut Option<RequestId>,
) -> Result<ResponseHeader, DecodeError> {
    match header.split_first() {
        Some((kind, body)) if *kind == Kind::Answer as u8 => {
            let raw: RawAnswer = read(body)?;
            *id = Some(RequestId(raw.id));
            check_extensions(&raw.extensions, &[ANSWER_TIMINGS, ANSWER_LOAD, ANSWER_ARRIVAL, CHUNKED])?;
            let [queue, decode, compute, total, encode] =
                read_words(&raw.extensions, ANSWER_TIMINGS).map(Duration::from_nanos);
            let [queued, running] = read_words(&raw.extensions, ANSWER_LOAD)
                .map(|count: u64| u32::try_from(count).unwrap_or(u32::MAX));
            let [first_to_last, bytes_after_first] = read_words(&raw.extensions, ANSWER_ARRIVAL);
            Ok(ResponseHeader::Answer(AnswerHeader {
                id: RequestId(raw.id),
                node: raw.node,
                engine: raw.engine,
                tensors: check_tensors(raw.tensors, &raw.extensions, limits)?,
                timings: Timings { queue, decode, compute, encode, total },
                load: Load { queued, running },
                arrival: Arrival { first_to_last: Duration::from_nanos(first_to_last), bytes_after_first },
            }))
        }
        Some((kind, body)) if *kind == Kind::Refusal as u8 => {
            let raw: RawRefusal = read(body)?;
            *id = Some(RequestId(raw.id));
            check_extensions(&raw.extensions, &[REFUSAL_HAVE])?;
            let have = extension(&raw.extensions, REFUSAL_HAVE)
                .and_then(|bytes| bytes.first_chunk::<32>().copied())
                .unwrap_or_default();
            Ok(ResponseHeader::Refusal(Refusal {
                id: RequestId(raw.id),
                node: raw.node,
                reason: Reason::from_code(raw.reason, have),
                message: raw.message,
            }))
        }
        other => Err(DecodeError::Kind(other.map(|(kind, _)| *kind))),
    }
}

impl RawTensor {
    fn of(tensor: &TensorHeader) -> Self {
        let TensorHeader { name, dtype, shape, codec, bytes, .. } = tensor;
        Self {
            name: name.clone(),
            // Every code is below 32.
            dtype: dtype.onnx_code() as u8,
            shape: shape.iter().map(|dim| *dim as u64).collect(),
            codec: *codec,
            bytes: *bytes,
        }
    }
}

/// The code of a question; the first one needs none.
fn ask_code(ask: Ask) -> Option<u16> {
    match ask {
        Ask::Finish => None,
        Ask::Profiles => Some(1),
    }
}

fn ask(code: &[u8]) -> Option<Ask> {
    match code.first_chunk().map(|code| u16::from_le_bytes(*code)) {
        Some(1) => Some(Ask::Profiles),
        _ => None,
    }
}

/// The extension that says which tensors come in chunks, where some do.
fn chunked(tensors: &[TensorHeader]) -> Option<(u16, Vec<u8>)> {
    let mut bits = vec![0u8; tensors.len().div_ceil(8)];
    for (index, _) in tensors.iter().enumerate().filter(|(_, tensor)| tensor.chunked) {
        bits[index / 8] |= 1 << (index % 8);
    }
    tensors.iter().any(|tensor| tensor.chunked).then_some((CHUNKED, bits))
}

fn check_tensors(
    raw: Vec<RawTensor>,
    extensions: &Extensions,
    limits: &Limits,
) -> Result<Vec<TensorHeader>, DecodeError> {
    if raw.len() > limits.tensors {
        return Err(DecodeError::TooManyTensors { count: raw.len(), limit: limits.tensors });
    }
    let mut names = HashSet::with_capacity(raw.len());
    if let Some(twice) = raw.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
        return Err(DecodeError::DuplicateTensor(twice.name.clone()));
    }
    let bits = extension(extensions, CHUNKED).unwrap_or_default();
    let chunked = |index: usize| bits.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1);
    let count = raw.len();
    if let Some(index) = (count..8 * bits.len()).find(|index| chunked(*index)) {
        return Err(DecodeError::Header(format!("tensor {index} of {count} is chunked")));
    }
    let check = |(index, tensor)| check_tensor(tensor, chunked(index), limits);
    let tensors: Vec<_> = raw.into_iter().enumerate().map(check).collect::<Result<_, _>>()?;
    // What few bytes decode to is bounded as if it had been sent.
    let decoded = tensors.iter().map(|tensor| tensor.bytes.max(tensor.decoded_beside()));
    let payload = decoded.fold(0, u64::saturating_add);
    if payload > limits.payload {
        return Err(DecodeError::PayloadTooLarge { bytes: payload, limit: limits.payload });
    }
    Ok(tensors)
}

fn check_tensor(raw: RawTensor, chunked: bool, limits: &Limits) -> Result<TensorHeader, DecodeError> {
    let RawTensor { name, dtype, shape, codec, bytes } = raw;
    if shape.len() > limits.rank {
        return Err(DecodeError::Rank { name, rank: shape.len(), limit: limits.rank });
    }
    let Some(dtype) = DType::from_onnx_code(dtype.into()) else {
        return Err(DecodeError::DType { name, code: dtype });
    };
    if chunked && codec == CODEC_RAW {
        return Err(DecodeError::ChunkedRaw(name));
    }
    let sizes: Option<Vec<usize>> = shape.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let decoded = sizes.as_ref().and_then(|sizes| decoded_bytes(dtype, sizes));
    let fits = match (codec, dtype) {
        // A string takes at least its length prefix; how long it is, only its bytes say.
        (CODEC_RAW, DType::String) => {
            let count = sizes.as_ref().and_then(|sizes| element_count(sizes).ok());
            count.and_then(|count| count.checked_mul(4)).is_some_and(|needs| needs as u64 <= bytes)
        }
        (CODEC_RAW, _) => decoded == Some(bytes),
        (_, DType::String) => return Err(DecodeError::Codec { name, codec }),
        _ => decoded.is_some(),
    };
    match sizes {
        Some(shape) if fits => Ok(TensorHeader { name, dtype, shape, codec, bytes, chunked }),
        _ => Err(DecodeError::Shape { name, dtype, shape, bytes }),
    }
}

fn check_extensions(extensions: &Extensions, known: &[u16]) -> Result<(), DecodeError> {
    let mut seen = HashSet::with_capacity(extensions.len());
    for (tag, _) in extensions {
        if !seen.insert(*tag) {
            return Err(DecodeError::DuplicateExtension(*tag));
        }
        if *tag >= CRITICAL && !known.contains(tag) {
            return Err(DecodeError::CriticalExtension(*tag));
        }
    }
    Ok(())
}

fn extension(extensions: &Extensions, tag: u16) -> Option<&[u8]> {
    extensions.iter().find(|(found, _)| *found == tag).map(|(_, bytes)| bytes.as_slice())
}

/// An extension that is a run of little-endian `u64`: what it lacks reads as 0, what a
/// later version appended is skipped.
fn read_words<const N: usize>(extensions: &Extensions, tag: u16) -> [u64; N] {
    let mut words = [0; N];
    let bytes = extension(extensions, tag).unwrap_or_default();
    for (word, raw) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*raw);
    }
    words
}

fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A message may quote the name that it complains of; a refusal must fit its header all the same.
fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE)]
}

const MESSAGE: usize = 2048;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// In memory a header may take more than on the wire, where integers are short; past
/// this, a count in it lies. bincode checks before it allocates.
const DECODED: usize = 1 << 20;
const CONFIGURATION: Configuration<LittleEndian, Varint, Limit<DECODED>> =
    bincode::config::standard().with_limit::<DECODED>();

fn write(kind: Kind, raw: impl Encode) -> Result<Vec<u8>, EncodeError> {
    bincode::encode_to_vec((kind as u8, raw), CONFIGURATION).map_err(|_| EncodeError::HeaderTooLarge)
}

fn read<T: Decode<()>>(body: &[u8]) -> Result<T, DecodeError> {
    match bincode::decode_from_slice(body, CONFIGURATION) {
        Ok((raw, read)) if read == body.len() => Ok(raw),
        Ok((_, read)) => Err(DecodeError::HeaderTrailing { bytes: body.len() - read }),
        Err(reason) => Err(DecodeError::Header(reason.to_string())),
    }
}
