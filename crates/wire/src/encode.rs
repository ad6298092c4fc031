use crate::header::{write_answer, write_refusal, write_request};
use crate::{CodedTensor, Limits, Request, Response};
use bytes::{BufMut, Bytes, BytesMut};
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
    /// Not a W3C trace context.
    #[error("traceparent {0:?} is malformed")]
    Traceparent(String),
}

/// The frame of a request: one chunk of header, then the tensors' own bytes.
pub fn encode_request(request: &Request, limits: &Limits) -> Result<Vec<Bytes>, EncodeError> {
    if request.outputs.len() > limits.tensors {
        return Err(EncodeError::TooManyTensors { count: request.outputs.len(), limit: limits.tensors });
    }
    check(&request.tensors, limits)?;
    frame(write_request(request)?, &request.tensors, limits)
}

/// The frame of a response: one chunk of header, then the tensors' own bytes.
pub fn encode_response(response: &Response, limits: &Limits) -> Result<Vec<Bytes>, EncodeError> {
    match response {
        Response::Answer(answer) => {
            check(&answer.tensors, limits)?;
            frame(write_answer(answer)?, &answer.tensors, limits)
        }
        Response::Refusal(refusal) => frame(write_refusal(refusal)?, &[], limits),
    }
}

fn check(tensors: &[CodedTensor], limits: &Limits) -> Result<(), EncodeError> {
    if tensors.len() > limits.tensors {
        return Err(EncodeError::TooManyTensors { count: tensors.len(), limit: limits.tensors });
    }
    let mut names = HashSet::with_capacity(tensors.len());
    let mut bytes = 0u64;
    for tensor in tensors {
        let CodedTensor { name, shape, data, .. } = tensor;
        let rank = shape.len();
        if rank > limits.rank {
            return Err(EncodeError::Rank { name: name.clone(), rank, limit: limits.rank });
        }
        if !names.insert(name) {
            return Err(EncodeError::DuplicateTensor(name.clone()));
        }
        bytes = bytes.saturating_add((data.len() as u64).max(tensor.decoded_beside()));
    }
    if bytes > limits.payload {
        return Err(EncodeError::PayloadTooLarge { bytes, limit: limits.payload });
    }
    Ok(())
}

fn frame(header: Vec<u8>, tensors: &[CodedTensor], limits: &Limits) -> Result<Vec<Bytes>, EncodeError> {
    let length = u32::try_from(header.len())
        .ok()
        .filter(|_| header.len() <= limits.header)
        .ok_or(EncodeError::HeaderTooLarge)?;
    let mut first = BytesMut::with_capacity(4 + header.len());
    first.put_u32_le(length);
    first.put_slice(&header);
    let payload = tensors.iter().map(|tensor| &tensor.data).filter(|data| !data.is_empty()).cloned();
    Ok(std::iter::once(first.freeze()).chain(payload).collect())
}
