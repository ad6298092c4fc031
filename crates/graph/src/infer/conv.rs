//! Convolutions, and operators that move elements between channels and space.

use super::info::{Info, Shape};
use super::pool::{Padding, Window};
use super::size::Size;
use super::{Call, Rule, one};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Conv" => conv,
        "ConvInteger" => conv_integer,
        "QLinearConv" => qlinear_conv,
        "DeformConv" => conv,
        "ConvTranspose" => conv_transpose,
        "CausalConvWithState" => causal_conv,
        "Col2Im" => col2im,
        "DepthToSpace" => depth_to_space,
        "SpaceToDepth" => space_to_depth,
        _ => return None,
    })
}

fn conv(call: &mut Call<'_>) -> Vec<Info> {
    let shape = conv_shape(call, 1);
    one(call.dtype(0), shape)
}

fn conv_integer(call: &mut Call<'_>) -> Vec<Info> {
    let shape = conv_shape(call, 1);
    one(Some(DType::I32), shape)
}

fn qlinear_conv(call: &mut Call<'_>) -> Vec<Info> {
    let shape = conv_shape(call, 3);
    one(call.dtype(7).or(call.dtype(0)), shape)
}

/// `[N, C, spatial...]` under weights `[M, C / group, kernel...]` at input `weights`.
fn conv_shape(call: &mut Call<'_>, weights: usize) -> Option<Shape> {
    let [batch, _, space @ ..] = call.shape(0)? else { return None };
    let weights = call.shape(weights);
    let window = Window::of(call, kernel(call, weights, space.len())?)?;
    let channels = weights.and_then(|weights| weights.first().cloned());
    let mut shape = vec![batch.clone(), call.run.or_fresh(channels)];
    for (axis, size) in space.iter().enumerate() {
        shape.push(window.count(&mut call.run.symbols, size, axis)?);
    }
    Some(shape)
}

/// Kernel sizes, from the attribute or from the weights.
fn kernel(call: &Call<'_>, weights: Option<&[Size]>, rank: usize) -> Option<Vec<Size>> {
    match call.node.ints("kernel_shape") {
        Some(kernel) => Some(kernel.iter().map(|size| Size::Known(*size)).collect()),
        None => weights?.get(2..).map(<[_]>::to_vec),
    }
    .filter(|kernel| kernel.len() == rank)
}

fn conv_transpose(call: &mut Call<'_>) -> Vec<Info> {
    let shape = conv_transpose_shape(call);
    one(call.dtype(0), shape)
}

fn conv_transpose_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [batch, _, space @ ..] = call.shape(0)? else { return None };
    let weights = call.shape(1);
    let window = Window::of(call, kernel(call, weights, space.len())?)?;
    let channels = weights.and_then(|weights| weights.get(1)?.scale(call.int("group", 1)));
    let mut shape = vec![batch.clone(), call.run.or_fresh(channels)];
    // Some exporters give all dimensions, others the spatial ones.
    let stated =
        call.node.ints("output_shape").and_then(|sizes| sizes.get(sizes.len().checked_sub(space.len())?..));
    let extra = call.node.ints("output_padding").unwrap_or(&[]);
    for (axis, size) in space.iter().enumerate() {
        shape.push(match stated {
            Some(sizes) => Size::Known(*sizes.get(axis)?),
            None => window.spread(size, axis, extra.get(axis).copied().unwrap_or(0))?,
        });
    }
    Some(shape)
}

fn causal_conv(call: &mut Call<'_>) -> Vec<Info> {
    // The state keeps the last `kernel - 1` steps.
    let state = call.shape(0).zip(call.shape(1)).and_then(|(input, weights)| {
        let kernel = weights.last()?.offset(-1)?;
        Some([&input[..input.len().checked_sub(1)?], &[kernel]].concat())
    });
    let dtype = call.dtype(0);
    vec![Info::new(dtype, call.shape(0).map(<[_]>::to_vec)), Info::new(dtype, state)]
}

fn col2im(call: &mut Call<'_>) -> Vec<Info> {
    let shape = col2im_shape(call);
    one(call.dtype(0), shape)
}

fn col2im_shape(call: &mut Call<'_>) -> Option<Shape> {
    let [batch, columns, _] = call.shape(0)? else { return None };
    let image = call.input(1)?.ints()?;
    let block: Vec<Size> = call.input(2)?.ints()?.into_iter().map(Size::Known).collect();
    let block = Size::product(&block)?;
    let channels = call.run.symbols.floor_div(columns, &block)?;
    Some([batch.clone(), channels].into_iter().chain(image.into_iter().map(Size::Known)).collect())
}

fn depth_to_space(call: &mut Call<'_>) -> Vec<Info> {
    let shape = depth_to_space_shape(call);
    one(call.dtype(0), shape)
}

fn depth_to_space_shape(call: &mut Call<'_>) -> Option<Shape> {
    let block = call.node.int("blocksize").filter(|block| *block > 0)?;
    let [batch, channels, height, width] = call.shape(0)? else { return None };
    let channels = call.run.symbols.floor_div(channels, &Size::Known(block.checked_mul(block)?))?;
    Some(vec![batch.clone(), channels, height.scale(block)?, width.scale(block)?])
}

fn space_to_depth(call: &mut Call<'_>) -> Vec<Info> {
    let shape = space_to_depth_shape(call);
    one(call.dtype(0), shape)
}

fn space_to_depth_shape(call: &mut Call<'_>) -> Option<Shape> {
    let block = call.node.int("blocksize").filter(|block| *block > 0)?;
    let [batch, channels, height, width] = call.shape(0)? else { return None };
    let symbols = &mut call.run.symbols;
    let height = symbols.floor_div(height, &Size::Known(block))?;
    let width = symbols.floor_div(width, &Size::Known(block))?;
    Some(vec![batch.clone(), channels.scale(block.checked_mul(block)?)?, height, width])
}

impl Window {
    /// Size of a transposed convolution's output over `size` places.
    fn spread(&self, size: &Size, axis: usize, extra: i64) -> Option<Size> {
        let stride = self.stride(axis);
        match self.padding {
            Padding::Same => size.scale(stride),
            _ => {
                let full = size.offset(-1)?.scale(stride)?.add(&self.reach(axis)?)?.offset(extra)?;
                full.sub(&Size::Known(self.padded(axis)?))
            }
        }
    }
}
