use kerf_tensor::{DType, TensorError};

/// Why a codec cannot be used for tensors of some type and shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoderError {
    /// Quantisation is for floating-point numbers.
    #[error("codec {codec} does not take {dtype} tensors")]
    DType {
        /// Name of the codec.
        codec: String,
        /// Element type of the tensors.
        dtype: DType,
    },
    /// There is no such channel axis.
    #[error("channel axis {axis} is beyond the tensor's {rank} dimensions")]
    Axis {
        /// The axis asked for.
        axis: usize,
        /// Dimensions that there are.
        rank: usize,
    },
    /// The codec was fitted to another number of channels.
    #[error("codec was fitted to {fitted} channels at axis {axis}, the tensor has {actual}")]
    Channels {
        /// The channel axis.
        axis: usize,
        /// As fitted.
        fitted: usize,
        /// As the tensor's shape says.
        actual: usize,
    },
    /// Tiles do not fill the planes.
    #[error("tiles of {tile:?} do not fill planes of {plane:?}")]
    Plane {
        /// Rows and columns, as fitted.
        tile: (usize, usize),
        /// As the tensor's shape says.
        plane: (usize, usize),
    },
    /// The tensor takes more memory than [`crate::Limits::bytes`].
    #[error("tensor takes {bytes} bytes, {limit} allowed")]
    TooLarge {
        /// Of the tensor.
        bytes: usize,
        /// As configured.
        limit: usize,
    },
    /// The shape is none.
    #[error(transparent)]
    Shape(#[from] TensorError),
}

/// Why a tensor cannot be encoded. Raw and lossless take what others refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The coder was made for another type or shape.
    #[error("coder is for {dtype}{shape:?}, got {actual}")]
    Mismatch {
        /// As the coder expects.
        dtype: DType,
        /// As the coder expects.
        shape: Vec<usize>,
        /// The tensor's.
        actual: String,
    },
    /// NaN and infinities have no place in a range of finite values.
    #[error("tensor holds NaN or an infinity")]
    NotFinite,
    /// Finite values so far apart that their difference, or their place in half precision, is infinite.
    #[error("tensor holds values beyond the range of the codec")]
    Spread,
    /// String tensors longer than the limit.
    #[error("tensor takes {bytes} bytes, {limit} allowed")]
    TooLarge {
        /// Of the tensor.
        bytes: usize,
        /// [`crate::Limits::bytes`]
        limit: usize,
    },
    /// Compression failed, which it does for want of memory only.
    #[error("zstd: {0}")]
    Zstd(String),
}

/// Why a payload is not what a codec writes for tensors of the announced type and shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends too early.
    #[error("payload is cut short")]
    Truncated,
    /// The payload goes on after its last block, or a block after its last value.
    #[error("{bytes} bytes after the last value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A block is announced longer than blocks of its kind get.
    #[error("block of {bytes} bytes, {limit} are the most")]
    BlockLength {
        /// As announced, or as far as it came.
        bytes: usize,
        /// For this block.
        limit: usize,
    },
    /// Content that no encoder writes.
    #[error("payload is malformed: {0}")]
    Malformed(&'static str),
    /// A string tensor is announced longer than [`crate::Limits::bytes`].
    #[error("tensor of {bytes} bytes announced, {limit} allowed")]
    TooLarge {
        /// As announced.
        bytes: usize,
        /// As configured.
        limit: usize,
    },
    /// A compressed block does not decompress to its length.
    #[error("zstd: {0}")]
    Zstd(String),
    /// The bytes are not of the tensor's type.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
