//! Operators that put tensors together along an axis, or take them apart.

use super::info::{Info, Item, MAX_RANK, Shape};
use super::size::Size;
use super::values::{Grid, each_index};
use super::{Call, Rule, axis, one};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Concat" => concat,
        "Split" => split,
        "Tile" => tile,
        _ => return None,
    })
}

fn concat(call: &mut Call<'_>) -> Vec<Info> {
    let inputs: Vec<Option<&Info>> = (0..call.node.inputs.len()).map(|index| call.input(index)).collect();
    let dtype = inputs.iter().flatten().find_map(|info| info.dtype);
    let Some(rank) = inputs.iter().flatten().find_map(|info| info.rank()) else {
        return one(dtype, None);
    };
    let Some(axis) = axis(call.int("axis", 1), rank) else { return one(dtype, None) };
    let info = Info::new(dtype, concat_shape(call, &inputs, rank, axis));
    let value = info.fixed().and_then(|shape| concat_value(&inputs, &shape, axis));
    vec![info.with_value(value)]
}

/// Sums along `axis`; along the others all inputs agree, so one known size serves for all.
fn concat_shape(call: &mut Call<'_>, inputs: &[Option<&Info>], rank: usize, axis: usize) -> Option<Shape> {
    let mut shape: Vec<Option<Size>> = vec![None; rank];
    let mut sum = Some(Size::Known(0));
    for input in inputs {
        let Some(other) = input.and_then(|info| info.shape.as_ref()) else {
            sum = None;
            continue;
        };
        if other.len() != rank {
            return None;
        }
        for (place, size) in other.iter().enumerate() {
            match &shape[place] {
                _ if place == axis => sum = sum.and_then(|sum| sum.add(size)),
                Some(Size::Known(_)) => {}
                None => shape[place] = Some(size.clone()),
                Some(Size::Poly(_)) if size.known().is_some() => shape[place] = Some(size.clone()),
                Some(Size::Poly(_)) => {}
            }
        }
    }
    shape[axis] = sum;
    Some(shape.into_iter().map(|size| call.run.or_fresh(size)).collect())
}

fn concat_value(inputs: &[Option<&Info>], shape: &[usize], axis: usize) -> Option<Vec<Item>> {
    // An input whose elements are unknown leaves the others' known.
    let mut starts = Vec::with_capacity(inputs.len());
    let mut end = 0usize;
    for input in inputs {
        let info = (*input)?;
        let size = *info.fixed()?.get(axis)?;
        starts.push((end, Grid::of(info)));
        end = end.checked_add(size)?;
    }
    let mut place = vec![0; shape.len()];
    each_index(shape, |index| {
        let which = starts.partition_point(|(start, _)| *start <= index[axis]).checked_sub(1)?;
        let (start, grid) = &starts[which];
        place.copy_from_slice(index);
        place[axis] -= start;
        Some(grid.as_ref().and_then(|grid| grid.item(&place).cloned()).unwrap_or(Item::Unknown))
    })
}

fn split(call: &mut Call<'_>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return Vec::new() };
    let unknown = Info::new(input.dtype, None);
    let parts = call.node.outputs.len();
    let Some((shape, axis)) =
        input.shape.as_ref().and_then(|shape| Some((shape, axis(call.int("axis", 0), shape.len())?)))
    else {
        return vec![unknown; parts];
    };
    let lengths = split_lengths(call, &shape[axis], parts);
    let mut start = Some(0usize);
    let mut infos = Vec::with_capacity(parts);
    for length in lengths {
        let mut part = shape.clone();
        let known = length.as_ref().and_then(Size::known).and_then(|length| usize::try_from(length).ok());
        part[axis] = call.run.or_fresh(length);
        let info = Info::new(input.dtype, Some(part));
        let value = start.zip(Grid::of(input)).zip(info.fixed()).and_then(|((start, grid), shape)| {
            let mut place = vec![0; shape.len()];
            each_index(&shape, |index| {
                place.copy_from_slice(index);
                place[axis] = place[axis].checked_add(start)?;
                grid.item(&place).cloned()
            })
        });
        infos.push(info.with_value(value));
        start = start.zip(known).and_then(|(start, length)| start.checked_add(length));
    }
    infos
}

/// Length of each of `parts`: stated, or equal ones, the last of which may be shorter.
fn split_lengths(call: &mut Call<'_>, size: &Size, parts: usize) -> Vec<Option<Size>> {
    match call.ints("split", 1) {
        Ok(Some(lengths)) if lengths.len() == parts => {
            return lengths.into_iter().map(|length| Some(Size::Known(length))).collect();
        }
        Ok(None) => {}
        _ => return vec![None; parts],
    }
    let count = Size::Known(call.int("num_outputs", parts as i64));
    let Some(length) = call.run.symbols.ceil_div(size, &count) else { return vec![None; parts] };
    let last = length.scale(parts as i64 - 1).and_then(|others| size.sub(&others));
    let last = last.map(|last| call.run.symbols.max(&last, &Size::Known(0)));
    let last = if size.exact_div(&count).is_some() { Some(length.clone()) } else { last };
    let mut lengths = vec![Some(length); parts];
    if let Some(place) = lengths.last_mut() {
        *place = last;
    }
    lengths
}

fn tile(call: &mut Call<'_>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return Vec::new() };
    let Some(shape) = input.shape.as_ref() else {
        // As many repeats as axes.
        let rank = call.input(1).and_then(Info::length).filter(|rank| *rank <= MAX_RANK);
        let shape = rank.and_then(|rank| call.run.fresh_shape(rank));
        return one(input.dtype, shape);
    };
    let repeats = call.value(1).filter(|repeats| repeats.len() == shape.len());
    let mut tiled = Vec::with_capacity(shape.len());
    for (axis, size) in shape.iter().enumerate() {
        let product = repeats.and_then(|repeats| size.mul(repeats[axis].size()?));
        tiled.push(call.run.or_fresh(product));
    }
    let info = Info::new(input.dtype, Some(tiled));
    let value = Grid::of(input).zip(info.fixed()).and_then(|(grid, shape)| {
        let mut place = vec![0; shape.len()];
        each_index(&shape, |index| {
            for (axis, place) in place.iter_mut().enumerate() {
                *place = index[axis].checked_rem(grid.shape[axis])?;
            }
            grid.item(&place).cloned()
        })
    });
    vec![info.with_value(value)]
}
