use super::{BYTES, Coder, Layout, PREFIX};
use crate::grid::BLOCK;
use crate::squeeze::Squeeze;
use crate::{DecodeError, lossless};
use bytes::Bytes;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use kerf_tensor::{DType, Element, Tensor, TensorError};

/// The tensor of a payload that arrives in pieces, each block decoded once it is there.
pub struct Decoder {
    coder: Coder,
    /// Bytes of the tensor; strings announce theirs.
    bytes: Option<usize>,
    /// The next block.
    next: usize,
    /// What arrived of it.
    pending: Vec<u8>,
    /// The tensor's bytes, where blocks are bytes.
    data: Vec<u8>,
    /// The tensor's values, where blocks are values.
    values: Vec<f32>,
    squeeze: Squeeze,
}

/// Bytes in front of a string tensor's first block: how many the tensor has.
const LENGTH: usize = 8;

impl Decoder {
    pub(super) fn new(coder: Coder) -> Self {
        let elements: usize = coder.shape.iter().product();
        let values = match coder.layout {
            Layout::F16 { .. } if coder.dtype == DType::F16 => 0,
            Layout::F16 { .. } | Layout::Int { .. } | Layout::Fitted { .. } => elements,
            Layout::Raw | Layout::Lossless | Layout::Empty => 0,
        };
        Self {
            bytes: coder.dtype.size().map(|size| size * elements),
            coder,
            next: 0,
            pending: Vec::new(),
            data: Vec::new(),
            values: vec![0.0; values],
            squeeze: Squeeze::default(),
        }
    }

