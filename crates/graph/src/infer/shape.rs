//! Operators that read a shape, or give the same elements another one.

use super::info::{Info, Item, Shape};
use super::size::Size;
use super::values::{Grid, each_index};
use super::{Call, Rule, axes, axis};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Shape" => shape_of,
        "Size" => size_of,
        "Reshape" => reshape,
        "Flatten" => flatten,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Transpose" => transpose,
        "Expand" => expand,
        _ => return None,
    })
}

fn shape_of(call: &mut Call<'_>) -> Vec<Info> {
    let Some(shape) = call.shape(0) else {
        let shape = call.run.fresh_shape(1);
        return vec![Info::new(Some(DType::I64), shape)];
    };
    let rank = shape.len() as i64;
    let clamp =
        |given: i64| (if given < 0 { given.saturating_add(rank) } else { given }).clamp(0, rank) as usize;
    let (start, end) = (clamp(call.int("start", 0)), clamp(call.int("end", rank)));
    let sizes = shape.get(start..end).unwrap_or(&[]);
    vec![Info::vector(DType::I64, sizes.iter().cloned().map(Item::Int).collect())]
}

fn size_of(call: &mut Call<'_>) -> Vec<Info> {
    let item = Item::of(call.shape(0).and_then(Size::product));
    vec![Info::scalar(DType::I64, item)]
}

/// The input under another shape, its elements in the same order.
fn reshaped(call: &Call<'_>, shape: Option<Shape>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return vec![Info::new(None, shape)] };
    vec![Info::new(input.dtype, shape).with_value(input.value().map(<[_]>::to_vec))]
}

fn reshape(call: &mut Call<'_>) -> Vec<Info> {
    let shape = reshape_shape(call);
    reshaped(call, shape)
}

fn reshape_shape(call: &mut Call<'_>) -> Option<Shape> {
    let input = call.shape(0);
    let Some(target) = call.value(1) else {
        return call.run.fresh_shape(call.input(1)?.length()?);
    };
    let allow_zero = call.flag("allowzero");
    // `None`: left for the others to determine.
    let mut sizes: Vec<Option<Size>> = Vec::with_capacity(target.len());
    let mut inferred = None;
    for (place, item) in target.iter().enumerate() {
        sizes.push(match item {
            Item::Int(Size::Known(-1)) if inferred.is_none() => {
                inferred = Some(place);
                None
            }
            Item::Int(Size::Known(0)) if !allow_zero => input.and_then(|input| input.get(place).cloned()),
            Item::Int(size) => Some(size.clone()),
            _ => None,
        });
    }
    let mut open = (0..sizes.len()).filter(|place| sizes[*place].is_none());
    if let (Some(place), None) = (open.next(), open.next()) {
        let rest: Vec<Size> = sizes.iter().flatten().cloned().collect();
        sizes[place] = input.and_then(|input| quotient(call, input.to_vec(), rest));
    }
    Some(sizes.into_iter().map(|size| call.run.or_fresh(size)).collect())
}

/// `Π numerator / Π denominator`, which the graph promises to be whole.
fn quotient(call: &mut Call<'_>, mut numerator: Vec<Size>, denominator: Vec<Size>) -> Option<Size> {
    let mut left = Vec::new();
    for size in denominator {
        match numerator.iter().position(|other| *other == size && size != Size::Known(0)) {
            Some(place) => drop(numerator.swap_remove(place)),
            None => left.push(size),
        }
    }
    let (numerator, left) = (Size::product(&numerator)?, Size::product(&left)?);
    call.run.symbols.floor_div(&numerator, &left)
}

fn flatten(call: &mut Call<'_>) -> Vec<Info> {
    let shape = flatten_shape(call);
    reshaped(call, shape)
}

fn flatten_shape(call: &mut Call<'_>) -> Option<Shape> {
    let shape = call.shape(0)?;
    // The axis may be the rank itself.
    let rank = shape.len() as i64;
    let given = call.int("axis", 1);
    let split = if given < 0 { given.checked_add(rank)? } else { given };
    let (outer, inner) = shape.split_at_checked(usize::try_from(split).ok()?)?;
    let (outer, inner) = (Size::product(outer), Size::product(inner));
    Some(vec![call.run.or_fresh(outer), call.run.or_fresh(inner)])
}

