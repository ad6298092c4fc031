//! Encoded bytes to 8-bit pixels, as Pillow's `convert("RGB")` and `convert("L")`.

use crate::jpeg::{self, Found};
use crate::{Channels, Limits, PictureError, Pixels, Size};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use std::io::Cursor;

pub(crate) fn decode(encoded: &[u8], channels: Channels, limits: &Limits) -> Result<Pixels, PictureError> {
    let (kind, format) = recognise(encoded)?;
    if encoded.len() > limits.encoded_bytes {
        return Err(PictureError::TooLong { format, bytes: encoded.len(), limit: limits.encoded_bytes });
    }
    if kind == ImageFormat::Jpeg {
        match jpeg::survey(encoded) {
            Found::Whole => {}
            Found::Truncated => return Err(PictureError::Truncated { format }),
            Found::Apart => {
                return Err(PictureError::Unsupported {
                    what: "a JPEG with a scan for each colour channel",
                    advice: "save it with all channels in one scan, as most programs do",
                });
            }
        }
    }
    let mut reader = ImageReader::with_format(Cursor::new(encoded), kind);
    let mut allowed = image::Limits::no_limits();
    // Up to 8 bytes of a pixel (16-bit RGBA), and as much again for the decoder's own rows and tables.
    allowed.max_alloc = Some(limits.pixels.saturating_mul(16).saturating_add(16 << 20));
    reader.limits(allowed);
    let broken = |error| refused(format, error);
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let size = Size { width, height };
    if size.pixels() > limits.pixels {
        return Err(PictureError::TooManyPixels { format, size, limit: limits.pixels });
    }
    if size.pixels() == 0 {
        return Err(PictureError::Broken { format, reason: format!("{size} pixels") });
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    let data = match channels {
        Channels::Grey => grey(picture)?,
        Channels::Rgb | Channels::Bgr => rgb(picture)?,
    };
    Ok(Pixels { size, data })
}

fn recognise(encoded: &[u8]) -> Result<(ImageFormat, &'static str), PictureError> {
    if encoded.is_empty() {
        return Err(PictureError::Empty);
    }
    let kind = match image::guess_format(encoded) {
        Ok(ImageFormat::Jpeg) => return Ok((ImageFormat::Jpeg, "JPEG")),
        Ok(ImageFormat::Png) => return Ok((ImageFormat::Png, "PNG")),
        Ok(ImageFormat::WebP) => return Ok((ImageFormat::WebP, "WebP")),
        Ok(ImageFormat::Gif) => Some("GIF"),
        Ok(ImageFormat::Bmp) => Some("BMP"),
        Ok(ImageFormat::Tiff) => Some("TIFF"),
        Ok(ImageFormat::Avif) => Some("AVIF"),
        Ok(_) => Some("another image format"),
        Err(_) => None,
    };
    Err(PictureError::Format { kind })
}

fn refused(format: &'static str, error: ImageError) -> PictureError {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated { format }
        }
        error => PictureError::Broken { format, reason: error.to_string() },
    }
}

/// Drops alpha without blending and takes the high byte of 16 bits: what `convert("RGB")` does.
fn rgb(picture: DynamicImage) -> Result<Vec<u8>, PictureError> {
    Ok(match picture {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        DynamicImage::ImageRgba8(pixels) => map(&pixels, |p: &[u8; 4]| [p[0], p[1], p[2]]),
        DynamicImage::ImageLuma8(pixels) => map(&pixels, |p: &[u8; 1]| [p[0]; 3]),
        DynamicImage::ImageLumaA8(pixels) => map(&pixels, |p: &[u8; 2]| [p[0]; 3]),
        DynamicImage::ImageRgb16(pixels) => map(&pixels, |p: &[u16; 3]| [high(p[0]), high(p[1]), high(p[2])]),
        DynamicImage::ImageRgba16(pixels) => {
            map(&pixels, |p: &[u16; 4]| [high(p[0]), high(p[1]), high(p[2])])
        }
        DynamicImage::ImageLumaA16(pixels) => map(&pixels, |p: &[u16; 2]| [high(p[0]); 3]),
        // Pillow clips these levels at 255, which leaves a white picture: nobody means that.
        DynamicImage::ImageLuma16(_) => {
            return Err(PictureError::Unsupported {
                what: "16-bit greyscale",
                advice: "its range is unknown; convert it to 8 bits",
            });
        }
        _ => {
            return Err(PictureError::Unsupported {
                what: "floating-point pixels",
                advice: "their range is unknown; convert them to 8 bits",
            });
        }
    })
}

fn grey(picture: DynamicImage) -> Result<Vec<u8>, PictureError> {
    match picture {
        DynamicImage::ImageLuma8(pixels) => Ok(pixels.into_raw()),
        other => {
            // ITU-R 601-2 luma in Pillow's fixed point.
            let luma = |p: &[u8; 3]| {
                let weighted = u32::from(p[0]) * 19_595 + u32::from(p[1]) * 38_470 + u32::from(p[2]) * 7_471;
                [((weighted + 0x8000) >> 16) as u8]
            };
            Ok(map(&rgb(other)?, luma))
        }
    }
}

fn map<T, const FROM: usize, const TO: usize>(
    samples: &[T],
    pixel: impl Fn(&[T; FROM]) -> [u8; TO],
) -> Vec<u8> {
    samples.as_chunks::<FROM>().0.iter().flat_map(pixel).collect()
}

fn high(level: u16) -> u8 {
    (level >> 8) as u8
}
