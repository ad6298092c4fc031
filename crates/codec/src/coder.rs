//! A codec made ready for tensors of one type and shape, and how payloads are framed.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;

use crate::fitted::Prepared;
use crate::grid::{BLOCK, Grid, View};
use crate::int::Int;
use crate::{BuiltIn, CoderError, DecodeError, EncodeError, Per, Spec, SpecError, Symbols};
use bytes::Bytes;
use kerf_tensor::{DType, Tensor, TensorError, element_count};
use std::sync::Arc;

/// What a coder may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a decoded tensor.
    pub bytes: usize,
}

impl Default for Limits {
    /// 64 MiB, as much as a message of the wire carries.
    fn default() -> Self {
        Self { bytes: 64 << 20 }
    }
}

/// A [`Spec`] with its tables built: made once, shared by the coders of all shapes.
#[derive(Clone, Debug)]
pub struct Codec(Method);

#[derive(Clone, Debug)]
enum Method {
    Raw,
    F16,
    Lossless,
    Int(Int, Per),
    Fitted(Arc<Prepared>),
}

impl Codec {
    /// Checks a spec and builds what coding needs.
    pub fn new(spec: &Spec) -> Result<Self, SpecError> {
        Ok(Self(match spec {
            Spec::BuiltIn(BuiltIn::Raw) => Method::Raw,
            Spec::BuiltIn(BuiltIn::F16) => Method::F16,
            Spec::BuiltIn(BuiltIn::Lossless) => Method::Lossless,
            Spec::BuiltIn(BuiltIn::Int { bits, per }) => Method::Int(Int { bits: *bits, zstd: false }, *per),
            Spec::BuiltIn(BuiltIn::IntZstd { bits, per }) => {
                Method::Int(Int { bits: *bits, zstd: true }, *per)
            }
            Spec::Fitted(fitted) => Method::Fitted(Arc::new(Prepared::new(fitted)?)),
        }))
    }
}

/// Encodes and decodes tensors of one type and shape; cheap to make and to share.
#[derive(Clone, Debug)]
pub struct Coder {
    layout: Layout,
    dtype: DType,
    shape: Vec<usize>,
    limits: Limits,
}

/// How a tensor is cut into blocks, and what becomes of each.
#[derive(Clone, Debug)]
enum Layout {
    /// Bytes as they are.
    Raw,
    /// [`BLOCK`] elements each.
    F16 {
        elements: usize,
    },
    /// [`BYTES`] each.
    Lossless,
    Int {
        int: Int,
        grid: Grid,
    },
    Fitted {
        prepared: Arc<Prepared>,
        grid: Grid,
    },
    /// No elements, no blocks, no bytes.
    Empty,
}

/// Bytes of a block where elements do not matter.
const BYTES: usize = 64 << 10;

impl Coder {
    /// [`Codec::new`] and [`Codec::coder`] at once, for those who need one shape only.
    pub fn new(spec: &Spec, dtype: DType, shape: &[usize], limits: Limits) -> Result<Self, NewCoderError> {
        Ok(Codec::new(spec)?.coder(dtype, shape, limits)?)
    }

    /// Appends the payload of `tensor`; on an error `out` is as it was.
    pub fn encode(&self, tensor: &Tensor, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let mut encoder = self.encoder(tensor)?;
        for block in 0..encoder.blocks() {
            encoder.block(block, out).inspect_err(|_| out.truncate(start))?;
        }
        Ok(())
    }

    /// A tensor's payload block by block.
    pub fn encoder<'a>(&'a self, tensor: &'a Tensor) -> Result<Encoder<'a>, EncodeError> {
        Encoder::new(self, tensor)
    }

    /// What a fitted codec makes of a tensor before it is coded, block by block: entropy coding is
    /// fitted to it. Empty for all other codecs.
    pub fn symbols(&self, tensor: &Tensor) -> Result<Vec<Symbols>, EncodeError> {
        Encoder::new(self, tensor)?.symbols()
    }

    /// The tensor of a whole payload. Raw payloads are shared, not copied.
    pub fn decode(&self, payload: &Bytes) -> Result<Tensor, DecodeError> {
        if matches!(self.layout, Layout::Raw) {
            return Ok(Tensor::new(self.dtype, self.shape.clone(), payload.clone())?);
        }
        self.decoder().whole(payload)
    }

    /// The tensor of a payload that arrives in pieces.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.clone())
    }

    /// The most bytes that a payload has, known before there is one. `None` for strings, whose shape
    /// does not tell how long they are.
    pub fn longest(&self) -> Option<usize> {
        let bytes = self.dtype.size()? * self.shape.iter().product::<usize>();
        let blocks = self.layout.blocks(bytes);
        let prefixes = if self.layout.has_prefixes() { PREFIX * blocks.saturating_sub(1) } else { 0 };
        Some(prefixes + (0..blocks).map(|block| self.layout.longest_block(block, bytes)).sum::<usize>())
    }

    /// Element type of the tensors.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Shape of the tensors.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether the payload starts with the length of the tensor, which its shape does not tell.
    fn announces(&self) -> bool {
        self.dtype == DType::String && matches!(self.layout, Layout::Lossless)
    }
}

