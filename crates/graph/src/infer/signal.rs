//! Fourier transforms, windows, and text.

use super::info::{Info, Shape};
use super::size::Size;
use super::{Call, Rule, axis, one};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "DFT" => dft,
        "STFT" => stft,
        "BlackmanWindow" | "HammingWindow" | "HannWindow" => window,
        "MelWeightMatrix" => mel,
        "StringNormalizer" => string_normalizer,
        "StringSplit" => string_split,
        "TfIdfVectorizer" => tf_idf,
        "ImageDecoder" => image_decoder,
        _ => return None,
    })
}

fn dft(call: &mut Call<'_>) -> Vec<Info> {
    let shape = dft_shape(call);
    one(call.dtype(0), shape)
}

/// `[..., n, ..., 1 or 2]`; the axis is an attribute until opset 20, then an input.
fn dft_shape(call: &mut Call<'_>) -> Option<Shape> {
    let mut shape = call.shape(0)?.to_vec();
    let given = match call.has(2) {
        true => *call.input(2)?.ints()?.first()?,
        false => call.int("axis", if call.opset < 20 { 1 } else { -2 }),
    };
    let axis = axis(given, shape.len()).filter(|axis| axis + 1 < shape.len())?;
    let (inverse, onesided) = (call.flag("inverse"), call.flag("onesided"));
    let length = match call.has(1) {
        true => call.value(1).and_then(|value| value.first()?.size().cloned()),
        // The input holds half of the spectrum that the inverse is of.
        false if inverse && onesided => shape[axis].offset(-1).and_then(|half| half.scale(2)),
        false => Some(shape[axis].clone()),
    };
    let length = match onesided && !inverse {
        true => half_spectrum(call, length),
        false => length,
    };
    shape[axis] = call.run.or_fresh(length);
    *shape.last_mut()? = Size::Known(if inverse && onesided { 1 } else { 2 });
    Some(shape)
}

fn half_spectrum(call: &mut Call<'_>, length: Option<Size>) -> Option<Size> {
    call.run.symbols.floor_div(&length?, &Size::Known(2))?.offset(1)
}

fn stft(call: &mut Call<'_>) -> Vec<Info> {
    let shape = stft_shape(call);
    one(call.dtype(0), shape)
}

/// `[batch, frames, bins, 2]`
fn stft_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [batch, samples, ..] = call.shape(0)? else { return None };
    let step = call.value(1)?.first()?.size().filter(|step| step.known().is_none_or(|step| step > 0))?;
    let stated = call.value(3).and_then(|value| value.first()?.size().cloned());
    let length = match call.has(3) {
        true => stated,
        false => call.shape(2).and_then(|window| window.first().cloned()),
    };
    let frames = match &length {
        Some(length) => {
            let room = samples.sub(length)?;
            call.run.symbols.floor_div(&room, step)?.offset(1)
        }
        None => None,
    };
    let bins = if call.int("onesided", 1) != 0 { half_spectrum(call, length) } else { length };
    Some(vec![batch.clone(), call.run.or_fresh(frames), call.run.or_fresh(bins), Size::Known(2)])
}

fn output_datatype(call: &Call<'_>) -> Option<DType> {
    match call.node.attribute("output_datatype") {
        Some(_) => call.dtype_attribute("output_datatype"),
        None => Some(DType::F32),
    }
}

fn window(call: &mut Call<'_>) -> Vec<Info> {
    let size = call.value(0).and_then(|value| value.first()?.size().cloned());
    let size = call.run.or_fresh(size);
    one(output_datatype(call), Some(vec![size]))
}

fn mel(call: &mut Call<'_>) -> Vec<Info> {
    let scalar = |index: usize| call.value(index).and_then(|value| value.first()?.size().cloned());
    let (bands, length) = (scalar(0), scalar(1));
    let bins = half_spectrum(call, length);
    let shape = vec![call.run.or_fresh(bins), call.run.or_fresh(bands)];
    one(output_datatype(call), Some(shape))
}

/// Stop words go, so that the last axis may shrink.
fn string_normalizer(call: &mut Call<'_>) -> Vec<Info> {
    let rank = call.input(0).and_then(|input| input.rank());
    let shape = rank.and_then(|rank| call.run.fresh_shape(rank));
    one(Some(DType::String), shape)
}

fn string_split(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).map(<[_]>::to_vec);
    let parts = call.run.symbols.fresh();
    let split = shape.clone().map(|shape| [shape, vec![parts]].concat());
    vec![Info::new(Some(DType::String), split), Info::new(Some(DType::I64), shape)]
}

fn tf_idf(call: &mut Call<'_>) -> Vec<Info> {
    let columns = call.node.ints("ngram_indexes").and_then(|indexes| indexes.iter().max()?.checked_add(1));
    let shape = call.shape(0).zip(columns).and_then(|(shape, columns)| {
        let (_, batch) = shape.split_last()?;
        Some([batch, &[Size::Known(columns)]].concat())
    });
    one(Some(DType::F32), shape)
}

fn image_decoder(call: &mut Call<'_>) -> Vec<Info> {
    let channels = if call.node.string("pixel_format") == Some("Grayscale") { 1 } else { 3 };
    let shape = vec![call.run.symbols.fresh(), call.run.symbols.fresh(), Size::Known(channels)];
    one(Some(DType::U8), Some(shape))
}
