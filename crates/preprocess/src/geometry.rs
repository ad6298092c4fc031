//! Resize and centre crop, with torchvision's rounding.

use crate::{Filter, Limits, PictureError, Pixels, Resize, Size, Steps};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

pub(crate) fn fit(pixels: Pixels, steps: &Steps, limits: &Limits) -> Result<Pixels, PictureError> {
    let to = steps.resize.map_or(pixels.size, |resize| target(pixels.size, resize));
    let pixels = if to == pixels.size { pixels } else { resize(&pixels, to, steps, limits)? };
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

fn resize(pixels: &Pixels, to: Size, steps: &Steps, limits: &Limits) -> Result<Pixels, PictureError> {
    let from = pixels.size;
    if to.pixels() > limits.pixels {
        return Err(PictureError::ResizedTooLarge { from, to, limit: limits.pixels });
    }
    let refused =
        |reason: &dyn std::fmt::Display| PictureError::Resize { from, to, reason: reason.to_string() };
    let kind = if steps.channels.count() == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let filter = match steps.filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let source =
        ImageRef::new(from.width, from.height, &pixels.data, kind).map_err(|error| refused(&error))?;
    let mut out = Image::new(to.width, to.height, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    Resizer::new().resize(&source, &mut out, &options).map_err(|error| refused(&error))?;
    Ok(Pixels { size: to, data: out.into_vec() })
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