impl Codec {
    /// Makes the codec ready for tensors of a type and shape, batch included.
    pub fn coder(&self, dtype: DType, shape: &[usize], limits: Limits) -> Result<Coder, CoderError> {
        let elements = element_count(shape)?;
        if let Some(size) = dtype.size() {
            let bytes = elements
                .checked_mul(size)
                .ok_or_else(|| TensorError::ShapeOverflow { shape: shape.to_vec() })?;
            if bytes > limits.bytes {
                return Err(CoderError::TooLarge { bytes, limit: limits.bytes });
            }
        }
        let layout = match &self.0 {
            Method::Raw => Layout::Raw,
            Method::Lossless => Layout::Lossless,
            _ if !dtype.is_float() => return Err(CoderError::DType { codec: self.to_string(), dtype }),
            _ if elements == 0 => Layout::Empty,
            Method::F16 => Layout::F16 { elements },
            Method::Int(int, per) => {
                let view = match channel_axis(*per, shape.len()) {
                    None => View::flat(shape)?,
                    Some(axis) => view(shape, axis)?,
                };
                Layout::Int { int: *int, grid: Grid::by_channel(view) }
            }
            Method::Fitted(prepared) => {
                let view = view(shape, prepared.axis)?;
                prepared.check(&view)?;
                Layout::Fitted { prepared: prepared.clone(), grid: prepared.grid(view) }
            }
        };
        Ok(Coder { layout, dtype, shape: shape.to_vec(), limits })
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Method::Raw => BuiltIn::Raw.fmt(f),
            Method::F16 => BuiltIn::F16.fmt(f),
            Method::Lossless => BuiltIn::Lossless.fmt(f),
            Method::Int(Int { bits, zstd: false }, per) => BuiltIn::Int { bits: *bits, per: *per }.fmt(f),
            Method::Int(Int { bits, zstd: true }, per) => BuiltIn::IntZstd { bits: *bits, per: *per }.fmt(f),
            Method::Fitted(_) => f.write_str("fitted"),
        }
    }
}

/// Why [`Coder::new`] failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NewCoderError {
    /// The spec is none.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The spec is not for such tensors.
    #[error(transparent)]
    Coder(#[from] CoderError),
}

/// `None`: the whole tensor is one channel.
fn channel_axis(per: Per, rank: usize) -> Option<usize> {
    match per {
        Per::Tensor => None,
        Per::Axis(axis) => Some(axis.into()),
        // A scalar, or one row of features: nothing to tell channels by.
        Per::Channel if rank < 2 => None,
        Per::Channel if rank <= 3 => Some(rank - 1),
        Per::Channel => Some(1),
    }
}

fn view(shape: &[usize], axis: usize) -> Result<View, CoderError> {
    // Beyond the last axis that an id can name, there is none.
    let rank = shape.len().min(usize::from(Per::MAX_AXIS) + 1);
    View::around(shape, axis)?.filter(|_| axis < rank).ok_or(CoderError::Axis { axis, rank })
}

/// Length of a block in front of it, unless it is the last: 3 bytes, little-endian.
const PREFIX: usize = 3;

impl Layout {
    /// Whether the length of a block depends on its values.
    fn has_prefixes(&self) -> bool {
        matches!(self, Self::Lossless | Self::Int { .. } | Self::Fitted { .. })
    }

    /// Number of blocks, for a tensor of so many bytes.
    fn blocks(&self, bytes: usize) -> usize {
        match self {
            Self::Raw | Self::Lossless => bytes.div_ceil(BYTES),
            Self::F16 { elements } => elements.div_ceil(BLOCK),
            Self::Int { grid, .. } | Self::Fitted { grid, .. } => grid.blocks(),
            Self::Empty => 0,
        }
    }

    /// The most bytes of a block, which is below [`Self::blocks`], of a tensor of so many bytes;
    /// exactly so many where blocks have no prefix.
    fn longest_block(&self, block: usize, bytes: usize) -> usize {
        match self {
            Self::Raw | Self::Lossless => bytes.saturating_sub(block * BYTES).min(BYTES),
            Self::F16 { elements } => 2 * elements.saturating_sub(block * BLOCK).min(BLOCK),
            Self::Int { int, grid } => {
                let rect = grid.rect(block);
                int.max_len(rect.channels.len(), rect.len())
            }
            Self::Fitted { prepared, grid } => prepared.max_len(grid.rect(block).positions.len()),
            Self::Empty => 0,
        }
    }
}