fn squeeze(call: &mut Call<'_>) -> Vec<Info> {
    let shape = squeeze_shape(call);
    reshaped(call, shape)
}

fn squeeze_shape(call: &mut Call<'_>) -> Option<Shape> {
    let shape = call.shape(0)?;
    match call.ints("axes", 1).ok()? {
        Some(given) => {
            let gone = axes(&given, shape.len())?;
            if gone.iter().any(|axis| shape[*axis].known().is_some_and(|size| size != 1)) {
                return None;
            }
            let kept = shape.iter().enumerate().filter(|(axis, _)| gone.binary_search(axis).is_err());
            Some(kept.map(|(_, size)| size.clone()).collect())
        }
        // Every axis of size 1 goes, so none may be symbolic.
        None => {
            let is_known = shape.iter().all(|size| size.known().is_some());
            is_known.then(|| shape.iter().filter(|size| **size != Size::ONE).cloned().collect())
        }
    }
}

fn unsqueeze(call: &mut Call<'_>) -> Vec<Info> {
    let shape = unsqueeze_shape(call);
    reshaped(call, shape)
}

fn unsqueeze_shape(call: &mut Call<'_>) -> Option<Shape> {
    let shape = call.shape(0)?;
    let Ok(given) = call.ints("axes", 1) else {
        let added = call.input(1)?.length()?;
        return call.run.fresh_shape(shape.len().checked_add(added)?);
    };
    let given = given?;
    let new = axes(&given, shape.len().checked_add(given.len())?)?;
    let mut result = shape.to_vec();
    for axis in new {
        result.insert(axis, Size::ONE);
    }
    Some(result)
}

fn transpose(call: &mut Call<'_>) -> Vec<Info> {
    let Some((input, order)) = call.input(0).zip(order(call)) else {
        return vec![Info::new(call.dtype(0), None)];
    };
    let permuted = |shape: &Shape| order.iter().map(|axis| shape[*axis].clone()).collect();
    let info = Info::new(input.dtype, input.shape.as_ref().map(permuted));
    let value = Grid::of(input).zip(info.fixed()).and_then(|(grid, shape)| {
        let mut source = vec![0; shape.len()];
        each_index(&shape, |index| {
            for (axis, place) in order.iter().zip(index) {
                source[*axis] = *place;
            }
            grid.item(&source).cloned()
        })
    });
    vec![info.with_value(value)]
}

/// The permutation of a `Transpose`; axes are reversed where it gives none.
fn order(call: &Call<'_>) -> Option<Vec<usize>> {
    let rank = call.input(0)?.rank()?;
    let Some(given) = call.node.ints("perm") else { return Some((0..rank).rev().collect()) };
    let order = given.iter().map(|given| axis(*given, rank)).collect::<Option<Vec<_>>>()?;
    axes(given, rank).filter(|axes| axes.len() == rank).map(|_| order)
}

fn expand(call: &mut Call<'_>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return Vec::new() };
    let info = Info::new(input.dtype, expand_shape(call));
    let value = Grid::of(input)
        .zip(info.fixed())
        .and_then(|(_, shape)| super::values::elementwise(&shape, &[input], |items| items[0].clone()));
    vec![info.with_value(value)]
}

fn expand_shape(call: &mut Call<'_>) -> Option<Shape> {
    let input = call.shape(0)?;
    let Some(target) = call.value(1) else {
        let rank = call.input(1)?.length()?.max(input.len());
        return call.run.fresh_shape(rank);
    };
    let rank = target.len().max(input.len());
    let mut shape = vec![Size::ONE; rank - input.len()];
    shape.extend_from_slice(input);
    for (size, item) in shape[rank - target.len()..].iter_mut().zip(target) {
        *size = match item.size() {
            Some(wanted) => call.run.symbols.broadcast(size, wanted)?,
            // What is not 1 cannot be expanded.
            None if size.known().is_some_and(|size| size != 1) => continue,
            None => call.run.symbols.fresh(),
        };
    }
    Some(shape)
}
