//! Operators that fold axes away.

use super::info::{Info, Item, Shape};
use super::size::Size;
use super::{Call, Rule, axes, axis, one, values};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean"
        | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => reduce,
        "ArgMax" | "ArgMin" => arg,
        _ => return None,
    })
}

fn reduce(call: &mut Call<'_>) -> Vec<Info> {
    let shape = reduce_shape(call);
    let info = Info::new(call.dtype(0), shape);
    let value = fold(call).filter(|_| info.elements() == Some(1)).map(|item| vec![item]);
    vec![info.with_value(value)]
}

/// Axes are an attribute, then an input (`ReduceSum` since opset 13, the others since 18).
fn reduce_shape(call: &mut Call<'_>) -> Option<Shape> {
    let shape = call.shape(0)?;
    let (rank, keep) = (shape.len(), call.int("keepdims", 1) != 0);
    let gone = match call.ints("axes", 1) {
        Ok(Some(given)) if !given.is_empty() => axes(&given, rank)?,
        Ok(_) if call.flag("noop_with_empty_axes") => return Some(shape.to_vec()),
        Ok(_) => (0..rank).collect(),
        // Some axes shrink to 1, or some axes go.
        Err(_) if keep => return call.run.fresh_shape(rank),
        Err(_) => {
            let gone = call.input(1)?.length().filter(|gone| *gone > 0)?;
            return call.run.fresh_shape(rank.checked_sub(gone)?);
        }
    };
    let sizes = shape.iter().enumerate().filter_map(|(axis, size)| match gone.binary_search(&axis) {
        Err(_) => Some(size.clone()),
        Ok(_) => keep.then_some(Size::ONE),
    });
    Some(sizes.collect())
}

/// All elements folded into one, for the reductions that shape computations use.
fn fold(call: &mut Call<'_>) -> Option<Item> {
    let input = call.input(0)?;
    let op = match call.node.op.as_str() {
        "ReduceProd" => "Mul",
        "ReduceSum" => "Add",
        "ReduceMax" => "Max",
        "ReduceMin" => "Min",
        _ => return None,
    };
    let dtype = input.dtype?;
    let (first, rest) = match (input.value()?, op) {
        ([], "Mul") => return Some(Item::known(1)),
        ([], "Add") => return Some(Item::known(0)),
        (items, _) => items.split_first()?,
    };
    let symbols = &mut call.run.symbols;
    Some(rest.iter().fold(first.clone(), |folded, item| values::binary(symbols, op, dtype, &folded, item)))
}

fn arg(call: &mut Call<'_>) -> Vec<Info> {
    let shape = call.shape(0).and_then(|shape| {
        let axis = axis(call.int("axis", 0), shape.len())?;
        let mut shape = shape.to_vec();
        match call.int("keepdims", 1) {
            0 => drop(shape.remove(axis)),
            _ => shape[axis] = Size::ONE,
        }
        Some(shape)
    });
    one(Some(DType::I64), shape)
}
