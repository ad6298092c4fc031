use crate::Size;
use kerf_tensor::{DType, TensorError};

/// Steps that make no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepsError {
    /// A side of zero, or absurdly long.
    #[error("{key}: {side} pixels, expected 1 to {max}")]
    Side {
        /// `resize` or `crop`.
        key: &'static str,
        /// As stated.
        side: u32,
        /// Longest accepted.
        max: u32,
    },
    /// Neither one value nor one per channel.
    #[error("{key} has {count} values, expected {}", if *.channels == 1 { "1".into() } else { format!("1 or {channels}") })]
    Count {
        /// `mean` or `std`.
        key: &'static str,
        /// As stated.
        count: usize,
        /// Channels of the tensor.
        channels: usize,
    },
    /// Not finite, or a zero that would be divided by.
    #[error("{key}: {value} cannot be used")]
    Value {
        /// `scale`, `mean` or `std`.
        key: &'static str,
        /// As stated.
        value: f64,
    },
    /// Normalised values do not fit bytes.
    #[error("dtype u8 keeps the levels as they are: scale must be 1, mean 0 and std 1")]
    NormalisedBytes,
}

/// Why encoded pictures did not become a tensor. All are the sender's doing.
#[derive(Debug, thiserror::Error)]
pub enum PreprocessError {
    /// Not a string tensor of one dimension.
    #[error("encoded pictures are a BYTES tensor of shape [N], got {dtype}{shape:?}")]
    NotPictures {
        /// What came.
        dtype: DType,
        /// What came.
        shape: Vec<usize>,
    },
    /// A batch of none.
    #[error("no pictures in the batch")]
    Empty,
    /// The only picture of a call.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// One picture of a batch.
    #[error("picture {index} of {total} (counting from 0): {source}")]
    Element {
        /// Which, from 0.
        index: usize,
        /// Pictures in the batch.
        total: usize,
        /// What is wrong with it.
        source: PictureError,
    },
    /// Sizes differ where the steps leave the size to the picture.
    #[error(
        "picture {index} of {total} (counting from 0) becomes {size} pixels, the first one {first}: a batch needs equal sizes"
    )]
    Uneven {
        /// Which, from 0.
        index: usize,
        /// Pictures in the batch.
        total: usize,
        /// Its size after the steps.
        size: Size,
        /// Size of the first one.
        first: Size,
    },
    /// The tensor would be too large.
    #[error("{total} pictures of {size} pixels make a tensor of {bytes} bytes, {limit} are allowed")]
    BatchTooLarge {
        /// Pictures in the batch.
        total: usize,
        /// Each after the steps.
        size: Size,
        /// Of the whole tensor.
        bytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// Bytes and shape disagree.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl PreprocessError {
    /// The same, said of one element of a batch.
    pub(crate) fn at(self, index: usize, total: usize) -> Self {
        match self {
            Self::Picture(source) => Self::Element { index, total, source },
            Self::Uneven { size, first, .. } => Self::Uneven { index, total, size, first },
            other => other,
        }
    }
}

/// What is wrong with one picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// No bytes.
    #[error("no bytes, expected a JPEG, PNG or WebP file")]
    Empty,
    /// The first bytes are those of something else.
    #[error("not a JPEG, PNG or WebP file{}", .kind.map(|kind| format!(" but {kind}")).unwrap_or_default())]
    Format {
        /// What it looks like, where known.
        kind: Option<&'static str>,
    },
    /// The file is too long.
    #[error("{bytes} bytes of {format}, {limit} are allowed")]
    TooLong {
        /// `JPEG`, `PNG` or `WebP`.
        format: &'static str,
        /// Length.
        bytes: usize,
        /// Allowed.
        limit: usize,
    },
    /// The header declares too many pixels.
    #[error("{format} declares {size} pixels, {limit} are allowed in all")]
    TooManyPixels {
        /// `JPEG`, `PNG` or `WebP`.
        format: &'static str,
        /// As declared.
        size: Size,
        /// Allowed.
        limit: u64,
    },
    /// Resizing would make too many pixels of it.
    #[error("resizing {from} to {to} makes more than the {limit} pixels that are allowed")]
    ResizedTooLarge {
        /// Size of the picture.
        from: Size,
        /// Size after resizing.
        to: Size,
        /// Allowed.
        limit: u64,
    },
    /// The file ends before its picture does.
    #[error("truncated {format}: the file ends before the picture does")]
    Truncated {
        /// `JPEG`, `PNG` or `WebP`.
        format: &'static str,
    },
    /// A pixel format that has no sensible 8-bit RGB.
    #[error("{what}: {advice}")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The decoder refused it.
    #[error("broken {format}: {reason}")]
    Broken {
        /// `JPEG`, `PNG` or `WebP`.
        format: &'static str,
        /// In the decoder's words.
        reason: String,
    },
    /// The resizer refused it.
    #[error("resizing {from} to {to}: {reason}")]
    Resize {
        /// Size of the picture.
        from: Size,
        /// Size after resizing.
        to: Size,
        /// In the resizer's words.
        reason: String,
    },
}
