//! Elements of small values: what operators compute on them, symbolically where sizes are symbols.

use super::info::{Info, Item, MAX_ELEMENTS};
use super::size::Size;
use super::symbols::Symbols;
use kerf_tensor::DType;

/// A value of known shape, with its elements in row-major order.
pub(super) struct Grid<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) items: &'a [Item],
}

impl<'a> Grid<'a> {
    pub(super) fn of(info: &'a Info) -> Option<Self> {
        Some(Self { shape: info.fixed()?, items: info.value()? })
    }

    /// The element at an index for a tensor that this one broadcasts to.
    fn broadcast_item(&self, index: &[usize]) -> Option<&'a Item> {
        let skipped = index.len().checked_sub(self.shape.len())?;
        let place = self.shape.iter().zip(&index[skipped..]);
        self.items
            .get(place.fold(0, |place, (size, index)| place * size + if *size == 1 { 0 } else { *index }))
    }

    /// The element at an index of this tensor.
    pub(super) fn item(&self, index: &[usize]) -> Option<&'a Item> {
        self.items.get(self.shape.iter().zip(index).fold(0, |place, (size, index)| place * size + index))
    }
}

/// Calls `element` with every index of a tensor of `shape`, in row-major order.
/// `None` where there are too many, or for one of them there is none.
pub(super) fn each_index(
    shape: &[usize],
    mut element: impl FnMut(&[usize]) -> Option<Item>,
) -> Option<Vec<Item>> {
    let count = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))?;
    if count > MAX_ELEMENTS {
        return None;
    }
    let mut index = vec![0; shape.len()];
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(element(&index)?);
        for (place, size) in index.iter_mut().zip(shape).rev() {
            *place += 1;
            if *place < *size {
                break;
            }
            *place = 0;
        }
    }
    Some(items)
}

/// The elements of an elementwise result of `shape`, whose operands broadcast to it.
pub(super) fn elementwise(
    shape: &[usize],
    operands: &[&Info],
    mut element: impl FnMut(&[&Item]) -> Item,
) -> Option<Vec<Item>> {
    let grids = operands.iter().map(|info| Grid::of(info)).collect::<Option<Vec<_>>>()?;
    each_index(shape, |index| {
        let items = grids.iter().map(|grid| grid.broadcast_item(index)).collect::<Option<Vec<_>>>()?;
        Some(element(&items))
    })
}

/// The element that a binary operator on a type gives; unknown for one that shapes are not
/// computed with.
pub(super) fn binary(symbols: &mut Symbols, op: &str, dtype: DType, a: &Item, b: &Item) -> Item {
    if let (Item::Float(a), Item::Float(b)) = (a, b) {
        return float_binary(op, *a, *b);
    }
    match (integral(a), integral(b)) {
        // Floats do not round the quotient.
        (Some(a), Some(b)) if op == "Div" && dtype.is_float() => Item::of(a.exact_div(&b)),
        (Some(a), Some(b)) => int_binary(symbols, op, &a, &b),
        _ => Item::Unknown,
    }
}

fn int_binary(symbols: &mut Symbols, op: &str, a: &Size, b: &Size) -> Item {
    let test = |truth: Option<bool>| truth.map_or(Item::Unknown, |truth| Item::known(i64::from(truth)));
    let logic = |truth: fn(bool, bool) -> bool| match (a.known(), b.known()) {
        (Some(a), Some(b)) => Item::known(i64::from(truth(a != 0, b != 0))),
        _ => Item::Unknown,
    };
    match op {
        "Add" | "Sum" => Item::of(a.add(b)),
        "Sub" => Item::of(a.sub(b)),
        "Mul" => Item::of(a.mul(b)),
        "Div" => Item::of(symbols.trunc_div(a, b)),
        "Mod" => Item::of(symbols.modulo(a, b)),
        "Min" => Item::Int(symbols.min(a, b)),
        "Max" => Item::Int(symbols.max(a, b)),
        "Equal" => test(symbols.is_equal(a, b)),
        "GreaterOrEqual" => test(symbols.is_at_least(a, b)),
        "LessOrEqual" => test(symbols.is_at_least(b, a)),
        "Less" => test(symbols.is_at_least(a, b).map(|not| !not)),
        "Greater" => test(symbols.is_at_least(b, a).map(|not| !not)),
        "And" => logic(|a, b| a && b),
        "Or" => logic(|a, b| a || b),
        "Xor" => logic(|a, b| a != b),
        _ => Item::Unknown,
    }
}

