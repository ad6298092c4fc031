use crate::Reason;
use kerf_tensor::{DType, TensorError};

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The announced header is longer than the limit.
    #[error("header of {bytes} bytes, {limit} allowed")]
    HeaderTooLarge {
        /// As announced.
        bytes: usize,
        /// [`crate::Limits::header`].
        limit: usize,
    },
    /// Another kind of message than the one expected, or none of this version.
    #[error("not the kind of message expected: {}", .0.map_or("empty header".into(), |kind| format!("kind {kind}")))]
    Kind(Option<u8>),
    /// The header's own encoding is broken.
    #[error("header is malformed: {0}")]
    Header(String),
    /// The header goes on after its last field.
    #[error("header has {bytes} bytes after its last field")]
    HeaderTrailing {
        /// How many.
        bytes: usize,
    },
    /// An extension that must be understood, and is not.
    #[error("extension {0:#06x} is critical and unknown to this version")]
    CriticalExtension(u16),
    /// One extension twice.
    #[error("extension {0:#06x} is there twice")]
    DuplicateExtension(u16),
    /// Not a W3C trace context.
    #[error("traceparent is malformed")]
    Traceparent,
    /// More tensors, or output names, than the limit.
    #[error("{count} tensors or output names, {limit} allowed")]
    TooManyTensors {
        /// As announced.
        count: usize,
        /// [`crate::Limits::tensors`].
        limit: usize,
    },
    /// Two tensors of one name.
    #[error("tensor {0:?} is there twice")]
    DuplicateTensor(String),
    /// More dimensions than the limit.
    #[error("tensor {name:?} has {rank} dimensions, {limit} allowed")]
    Rank {
        /// Of the tensor.
        name: String,
        /// As announced.
        rank: usize,
        /// [`crate::Limits::rank`].
        limit: usize,
    },
    /// An element type of which this version knows nothing.
    #[error("tensor {name:?} has element type {code}, unknown to this version")]
    DType {
        /// Of the tensor.
        name: String,
        /// `TensorProto.DataType` of onnx.proto3.
        code: u8,
    },
    /// Strings are sent as they are.
    #[error("tensor {name:?} holds strings, under codec {codec}")]
    Codec {
        /// Of the tensor.
        name: String,
        /// As announced.
        codec: u16,
    },
    /// A tensor whose length is known is said to come in chunks.
    #[error("tensor {0:?} is raw, and in chunks")]
    ChunkedRaw(String),
    /// The chunks of a tensor are more than was announced.
    #[error("tensor {name:?} comes in more than the {most} bytes announced")]
    Chunks {
        /// Of the tensor.
        name: String,
        /// As announced.
        most: u64,
    },
    /// Type, shape and length contradict each other.
    #[error("tensor {name:?}: {dtype}{shape:?} cannot take {bytes} bytes")]
    Shape {
        /// Of the tensor.
        name: String,
        /// As announced.
        dtype: DType,
        /// As announced.
        shape: Vec<u64>,
        /// As announced.
        bytes: u64,
    },
    /// The tensors announced are larger than the limit.
    #[error("{bytes} bytes of tensors, {limit} allowed")]
    PayloadTooLarge {
        /// Of all tensors.
        bytes: u64,
        /// [`crate::Limits::payload`].
        limit: u64,
    },
    /// The frame goes on after its last tensor.
    #[error("bytes after the last tensor")]
    Trailing,
    /// The frame ended before its last tensor.
    #[error("the message is cut short")]
    Truncated,
    /// The bytes of a tensor are none of its type.
    #[error("tensor {name:?}: {source}")]
    Tensor {
        /// Of the tensor.
        name: String,
        /// What is wrong.
        source: TensorError,
    },
}

impl DecodeError {
    /// How to refuse a request that failed so.
    pub fn reason(&self) -> Reason {
        match self {
            Self::CriticalExtension(_) | Self::DType { .. } | Self::Codec { .. } => Reason::Unsupported,
            Self::HeaderTooLarge { .. }
            | Self::Kind(_)
            | Self::Header(_)
            | Self::HeaderTrailing { .. }
            | Self::DuplicateExtension(_)
            | Self::Traceparent
            | Self::TooManyTensors { .. }
            | Self::DuplicateTensor(_)
            | Self::Rank { .. }
            | Self::ChunkedRaw(_)
            | Self::Chunks { .. }
            | Self::Shape { .. }
            | Self::PayloadTooLarge { .. }
            | Self::Trailing
            | Self::Truncated
            | Self::Tensor { .. } => Reason::BadRequest,
        }
    }
}
