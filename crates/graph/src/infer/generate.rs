//! Operators that make a tensor out of attributes and sizes.

use super::info::{Info, Item, MAX_ELEMENTS, MAX_RANK, Shape};
use super::size::Size;
use super::{Call, Rule, one};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Constant" => constant,
        "ConstantOfShape" => constant_of_shape,
        "Range" => range,
        "EyeLike" => eye_like,
        "Multinomial" => multinomial,
        "RandomNormal" | "RandomUniform" => random,
        "RandomNormalLike" | "RandomUniformLike" => random_like,
        _ => return None,
    })
}

fn constant(call: &mut Call<'_>) -> Vec<Info> {
    let node = call.node;
    let info = if let Some(tensor) = node.tensor("value") {
        Info::of_tensor(tensor)
    } else if let Some(sparse) = node.attribute("sparse_value").and_then(|value| value.sparse_tensor.as_ref())
    {
        let dtype = sparse.values.as_ref().and_then(|values| DType::from_onnx_code(values.data_type?));
        Info::new(dtype, Some(sparse.dims.iter().map(|dim| Size::Known(*dim)).collect()))
    } else if let Some(int) = node.int("value_int") {
        Info::scalar(DType::I64, Item::known(int))
    } else if let Some(float) = node.float("value_float") {
        Info::scalar(DType::F32, Item::Float(f64::from(float)))
    } else if let Some(ints) = node.ints("value_ints") {
        vector(DType::I64, ints, |int| Item::known(*int))
    } else if let Some(floats) = node.floats("value_floats") {
        vector(DType::F32, floats, |float| Item::Float(f64::from(*float)))
    } else if let Some(strings) = node.attribute("value_strings") {
        Info::new(Some(DType::String), Some(vec![Size::Known(strings.strings.len() as i64)]))
    } else if node.attribute("value_string").is_some() {
        Info::new(Some(DType::String), Some(Vec::new()))
    } else {
        Info::unknown()
    };
    vec![info]
}

fn vector<T>(dtype: DType, elements: &[T], item: impl Fn(&T) -> Item) -> Info {
    let info = Info::new(Some(dtype), Some(vec![Size::Known(elements.len() as i64)]));
    match elements.len() {
        0..=MAX_ELEMENTS => info.with_value(Some(elements.iter().map(item).collect())),
        _ => info,
    }
}

fn constant_of_shape(call: &mut Call<'_>) -> Vec<Info> {
    let value = call.node.tensor("value").map(Info::of_tensor);
    let dtype = value.as_ref().map_or(Some(DType::F32), |value| value.dtype);
    let info = Info::new(dtype, shape_input(call, 0));
    let item = match &value {
        None => Item::known(0),
        Some(value) => value.value().and_then(<[_]>::first).cloned().unwrap_or(Item::Unknown),
    };
    let items = info.elements().filter(|count| *count <= MAX_ELEMENTS).map(|count| vec![item; count]);
    vec![info.with_value(items)]
}

/// The shape that an input's elements describe, as far as they are known.
pub(super) fn shape_input(call: &mut Call<'_>, index: usize) -> Option<Shape> {
    let Some(items) = call.value(index) else {
        let rank = call.input(index)?.length()?;
        return call.run.fresh_shape(rank);
    };
    if items.len() > MAX_RANK {
        return None;
    }
    Some(items.iter().map(|item| call.run.or_fresh(item.size().cloned())).collect())
}

fn range(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(0).or(call.dtype(1));
    let length = range_length(call);
    let info = Info::new(dtype, Some(vec![call.run.or_fresh(length)]));
    let items = info.elements().filter(|count| *count <= MAX_ELEMENTS).and_then(|count| {
        let [start, _, step] = bounds(call)?;
        let items =
            (0..count as i64).map(|place| Item::of(step.scale(place).and_then(|offset| start.add(&offset))));
        Some(items.collect())
    });
    vec![info.with_value(items)]
}

/// `max(⌈(limit - start) / delta⌉, 0)`
fn range_length(call: &mut Call<'_>) -> Option<Size> {
    if let Some([start, limit, step]) = bounds(call) {
        let span = limit.sub(&start)?;
        let (span, step) = match step.known()? {
            step if step < 0 => (span.scale(-1)?, step.checked_neg()?),
            step => (span, step),
        };
        let length = call.run.symbols.ceil_div(&span, &Size::Known(step))?;
        return Some(call.run.symbols.max(&length, &Size::Known(0)));
    }
    let [start, limit, step] = [0, 1, 2].map(|index| call.value(index)?.first()?.float());
    let length = ((limit? - start?) / step?).ceil().max(0.0);
    (length < 9e15).then_some(Size::Known(length as i64))
}

/// Start, limit and step, where they are integers or sizes.
fn bounds(call: &Call<'_>) -> Option<[Size; 3]> {
    let bound = |index: usize| call.value(index)?.first()?.size().cloned();
    Some([bound(0)?, bound(1)?, bound(2)?])
}

fn eye_like(call: &mut Call<'_>) -> Vec<Info> {
    random_like(call)
}

fn random_like(call: &mut Call<'_>) -> Vec<Info> {
    let dtype =
        if call.node.attribute("dtype").is_some() { call.dtype_attribute("dtype") } else { call.dtype(0) };
    one(dtype, call.shape(0).map(<[_]>::to_vec))
}

fn random(call: &mut Call<'_>) -> Vec<Info> {
    let dtype =
        if call.node.attribute("dtype").is_some() { call.dtype_attribute("dtype") } else { Some(DType::F32) };
    let shape = call.node.ints("shape").map(|sizes| sizes.iter().map(|size| Size::Known(*size)).collect());
    one(dtype, shape)
}

fn multinomial(call: &mut Call<'_>) -> Vec<Info> {
    let dtype =
        if call.node.attribute("dtype").is_some() { call.dtype_attribute("dtype") } else { Some(DType::I32) };
    let samples = Size::Known(call.int("sample_size", 1));
    let shape = call.shape(0).and_then(|shape| Some(vec![shape.first()?.clone(), samples]));
    one(dtype, shape)
}
