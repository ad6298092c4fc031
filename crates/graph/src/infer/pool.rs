//! Pooling, and the arithmetic of sliding windows that convolutions share.

use super::info::{Info, Shape};
use super::size::Size;
use super::symbols::Symbols;
use super::{Call, Rule, one};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "AveragePool" | "LpPool" | "MaxPool" => pool,
        "GlobalAveragePool" | "GlobalLpPool" | "GlobalMaxPool" => global_pool,
        "MaxUnpool" => max_unpool,
        "MaxRoiPool" => max_roi_pool,
        "RoiAlign" => roi_align,
        _ => return None,
    })
}

/// How a window slides over the spatial axes.
pub(super) struct Window {
    kernel: Vec<Size>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// Before each axis, then after each.
    pads: Vec<i64>,
    pub(super) padding: Padding,
    ceil: bool,
}

/// Who decides the padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Stated,
    /// As much as makes one window per stride.
    Same,
    None,
}

impl Window {
    /// The window of a node whose kernel has these sizes; `None` where an attribute is nonsense.
    pub(super) fn of(call: &Call<'_>, kernel: Vec<Size>) -> Option<Self> {
        let rank = kernel.len();
        let per_axis = |name: &str, count: usize, default: i64, least: i64| match call.node.ints(name) {
            None | Some([]) => Some(vec![default; count]),
            Some(given) if given.len() == count && given.iter().all(|given| *given >= least) => {
                Some(given.to_vec())
            }
            Some(_) => None,
        };
        let padding = match call.node.string("auto_pad") {
            None | Some("" | "NOTSET") => Padding::Stated,
            Some("SAME_UPPER" | "SAME_LOWER") => Padding::Same,
            Some("VALID") => Padding::None,
            Some(_) => return None,
        };
        Some(Self {
            kernel,
            strides: per_axis("strides", rank, 1, 1)?,
            dilations: per_axis("dilations", rank, 1, 1)?,
            pads: per_axis("pads", 2 * rank, 0, i64::MIN)?,
            padding,
            ceil: call.flag("ceil_mode"),
        })
    }

    pub(super) fn stride(&self, axis: usize) -> i64 {
        self.strides[axis]
    }

    /// Places from the first to the last that one window reads.
    pub(super) fn reach(&self, axis: usize) -> Option<Size> {
        self.kernel[axis].offset(-1)?.scale(self.dilations[axis])?.offset(1)
    }

    /// Padding on both sides together.
    pub(super) fn padded(&self, axis: usize) -> Option<i64> {
        match self.padding {
            Padding::Stated => self.pads[axis].checked_add(self.pads[self.kernel.len() + axis]),
            Padding::Same | Padding::None => Some(0),
        }
    }

    /// Number of windows over `size` places.
    pub(super) fn count(&self, symbols: &mut Symbols, size: &Size, axis: usize) -> Option<Size> {
        let stride = Size::Known(self.strides[axis]);
        if self.padding == Padding::Same {
            return symbols.ceil_div(size, &stride);
        }
        let room = size.offset(self.padded(axis)?)?.sub(&self.reach(axis)?)?;
        if !self.ceil || self.padding == Padding::None {
            return symbols.floor_div(&room, &stride)?.offset(1);
        }
        let count = symbols.ceil_div(&room, &stride)?.offset(1)?;
        // A window that would start behind the input and its front padding is none.
        let last = size.offset(self.pads[axis])?.offset(-1)?;
        let starts = symbols.floor_div(&last, &stride)?.offset(1)?;
        Some(symbols.min(&count, &starts))
    }
}

fn pool(call: &mut Call<'_>) -> Vec<Info> {
    let shape = pool_shape(call);
    let dtype = call.dtype(0);
    vec![Info::new(dtype, shape.clone()), Info::new(Some(DType::I64), shape)]
}

fn pool_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [batch, channels, space @ ..] = call.shape(0)? else { return None };
    let kernel: Vec<Size> = call.node.ints("kernel_shape")?.iter().map(|size| Size::Known(*size)).collect();
    if kernel.len() != space.len() {
        return None;
    }
    let window = Window::of(call, kernel)?;
    let mut shape = vec![batch.clone(), channels.clone()];
    for (axis, size) in space.iter().enumerate() {
        shape.push(window.count(&mut call.run.symbols, size, axis)?);
    }
    Some(shape)
}

fn global_pool(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).and_then(|shape| match shape {
        [batch, channels, space @ ..] => {
            let mut pooled = vec![batch.clone(), channels.clone()];
            pooled.resize(2 + space.len(), Size::ONE);
            Some(pooled)
        }
        _ => None,
    });
    one(call.dtype(0), shape)
}

fn max_unpool(call: &mut Call<'_>) -> Vec<Info> {
    let shape = match call.has(2) {
        true => call
            .input(2)
            .and_then(|input| input.ints())
            .map(|ints| ints.into_iter().map(Size::Known).collect()),
        false => max_unpool_shape(call),
    };
    one(call.dtype(0), shape)
}

fn max_unpool_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [batch, channels, space @ ..] = call.shape(0)? else { return None };
    let kernel: Vec<Size> = call.node.ints("kernel_shape")?.iter().map(|size| Size::Known(*size)).collect();
    if kernel.len() != space.len() {
        return None;
    }
    let window = Window::of(call, kernel)?;
    let mut shape = vec![batch.clone(), channels.clone()];
    for (axis, size) in space.iter().enumerate() {
        let full = size.offset(-1)?.scale(window.stride(axis))?.add(&window.reach(axis)?)?;
        shape.push(full.offset(window.padded(axis)?.checked_neg()?)?);
    }
    Some(shape)
}

fn max_roi_pool(call: &mut Call<'_>) -> Vec<Info> {
    let shape = max_roi_pool_shape(call);
    one(call.dtype(0), shape)
}

fn max_roi_pool_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [_, channels, ..] = call.shape(0)? else { return None };
    let [regions, ..] = call.shape(1)? else { return None };
    let [height, width] = call.node.ints("pooled_shape")? else { return None };
    Some(vec![regions.clone(), channels.clone(), Size::Known(*height), Size::Known(*width)])
}

fn roi_align(call: &mut Call<'_>) -> Vec<Info> {
    let shape = roi_align_shape(call);
    one(call.dtype(0), shape)
}

fn roi_align_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [_, channels, _, _] = call.shape(0)? else { return None };
    let regions = call.shape(1).or(call.shape(2))?.first()?;
    let [height, width] = ["output_height", "output_width"].map(|name| Size::Known(call.int(name, 1)));
    Some(vec![regions.clone(), channels.clone(), height, width])
}
