//! What if the pixels are the cheapest thing to send?
//!
//! A tensor that was made from 8-bit pixels holds no more than they do, so it can travel as
//! those: a quarter of its bytes exactly, or far fewer as a picture. This is also how a photo of
//! twelve megapixels is shipped: brought to the model's size first, then encoded again.
//!
//! ```text
//! pixels          the levels, interleaved, picture after picture
//! webp, jpeg<q>   of each picture: u32 LE length | that many bytes
//! ```

use crate::{Channels, Layout, Limits, Pixels, Preprocess, PreprocessError, Size, decode};
use bytes::BytesMut;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use kerf_tensor::{DType, Tensor, TensorError};

/// How the pixels of a tensor travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recode {
    /// As 8-bit levels.
    Pixels,
    /// As lossless WebP.
    Webp,
    /// As JPEG of this quality, 1 to 100, chroma at half the resolution.
    Jpeg(u8),
}

/// Why a tensor's pixels cannot travel, or what came cannot be a tensor's pixels.
#[derive(Debug, thiserror::Error)]
pub enum RecodeError {
    /// Not the type and layout that the steps make.
    #[error("{dtype}{shape:?} is not a batch of pictures as the model's preprocessing makes them")]
    NotPictures {
        /// Element type.
        dtype: DType,
        /// Shape.
        shape: Vec<usize>,
    },
    /// A value that no pixel becomes.
    #[error("{value} in channel {channel} is no pixel after the model's preprocessing")]
    NotAPixel {
        /// The value.
        value: f32,
        /// The tensor's channel.
        channel: usize,
    },
    /// A side that the format cannot have.
    #[error("{size} pixels do not fit a {format} picture")]
    Side {
        /// The picture.
        size: Size,
        /// The format.
        format: &'static str,
    },
    /// The encoder's complaint.
    #[error("cannot encode as {format}: {reason}")]
    Encode {
        /// The format.
        format: &'static str,
        /// What it says.
        reason: String,
    },
    /// Fewer or more bytes than the shape asks for.
    #[error("{bytes} bytes are not the pictures of a tensor {shape:?}")]
    Length {
        /// What came.
        bytes: usize,
        /// What should come of it.
        shape: Vec<usize>,
    },
    /// A picture of another size.
    #[error("a picture of {actual} pixels, where {expected} belong")]
    Size {
        /// What came.
        actual: Size,
        /// What belongs there.
        expected: Size,
    },
    /// A picture that cannot be decoded.
    #[error(transparent)]
    Picture(#[from] PreprocessError),
    /// The tensor's own rules.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Recode {
    /// The numbers of [`number`](Self::number) are below this.
    pub const NUMBERS: u16 = 256;

    /// A number for the wire: 0 pixels, 1 to 100 a JPEG's quality, 128 WebP.
    pub fn number(self) -> u16 {
        match self {
            Self::Pixels => 0,
            Self::Jpeg(quality) => u16::from(quality.clamp(1, 100)),
            Self::Webp => 128,
        }
    }

    /// What a number stands for, if anything.
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Pixels),
            1..=100 => Some(Self::Jpeg(number as u8)),
            128 => Some(Self::Webp),
            _ => None,
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Webp => "WebP",
            Self::Jpeg(_) => "JPEG",
        }
    }
}

/// `pixels`, `webp`, `jpeg90`.
impl std::fmt::Display for Recode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pixels => f.write_str("pixels"),
            Self::Webp => f.write_str("webp"),
            Self::Jpeg(quality) => write!(f, "jpeg{quality}"),
        }
    }
}

