//! Uniform quantisation of a block, with its bounds in front.
//!
//! ```text
//! block   wide: u8 (0 or 1), bounds, codes
//! bounds  per channel of the block, or once: lo, hi (bf16, rounded outwards; f32 where wide)
//! codes   packed (see `pack`), channel by channel; with zstd: a frame that is shorter than the
//!         packed codes, without its magic number, or else the packed codes
//! ```
//! A code `q` stands for `lo + q·(hi − lo)/(2^bits − 1)`. The step is at most 1.25 times the one
//! of the exact bounds: where bf16 would be worse in any channel, the block is wide.

use crate::kernel::{self, dequantise, quantise};
use crate::pack::{pack, packed_len, unpack};
use crate::squeeze::Squeeze;
use crate::{Bits, DecodeError, EncodeError};
use half::bf16;

/// How blocks of one tensor are quantised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Int {
    pub(crate) bits: Bits,
    pub(crate) zstd: bool,
}

/// The smallest spread that is told apart from none: below it a step would be denormal.
const LEAST: f32 = f32::MIN_POSITIVE * 65_536.0;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    lo: f32,
    hi: f32,
}

impl Int {
    /// The longest that an encoded block gets.
    pub(crate) fn max_len(self, channels: usize, values: usize) -> usize {
        1 + channels * 8 + packed_len(self.bits, values)
    }

    /// Appends a block of `channels` rows of equal length.
    pub(crate) fn encode(
        self,
        values: &[f32],
        channels: usize,
        squeeze: &mut Squeeze,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !kernel::finite(values) {
            return Err(EncodeError::NotFinite);
        }
        let row = values.len() / channels.max(1);
        let mut exact = Vec::with_capacity(channels);
        for values in values.chunks_exact(row.max(1)) {
            exact.push(Bounds::of(values)?);
        }
        let wide = exact.iter().any(|bounds| !bounds.narrow().is_close_to(*bounds));
        out.push(u8::from(wide));
        for bounds in &mut exact {
            if wide {
                *bounds = bounds.widened();
                out.extend_from_slice(&bounds.lo.to_le_bytes());
                out.extend_from_slice(&bounds.hi.to_le_bytes());
            } else {
                *bounds = bounds.narrow();
                out.extend_from_slice(&bf16::from_f32(bounds.lo).to_le_bytes());
                out.extend_from_slice(&bf16::from_f32(bounds.hi).to_le_bytes());
            }
        }
        if self.bits == Bits::B8 && !self.zstd {
            let start = out.len();
            out.resize(start + values.len(), 0);
            self.quantise(values, &exact, row, &mut out[start..]);
            return Ok(());
        }
        let mut codes = vec![0; values.len()];
        self.quantise(values, &exact, row, &mut codes);
        let most = packed_len(self.bits, codes.len());
        if !(self.zstd && squeeze.compress(&codes, most, out)?) {
            pack(self.bits, &codes, out);
        }
        Ok(())
    }

    fn quantise(self, values: &[f32], bounds: &[Bounds], row: usize, codes: &mut [u8]) {
        let levels = f32::from(self.bits.levels());
        let rows = values.chunks_exact(row.max(1)).zip(codes.chunks_exact_mut(row.max(1)));
        for ((values, codes), bounds) in rows.zip(bounds) {
            let spread = bounds.hi - bounds.lo;
            let scale = if spread > 0.0 { levels / spread } else { 0.0 };
            quantise(values, bounds.lo, scale, codes);
        }
    }

    /// Fills `values`, `channels` rows of equal length, from a whole block.
    pub(crate) fn decode(
        self,
        block: &[u8],
        channels: usize,
        squeeze: &mut Squeeze,
        values: &mut [f32],
    ) -> Result<(), DecodeError> {
        let row = values.len() / channels.max(1);
        let (wide, rest) = block.split_first().ok_or(DecodeError::Truncated)?;
        let size = match wide {
            0 => 4,
            1 => 8,
            _ => return Err(DecodeError::Malformed("bounds are neither narrow nor wide")),
        };
        let (bounds, codes) = rest.split_at_checked(channels * size).ok_or(DecodeError::Truncated)?;
        let packed = packed_len(self.bits, values.len());
        let mut scratch = Vec::new();
        let codes = if codes.len() == packed && self.bits == Bits::B8 {
            codes
        } else {
            scratch.resize(values.len(), 0);
            if codes.len() == packed {
                unpack(self.bits, codes, &mut scratch);
            } else if self.zstd && codes.len() < packed {
                squeeze.decompress(codes, &mut scratch)?;
                if scratch.iter().any(|code| *code > self.bits.levels()) {
                    return Err(DecodeError::Malformed("a code is wider than its bits"));
                }
            } else if codes.len() < packed {
                return Err(DecodeError::Truncated);
            } else {
                return Err(DecodeError::Trailing { bytes: codes.len() - packed });
            }
            &scratch
        };
        let rows = values.chunks_exact_mut(row.max(1)).zip(codes.chunks_exact(row.max(1)));
        for ((values, codes), bounds) in rows.zip(bounds.chunks_exact(size)) {
            let Bounds { lo, hi } = Bounds::read(bounds)?;
            dequantise(codes, lo, (hi - lo) / f32::from(self.bits.levels()), values);
        }
        Ok(())
    }
}

impl Bounds {
    /// The smallest and largest of at least one finite value.
    fn of(values: &[f32]) -> Result<Self, EncodeError> {
        let (lo, hi) = kernel::extremes(values);
        // Room for both ends to be rounded outwards.
        if hi.max(-lo) > f32::MAX / 4.0 {
            return Err(EncodeError::Spread);
        }
        Ok(Self { lo, hi })
    }

    /// The same with a step that is not denormal.
    fn widened(self) -> Self {
        let spread = self.hi - self.lo;
        if spread > 0.0 && spread < LEAST { Self { hi: self.lo + LEAST, ..self } } else { self }
    }

    /// Rounded outwards to bf16.
    fn narrow(self) -> Self {
        let Self { lo, hi } = self.widened();
        Self { lo: -rounded_up(-lo), hi: rounded_up(hi) }
    }

    fn is_close_to(self, exact: Self) -> bool {
        let exact = exact.widened();
        self.hi - self.lo <= 1.25 * (exact.hi - exact.lo)
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (lo, hi) = match *bytes {
            [a, b, c, d] => (bf16::from_le_bytes([a, b]).to_f32(), bf16::from_le_bytes([c, d]).to_f32()),
            [a, b, c, d, e, f, g, h] => (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h])),
            _ => return Err(DecodeError::Truncated),
        };
        if lo <= hi && (hi - lo).is_finite() {
            Ok(Self { lo, hi })
        } else {
            Err(DecodeError::Malformed("bounds are not a range"))
        }
    }
}

/// The smallest bf16 at or above a value well inside its range.
fn rounded_up(value: f32) -> f32 {
    let bits = value.to_bits();
    let floor = f32::from_bits(bits & 0xffff_0000);
    if floor >= value { floor } else { f32::from_bits((bits & 0xffff_0000) + 0x1_0000) }
}
