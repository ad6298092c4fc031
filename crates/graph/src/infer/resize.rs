//! Operators that sample an image at other places.

use super::info::{Info, Shape};
use super::size::Size;
use super::{Call, Rule, axis, one};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Resize" => resize,
        "Upsample" => upsample,
        "GridSample" => grid_sample,
        "AffineGrid" => affine_grid,
        _ => return None,
    })
}

fn resize(call: &mut Call<'_>) -> Vec<Info> {
    let shape = resize_shape(call);
    one(call.dtype(0), shape)
}

/// Inputs: `X, scales` in opset 10; `X, roi, scales, sizes` since.
fn resize_shape(call: &mut Call<'_>) -> Option<Shape> {
    let input = call.shape(0)?;
    let axes = match call.node.ints("axes") {
        Some(given) => given.iter().map(|given| axis(*given, input.len())).collect::<Option<Vec<_>>>()?,
        None => (0..input.len()).collect(),
    };
    let mut shape = input.to_vec();
    let scales = if call.opset < 11 { 1 } else { 2 };
    if call.has(scales) && call.input(scales).is_none_or(|scales| scales.elements() != Some(0)) {
        let scales = call.input(scales).and_then(Info::floats);
        scale(call, &mut shape, &axes, scales.as_deref())?;
        return Some(shape);
    }
    let sizes = call.value(3).map(<[_]>::to_vec);
    if sizes.as_ref().is_some_and(|sizes| sizes.len() != axes.len()) {
        return None;
    }
    let sizes = |place: usize| sizes.as_ref().and_then(|sizes| sizes[place].size().cloned());
    let policy = call.node.string("keep_aspect_ratio_policy").unwrap_or("stretch");
    if policy != "stretch" {
        return keep_aspect(&mut shape, &axes, sizes, policy == "not_larger").map(|()| shape);
    }
    for (place, axis) in axes.iter().enumerate() {
        shape[*axis] = call.run.or_fresh(sizes(place));
    }
    Some(shape)
}

fn upsample(call: &mut Call<'_>) -> Vec<Info> {
    let shape = upsample_shape(call);
    one(call.dtype(0), shape)
}

/// Scales are an attribute until opset 9, then an input.
fn upsample_shape(call: &mut Call<'_>) -> Option<Shape> {
    let mut shape = call.shape(0)?.to_vec();
    let axes: Vec<usize> = (0..shape.len()).collect();
    let scales = match call.has(1) {
        true => call.input(1).and_then(Info::floats),
        false => {
            call.node.floats("scales").map(|scales| scales.iter().map(|scale| f64::from(*scale)).collect())
        }
    };
    scale(call, &mut shape, &axes, scales.as_deref())?;
    Some(shape)
}

fn scale(call: &mut Call<'_>, shape: &mut [Size], axes: &[usize], scales: Option<&[f64]>) -> Option<()> {
    if scales.is_some_and(|scales| scales.len() != axes.len()) {
        return None;
    }
    for (place, axis) in axes.iter().enumerate() {
        let scaled = scales.and_then(|scales| scaled(&shape[*axis], scales[place]));
        shape[*axis] = call.run.or_fresh(scaled);
    }
    Some(())
}

/// `⌊size · scale⌋`; a symbolic size only under a whole scale. Engines multiply single floats.
fn scaled(size: &Size, scale: f64) -> Option<Size> {
    match size.known() {
        Some(size) => {
            let scaled = (size as f32 * scale as f32).floor();
            (0.0..9e15).contains(&scaled).then_some(Size::Known(scaled as i64))
        }
        None => (scale.fract() == 0.0 && (0.0..9e15).contains(&scale)).then(|| size.scale(scale as i64))?,
    }
}

/// One scale for all axes, the least or the greatest that the sizes ask for.
fn keep_aspect(
    shape: &mut [Size],
    axes: &[usize],
    sizes: impl Fn(usize) -> Option<Size>,
    not_larger: bool,
) -> Option<()> {
    let mut ratios = Vec::with_capacity(axes.len());
    for (place, axis) in axes.iter().enumerate() {
        ratios.push(sizes(place)?.known()? as f64 / shape[*axis].known().filter(|size| *size > 0)? as f64);
    }
    let ratio = ratios.into_iter().reduce(|a, b| if (a < b) == not_larger { a } else { b })?;
    for axis in axes {
        // Halves away from zero, as the operator's text has it.
        let rounded = (shape[*axis].known()? as f64 * ratio + 0.5).floor();
        shape[*axis] = (0.0..9e15).contains(&rounded).then_some(Size::Known(rounded as i64))?;
    }
    Some(())
}

fn grid_sample(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).zip(call.shape(1)).and_then(|(image, grid)| {
        let [batch, channels, space @ ..] = image else { return None };
        let places = grid.get(1..grid.len().checked_sub(1)?).filter(|places| places.len() == space.len())?;
        Some([&[batch.clone(), channels.clone()], places].concat())
    });
    one(call.dtype(0), shape)
}

fn affine_grid(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(0);
    let shape = call.input(1).and_then(|size| {
        let sizes: Option<Vec<Size>> = size.value()?.iter().map(|item| item.size().cloned()).collect();
        let sizes = sizes?;
        let [batch, _, space @ ..] = sizes.as_slice() else { return None };
        let coordinates = Size::Known(space.len() as i64);
        Some([std::slice::from_ref(batch), space, &[coordinates]].concat())
    });
    one(dtype, shape)
}
