mod frame;

pub use frame::{Abandoned, Frame};

use crate::header::{write_answer, write_refusal, write_request};
use crate::payload::End;
use crate::{CODEC_RAW, CodedTensor, Limits, Payload, Request, Response, TensorHeader};
use bytes::{BufMut, Bytes, BytesMut};
use frame::Part;
use std::collections::HashSet;

/// Why a message cannot be sent. A reader with equal limits would refuse it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Names and shapes take more than the limit.
    #[error("names and shapes of the tensors do not fit the header")]
    HeaderTooLarge,
    /// Tensor bytes, or what they decode to, are more than the limit.
    #[error("{bytes} bytes of tensors, {limit} allowed")]
    PayloadTooLarge {
        /// Of all tensors.
        bytes: u64,
        /// [`Limits::payload`].
        limit: u64,
    },
    /// More tensors, or output names, than the limit.
    #[error("{count} tensors, {limit} allowed")]
    TooManyTensors {
        /// In the message.
        count: usize,
        /// [`Limits::tensors`].
        limit: usize,
    },
    /// More dimensions than the limit.
    #[error("tensor {name:?} has {rank} dimensions, {limit} allowed")]
    Rank {
        /// Of the tensor.
        name: String,
        /// Its dimensions.
        rank: usize,
        /// [`Limits::rank`].
        limit: usize,
    },
    /// Two tensors of one name.
    #[error("tensor {0:?} is there twice")]
    DuplicateTensor(String),
    /// Its bytes were taken when it was received, or nobody makes the rest of them.
    #[error("the bytes of tensor {0:?} are not here")]
    Absent(String),
    /// A tensor is still being made, and all of the message was asked for at once.
    #[error("a tensor is still being encoded")]
    Unfinished,
    /// Not a W3C trace context.
    #[error("traceparent {0:?} is malformed")]
    Traceparent(String),
}

/// The frame of a request, of which all is there: one chunk of header, then the tensors' own bytes.
pub fn encode_request(request: &Request, limits: &Limits) -> Result<Vec<Bytes>, EncodeError> {
    Frame::of_request(request, limits)?.whole()
}

/// The frame of a response, of which all is there: one chunk of header, then the tensors' own bytes.
pub fn encode_response(response: &Response, limits: &Limits) -> Result<Vec<Bytes>, EncodeError> {
    Frame::of_response(response, limits)?.whole()
}

impl Frame {
    /// The frame of a request. A tensor of which all is there now goes in one piece, as version 1
    /// has it; one that is still being made goes in chunks.
    pub fn of_request(request: &Request, limits: &Limits) -> Result<Self, EncodeError> {
        if request.outputs.len() > limits.tensors {
            return Err(EncodeError::TooManyTensors { count: request.outputs.len(), limit: limits.tensors });
        }
        let (tensors, parts) = described(&request.tensors, limits)?;
        frame(write_request(request, &tensors)?, parts, limits)
    }

    /// As [`Self::of_request`], of a response.
    pub fn of_response(response: &Response, limits: &Limits) -> Result<Self, EncodeError> {
        match response {
            Response::Answer(answer) => {
                let (tensors, parts) = described(&answer.tensors, limits)?;
                frame(write_answer(answer, &tensors)?, parts, limits)
            }
            Response::Refusal(refusal) => frame(write_refusal(refusal)?, Vec::new(), limits),
        }
    }
}

/// Tensors as the header has them, and what follows the header.
fn described(
    tensors: &[CodedTensor],
    limits: &Limits,
) -> Result<(Vec<TensorHeader>, Vec<Part>), EncodeError> {
    if tensors.len() > limits.tensors {
        return Err(EncodeError::TooManyTensors { count: tensors.len(), limit: limits.tensors });
    }
    let mut headers = Vec::with_capacity(tensors.len());
    let mut parts = Vec::with_capacity(tensors.len());
    let mut names = HashSet::with_capacity(tensors.len());
    let mut bytes = 0u64;
    for tensor in tensors {
        let rank = tensor.shape.len();
        if rank > limits.rank {
            return Err(EncodeError::Rank { name: tensor.name.clone(), rank, limit: limits.rank });
        }
        if !names.insert(&tensor.name) {
            return Err(EncodeError::DuplicateTensor(tensor.name.clone()));
        }
        let header = describe(tensor, &mut parts)?;
        bytes = bytes.saturating_add(header.bytes.max(header.decoded_beside()));
        headers.push(header);
    }
    if bytes > limits.payload {
        return Err(EncodeError::PayloadTooLarge { bytes, limit: limits.payload });
    }
    Ok((headers, parts))
}

/// A tensor as it is now: what is made of it may be more a moment later.
fn describe(tensor: &CodedTensor, parts: &mut Vec<Part>) -> Result<TensorHeader, EncodeError> {
    let CodedTensor { name, dtype, shape, codec, data } = tensor;
    let absent = || EncodeError::Absent(name.clone());
    let mut header = TensorHeader {
        name: name.clone(),
        dtype: *dtype,
        shape: shape.clone(),
        codec: *codec,
        bytes: data.bytes(),
        chunked: false,
    };
    match data {
        Payload::Whole(bytes) => parts.push(Part::Bytes(bytes.clone())),
        Payload::Taken { .. } => return Err(absent()),
        Payload::Growing(growing) => {
            let now = growing.now(0);
            match now.end {
                Some(End::Abandoned) => return Err(absent()),
                Some(End::AsItIs(raw)) => {
                    (header.codec, header.bytes) = (CODEC_RAW, raw.len() as u64);
                    parts.push(Part::Bytes(raw));
                }
                Some(End::Complete) => {
                    header.bytes = now.chunks.iter().map(|chunk| chunk.len() as u64).sum();
                    parts.extend(now.chunks.into_iter().map(Part::Bytes));
                }
                // Raw tensors are not made, and the wire has no chunks for them.
                None if *codec == CODEC_RAW => return Err(absent()),
                None => {
                    (header.bytes, header.chunked) = (growing.most(), true);
                    parts.push(Part::Growing { growing: growing.clone(), sent: 0 });
                }
            }
        }
    }
    Ok(header)
}

fn frame(header: Vec<u8>, parts: Vec<Part>, limits: &Limits) -> Result<Frame, EncodeError> {
    let length = u32::try_from(header.len())
        .ok()
        .filter(|_| header.len() <= limits.header)
        .ok_or(EncodeError::HeaderTooLarge)?;
    let mut first = BytesMut::with_capacity(4 + header.len());
    first.put_u32_le(length);
    first.put_slice(&header);
    Ok(Frame::new(first.freeze(), parts))
}
