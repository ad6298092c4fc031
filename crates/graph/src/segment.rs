use crate::boundaries::Boundary;
use crate::encode::{EncodeError, Parts, encode};
use crate::excerpt::{Excerpt, Given};
use crate::model::Model;
use bytes::Bytes;
use kerf_tensor::TensorSpec;
use std::collections::BTreeSet;

/// The part of a model between two of its boundaries, as a model of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The boundary where it starts.
    pub from: usize,
    /// The boundary where it ends.
    pub to: usize,
    /// A valid ONNX model with all its weights.
    pub onnx: Bytes,
    /// Tensors of the first boundary that its nodes use.
    pub inputs: Vec<TensorSpec>,
    /// Tensors that it makes and that lie in the second boundary, or are outputs of the model.
    /// What lies in both boundaries and passes by untouched is in neither list.
    pub outputs: Vec<TensorSpec>,
}

/// Cuts `from..to` out of `model`; `ends` are the two boundaries, which must be the model's own.
pub(crate) fn cut(
    model: &Model,
    (from, to): (usize, usize),
    ends: (&Boundary, &Boundary),
) -> Result<Segment, EncodeError> {
    let range = ends.0.nodes..ends.1.nodes;
    let mut excerpt = Excerpt::new(model, Given::Before(range.start));
    let is_made_here = |name: &str| excerpt.source(name).is_some_and(|at| range.contains(&at));
    let mut outputs =
        ends.1.tensors.iter().filter(|spec| is_made_here(&spec.name)).cloned().collect::<Vec<_>>();
    let listed = outputs.iter().map(|output| output.name.clone()).collect::<BTreeSet<_>>();
    let further = model.outputs().iter().filter(|output| !listed.contains(&output.name));
    outputs.extend(further.filter(|output| is_made_here(&output.name)).cloned());
    outputs.iter().for_each(|output| excerpt.need(&output.name));
    let sizes = excerpt.read_sizes();
    let inputs = ends.0.tensors.iter().filter(|spec| excerpt.inputs.contains(spec.name.as_str()));
    let inputs = inputs.cloned().collect::<Vec<_>>();
    let onnx = encode(Parts {
        name: format!("segment_{from}_{to}"),
        inputs: &inputs,
        outputs: &outputs,
        nodes: excerpt.schedule(&sizes),
        constants: excerpt.constants(&sizes),
        opsets: &model.parts().opsets,
    })?;
    Ok(Segment { from, to, onnx, inputs, outputs })
}