impl Preprocess {
    /// The pixels of a tensor `[N, ...]` in the layout of the steps, encoded.
    ///
    /// A value between two levels goes to the nearer one.
    ///
    /// # Errors
    /// A tensor that these steps do not make, and what the format cannot hold.
    pub fn recode(&self, tensor: &Tensor, how: Recode) -> Result<Vec<u8>, RecodeError> {
        let Frame { count, size, .. } = self.frame(tensor.dtype(), tensor.shape())?;
        let data = self.levels_of(tensor, count, size)?;
        let picture_bytes = data.len().checked_div(count).unwrap_or(0);
        let mut out = Vec::new();
        match how {
            Recode::Pixels => return Ok(data),
            Recode::Webp | Recode::Jpeg(_) if size.pixels() == 0 => {
                return Err(RecodeError::Side { size, format: how.format() });
            }
            Recode::Webp | Recode::Jpeg(_) => {}
        }
        for picture in data.chunks_exact(picture_bytes) {
            let start = out.len();
            out.extend([0; 4]);
            self.encode(picture, size, how, &mut out)?;
            let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
            out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
        Ok(out)
    }

    /// The tensor of `dtype` and `shape` whose pixels `bytes` are.
    ///
    /// Allocates no more than the tensor, and what its pictures take to decode.
    ///
    /// # Errors
    /// Bytes that are not as many pictures of that size, and a shape that these steps do not make.
    pub fn restore(
        &self,
        bytes: &[u8],
        dtype: DType,
        shape: &[usize],
        how: Recode,
    ) -> Result<Tensor, RecodeError> {
        let Frame { count, size, channels } = self.frame(dtype, shape)?;
        let wrong = || RecodeError::Length { bytes: bytes.len(), shape: shape.to_vec() };
        let picture_bytes = size.pixels() as usize * channels;
        let mut data = BytesMut::new();
        if how == Recode::Pixels {
            if bytes.len() != count.checked_mul(picture_bytes).ok_or_else(wrong)? {
                return Err(wrong());
            }
            for picture in bytes.chunks_exact(picture_bytes.max(1)) {
                self.write(&Pixels { size, data: picture.to_vec() }, &mut data);
            }
        } else {
            let limits = Limits { pixels: size.pixels(), ..self.limits };
            let mut rest = bytes;
            for _ in 0..count {
                let (length, after) = rest.split_first_chunk().ok_or_else(wrong)?;
                let length = u32::from_le_bytes(*length) as usize;
                let (picture, after) = after.split_at_checked(length).ok_or_else(wrong)?;
                rest = after;
                let pixels =
                    decode::decode(picture, self.steps.channels, &limits).map_err(PreprocessError::from)?;
                if pixels.size != size {
                    return Err(RecodeError::Size { actual: pixels.size, expected: size });
                }
                self.write(&pixels, &mut data);
            }
            if !rest.is_empty() {
                return Err(wrong());
            }
        }
        Ok(Tensor::new(dtype, shape.to_vec(), data.freeze())?)
    }

    fn frame(&self, dtype: DType, shape: &[usize]) -> Result<Frame, RecodeError> {
        let channels = self.steps.channels.count();
        let frame = match (self.steps.layout, shape) {
            (Layout::Nchw, [count, found, height, width]) | (Layout::Nhwc, [count, height, width, found])
                if *found == channels && dtype == self.dtype() =>
            {
                let side = |side: &usize| u32::try_from(*side).ok();
                side(width).zip(side(height)).map(|(width, height)| (*count, Size { width, height }))
            }
            _ => None,
        };
        let (count, size) = frame.ok_or_else(|| RecodeError::NotPictures { dtype, shape: shape.to_vec() })?;
        let bytes = size.pixels().saturating_mul(channels as u64).saturating_mul(count as u64);
        if bytes > self.limits.tensor_bytes {
            let limit = self.limits.tensor_bytes;
            return Err(PreprocessError::BatchTooLarge { total: count, size, bytes, limit }.into());
        }
        Ok(Frame { count, size, channels })
    }

    /// Interleaved levels, in the order of channels that pictures have.
    fn levels_of(&self, tensor: &Tensor, count: usize, size: Size) -> Result<Vec<u8>, RecodeError> {
        let channels = self.steps.channels.count();
        let pixels = size.pixels() as usize;
        let mut data = vec![0; count * pixels * channels];
        // The element of a pixel's channel, in the tensor.
        let place = |picture: usize, pixel: usize, channel: usize| match self.steps.layout {
            Layout::Nchw => (picture * channels + channel) * pixels + pixel,
            Layout::Nhwc => (picture * pixels + pixel) * channels + channel,
        };
        let mut fill = |level: &dyn Fn(usize, usize) -> Result<u8, RecodeError>| {
            for picture in 0..count {
                for channel in 0..channels {
                    let to = if self.steps.channels == Channels::Bgr { 2 - channel } else { channel };
                    for pixel in 0..pixels {
                        data[(picture * pixels + pixel) * channels + to] =
                            level(place(picture, pixel, channel), channel)?;
                    }
                }
            }
            Ok::<_, RecodeError>(())
        };
        match self.levels.is_empty() {
            true => {
                let values = tensor.elements::<u8>()?;
                fill(&|index, _| Ok(values[index]))?;
            }
            false => {
                let values = tensor.elements::<f32>()?;
                fill(&|index, channel| self.level(values[index], channel))?;
            }
        }
        Ok(data)
    }

    /// The level that becomes `value`.
    fn level(&self, value: f32, channel: usize) -> Result<u8, RecodeError> {
        let (first, last) = (self.levels[channel][0], self.levels[channel][255]);
        let level = (value - first) * (255.0 / (last - first));
        // A level beyond either end is allowed: resampling overshoots.
        if (-1.0..=256.0).contains(&level) {
            Ok(level.round() as u8)
        } else {
            Err(RecodeError::NotAPixel { value, channel })
        }
    }

    fn encode(&self, picture: &[u8], size: Size, how: Recode, out: &mut Vec<u8>) -> Result<(), RecodeError> {
        let format = how.format();
        let grey = self.steps.channels == Channels::Grey;
        let refused = |reason: String| RecodeError::Encode { format, reason };
        match how {
            Recode::Pixels => out.extend(picture),
            Recode::Webp => {
                let colour = if grey { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
                WebPEncoder::new_lossless(out)
                    .write_image(picture, size.width, size.height, colour)
                    .map_err(|error| refused(error.to_string()))?;
            }
            Recode::Jpeg(quality) => {
                let side = |side: u32| u16::try_from(side).map_err(|_| RecodeError::Side { size, format });
                let mut encoder = Encoder::new(out, quality.clamp(1, 100));
                encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
                // Optimised tables would make it write a scan for each component: see `jpeg`.
                encoder.set_optimized_huffman_tables(false);
                let colour = if grey { ColorType::Luma } else { ColorType::Rgb };
                encoder
                    .encode(picture, side(size.width)?, side(size.height)?, colour)
                    .map_err(|error| refused(error.to_string()))?;
            }
        }
        Ok(())
    }
}

/// What a shape says of pictures.
struct Frame {
    count: usize,
    size: Size,
    channels: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PixelType, Steps};

    fn smooth(width: u32, height: u32, channels: usize) -> Vec<u8> {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        pixels.flat_map(|(x, y)| (0..channels as u32).map(move |c| (x * 3 + y * 2 + c * 40) as u8)).collect()
    }

    fn cases() -> Vec<Preprocess> {
        let base = Steps { resize: None, crop: None, ..Steps::imagenet() };
        let plain = Steps { scale: 1.0, mean: vec![0.0], std: vec![1.0], ..base.clone() };
        let steps = [
            base.clone(),
            Steps { layout: Layout::Nhwc, channels: Channels::Bgr, ..base.clone() },
            Steps { channels: Channels::Grey, mean: vec![0.5], std: vec![0.5], ..base },
            Steps { dtype: PixelType::U8, ..plain.clone() },
            Steps { dtype: PixelType::U8, layout: Layout::Nhwc, ..plain },
        ];
        steps.map(|steps| Preprocess::new(steps).unwrap()).to_vec()
    }

    fn batch(steps: &Preprocess) -> Tensor {
        let channels = steps.steps.channels.count();
        let size = Size { width: 40, height: 24 };
        let mut data = BytesMut::new();
        for shift in [0, 91] {
            let picture = smooth(40, 24, channels).iter().map(|level| level / 2 + shift).collect();
            steps.write(&Pixels { size, data: picture }, &mut data);
        }
        let shape = match steps.steps.layout {
            Layout::Nchw => vec![2, channels, 24, 40],
            Layout::Nhwc => vec![2, 24, 40, channels],
        };
        Tensor::new(steps.dtype(), shape, data.freeze()).unwrap()
    }

    #[test]
    fn lossless_ways_give_the_very_tensor_back() {
        for steps in cases() {
            let tensor = batch(&steps);
            for how in [Recode::Pixels, Recode::Webp] {
                let bytes = steps.recode(&tensor, how).unwrap();
                let again = steps.restore(&bytes, tensor.dtype(), tensor.shape(), how).unwrap();
                assert_eq!(again, tensor, "{how} of {:?}", steps.steps());
            }
        }
    }

    #[test]
    fn jpeg_is_close_and_smaller_the_lower_its_quality() {
        for steps in cases() {
            let tensor = batch(&steps);
            let mut before = usize::MAX;
            for quality in [100, 90, 50, 10] {
                let how = Recode::Jpeg(quality);
                let bytes = steps.recode(&tensor, how).unwrap();
                assert!(bytes.len() < before);
                before = bytes.len();
                let again = steps.restore(&bytes, tensor.dtype(), tensor.shape(), how).unwrap();
                let (a, b) = (steps.recode(&tensor, Recode::Pixels), steps.recode(&again, Recode::Pixels));
                let off =
                    a.unwrap().iter().zip(b.unwrap()).map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>();
                let mean = f64::from(off) / tensor.len() as f64;
                assert!(quality < 90 || mean < 6.0, "{how} is off by {mean} levels in {:?}", steps.steps());
            }
        }
    }

    #[test]
    fn numbers_and_ways_are_one_to_one() {
        let known: Vec<_> = (0..=u16::MAX).filter_map(|n| Some((n, Recode::from_number(n)?))).collect();
        assert_eq!(known.len(), 102);
        for (number, how) in known {
            assert_eq!(how.number(), number);
            assert!(number < Recode::NUMBERS);
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let steps = &cases()[0];
        let value = |value: f32| Tensor::from_vec(&[1, 3, 1, 2], vec![value; 6]).unwrap();
        for bad in [f32::NAN, f32::INFINITY, -2.5, 3.0] {
            let error = steps.recode(&value(bad), Recode::Pixels).unwrap_err();
            assert!(matches!(error, RecodeError::NotAPixel { .. }), "{bad}: {error}");
        }
        for shape in [&[1, 4, 1, 1][..], &[3, 2, 2], &[]] {
            let tensor = Tensor::from_vec(shape, vec![0f32; shape.iter().product()]).unwrap();
            let error = steps.recode(&tensor, Recode::Jpeg(90)).unwrap_err();
            assert!(matches!(error, RecodeError::NotPictures { .. }), "{shape:?}: {error}");
        }
        let empty = Tensor::from_vec(&[1, 3, 0, 5], Vec::<f32>::new()).unwrap();
        assert!(matches!(steps.recode(&empty, Recode::Webp), Err(RecodeError::Side { .. })));
        assert!(steps.recode(&empty, Recode::Pixels).unwrap().is_empty());
    }

    #[test]
    fn bytes_that_lie_are_refused() {
        let steps = &cases()[0];
        let tensor = batch(steps);
        for how in [Recode::Pixels, Recode::Webp, Recode::Jpeg(80)] {
            let bytes = steps.recode(&tensor, how).unwrap();
            let restore = |bytes: &[u8], shape: &[usize]| steps.restore(bytes, DType::F32, shape, how);
            for cut in (0..bytes.len()).step_by(7) {
                assert!(restore(&bytes[..cut], tensor.shape()).is_err(), "{how} cut at {cut}");
            }
            assert!(restore(&[&bytes[..], &[0]].concat(), tensor.shape()).is_err());
            // A picture of another size than the header says, and a header that asks for the world.
            assert!(restore(&bytes, &[2, 3, 24, 41]).is_err());
            assert!(restore(&bytes, &[1 << 40, 3, 24, 40]).is_err());
            assert!(restore(&bytes, &[2, 3, 1 << 31, 1 << 31]).is_err());
        }
    }
}
