//! Whether a batch answers as its members do alone: only then may a node join requests.
//!
//! It cannot be read off the graph. Dynamic quantisation takes its scale from the whole tensor,
//! so each member changes the others' rounding; a `Reshape` to a constant may mix them, too.

use crate::engines::Present;
use crate::piece::{Piece, run_all};
use crate::print::chain;
use anyhow::{Context, bail};
use bytes::BytesMut;
use kerf_bundle::{Batching, BatchingKind, Pack};
use kerf_engine::Engine;
use kerf_graph::{CutModel, Model};
use kerf_inputs::{Generator, batch_symbol};
use kerf_tensor::{Difference, Dim, NamedTensor, Tensor, compare};

const MEMBERS: usize = 3;

/// Differences of single precision that reordered sums make.
const ROUNDING: f64 = 1e-4;

/// Runs a batch and its members on the first engine that takes the model.
pub(crate) fn check(pack: &Pack, present: &Present) -> anyhow::Result<Batching> {
    let model = pack.model();
    let Some(symbol) = batch_symbol(model.model()) else {
        return Ok(Batching { kind: BatchingKind::Fixed, difference: None, tried: None });
    };
    let mut refused = Vec::new();
    for engine in &present.engines {
        match try_with(engine.as_ref(), model, &symbol) {
            Ok(batching) => return Ok(batching),
            Err(error) => refused.push(chain(&error)),
        }
    }
    bail!("{}", refused.join("; "))
}

fn try_with(engine: &dyn Engine, model: &CutModel, symbol: &str) -> anyhow::Result<Batching> {
    let whole = Piece::compile(engine, model, 0, model.last())?;
    let generator = Generator::new(model.model(), &[])?;
    let mut members: Vec<Vec<NamedTensor>> =
        (0..MEMBERS).map(|seed| generator.sample(seed as u64, 1)).collect::<Result<_, _>>()?;
    share_unbatched(&mut members, model.model(), symbol);
    let run = |inputs: &[NamedTensor]| run_all(model, &[&whole], inputs);
    let alone: Vec<Vec<NamedTensor>> =
        members.iter().map(|inputs| run(inputs)).collect::<Result<_, _>>().context("one request")?;
    let Ok(together) = run(&join(&members, model.model(), symbol)?) else {
        // The input's shape promises any batch, the nodes take only one size.
        return Ok(Batching { kind: BatchingKind::Fixed, difference: None, tried: Some(MEMBERS) });
    };
    let mut worst: f64 = 0.0;
    for (index, batch) in together.iter().enumerate() {
        let parts: Vec<&Tensor> = alone.iter().map(|answer| &answer[index].tensor).collect();
        worst = worst.max(difference(&batch.tensor, &parts));
    }
    let kind = if worst <= ROUNDING { BatchingKind::Independent } else { BatchingKind::Coupled };
    let difference = worst.is_finite().then_some(worst);
    Ok(Batching { kind, difference, tried: Some(MEMBERS) })
}

/// Where the batch lies in an input; `None` where the input has no batch.
fn axis(model: &Model, name: &str, symbol: &str) -> Option<usize> {
    let spec = model.inputs().iter().find(|spec| spec.name == name)?;
    let dims = spec.shape.as_deref()?;
    let batch = |dim: &Dim| matches!(dim, Dim::Symbol(name) if name == symbol);
    // Exporters give the batch another name for each input now and then.
    let first_is_symbol = matches!(dims.first(), Some(Dim::Symbol(_)));
    dims.iter().position(batch).or(first_is_symbol.then_some(0))
}

/// What all members of a batch share, such as a sampling rate, must be equal in all.
fn share_unbatched(members: &mut [Vec<NamedTensor>], model: &Model, symbol: &str) {
    let Some((first, rest)) = members.split_first_mut() else { return };
    for (index, input) in first.iter().enumerate() {
        if axis(model, &input.name, symbol).is_none() {
            rest.iter_mut().for_each(|member| member[index].tensor = input.tensor.clone());
        }
    }
}

fn join(members: &[Vec<NamedTensor>], model: &Model, symbol: &str) -> anyhow::Result<Vec<NamedTensor>> {
    let inputs = members.first().map_or(&[][..], |first| first.as_slice()).iter().enumerate();
    inputs
        .map(|(index, input)| {
            let parts: Vec<&Tensor> = members.iter().map(|member| &member[index].tensor).collect();
            let tensor = match axis(model, &input.name, symbol) {
                Some(axis) => concat(&parts, axis)?,
                None => input.tensor.clone(),
            };
            Ok(NamedTensor { name: input.name.clone(), tensor })
        })
        .collect()
}

/// Tensors of equal shape, one after the other along `axis`.
fn concat(parts: &[&Tensor], axis: usize) -> anyhow::Result<Tensor> {
    let Some(first) = parts.first() else { bail!("nothing to join") };
    let Some(element) = first.dtype().size() else { bail!("strings cannot be joined") };
    let outer: usize = first.shape()[..axis].iter().product();
    let run = first.shape()[axis..].iter().product::<usize>() * element;
    let mut data = BytesMut::with_capacity(outer * run * parts.len());
    for row in 0..outer {
        for part in parts {
            data.extend_from_slice(&part.data()[row * run..(row + 1) * run]);
        }
    }
    let mut shape = first.shape().to_vec();
    shape[axis] *= parts.len();
    Ok(Tensor::new(first.dtype(), shape, data.freeze())?)
}

/// How far a batch's output is from its members' outputs; infinite where it is not made of them.
fn difference(batch: &Tensor, parts: &[&Tensor]) -> f64 {
    let Some(first) = parts.first() else { return 0.0 };
    let is_batch = |axis: &usize| {
        let mut shape = first.shape().to_vec();
        shape[*axis] *= parts.len();
        shape == batch.shape()
    };
    let joined = (0..first.shape().len()).find(is_batch).and_then(|axis| concat(parts, axis).ok());
    match joined {
        Some(joined) => compare(batch, &joined).as_ref().map_or(f64::INFINITY, Difference::relative),
        // An output that does not depend on the request, such as a table of anchors.
        None if parts.iter().all(|part| *part == batch) => 0.0,
        None => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_vec(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn batches_are_compared_along_the_axis_that_grew() {
        let (a, b) = (tensor(&[2, 1, 2], &[1., 2., 3., 4.]), tensor(&[2, 1, 2], &[5., 6., 7., 8.]));
        let joined = concat(&[&a, &b], 1).unwrap();
        assert_eq!(joined, tensor(&[2, 2, 2], &[1., 2., 5., 6., 3., 4., 7., 8.]));
        assert_eq!(difference(&joined, &[&a, &b]), 0.0);
        assert_eq!(difference(&a, &[&a, &a]), 0.0);
        assert_eq!(difference(&a, &[&a, &b]), f64::INFINITY);
        assert!(difference(&joined, &[&b, &a]) > 0.1);
    }
}
