use crate::{CODEC_RAW, Payload, Refusal};
use kerf_tensor::{DType, NamedTensor, Tensor, TensorError};
use std::time::Duration;

/// Names a request for life: minted by the edge node, kept through retries and in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub [u8; 16]);

/// Something for a cloud node to do with model `model`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The request's name.
    pub id: RequestId,
    /// What is asked.
    pub ask: Ask,
    /// Model name in the repository.
    pub model: String,
    /// Digest of the model version; a node that holds another one refuses.
    pub digest: [u8; 32],
    /// The boundary whose tensors these are.
    pub boundary: u16,
    /// Time left, from the moment of sending. Clocks of the two machines are never compared.
    pub deadline: Duration,
    /// W3C trace context, `00-<trace id>-<parent id>-<flags>`.
    pub traceparent: Option<String>,
    /// The live tensors of the boundary.
    pub tensors: Vec<CodedTensor>,
    /// Graph outputs wanted; empty for all that the tail makes.
    pub outputs: Vec<String>,
    /// The codec that the outputs may come back in; [`CODEC_RAW`] where only as they are. A node
    /// that does not know it answers with raw tensors.
    pub reply: u16,
}

/// A tensor as it travels: what it is, and its bytes under some codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedTensor {
    /// Name of the value.
    pub name: String,
    /// Element type, decoded.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// How `data` becomes the tensor's bytes. What the numbers mean is between the two nodes;
    /// here only [`CODEC_RAW`] means something.
    pub codec: u16,
    /// What is sent.
    pub data: Payload,
}

/// What a request asks for. A node that does not know the question refuses it as
/// [`Unsupported`](crate::Reason::Unsupported).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// "Finish the model from boundary `boundary` on."
    #[default]
    Finish,
    /// "Here is my profile of the model, where I have one; send yours": each as the bytes of its
    /// file, an [`U8`](kerf_tensor::DType::U8) tensor named [`PROFILE`]. The boundary is 0.
    Profiles,
}

/// Name of the tensor that carries a profile.
pub const PROFILE: &str = "profile";

/// What comes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// The tail ran.
    Answer(Answer),
    /// It did not, and this is why.
    Refusal(Refusal),
}

/// The outputs, and what the node knows of how they came to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The request's name.
    pub id: RequestId,
    /// The node that ran the tail.
    pub node: String,
    /// The engine that ran it, e.g. `ort`.
    pub engine: String,
    /// The graph outputs asked for.
    pub tensors: Vec<CodedTensor>,
    /// Where the time went.
    pub timings: Timings,
    /// How busy the node is.
    pub load: Load,
    /// How the request's bytes came in.
    pub arrival: Arrival,
}

/// Time on the answering node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a place to run.
    pub queue: Duration,
    /// From bytes to tensors.
    pub decode: Duration,
    /// In the engine.
    pub compute: Duration,
    /// From tensors to bytes.
    pub encode: Duration,
    /// From the last byte in to the first byte out.
    pub total: Duration,
}

/// Requests on the answering node when it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Waiting.
    pub queued: u32,
    /// Running.
    pub running: u32,
}

/// What the answering node saw arrive. `bytes_after_first / first_to_last` is the rate
/// of the link: the wait for the first bytes, which is latency, is in neither. Where a tensor was
/// still being encoded when it was sent, the link may have waited for the encoder: then it is a
/// rate that the link can do, and perhaps not all that it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// From the first chunk to the last.
    pub first_to_last: Duration,
    /// Bytes that came after the first chunk.
    pub bytes_after_first: u64,
}

impl CodedTensor {
    /// The tensor, where it came as it is: `None` under any other codec.
    ///
    /// # Errors
    /// Bytes that are none of the type and shape.
    pub fn as_raw(&self) -> Option<Result<Tensor, TensorError>> {
        let data = self.data.whole().filter(|_| self.codec == CODEC_RAW)?;
        Some(Tensor::new(self.dtype, self.shape.clone(), data.clone()))
    }
}

impl From<NamedTensor> for CodedTensor {
    /// As it is, uncopied.
    fn from(NamedTensor { name, tensor }: NamedTensor) -> Self {
        let (dtype, shape, data) = (tensor.dtype(), tensor.shape().to_vec(), tensor.data().clone());
        Self { name, dtype, shape, codec: CODEC_RAW, data: data.into() }
    }
}

impl Request {
    /// Whether some tensor is under a codec that the other node may not know.
    pub fn is_coded(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.codec != CODEC_RAW)
    }
}

impl Response {
    /// The request that this answers.
    pub fn id(&self) -> RequestId {
        match self {
            Self::Answer(answer) => answer.id,
            Self::Refusal(refusal) => refusal.id,
        }
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_32_hex_digits() {
        let id = RequestId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
    }
}
