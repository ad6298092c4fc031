use crate::StepsError;
use serde::{Deserialize, Serialize};

/// The steps in the order in which they run, as a card writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// Absent: the picture keeps its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// How resizing interpolates; always antialiased, as Pillow does.
    #[serde(default)]
    pub filter: Filter,
    /// Centre crop; a smaller picture is padded with black, as torchvision does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Size>,
    /// What the 0–255 levels are multiplied by.
    pub scale: f64,
    /// Subtracted after scaling; one value, or one for each channel in the order of `channels`.
    pub mean: Vec<f64>,
    /// Divided by last; one value, or one for each channel in the order of `channels`.
    pub std: Vec<f64>,
    /// Order of the dimensions.
    #[serde(default)]
    pub layout: Layout,
    /// Order of the channels.
    #[serde(default)]
    pub channels: Channels,
    /// Element type of the tensor.
    #[serde(default)]
    pub dtype: PixelType,
}

/// How a picture is brought to size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resize {
    /// The shorter side becomes this; the other `int(side * longer / shorter)`.
    ShorterSide(u32),
    /// Both sides, whatever the picture's proportions.
    Exact(Size),
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Pillow's filters of the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Triangle, support 1.
    #[default]
    Bilinear,
    /// Cubic with a = −0.5, support 2.
    Bicubic,
}

/// Order of the tensor's dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Planes: `[N, channels, height, width]`.
    #[default]
    Nchw,
    /// Interleaved: `[N, height, width, channels]`.
    Nhwc,
}

/// What the channels are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV reads.
    Bgr,
    /// One channel, the luma of Pillow's `convert("L")`.
    Grey,
}

/// Element type of the tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelType {
    /// Scaled and normalised.
    #[default]
    F32,
    /// The levels as they are; `scale` 1, `mean` 0 and `std` 1 only.
    U8,
}

/// Larger sides are more likely a typing error than a picture.
const MAX_SIDE: u32 = 16_384;

impl Steps {
    /// Shorter side 256, centre crop 224, ImageNet's mean and standard deviation.
    pub fn imagenet() -> Self {
        Self {
            resize: Some(Resize::ShorterSide(256)),
            filter: Filter::Bilinear,
            crop: Some(Size { width: 224, height: 224 }),
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            layout: Layout::Nchw,
            channels: Channels::Rgb,
            dtype: PixelType::F32,
        }
    }

    /// The size of every result, where the steps alone decide it.
    pub(crate) fn output_size(&self) -> Option<Size> {
        self.crop.or(match self.resize {
            Some(Resize::Exact(size)) => Some(size),
            Some(Resize::ShorterSide(_)) | None => None,
        })
    }

    /// What each level becomes, by output channel; none for `u8`. Fails on steps that make no sense.
    pub(crate) fn levels(&self) -> Result<Vec<[f32; 256]>, StepsError> {
        let sides = match self.resize {
            Some(Resize::ShorterSide(side)) => vec![("resize", side)],
            Some(Resize::Exact(size)) => vec![("resize", size.width), ("resize", size.height)],
            None => vec![],
        };
        let crop = self.crop.iter().flat_map(|size| [("crop", size.width), ("crop", size.height)]);
        for (key, side) in sides.into_iter().chain(crop) {
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(StepsError::Side { key, side, max: MAX_SIDE });
            }
        }
        let count = self.channels.count();
        let mean = per_channel("mean", &self.mean, count)?;
        let std = per_channel("std", &self.std, count)?;
        if !self.scale.is_finite() || self.scale == 0.0 {
            return Err(StepsError::Value { key: "scale", value: self.scale });
        }
        if let Some(value) = std.iter().find(|value| **value == 0.0) {
            return Err(StepsError::Value { key: "std", value: *value });
        }
        if self.dtype == PixelType::U8 {
            let plain = self.scale == 1.0 && mean.iter().all(|v| *v == 0.0) && std.iter().all(|v| *v == 1.0);
            return if plain { Ok(Vec::new()) } else { Err(StepsError::NormalisedBytes) };
        }
        Ok((0..count)
            .map(|channel| {
                std::array::from_fn(|level| {
                    ((level as f64 * self.scale - mean[channel]) / std[channel]) as f32
                })
            })
            .collect())
    }
}

impl Channels {
    /// How many.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

impl Size {
    /// Width times height.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

fn per_channel(key: &'static str, values: &[f64], count: usize) -> Result<Vec<f64>, StepsError> {
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(StepsError::Value { key, value: *value });
    }
    match values {
        [one] => Ok(vec![*one; count]),
        all if all.len() == count => Ok(all.to_vec()),
        all => Err(StepsError::Count { key, count: all.len(), channels: count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_steps_are_refused() {
        let imagenet = Steps::imagenet;
        let side = |side| Some(Resize::ShorterSide(side));
        for (steps, message) in [
            (Steps { resize: side(0), ..imagenet() }, "resize: 0 pixels, expected 1 to 16384"),
            (Steps { resize: side(20_000), ..imagenet() }, "resize: 20000 pixels, expected 1 to 16384"),
            (
                Steps { crop: Some(Size { width: 3, height: 0 }), ..imagenet() },
                "crop: 0 pixels, expected 1 to 16384",
            ),
            (Steps { mean: vec![0.5, 0.5], ..imagenet() }, "mean has 2 values, expected 1 or 3"),
            (Steps { std: vec![1.0, 0.0, 1.0], ..imagenet() }, "std: 0 cannot be used"),
            (Steps { scale: f64::NAN, ..imagenet() }, "scale: NaN cannot be used"),
            (
                Steps { dtype: PixelType::U8, ..imagenet() },
                "dtype u8 keeps the levels as they are: scale must be 1, mean 0 and std 1",
            ),
        ] {
            assert_eq!(steps.levels().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let text = r#"{"scale": 1.0, "mean": [0], "std": [1], "centre": 3}"#;
        assert!(serde_json::from_str::<Steps>(text).unwrap_err().to_string().contains("centre"));
        let text = r#"{"resize": {"shorter_side": 0}, "scale": 1.0, "mean": [0], "std": [1]}"#;
        assert!(serde_json::from_str::<crate::Preprocess>(text).unwrap_err().to_string().contains("resize"));
    }

    #[test]
    fn steps_survive_serialisation() {
        let text = serde_json::to_string(&crate::Preprocess::imagenet()).unwrap();
        assert_eq!(serde_json::from_str::<crate::Preprocess>(&text).unwrap(), crate::Preprocess::imagenet());
    }
}
