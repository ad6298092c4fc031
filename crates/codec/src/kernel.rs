//! Loops over long rows of numbers, written so that they vectorise.

use crate::Quantiser;

const LANES: usize = 16;

/// The smallest and largest of finite values, of which there is one at least.
pub(crate) fn extremes(values: &[f32]) -> (f32, f32) {
    // Rows are often short (49 positions of 7x7), so few lanes, and no slow rest: the last lanes
    // may overlap those before.
    const LANES: usize = 8;
    let widen = |(lo, hi): (f32, f32), value: f32| {
        (if value < lo { value } else { lo }, if value > hi { value } else { hi })
    };
    let (Some(first), Some(last)) = (values.first_chunk::<LANES>(), values.last_chunk::<LANES>()) else {
        return values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |range, value| widen(range, *value));
    };
    let (mut lo, mut hi) = (*first, *first);
    for chunk in values.as_chunks::<LANES>().0.iter().chain([last]) {
        for lane in 0..LANES {
            (lo[lane], hi[lane]) = widen((lo[lane], hi[lane]), chunk[lane]);
        }
    }
    let range = lo.iter().fold((lo[0], hi[0]), |range, value| widen(range, *value));
    hi.iter().fold(range, |range, value| widen(range, *value))
}

/// Whether all values are finite.
pub(crate) fn finite(values: &[f32]) -> bool {
    // 0 · x is 0 for finite x only, and NaN never leaves a sum.
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
