//! Loops over long rows of numbers, written so that they vectorise.

use crate::Quantiser;

const LANES: usize = 16;

/// The smallest and largest value, and whether all are finite.
pub(crate) fn extremes(values: &[f32]) -> (f32, f32, bool) {
    let mut lo = [f32::INFINITY; LANES];
    let mut hi = [f32::NEG_INFINITY; LANES];
    // 0 · x is 0 for finite x only, and NaN never leaves a sum.
    let mut nan = [0.0; LANES];
    let mut each = |chunk: &[f32]| {
        for (lane, value) in chunk.iter().enumerate() {
            lo[lane] = if *value < lo[lane] { *value } else { lo[lane] };
            hi[lane] = if *value > hi[lane] { *value } else { hi[lane] };
            nan[lane] += 0.0 * value;
        }
    };
    let (chunks, rest) = values.as_chunks::<LANES>();
    chunks.iter().for_each(|chunk| each(chunk));
    each(rest);
    let fold = |lanes: [f32; LANES], pick: fn(f32, f32) -> f32| lanes.into_iter().fold(lanes[0], pick);
    (fold(lo, f32::min), fold(hi, f32::max), nan.iter().sum::<f32>() == 0.0)
}

/// Whether all values are finite.
pub(crate) fn finite(values: &[f32]) -> bool {
    let mut nan = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (nan, value) in nan.iter_mut().zip(chunk) {
            *nan += 0.0 * value;
        }
    }
    nan.iter().sum::<f32>() == 0.0 && rest.iter().all(|value| value.is_finite())
}

/// 1.5·2²³: what is added to it is rounded to an integer in its lowest bits.
const MAGIC: f32 = 12_582_912.0;

/// Codes of values from `lo` to `lo + 255/scale`.
pub(crate) fn quantise(values: &[f32], lo: f32, scale: f32, codes: &mut [u8]) {
    for (code, value) in codes.iter_mut().zip(values) {
        *code = ((value - lo) * scale + MAGIC).to_bits() as u8;
    }
}

/// Values of codes.
pub(crate) fn dequantise(codes: &[u8], lo: f32, step: f32, values: &mut [f32]) {
    for (value, code) in values.iter_mut().zip(codes) {
        *value = lo + f32::from(*code) * step;
    }
}

/// Symbols of a component's finite values.
pub(crate) fn symbols(values: &[f32], quantiser: &Quantiser, symbols: &mut [i16]) {
    let Quantiser { step, offset, min, max, rounding, .. } = *quantiser;
    let (scale, dead) = (1.0 / step, 0.5 - rounding);
    for (symbol, value) in symbols.iter_mut().zip(values) {
        let t = (value - offset) * scale;
        let magnitude = (t.abs() - dead).clamp(0.0, 32_767.0).copysign(t);
        *symbol = ((magnitude + MAGIC).to_bits() as i16).clamp(min, max);
    }
}

/// Values of a component's symbols.
pub(crate) fn values(symbols: &[i16], quantiser: &Quantiser, values: &mut [f32]) {
    let Quantiser { step, offset, shrink, .. } = *quantiser;
    for (value, symbol) in values.iter_mut().zip(symbols) {
        let towards = f32::from(symbol.signum()) * shrink;
        *value = offset + step * (f32::from(*symbol) - towards);
    }
}
