//! Encoded images to tensors, by the steps that a model was trained with.
//!
//! A client that holds a JPEG should not need to know how the model wants its
//! pixels. The steps are those of torchvision on Pillow, because that is how
//! most published classifiers were trained and measured: decode, convert to
//! RGB, antialiased resize, centre crop, scale, mean and standard deviation.
//! A picture that Pillow's `convert("RGB")` would give a sensible meaning is
//! accepted; every other one is refused with the reason.
//!
//! Resizing and cropping give Pillow's very pixels, but for a rare one that is
//! a level of 255 off. The JPEG decoder is another one: its inverse DCT and chroma
//! upsampling round differently from libjpeg-turbo's, by a few levels at
//! colour edges; `tests/pillow.rs` measures both. As with Pillow's defaults,
//! an EXIF orientation is not applied and a colour profile is ignored.

mod decode;
mod error;
mod geometry;
mod jpeg;
mod recode;
mod steps;

pub use error::{PictureError, PreprocessError, StepsError};
pub use recode::{Recode, RecodeError};
pub use steps::{Channels, Filter, Layout, PixelType, Resize, Size, Steps};

use bytes::{BufMut, BytesMut};
use kerf_tensor::{DType, Dim, Tensor, TensorSpec};
use serde::{Deserialize, Serialize};

/// Valid steps, ready to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Steps", into = "Steps")]
pub struct Preprocess {
    steps: Steps,
    limits: Limits,
    /// What each of the 256 levels becomes, by output channel; empty for `u8`.
    levels: Vec<[f32; 256]>,
}

/// What one call may cost, checked before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one encoded picture.
    pub encoded_bytes: usize,
    /// Pixels that one picture declares, and pixels after resizing.
    pub pixels: u64,
    /// Bytes of the tensor for a whole batch.
    pub tensor_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { encoded_bytes: 32 << 20, pixels: 40_000_000, tensor_bytes: 512 << 20 }
    }
}

impl Preprocess {
    /// Checks the steps against each other.
    pub fn new(steps: Steps) -> Result<Self, StepsError> {
        let levels = steps.levels()?;
        Ok(Self { steps, limits: Limits::default(), levels })
    }

    /// What torchvision's ImageNet classifiers were measured with: shorter side 256, centre crop 224.
    pub fn imagenet() -> Self {
        let steps = Steps::imagenet();
        let levels = steps.levels().unwrap_or_default();
        Self { steps, limits: Limits::default(), levels }
    }

    /// The same steps under other limits.
    pub fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The steps as the model's card writes them.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// What a batch becomes; height and width are symbols where the picture decides them.
    pub fn spec(&self, name: &str) -> TensorSpec {
        let side = |size: Option<usize>, symbol: &str| size.map_or(Dim::Symbol(symbol.into()), Dim::Fixed);
        let size = self.steps.output_size();
        let (height, width) =
            (side(size.map(|s| s.height as usize), "height"), side(size.map(|s| s.width as usize), "width"));
        let channels = Dim::Fixed(self.steps.channels.count());
        let batch = Dim::Symbol("N".into());
        let shape = match self.steps.layout {
            Layout::Nchw => vec![batch, channels, height, width],
            Layout::Nhwc => vec![batch, height, width, channels],
        };
        TensorSpec { name: name.into(), dtype: self.dtype(), shape: Some(shape) }
    }

    /// One encoded picture to a tensor with a leading dimension of 1.
    pub fn apply(&self, encoded: &[u8]) -> Result<Tensor, PreprocessError> {
        let mut batch = Batch::default();
        self.append(&mut batch, encoded, 1)?;
        batch.finish(self, 1)
    }

