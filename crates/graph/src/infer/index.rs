//! Operators that pick, place or order elements by index.

use super::info::{Info, Item, Shape};
use super::size::Size;
use super::values::{Grid, each_index};
use super::{Call, Rule, axis, one};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Gather" => gather,
        "GatherElements" => gather_elements,
        "GatherND" => gather_nd,
        "Scatter" | "ScatterElements" | "ScatterND" | "TensorScatter" => scatter,
        "OneHot" => one_hot,
        "NonZero" => non_zero,
        "Compress" => compress,
        "Unique" => unique,
        "NonMaxSuppression" => non_max_suppression,
        "TopK" => top_k,
        _ => return None,
    })
}

fn gather(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(0);
    let Some((data, indices)) = call.input(0).zip(call.input(1)) else { return one(dtype, None) };
    let Some((shape, picked)) = data.shape.as_ref().zip(indices.shape.as_ref()) else {
        return one(dtype, None);
    };
    let Some(axis) = axis(call.int("axis", 0), shape.len()) else { return one(dtype, None) };
    let gathered = [&shape[..axis], picked, &shape[axis + 1..]].concat();
    let info = Info::new(dtype, Some(gathered));
    let value = info.fixed().and_then(|shape| {
        let (data, indices) = (Grid::of(data)?, Grid::of(indices)?);
        let rank = indices.shape.len();
        each_index(&shape, |index| {
            let Some(picked) = indices.item(&index[axis..axis + rank])?.int() else {
                return Some(Item::Unknown);
            };
            let size = i64::try_from(data.shape[axis]).ok()?;
            let picked = if picked < 0 { picked.checked_add(size)? } else { picked };
            let picked = usize::try_from(picked).ok().filter(|picked| *picked < data.shape[axis])?;
            data.item(&[&index[..axis], &[picked], &index[axis + rank..]].concat()).cloned()
        })
    });
    vec![info.with_value(value)]
}

fn gather_elements(call: &mut Call<'_>) -> Vec<Info> {
    one(call.dtype(0), call.shape(1).map(<[_]>::to_vec))
}

fn gather_nd(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).zip(call.shape(1)).and_then(|(data, indices)| {
        let (depth, outer) = indices.split_last()?;
        let batch = usize::try_from(call.int("batch_dims", 0)).ok()?;
        let inner = batch.checked_add(usize::try_from(depth.known()?).ok()?)?;
        Some([outer, data.get(inner..)?].concat())
    });
    one(call.dtype(0), shape)
}

fn scatter(call: &mut Call<'_>) -> Vec<Info> {
    one(call.dtype(0), call.shape(0).map(<[_]>::to_vec))
}

fn one_hot(call: &mut Call<'_>) -> Vec<Info> {
    let shape = one_hot_shape(call);
    one(call.dtype(2), shape)
}

fn one_hot_shape(call: &mut Call<'_>) -> Option<Shape> {
    let mut shape = call.shape(0)?.to_vec();
    let axis = axis(call.int("axis", -1), shape.len() + 1)?;
    let depth = match call.value(1) {
        Some([Item::Int(depth)]) => Some(depth.clone()),
        Some([depth]) => {
            depth.float().filter(|depth| depth.abs() < 9e15).map(|depth| Size::Known(depth as i64))
        }
        _ => None,
    };
    shape.insert(axis, call.run.or_fresh(depth));
    Some(shape)
}

fn non_zero(call: &mut Call<'_>) -> Vec<Info> {
    let rank = call.shape(0).map(|shape| Size::Known(shape.len() as i64));
    let shape = vec![call.run.or_fresh(rank), call.run.symbols.fresh()];
    one(Some(DType::I64), Some(shape))
}

fn compress(call: &mut Call<'_>) -> Vec<Info> {
    let picked = call.run.symbols.fresh();
    let shape = match call.node.int("axis") {
        None => Some(vec![picked]),
        Some(given) => call.shape(0).and_then(|shape| {
            let mut shape = shape.to_vec();
            let axis = axis(given, shape.len())?;
            shape[axis] = picked;
            Some(shape)
        }),
    };
    one(call.dtype(0), shape)
}

fn unique(call: &mut Call<'_>) -> Vec<Info> {
    let found = call.run.symbols.fresh();
    let (values, all) = match call.node.int("axis") {
        None => (Some(vec![found.clone()]), call.shape(0).and_then(Size::product)),
        Some(given) => match call.shape(0).and_then(|shape| Some((shape, axis(given, shape.len())?))) {
            Some((shape, axis)) => {
                let mut values = shape.to_vec();
                values[axis] = found.clone();
                (Some(values), Some(shape[axis].clone()))
            }
            None => (None, None),
        },
    };
    let index = |size: Size| Info::new(Some(DType::I64), Some(vec![size]));
    let all = call.run.or_fresh(all);
    vec![Info::new(call.dtype(0), values), index(found.clone()), index(all), index(found)]
}

fn non_max_suppression(call: &mut Call<'_>) -> Vec<Info> {
    let selected = call.run.symbols.fresh();
    one(Some(DType::I64), Some(vec![selected, Size::Known(3)]))
}

fn top_k(call: &mut Call<'_>) -> Vec<Info> {
    let shape = top_k_shape(call);
    let dtype = call.dtype(0);
    vec![Info::new(dtype, shape.clone()), Info::new(Some(DType::I64), shape)]
}

/// `k` is an attribute until opset 10, then an input.
fn top_k_shape(call: &mut Call<'_>) -> Option<Shape> {
    let mut shape = call.shape(0)?.to_vec();
    let axis = axis(call.int("axis", -1), shape.len())?;
    let k = match call.value(1) {
        Some([Item::Int(k)]) => Some(k.clone()),
        _ => call.node.int("k").filter(|_| !call.has(1)).map(Size::Known),
    };
    shape[axis] = call.run.or_fresh(k);
    Some(shape)
}
