use crate::boundaries::Boundary;
use crate::constant::from_tensor;
use crate::encode::{EncodeError, Parts, encode};
use crate::flow::{Role, known};
use crate::model::Model;
use crate::node::Node;
use crate::sized::{self, Reading};
use bytes::Bytes;
use kerf_tensor::TensorSpec;
use std::collections::{BTreeSet, HashMap};

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
    let mut excerpt = Excerpt::new(model, range.clone());
    let is_made_here = |name: &str| {
        excerpt
            .ids
            .get(name)
            .and_then(|id| model.flow().values[*id].source)
            .is_some_and(|at| range.contains(&at))
    };
    let mut outputs =
        ends.1.tensors.iter().filter(|spec| is_made_here(&spec.name)).cloned().collect::<Vec<_>>();
    let listed = outputs.iter().map(|output| output.name.clone()).collect::<BTreeSet<_>>();
    let further = model.outputs().iter().filter(|output| !listed.contains(&output.name));
    outputs.extend(further.filter(|output| is_made_here(&output.name)).cloned());
    outputs.iter().for_each(|output| excerpt.need(&output.name));
    let sizes = excerpt.read_sizes();
    let inputs = ends.0.tensors.iter().filter(|spec| excerpt.inputs.contains(spec.name.as_str()));
    let inputs = inputs.cloned().collect::<Vec<_>>();
    let constants = &model.parts().constants;
    let stored = excerpt.stored.iter().filter_map(|name| constants.get(*name).cloned());
    let computed = excerpt.computed.iter().filter_map(|name| from_tensor(name, known(model.facts(), name)?));
    let indices = sizes.iter().flat_map(|reading| reading.constants.iter().cloned());
    let onnx = encode(Parts {
        name: format!("segment_{from}_{to}"),
        inputs: &inputs,
        outputs: &outputs,
        nodes: excerpt.schedule(&sizes),
        constants: stored.chain(computed).chain(indices).collect(),
        opsets: &model.parts().opsets,
    })?;
    Ok(Segment { from, to, onnx, inputs, outputs })
}

/// What is needed of a model to compute some values, when what was made before `range` is given.
struct Excerpt<'a> {
    model: &'a Model,
    range: std::ops::Range<usize>,
    ids: HashMap<&'a str, usize>,
    seen: BTreeSet<usize>,
    nodes: BTreeSet<usize>,
    inputs: BTreeSet<&'a str>,
    stored: BTreeSet<&'a str>,
    computed: BTreeSet<&'a str>,
    sized: Vec<usize>,
}

impl<'a> Excerpt<'a> {
    fn new(model: &'a Model, range: std::ops::Range<usize>) -> Self {
        let values = model.flow().values.iter().enumerate();
        Self {
            model,
            range,
            ids: values.map(|(id, value)| (value.name.as_str(), id)).collect(),
            seen: BTreeSet::new(),
            nodes: BTreeSet::new(),
            inputs: BTreeSet::new(),
            stored: BTreeSet::new(),
            computed: BTreeSet::new(),
            sized: Vec::new(),
        }
    }

    fn need(&mut self, name: &str) {
        if let Some(id) = self.ids.get(name) {
            self.need_value(*id);
        }
    }

    fn need_value(&mut self, id: usize) {
        let flow = self.model.flow();
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            let value = &flow.values[id];
            let node = match (value.role, value.source) {
                (Role::Initializer, _) => {
                    self.stored.insert(&value.name);
                    continue;
                }
                (Role::Known, _) => {
                    self.computed.insert(&value.name);
                    continue;
                }
                (Role::Folded, Some(node)) => node,
                // From the inputs on, everything that the model's own nodes read is there.
                (Role::Sized, Some(node)) if self.range.start == 0 => node,
                (Role::Sized, _) => {
                    self.sized.push(id);
                    continue;
                }
                (Role::Flowing, Some(node)) if self.range.contains(&node) => node,
                (Role::Flowing | Role::Folded, _) => {
                    self.inputs.insert(&value.name);
                    continue;
                }
            };
            self.nodes.insert(node);
            pending.extend(&flow.reads[node]);
        }
    }

    /// Nodes that make the values that are sizes, each from tensors that exist where it comes to be.
    fn read_sizes(&mut self) -> Vec<Reading> {
        let mut readings = Vec::new();
        // What shows a size may itself need a value that is one.
        while let Some(id) = self.sized.pop() {
            let reading = sized::read(self.model, id, self.range.start, &self.seen);
            reading.sources.iter().for_each(|source| self.need_value(*source));
            readings.push(reading);
        }
        readings.sort_by_key(|reading| reading.at);
        readings
    }

    /// The model's nodes, and before the one at which sizes are first there, those that read them.
    fn schedule<'b>(&'b self, sizes: &'b [Reading]) -> Vec<&'b Node> {
        let mut sizes = sizes.iter().peekable();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for index in &self.nodes {
            while let Some(reading) = sizes.next_if(|reading| reading.at <= *index) {
                nodes.extend(&reading.nodes);
            }
            nodes.push(&self.model.nodes()[*index]);
        }
        nodes
    }
}
