use super::{BYTES, Coder, Layout, PREFIX};
use crate::grid::BLOCK;
use crate::squeeze::Squeeze;
use crate::{EncodeError, Symbols, lossless};
use half::f16;
use half::slice::HalfFloatSliceExt;
use kerf_tensor::{DType, Tensor, TensorError};
use std::borrow::Cow;

/// A tensor's payload block by block, so that one can be sent while the next is encoded: the
/// payload is its blocks, in order.
pub struct Encoder<'a> {
    coder: &'a Coder,
    tensor: &'a Tensor,
    /// The elements as f32, where the codec quantises.
    values: Cow<'a, [f32]>,
    squeeze: Squeeze,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(coder: &'a Coder, tensor: &'a Tensor) -> Result<Self, EncodeError> {
        let mismatch = || EncodeError::Mismatch {
            dtype: coder.dtype,
            shape: coder.shape.clone(),
            actual: format!("{tensor:?}"),
        };
        if tensor.dtype() != coder.dtype || tensor.shape() != coder.shape {
            return Err(mismatch());
        }
        let (bytes, limit) = (tensor.data().len(), coder.limits.bytes);
        if bytes > limit {
            return Err(EncodeError::TooLarge { bytes, limit });
        }
        let values = match coder.layout {
            Layout::Raw | Layout::Lossless | Layout::Empty => Cow::Borrowed(&[][..]),
            Layout::F16 { .. } if coder.dtype == DType::F16 => Cow::Borrowed(&[][..]),
            _ => as_f32(tensor).map_err(|_| mismatch())?,
        };
        Ok(Self { coder, tensor, values, squeeze: Squeeze::default() })
    }

    /// Number of blocks; 0 for an empty tensor.
    pub fn blocks(&self) -> usize {
        self.coder.layout.blocks(self.tensor.data().len())
    }

    /// Appends a block below [`Self::blocks`]; beyond it, nothing. On an error `out` is as it was.
    pub fn block(&mut self, index: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let blocks = self.blocks();
        if index >= blocks {
            return Ok(());
        }
        let start = out.len();
        if index == 0 && self.coder.announces() {
            out.extend_from_slice(&(self.tensor.data().len() as u64).to_le_bytes());
        }
        let prefix = out.len();
        let prefixed = index + 1 < blocks && self.coder.layout.has_prefixes();
        if prefixed {
            out.extend_from_slice(&[0; PREFIX]);
        }
        let first = out.len();
        self.content(index, out).inspect_err(|_| out.truncate(start))?;
        if prefixed {
            let length = ((out.len() - first) as u32).to_le_bytes();
            out[prefix..first].copy_from_slice(&length[..PREFIX]);
        }
        Ok(())
    }

    pub(super) fn symbols(&self) -> Result<Vec<Symbols>, EncodeError> {
        let Layout::Fitted { prepared, grid } = &self.coder.layout else { return Ok(Vec::new()) };
        let rects = (0..grid.blocks()).map(|block| grid.rect(block));
        rects.map(|rect| prepared.symbols(&grid.gather(&self.values, &rect), grid.plane(&rect))).collect()
    }

    fn content(&mut self, index: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let data = self.tensor.data();
        let bytes = |size: usize| &data[(index * size).min(data.len())..((index + 1) * size).min(data.len())];
        match &self.coder.layout {
            Layout::Raw => out.extend_from_slice(bytes(BYTES)),
            Layout::Lossless => lossless::encode(bytes(BYTES), self.coder.dtype, &mut self.squeeze, out)?,
            Layout::F16 { .. } if self.coder.dtype == DType::F16 => out.extend_from_slice(bytes(2 * BLOCK)),
            Layout::F16 { elements } => {
                halve(&self.values[index * BLOCK..((index + 1) * BLOCK).min(*elements)], out)?;
            }
            Layout::Int { int, grid } => {
                let rect = grid.rect(index);
                let values = grid.gather(&self.values, &rect);
                int.encode(&values, rect.channels.len(), &mut self.squeeze, out)?;
            }
            Layout::Fitted { prepared, grid } => {
                let rect = grid.rect(index);
                prepared.encode(&grid.gather(&self.values, &rect), grid.plane(&rect), out)?;
            }
            Layout::Empty => {}
        }
        Ok(())
    }
}

/// The elements as f32; values beyond its range become infinite.
fn as_f32(tensor: &Tensor) -> Result<Cow<'_, [f32]>, TensorError> {
    Ok(match tensor.dtype() {
        DType::F64 => tensor.elements::<f64>()?.iter().map(|value| *value as f32).collect(),
        DType::F16 => tensor.elements::<f16>()?.to_f32_vec().into(),
        DType::Bf16 => tensor.elements::<half::bf16>()?.to_f32_vec().into(),
        _ => tensor.elements::<f32>()?,
    })
}

fn halve(values: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    let grew = |(value, half): (&f32, &f16)| half.is_infinite() && value.is_finite();
    if values.iter().zip(&halves).any(grew) {
        return Err(EncodeError::Spread);
    }
    out.extend_from_slice(bytemuck::cast_slice(&halves));
    Ok(())
}