fn float_binary(op: &str, a: f64, b: f64) -> Item {
    let test = |truth: bool| Item::known(i64::from(truth));
    match op {
        "Add" | "Sum" => Item::Float(a + b),
        "Sub" => Item::Float(a - b),
        "Mul" => Item::Float(a * b),
        "Div" => Item::Float(a / b),
        "Min" => Item::Float(a.min(b)),
        "Max" => Item::Float(a.max(b)),
        "Equal" => test(a == b),
        "Less" => test(a < b),
        "LessOrEqual" => test(a <= b),
        "Greater" => test(a > b),
        "GreaterOrEqual" => test(a >= b),
        _ => Item::Unknown,
    }
}

/// The element that a unary operator gives; unknown for one that shapes are not computed with.
pub(super) fn unary(symbols: &mut Symbols, op: &str, item: &Item) -> Item {
    match (op, item) {
        ("Identity", item) => item.clone(),
        // Integral already, though of a float type.
        ("Floor" | "Ceil" | "Round", Item::Int(_)) => item.clone(),
        ("Neg", Item::Int(size)) => Item::of(size.scale(-1)),
        ("Abs" | "Relu", Item::Int(size)) if symbols.is_natural(size) => item.clone(),
        ("Abs", Item::Int(Size::Known(int))) => int.checked_abs().map_or(Item::Unknown, Item::known),
        ("Not", Item::Int(Size::Known(int))) => Item::known(i64::from(*int == 0)),
        ("Floor", Item::Float(float)) => Item::Float(float.floor()),
        ("Ceil", Item::Float(float)) => Item::Float(float.ceil()),
        ("Round", Item::Float(float)) => Item::Float(float.round_ties_even()),
        ("Neg", Item::Float(float)) => Item::Float(-float),
        ("Abs", Item::Float(float)) => Item::Float(float.abs()),
        ("Sqrt", Item::Float(float)) => Item::Float(float.sqrt()),
        ("Reciprocal", Item::Float(float)) => Item::Float(float.recip()),
        _ => Item::Unknown,
    }
}

/// The element that `Where` picks.
pub(super) fn select(condition: &Item, yes: &Item, no: &Item) -> Item {
    match condition.int() {
        Some(0) => no.clone(),
        Some(_) => yes.clone(),
        None if yes == no => yes.clone(),
        None => Item::Unknown,
    }
}

/// The element as `to` holds it.
pub(super) fn cast(symbols: &Symbols, item: &Item, to: DType) -> Item {
    match (item, to) {
        (Item::Float(float), DType::Bool) => Item::known(i64::from(*float != 0.0)),
        (Item::Int(size), DType::Bool) => symbols
            .is_equal(size, &Size::Known(0))
            .map_or(Item::Unknown, |zero| Item::known(i64::from(!zero))),
        (Item::Float(_), to) if to.is_float() => item.clone(),
        (Item::Float(float), _) => trunc(*float).map_or(Item::Unknown, Item::known),
        _ => item.clone(),
    }
}

/// Toward zero, where the result is an exact integer.
fn trunc(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.abs() < EXACT).then_some(float.trunc() as i64)
}

fn integral(item: &Item) -> Option<Size> {
    match item {
        Item::Int(size) => Some(size.clone()),
        Item::Float(float) => trunc(*float).filter(|int| *int as f64 == *float).map(Size::Known),
        Item::Unknown => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn indices_count_in_row_major_order() {
        let mut seen = Vec::new();
        each_index(&[2, 3], |index| {
            seen.push(index.to_vec());
            Some(Item::Unknown)
        });
        assert_eq!(seen, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
        assert_eq!(each_index(&[], |_| Some(Item::known(7))), Some(vec![Item::known(7)]));
        assert_eq!(each_index(&[3, 0], |_| None), Some(vec![]));
        assert_eq!(each_index(&[usize::MAX, 2], |_| None), None);
    }
}
