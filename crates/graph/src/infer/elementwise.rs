//! Operators that compute each output element from the input elements at its place.

use super::info::{Info, Item};
use super::{Call, Rule, values};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Abs"
        | "Acos"
        | "Acosh"
        | "Asin"
        | "Asinh"
        | "Atan"
        | "Atanh"
        | "BitwiseNot"
        | "Ceil"
        | "Celu"
        | "Clip"
        | "Cos"
        | "Cosh"
        | "CumProd"
        | "CumSum"
        | "Elu"
        | "Erf"
        | "Exp"
        | "Floor"
        | "Gelu"
        | "HardSigmoid"
        | "HardSwish"
        | "Hardmax"
        | "Identity"
        | "LRN"
        | "LeakyRelu"
        | "Log"
        | "LogSoftmax"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "Mish"
        | "Neg"
        | "Not"
        | "PRelu"
        | "Reciprocal"
        | "Relu"
        | "ReverseSequence"
        | "Round"
        | "Selu"
        | "Shrink"
        | "Sigmoid"
        | "Sign"
        | "Sin"
        | "Sinh"
        | "Softmax"
        | "Softplus"
        | "Softsign"
        | "Sqrt"
        | "Swish"
        | "Tan"
        | "Tanh"
        | "ThresholdedRelu"
        | "Trilu" => unary,
        "Add" | "And" | "BitShift" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "Div" | "Max" | "Mean"
        | "Min" | "Mod" | "Mul" | "Or" | "Pow" | "StringConcat" | "Sub" | "Sum" | "Xor" => variadic,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => compare,
        "IsInf" | "IsNaN" | "RegexFullMatch" => test,
        "Where" => select,
        "Cast" => cast,
        "CastLike" => cast_like,
        "BitCast" => bit_cast,
        "Bernoulli" => bernoulli,
        "QuantizeLinear" => quantize,
        "DequantizeLinear" => dequantize,
        "DynamicQuantizeLinear" => dynamic_quantize,
        _ => return None,
    })
}

fn unary(call: &mut Call<'_>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return Vec::new() };
    let symbols = &mut call.run.symbols;
    let value = input
        .value()
        .map(|items| items.iter().map(|item| values::unary(symbols, &call.node.op, item)).collect());
    vec![Info::new(input.dtype, input.shape.clone()).with_value(value)]
}

fn test(call: &mut Call<'_>) -> Vec<Info> {
    vec![Info::new(Some(DType::Bool), call.shape(0).map(<[_]>::to_vec))]
}

fn variadic(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = (0..call.node.inputs.len()).find_map(|index| call.dtype(index));
    vec![broadcast(call, dtype)]
}

fn compare(call: &mut Call<'_>) -> Vec<Info> {
    vec![broadcast(call, Some(DType::Bool))]
}

/// The broadcast of all inputs, folded element by element with the node's operator.
fn broadcast(call: &mut Call<'_>, dtype: Option<DType>) -> Info {
    let Some(inputs) = every_input(call, 0) else { return Info::new(dtype, None) };
    let shapes: Option<Vec<_>> = inputs.iter().map(|info| info.shape.as_deref()).collect();
    let info = Info::new(dtype, shapes.and_then(|shapes| call.run.broadcast(&shapes)));
    let (Some(shape), Some(operand)) = (info.fixed(), inputs.first().and_then(|input| input.dtype)) else {
        return info;
    };
    let (symbols, op) = (&mut call.run.symbols, &call.node.op);
    let value = values::elementwise(&shape, &inputs, |items| {
        let mut rest = items.iter().skip(1);
        let Some(first) = items.first() else { return Item::Unknown };
        rest.try_fold((*first).clone(), |folded, item| {
            match values::binary(symbols, op, operand, &folded, item) {
                Item::Unknown => None,
                item => Some(item),
            }
        })
        .unwrap_or(Item::Unknown)
    });
    info.with_value(value)
}

fn select(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(1).or(call.dtype(2));
    let Some(inputs) = every_input(call, 0) else { return vec![Info::new(dtype, None)] };
    let shapes: Option<Vec<_>> = inputs.iter().map(|info| info.shape.as_deref()).collect();
    let info = Info::new(dtype, shapes.and_then(|shapes| call.run.broadcast(&shapes)));
    let value = info.fixed().and_then(|shape| {
        values::elementwise(&shape, &inputs, |items| match items {
            [condition, yes, no] => values::select(condition, yes, no),
            _ => Item::Unknown,
        })
    });
    vec![info.with_value(value)]
}

fn cast(call: &mut Call<'_>) -> Vec<Info> {
    let to = call.dtype_attribute("to");
    cast_to(call, to)
}

fn cast_like(call: &mut Call<'_>) -> Vec<Info> {
    let to = call.dtype(1);
    cast_to(call, to)
}

fn cast_to(call: &mut Call<'_>, to: Option<DType>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return vec![Info::new(to, None)] };
    let symbols = &call.run.symbols;
    let value = to
        .zip(input.value())
        .map(|(to, items)| items.iter().map(|item| values::cast(symbols, item, to)).collect());
    vec![Info::new(to, input.shape.clone()).with_value(value)]
}

fn bit_cast(call: &mut Call<'_>) -> Vec<Info> {
    let to = call.dtype_attribute("to");
    let is_same_width = to.and_then(DType::size) == call.dtype(0).and_then(DType::size);
    vec![Info::new(to, call.shape(0).filter(|_| is_same_width).map(<[_]>::to_vec))]
}

fn bernoulli(call: &mut Call<'_>) -> Vec<Info> {
    let dtype =
        if call.node.attribute("dtype").is_some() { call.dtype_attribute("dtype") } else { call.dtype(0) };
    vec![Info::new(dtype, call.shape(0).map(<[_]>::to_vec))]
}

fn quantize(call: &mut Call<'_>) -> Vec<Info> {
    // 0 stands for "not given".
    let dtype = match (call.has(2), call.int("output_dtype", 0)) {
        (true, _) => call.dtype(2),
        (false, 0) => Some(DType::U8),
        (false, _) => call.dtype_attribute("output_dtype"),
    };
    vec![Info::new(dtype, call.shape(0).map(<[_]>::to_vec))]
}

fn dequantize(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = match call.int("output_dtype", 0) {
        0 => call.dtype(1),
        _ => call.dtype_attribute("output_dtype"),
    };
    vec![Info::new(dtype, call.shape(0).map(<[_]>::to_vec))]
}

fn dynamic_quantize(call: &mut Call<'_>) -> Vec<Info> {
    vec![
        Info::new(Some(DType::U8), call.shape(0).map(<[_]>::to_vec)),
        Info::new(Some(DType::F32), Some(Vec::new())),
        Info::new(Some(DType::U8), Some(Vec::new())),
    ]
}

/// What is known of all inputs from `first` on; `None` where of one nothing is.
fn every_input<'a>(call: &Call<'a>, first: usize) -> Option<Vec<&'a Info>> {
    (first..call.node.inputs.len()).map(|index| call.input(index)).collect()
}
