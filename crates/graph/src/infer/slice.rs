//! Operators that cut a range out of axes, or add a margin to them.

use super::info::{Info, Item, Shape};
use super::size::Size;
use super::symbols::Symbols;
use super::values::{Grid, each_index};
use super::{Call, Rule, axis, one};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Slice" => slice,
        "Pad" => pad,
        "CenterCropPad" => center_crop_pad,
        _ => return None,
    })
}

/// A range of one axis; `None` for a bound that is not known.
struct Range {
    axis: usize,
    start: Option<Size>,
    end: Option<Size>,
    step: Option<i64>,
}

fn slice(call: &mut Call<'_>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return Vec::new() };
    let Some((shape, ranges)) = input.shape.as_ref().zip(ranges(call)) else {
        let shape = input.rank().and_then(|rank| call.run.fresh_shape(rank));
        return one(input.dtype, shape);
    };
    let symbols = &mut call.run.symbols;
    let mut sliced = shape.clone();
    let mut origins = vec![Some((0, 1)); shape.len()];
    for range in &ranges {
        let size = &shape[range.axis];
        let cut = cut(symbols, size, range);
        origins[range.axis] = cut.as_ref().and_then(|(start, _)| Some((start.known()?, range.step?)));
        sliced[range.axis] = cut.map(|(_, length)| length).unwrap_or_else(|| symbols.fresh());
    }
    let info = Info::new(input.dtype, Some(sliced));
    let value = Grid::of(input).zip(info.fixed()).and_then(|(grid, shape)| {
        let mut place = vec![0; shape.len()];
        each_index(&shape, |index| {
            for (axis, place) in place.iter_mut().enumerate() {
                let (start, step) = origins[axis]?;
                *place = usize::try_from((index[axis] as i64).checked_mul(step)?.checked_add(start)?).ok()?;
            }
            grid.item(&place).cloned()
        })
    });
    vec![info.with_value(value)]
}

/// The ranges of a `Slice`, from attributes (opset 1) or inputs (10); `None` where it is not even
/// known which axes are cut.
fn ranges(call: &Call<'_>) -> Option<Vec<Range>> {
    let rank = call.input(0)?.rank()?;
    let (starts, ends) = match call.has(1) {
        true => (call.value(1).map(<[_]>::to_vec), call.value(2).map(<[_]>::to_vec)),
        false => {
            let items =
                |name| call.node.ints(name).map(|ints| ints.iter().copied().map(Item::known).collect());
            (items("starts"), items("ends"))
        }
    };
    let count = starts.as_ref().or(ends.as_ref()).map(Vec::len).or_else(|| call.input(1)?.length())?;
    if count > rank {
        return None;
    }
    let given = match call.ints("axes", 3).ok()? {
        Some(given) => given,
        None => (0..i64::try_from(count).ok()?).collect(),
    };
    let steps = match call.has(4) {
        true => call.value(4).map(<[_]>::to_vec),
        false => Some(vec![Item::known(1); count]),
    };
    if given.len() != count {
        return None;
    }
    let bound = |items: &Option<Vec<Item>>, place: usize| items.as_ref()?.get(place)?.size().cloned();
    let range = |(place, given): (usize, &i64)| {
        Some(Range {
            axis: axis(*given, rank)?,
            start: bound(&starts, place),
            end: bound(&ends, place),
            step: bound(&steps, place).and_then(|step| step.known()).filter(|step| *step != 0),
        })
    };
    given.iter().enumerate().map(range).collect()
}

/// Exporters write "to the end" as some number that no symbolic size will reach.
const BEYOND: i64 = 1_000_000_000;

/// First place and length of a range of an axis of `size`.
fn cut(symbols: &mut Symbols, size: &Size, range: &Range) -> Option<(Size, Size)> {
    let (step, zero) = (range.step?, Size::Known(0));
    if *size == zero {
        return Some((zero.clone(), zero));
    }
    // Places that a range may start at or stop before, in the direction of the step.
    let (first, last) =
        if step > 0 { (zero.clone(), size.clone()) } else { (Size::Known(-1), size.offset(-1)?) };
    let mut clamp = |bound: &Size, low: &Size| {
        let bound = match bound.known() {
            Some(bound) if bound >= BEYOND && size.known().is_none() => return Some(last.clone()),
            Some(bound) if bound <= -BEYOND && size.known().is_none() => return Some(low.clone()),
            Some(bound) if bound < 0 => size.offset(bound).unwrap_or(Size::Known(bound)),
            Some(bound) => Size::Known(bound),
            None if symbols.is_natural(bound) => bound.clone(),
            None => return None,
        };
        let bound = symbols.min(&bound, &last);
        Some(symbols.max(&bound, low))
    };
    let start = clamp(range.start.as_ref()?, &zero)?;
    let end = clamp(range.end.as_ref()?, &first)?;
    let (start, span) = match step > 0 {
        true => (start.clone(), end.sub(&start)?),
        false => (start.clone(), start.sub(&end)?),
    };
    let length = symbols.ceil_div(&span, &Size::Known(step.checked_abs()?))?;
    Some((start, symbols.max(&length, &zero)))
}

fn pad(call: &mut Call<'_>) -> Vec<Info> {
    let shape = pad_shape(call);
    one(call.dtype(0), shape)
}

/// Margins are an attribute until opset 11, then an input; the axes are an input since 18.
fn pad_shape(call: &mut Call<'_>) -> Option<Shape> {
    let mut shape = call.shape(0)?.to_vec();
    let pads = match call.has(1) {
        true => call.value(1).map(<[_]>::to_vec),
        false => Some(call.node.ints("pads")?.iter().copied().map(Item::known).collect()),
    };
    let axes = match call.has(3) {
        true => match call.input(3)?.ints() {
            Some(given) => given.iter().map(|given| axis(*given, shape.len())).collect::<Option<Vec<_>>>()?,
            None => return call.run.fresh_shape(shape.len()),
        },
        false => (0..shape.len()).collect(),
    };
    if pads.as_ref().is_some_and(|pads| pads.len() != 2 * axes.len()) {
        return None;
    }
    for (place, axis) in axes.iter().enumerate() {
        let padded = pads
            .as_ref()
            .and_then(|pads| shape[*axis].add(pads[place].size()?)?.add(pads[axes.len() + place].size()?));
        shape[*axis] = call.run.or_fresh(padded);
    }
    Some(shape)
}

fn center_crop_pad(call: &mut Call<'_>) -> Vec<Info> {
    let shape = center_crop_pad_shape(call);
    one(call.dtype(0), shape)
}

fn center_crop_pad_shape(call: &mut Call<'_>) -> Option<Shape> {
    let mut shape = call.shape(0)?.to_vec();
    let axes = match call.node.ints("axes") {
        Some(given) => given.iter().map(|given| axis(*given, shape.len())).collect::<Option<Vec<_>>>()?,
        None => (0..shape.len()).collect(),
    };
    let sizes = call.value(1).filter(|sizes| sizes.len() == axes.len());
    for (place, axis) in axes.into_iter().enumerate() {
        shape[axis] = call.run.or_fresh(sizes.and_then(|sizes| sizes[place].size().cloned()));
    }
    Some(shape)
}
