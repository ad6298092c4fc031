//! Resize and centre crop, with torchvision's rounding.

use crate::{Filter, Limits, PictureError, Pixels, Resize, Size, Steps};
use fast_image_resize as fir;

pub(crate) fn fit(pixels: Pixels, steps: &Steps, limits: &Limits) -> Result<Pixels, PictureError> {
    let to = steps.resize.map_or(pixels.size, |resize| target(pixels.size, resize));
    let pixels = if to == pixels.size { pixels } else { resize(pixels, to, steps, limits)? };
    Ok(match steps.crop {
        Some(size) if size != pixels.size => crop(&pixels, size, steps.channels.count()),
        Some(_) | None => pixels,
    })
}

fn target(size: Size, resize: Resize) -> Size {
    let longer = |side: u32, long: u32, short: u32| {
        let length = u64::from(side) * u64::from(long) / u64::from(short.max(1));
        u32::try_from(length).unwrap_or(u32::MAX)
    };
    match resize {
        Resize::Exact(size) => size,
        Resize::ShorterSide(side) if size.width <= size.height => {
            Size { width: side, height: longer(side, size.height, size.width) }
        }
        Resize::ShorterSide(side) => Size { width: longer(side, size.width, size.height), height: side },
    }
}

/// One axis after the other with rounding to 8 bits between, as Pillow does. The filter works on
/// 16-bit samples: on 8-bit ones its coefficients are so coarse that one pixel in five would be
/// off by a level.
fn resize(pixels: Pixels, to: Size, steps: &Steps, limits: &Limits) -> Result<Pixels, PictureError> {
    let from = pixels.size;
    let turned = Size { width: to.width, height: from.height };
    if to.pixels().max(turned.pixels()) > limits.pixels {
        return Err(PictureError::ResizedTooLarge { from, to, limit: limits.pixels });
    }
    let channels = steps.channels.count();
    let mut filter = Filtering::new(steps.filter, channels);
    let refused = |error: fir::ResizeError| PictureError::Resize { from, to, reason: error.to_string() };
    let mut data = pixels.data;
    if to.width != from.width {
        let mut out = Vec::with_capacity(turned.pixels() as usize * channels);
        // In bands, so that the 16-bit copy of a large picture never exists as a whole.
        for band in data.chunks(from.width as usize * channels * BAND_ROWS) {
            let height = (band.len() / (from.width as usize * channels)) as u32;
            let band_of = |width| Size { width, height };
            out.extend(filter.apply(band, band_of(from.width), band_of(to.width)).map_err(refused)?);
        }
        data = out;
    }
    if to.height != from.height {
        data = filter.apply(&data, turned, to).map_err(refused)?;
    }
    Ok(Pixels { size: to, data })
}

const BAND_ROWS: usize = 64;

struct Filtering {
    resizer: fir::Resizer,
    options: fir::ResizeOptions,
    kind: fir::PixelType,
}

impl Filtering {
    fn new(filter: Filter, channels: usize) -> Self {
        let kernel = match filter {
            Filter::Bilinear => fir::FilterType::Bilinear,
            Filter::Bicubic => fir::FilterType::CatmullRom,
        };
        let algorithm = fir::ResizeAlg::Convolution(kernel);
        Self {
            resizer: fir::Resizer::new(),
            options: fir::ResizeOptions::new().resize_alg(algorithm).use_alpha(false),
            kind: if channels == 1 { fir::PixelType::U16 } else { fir::PixelType::U16x3 },
        }
    }

    fn apply(&mut self, data: &[u8], from: Size, to: Size) -> Result<Vec<u8>, fir::ResizeError> {
        let mut wide = fir::images::Image::new(from.width, from.height, self.kind);
        for (sample, level) in wide.buffer_mut().as_chunks_mut::<2>().0.iter_mut().zip(data) {
            *sample = (u16::from(*level) << 8).to_ne_bytes();
        }
        let mut out = fir::images::Image::new(to.width, to.height, self.kind);
        self.resizer.resize(&wide, &mut out, &self.options)?;
        let narrow = |sample: &[u8; 2]| (u16::from_ne_bytes(*sample).saturating_add(128) >> 8) as u8;
        Ok(out.buffer().as_chunks::<2>().0.iter().map(narrow).collect())
    }
}

fn crop(pixels: &Pixels, to: Size, channels: usize) -> Pixels {
    let (columns, rows) = (span(pixels.size.width, to.width), span(pixels.size.height, to.height));
    let stride = pixels.size.width as usize * channels;
    let row_bytes = to.width as usize * channels;
    let mut data = vec![0; row_bytes * to.height as usize];
    for row in 0..rows.length {
        let from = (rows.from + row) * stride + columns.from * channels;
        let at = (rows.to + row) * row_bytes + columns.to * channels;
        let bytes = columns.length * channels;
        data[at..at + bytes].copy_from_slice(&pixels.data[from..from + bytes]);
    }
    Pixels { size: to, data }
}

struct Span {
    from: usize,
    to: usize,
    length: usize,
}

/// Where the kept pixels of one axis start, in the picture and in the result.
fn span(have: u32, want: u32) -> Span {
    if have >= want {
        // Python's `round`, half to even.
        let from = (f64::from(have - want) / 2.0).round_ties_even() as usize;
        Span { from, to: 0, length: want as usize }
    } else {
        Span { from: 0, to: (want - have) as usize / 2, length: have as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_side_rounds_down() {
        for (from, side, to) in [
            ((500, 375), 256, (341, 256)),
            ((375, 500), 256, (256, 341)),
            ((256, 256), 256, (256, 256)),
            ((1, 100), 4, (4, 400)),
            ((1000, 3), 256, (85_333, 256)),
        ] {
            let size = |(width, height)| Size { width, height };
            assert_eq!(target(size(from), Resize::ShorterSide(side)), size(to), "{from:?} to {side}");
        }
    }

    #[test]
    fn crop_offsets_round_half_to_even_and_small_pictures_are_padded() {
        for (have, want, from, to, length) in [
            (256, 224, 16, 0, 224),
            (341, 224, 58, 0, 224), // 58.5
            (227, 224, 2, 0, 224),  // 1.5
            (225, 224, 0, 0, 224),  // 0.5
            (3, 8, 0, 2, 3),
            (8, 8, 0, 0, 8),
        ] {
            let found = span(have, want);
            assert_eq!((found.from, found.to, found.length), (from, to, length), "{have} to {want}");
        }
    }

    #[test]
    fn padding_is_black() {
        let size = |side| Size { width: side, height: side };
        let one = Pixels { size: size(1), data: vec![7] };
        assert_eq!(crop(&one, size(3), 1).data, [0, 0, 0, 0, 7, 0, 0, 0, 0]);
    }
}
