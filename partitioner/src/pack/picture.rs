//! Which steps make a picture the model's input: a preset, the user's own, and what the input's
//! shape already says.

use crate::cli::{PictureArgs, Preset};
use crate::print::warn;
use anyhow::{Context, bail};
use kerf_preprocess::{Channels, Filter, Layout, PixelType, Preprocess, Steps};
use kerf_tensor::{DType, Dim, TensorSpec};

/// The input and the steps, if any were asked for.
pub(crate) fn steps(
    args: &PictureArgs,
    inputs: &[TensorSpec],
) -> anyhow::Result<Option<(String, Preprocess)>> {
    let asked = args.preprocess.is_some()
        || args.resize.is_some()
        || args.crop.is_some()
        || args.filter.is_some()
        || args.scale.is_some()
        || args.mean.is_some()
        || args.std.is_some()
        || args.layout.is_some()
        || args.channels.is_some()
        || args.dtype.is_some();
    if !asked {
        if args.input.is_some() {
            bail!("--input names the input that pictures become; say how with --preprocess or --resize");
        }
        return Ok(None);
    }
    let input = choose(args.input.as_deref(), inputs)?;
    let (layout, channels) = shape_says(input);
    let dtype = if input.dtype == DType::U8 { PixelType::U8 } else { PixelType::F32 };
    let plain = Steps {
        resize: None,
        filter: Filter::Bilinear,
        crop: None,
        scale: if dtype == PixelType::U8 { 1.0 } else { 1.0 / 255.0 },
        mean: vec![0.0],
        std: vec![1.0],
        layout,
        channels,
        dtype,
    };
    let base = match args.preprocess {
        Some(Preset::Imagenet) => Steps { layout, ..Steps::imagenet() },
        None => plain,
    };
    let steps = Steps {
        resize: args.resize.or(base.resize),
        filter: args.filter.unwrap_or(base.filter),
        crop: args.crop.or(base.crop),
        scale: args.scale.unwrap_or(base.scale),
        mean: args.mean.clone().unwrap_or(base.mean),
        std: args.std.clone().unwrap_or(base.std),
        layout: args.layout.unwrap_or(base.layout),
        channels: args.channels.unwrap_or(base.channels),
        dtype: args.dtype.unwrap_or(base.dtype),
    };
    if steps.crop.is_none() && !matches!(steps.resize, Some(kerf_preprocess::Resize::Exact(_))) {
        warn(
            "without --crop or --resize WxH every picture keeps its own proportions, and few will fit the model",
        );
    }
    let steps = Preprocess::new(steps).context("preprocessing")?;
    Ok(Some((input.name.clone(), steps)))
}

fn choose<'a>(name: Option<&str>, inputs: &'a [TensorSpec]) -> anyhow::Result<&'a TensorSpec> {
    let is_picture = |spec: &&TensorSpec| {
        matches!(spec.dtype, DType::F32 | DType::U8) && spec.shape.as_ref().is_none_or(|dims| dims.len() == 4)
    };
    let list = || inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match name {
        Some(name) => match inputs.iter().find(|spec| spec.name == name) {
            Some(spec) => Ok(spec),
            None => bail!("--input {name}: no such input; the model has {}", list()),
        },
        None => {
            let candidates: Vec<&TensorSpec> = inputs.iter().filter(is_picture).collect();
            match candidates[..] {
                [one] => Ok(one),
                [] => bail!("no input has the shape of a picture (f32 or u8, four dimensions): {}", list()),
                _ => bail!("several inputs could be pictures, choose one with --input: {}", list()),
            }
        }
    }
}

/// Layout and channels, where the shape decides them; else planes of RGB.
fn shape_says(spec: &TensorSpec) -> (Layout, Channels) {
    let channels = |dim: &Dim| match dim {
        Dim::Fixed(3) => Some(Channels::Rgb),
        Dim::Fixed(1) => Some(Channels::Grey),
        _ => None,
    };
    match spec.shape.as_deref() {
        Some([_, planes, _, interleaved]) => match (channels(planes), channels(interleaved)) {
            (None, Some(found)) => (Layout::Nhwc, found),
            (found, _) => (Layout::Nchw, found.unwrap_or_default()),
        },
        _ => (Layout::Nchw, Channels::Rgb),
    }
}