    /// Takes the next piece of the payload, of any size.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        if self.pending.is_empty() {
            let rest = self.take(piece)?;
            self.pending.extend_from_slice(&piece[piece.len() - rest..]);
        } else {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(piece);
            let rest = self.take(&pending)?;
            pending.drain(..pending.len() - rest);
            self.pending = pending;
        }
        Ok(())
    }

    /// The tensor, once the whole payload was pushed.
    pub fn finish(mut self) -> Result<Tensor, DecodeError> {
        let pending = std::mem::take(&mut self.pending);
        self.last(&pending)?;
        self.tensor()
    }

    /// [`Self::push`] of a whole payload and [`Self::finish`], without a copy of its last block.
    pub(super) fn whole(mut self, payload: &[u8]) -> Result<Tensor, DecodeError> {
        let rest = self.take(payload)?;
        self.last(&payload[payload.len() - rest..])?;
        self.tensor()
    }

    fn tensor(self) -> Result<Tensor, DecodeError> {
        let Self { coder, data, values, .. } = self;
        let shape = &coder.shape;
        Ok(match (coder.dtype, values.is_empty()) {
            (dtype, true) => Tensor::new(dtype, shape.clone(), Bytes::from(data)),
            (DType::F64, _) => Tensor::from_vec(shape, values.into_iter().map(f64::from).collect()),
            (DType::F16, _) => saturated(shape, values, f16::MAX),
            (DType::Bf16, _) => saturated(shape, values, bf16::MAX),
            _ => Tensor::from_vec(shape, values),
        }?)
    }

    /// Decodes the last block, which goes to the end.
    fn last(&mut self, block: &[u8]) -> Result<(), DecodeError> {
        match self.blocks() {
            Some(blocks) if self.next + 1 == blocks => self.block(block),
            Some(blocks) if self.next < blocks => Err(DecodeError::Truncated),
            // Strings that did not even announce their length.
            None if !block.is_empty() => Err(DecodeError::Truncated),
            _ if !block.is_empty() => Err(DecodeError::Trailing { bytes: block.len() }),
            _ => Ok(()),
        }
    }

    /// Decodes the complete blocks that `input` starts with; how many bytes are left.
    fn take(&mut self, mut input: &[u8]) -> Result<usize, DecodeError> {
        loop {
            if self.bytes.is_none() && self.coder.announces() {
                let Some((length, rest)) = input.split_first_chunk::<LENGTH>() else { break };
                self.announce(u64::from_le_bytes(*length))?;
                input = rest;
            }
            let blocks = self.blocks().unwrap_or(0);
            if self.next >= blocks {
                break;
            }
            let limit = self.block_limit();
            if self.next + 1 == blocks {
                if input.len() > limit {
                    return Err(DecodeError::BlockLength { bytes: input.len(), limit });
                }
                break;
            }
            let (length, rest) = if self.coder.layout.has_prefixes() {
                let Some((&[a, b, c], rest)) = input.split_first_chunk::<PREFIX>() else { break };
                (u32::from_le_bytes([a, b, c, 0]) as usize, rest)
            } else {
                (limit, input)
            };
            if length > limit {
                return Err(DecodeError::BlockLength { bytes: length, limit });
            }
            let Some((block, rest)) = rest.split_at_checked(length) else { break };
            self.block(block)?;
            input = rest;
        }
        match self.blocks() {
            Some(blocks) if self.next >= blocks && !input.is_empty() => {
                Err(DecodeError::Trailing { bytes: input.len() })
            }
            _ => Ok(input.len()),
        }
    }

    /// A string tensor has so many bytes.
    fn announce(&mut self, bytes: u64) -> Result<(), DecodeError> {
        let limit = self.coder.limits.bytes;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        match bytes {
            0 => Err(DecodeError::Malformed("a length of 0 is not written")),
            _ if bytes > limit => Err(DecodeError::TooLarge { bytes, limit }),
            _ => {
                self.bytes = Some(bytes);
                Ok(())
            }
        }
    }

    /// Number of blocks, once it is known.
    fn blocks(&self) -> Option<usize> {
        match self.coder.layout {
            // Never cut on this side.
            Layout::Raw => Some(1),
            _ => self.bytes.map(|bytes| self.coder.layout.blocks(bytes)),
        }
    }

    /// The most bytes that the next block may have; exactly so many where blocks have no prefix.
    fn block_limit(&self) -> usize {
        match &self.coder.layout {
            // Never cut on this side.
            Layout::Raw => self.bytes.unwrap_or(self.coder.limits.bytes),
            layout => layout.longest_block(self.next, self.bytes.unwrap_or(0)),
        }
    }

    /// Bytes of the tensor in the next block of [`BYTES`].
    fn raw_len(&self) -> usize {
        self.bytes.unwrap_or(0).saturating_sub(self.next * BYTES).min(BYTES)
    }

    fn block(&mut self, block: &[u8]) -> Result<(), DecodeError> {
        match &self.coder.layout {
            Layout::Raw => self.data.extend_from_slice(block),
            Layout::Lossless => {
                let raw = self.raw_len();
                lossless::decode(block, self.coder.dtype, raw, &mut self.squeeze, &mut self.data)?;
            }
            Layout::F16 { elements } => {
                let start = self.next * BLOCK;
                let count = (elements - start).min(BLOCK);
                if block.len() != 2 * count {
                    return Err(DecodeError::Truncated);
                }
                if self.coder.dtype == DType::F16 {
                    self.data.extend_from_slice(block);
                } else {
                    let halves: Vec<f16> = bytemuck::pod_collect_to_vec(block);
                    halves.convert_to_f32_slice(&mut self.values[start..start + count]);
                }
            }
            Layout::Int { int, grid } => {
                let rect = grid.rect(self.next);
                let channels = rect.channels.len();
                if let Some(range) = grid.contiguous(&rect) {
                    int.decode(block, channels, &mut self.squeeze, &mut self.values[range])?;
                } else {
                    let mut planar = vec![0.0; rect.len()];
                    int.decode(block, channels, &mut self.squeeze, &mut planar)?;
                    grid.scatter(&planar, &rect, &mut self.values);
                }
            }
            Layout::Fitted { prepared, grid } => {
                let rect = grid.rect(self.next);
                let planar = prepared.decode(block, grid.plane(&rect))?;
                grid.scatter(&planar, &rect, &mut self.values);
            }
            Layout::Empty => {}
        }
        self.next += 1;
        Ok(())
    }
}

/// Values of a narrower type, those beyond its range at its ends: rounding alone put them there.
fn saturated<T: Element + Into<f32>>(
    shape: &[usize],
    mut values: Vec<f32>,
    most: T,
) -> Result<Tensor, TensorError>
where
    [T]: HalfFloatSliceExt,
{
    let most: f32 = most.into();
    // NaN, which f16 payloads may hold, stays NaN; so do infinities in them.
    values.iter_mut().filter(|value| value.is_finite()).for_each(|value| *value = value.clamp(-most, most));
    let mut narrow = vec![T::zeroed(); values.len()];
    narrow.convert_from_f32_slice(&values);
    Tensor::from_vec(shape, narrow)
}