    /// A string tensor of shape `[N]`, one encoded picture per element, to a tensor with a leading `N`.
    ///
    /// `[N, 1]` is taken as `[N]`: some clients send it so.
    pub fn batch(&self, encoded: &Tensor) -> Result<Tensor, PreprocessError> {
        let (DType::String, [total] | [total, 1]) = (encoded.dtype(), encoded.shape()) else {
            return Err(PreprocessError::NotPictures {
                dtype: encoded.dtype(),
                shape: encoded.shape().to_vec(),
            });
        };
        let pictures = encoded.strings()?;
        if pictures.is_empty() {
            return Err(PreprocessError::Empty);
        }
        let mut batch = Batch::default();
        for (index, picture) in pictures.iter().enumerate() {
            self.append(&mut batch, picture, *total).map_err(|error| error.at(index, *total))?;
        }
        batch.finish(self, *total)
    }

    fn append(&self, batch: &mut Batch, encoded: &[u8], total: usize) -> Result<(), PreprocessError> {
        let pixels = decode::decode(encoded, self.steps.channels, &self.limits)?;
        let pixels = geometry::fit(pixels, &self.steps, &self.limits)?;
        match batch.size {
            None => {
                let bytes = self.picture_bytes(pixels.size).saturating_mul(total as u64);
                if bytes > self.limits.tensor_bytes {
                    let (limit, size) = (self.limits.tensor_bytes, pixels.size);
                    return Err(PreprocessError::BatchTooLarge { total, size, bytes, limit });
                }
                batch.size = Some(pixels.size);
            }
            Some(first) if first != pixels.size => {
                return Err(PreprocessError::Uneven { index: 0, total, size: pixels.size, first });
            }
            Some(_) => {}
        }
        batch.data.reserve(self.picture_bytes(pixels.size) as usize);
        self.write(&pixels, &mut batch.data);
        Ok(())
    }

    fn picture_bytes(&self, size: Size) -> u64 {
        let element = self.dtype().size().unwrap_or(1) as u64;
        size.pixels() * self.steps.channels.count() as u64 * element
    }

    fn dtype(&self) -> DType {
        match self.steps.dtype {
            PixelType::F32 => DType::F32,
            PixelType::U8 => DType::U8,
        }
    }

    fn write(&self, pixels: &Pixels, out: &mut BytesMut) {
        let channels = self.steps.channels.count();
        // Output channel -> channel of the decoded pixels.
        let source: &[usize] = match self.steps.channels {
            Channels::Rgb => &[0, 1, 2],
            Channels::Bgr => &[2, 1, 0],
            Channels::Grey => &[0],
        };
        let mut put = |level: u8, channel: usize| match self.levels.get(channel) {
            Some(levels) => out.put_f32_le(levels[usize::from(level)]),
            None => out.put_u8(level),
        };
        match self.steps.layout {
            Layout::Nchw => {
                for (channel, from) in source.iter().enumerate() {
                    for level in pixels.data.iter().skip(*from).step_by(channels) {
                        put(*level, channel);
                    }
                }
            }
            Layout::Nhwc => {
                for pixel in pixels.data.chunks_exact(channels) {
                    for (channel, from) in source.iter().enumerate() {
                        put(pixel[*from], channel);
                    }
                }
            }
        }
    }
}

impl TryFrom<Steps> for Preprocess {
    type Error = StepsError;

    fn try_from(steps: Steps) -> Result<Self, StepsError> {
        Self::new(steps)
    }
}

impl From<Preprocess> for Steps {
    fn from(preprocess: Preprocess) -> Self {
        preprocess.steps
    }
}

/// Interleaved 8-bit pixels, one or three channels.
#[derive(Debug)]
struct Pixels {
    size: Size,
    data: Vec<u8>,
}

#[derive(Default)]
struct Batch {
    size: Option<Size>,
    data: BytesMut,
}

impl Batch {
    fn finish(self, preprocess: &Preprocess, total: usize) -> Result<Tensor, PreprocessError> {
        let size = self.size.unwrap_or(Size { width: 0, height: 0 });
        let (height, width) = (size.height as usize, size.width as usize);
        let channels = preprocess.steps.channels.count();
        let shape = match preprocess.steps.layout {
            Layout::Nchw => vec![total, channels, height, width],
            Layout::Nhwc => vec![total, height, width, channels],
        };
        Ok(Tensor::new(preprocess.dtype(), shape, self.data.freeze())?)
    }
}
