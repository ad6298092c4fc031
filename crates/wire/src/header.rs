//! Headers as the crate's users see them; `raw` holds their form in bytes.

mod raw;

pub(crate) use raw::{parse_request, parse_response, write_answer, write_refusal, write_request};

use crate::{Arrival, Ask, CODEC_RAW, Load, Refusal, RequestId, Timings};
use kerf_tensor::{DType, element_count};
use std::time::Duration;

/// All of a request but its tensors' bytes: enough to admit or refuse it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The request's name.
    pub id: RequestId,
    /// What is asked.
    pub ask: Ask,
    /// Model name in the repository.
    pub model: String,
    /// Digest of the model version.
    pub digest: [u8; 32],
    /// The boundary whose tensors follow.
    pub boundary: u16,
    /// Time left when the request was sent.
    pub deadline: Duration,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The tensors that follow, in order.
    pub tensors: Vec<TensorHeader>,
    /// Graph outputs wanted; empty for all.
    pub outputs: Vec<String>,
    /// The codec that the outputs may come back in.
    pub reply: u16,
}

/// What a message says of a tensor before its bytes come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorHeader {
    /// Name of the value.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// How the bytes are encoded.
    pub codec: u16,
    /// Bytes that follow for it.
    pub bytes: u64,
    /// Whether they come in chunks: `bytes` is then the most that they are together.
    pub chunked: bool,
}

/// All of a response but its tensors' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseHeader {
    /// Of an answer.
    Answer(AnswerHeader),
    /// A refusal is all header.
    Refusal(Refusal),
}

/// All of an answer but its tensors' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHeader {
    /// The request's name.
    pub id: RequestId,
    /// The node that ran the tail.
    pub node: String,
    /// The engine that ran it.
    pub engine: String,
    /// The tensors that follow, in order.
    pub tensors: Vec<TensorHeader>,
    /// Where the time went.
    pub timings: Timings,
    /// How busy the node is.
    pub load: Load,
    /// How the request's bytes came in.
    pub arrival: Arrival,
}

impl RequestHeader {
    /// Bytes of all the tensors together, as they travel.
    pub fn payload(&self) -> u64 {
        payload(&self.tensors)
    }

    /// Bytes that the tensors take here: as they travel, and decoded where that is something else.
    pub fn memory(&self) -> u64 {
        let decoded = self.tensors.iter().map(TensorHeader::decoded_beside);
        decoded.fold(self.payload(), u64::saturating_add)
    }
}

impl TensorHeader {
    /// Bytes of the tensor once decoded; `None` for strings, and for what no memory holds.
    pub fn decoded(&self) -> Option<u64> {
        decoded_bytes(self.dtype, &self.shape)
    }

    /// Bytes of the tensor once decoded, beside those that came; 0 for one that came as it is.
    pub(crate) fn decoded_beside(&self) -> u64 {
        if self.codec == CODEC_RAW { 0 } else { self.decoded().unwrap_or(u64::MAX) }
    }
}

impl ResponseHeader {
    /// Bytes of all the tensors together.
    pub fn payload(&self) -> u64 {
        match self {
            Self::Answer(answer) => payload(&answer.tensors),
            Self::Refusal(_) => 0,
        }
    }
}

/// Bytes of a tensor in memory; `None` for strings, and for what no memory holds.
pub(crate) fn decoded_bytes(dtype: DType, shape: &[usize]) -> Option<u64> {
    let elements = element_count(shape).ok()?;
    elements.checked_mul(dtype.size()?).map(|bytes| bytes as u64)
}

/// Saturates; a parsed header is within its limits, one made by hand may not be.
pub(crate) fn payload(tensors: &[TensorHeader]) -> u64 {
    tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.bytes))
}
