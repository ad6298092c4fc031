//! Normalisations, and operators of training that inference passes through.

use super::info::{Info, Shape};
use super::size::Size;
use super::{Call, Rule, axis, one};
use kerf_tensor::DType;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "BatchNormalization" => batch_normalization,
        "LayerNormalization" => layer_normalization,
        "GroupNormalization" | "InstanceNormalization" | "RMSNormalization" => like_input,
        "Dropout" => dropout,
        "NegativeLogLikelihoodLoss" => loss,
        "SoftmaxCrossEntropyLoss" => cross_entropy,
        _ => return None,
    })
}

fn like_input(call: &mut Call<'_>) -> Vec<Info> {
    one(call.dtype(0), call.shape(0).map(<[_]>::to_vec))
}

/// The statistics, where asked for, are like the running mean.
fn batch_normalization(call: &mut Call<'_>) -> Vec<Info> {
    let statistics = Info::new(call.dtype(3), call.shape(3).map(<[_]>::to_vec));
    let mut infos = like_input(call);
    infos.resize(call.node.outputs.len().max(1), statistics);
    infos
}

/// Mean and inverse deviation keep the normalised axes, with size 1.
fn layer_normalization(call: &mut Call<'_>) -> Vec<Info> {
    let statistics = call.shape(0).and_then(|shape| {
        let first = axis(call.int("axis", -1), shape.len())?;
        Some([&shape[..first], &vec![Size::ONE; shape.len() - first]].concat())
    });
    let dtype = match call.node.int("stash_type") {
        Some(_) => call.dtype_attribute("stash_type"),
        None => Some(DType::F32),
    };
    let mut infos = like_input(call);
    infos.resize(3, Info::new(dtype, statistics));
    infos
}

/// The mask is of the input's type until opset 10, bool since.
fn dropout(call: &mut Call<'_>) -> Vec<Info> {
    let Some(input) = call.input(0) else { return Vec::new() };
    let mask = if call.opset < 10 { input.dtype } else { Some(DType::Bool) };
    let value = input.value().map(<[_]>::to_vec);
    vec![Info::new(input.dtype, input.shape.clone()).with_value(value), Info::new(mask, input.shape.clone())]
}

fn loss(call: &mut Call<'_>) -> Vec<Info> {
    one(call.dtype(0), loss_shape(call))
}

fn cross_entropy(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(0);
    vec![Info::new(dtype, loss_shape(call)), Info::new(dtype, call.shape(0).map(<[_]>::to_vec))]
}

fn loss_shape(call: &Call<'_>) -> Option<Shape> {
    match call.node.string("reduction") {
        Some("none") => call.shape(1).map(<[_]>::to_vec),
        _ => Some(Vec::new()),
    }
}
