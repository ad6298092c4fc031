//! Parts of a model: which nodes and constants it takes to compute some values from others.

use crate::constant::from_tensor;
use crate::flow::{Role, known};
use crate::model::Model;
use crate::node::Node;
use crate::onnx::TensorProto;
use crate::sized::{self, Reading};
use std::collections::{BTreeSet, HashMap};

/// What need not be computed.
pub(crate) enum Given<'a> {
    /// What the first nodes made, and the inputs.
    Before(usize),
    /// These values.
    Values(BTreeSet<&'a str>),
}

/// What is needed of a model to compute some values.
pub(crate) struct Excerpt<'a> {
    model: &'a Model,
    given: Given<'a>,
    ids: HashMap<&'a str, usize>,
    seen: BTreeSet<usize>,
    nodes: BTreeSet<usize>,
    /// Values that are read and not made: given ones, and inputs of the model.
    pub(crate) inputs: BTreeSet<&'a str>,
    stored: BTreeSet<&'a str>,
    computed: BTreeSet<&'a str>,
    sized: Vec<usize>,
}

impl<'a> Excerpt<'a> {
    pub(crate) fn new(model: &'a Model, given: Given<'a>) -> Self {
        let values = model.flow().values.iter().enumerate();
        Self {
            model,
            given,
            ids: values.map(|(id, value)| (value.name.as_str(), id)).collect(),
            seen: BTreeSet::new(),
            nodes: BTreeSet::new(),
            inputs: BTreeSet::new(),
            stored: BTreeSet::new(),
            computed: BTreeSet::new(),
            sized: Vec::new(),
        }
    }

    /// The node that makes a value.
    pub(crate) fn source(&self, name: &str) -> Option<usize> {
        self.ids.get(name).and_then(|id| self.model.flow().values[*id].source)
    }

    pub(crate) fn need(&mut self, name: &str) {
        if let Some(id) = self.ids.get(name) {
            self.need_value(*id);
        }
    }

    fn need_value(&mut self, id: usize) {
        let flow = self.model.flow();
        // Where whole values are given, the nodes that work on sizes find what they read there, or make it.
        let sizes_from = match self.given {
            Given::Before(start) if start > 0 => Some(start),
            _ => None,
        };
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
                (Role::Sized, Some(node)) if sizes_from.is_none() => node,
                (Role::Sized, _) => {
                    self.sized.push(id);
                    continue;
                }
                (Role::Flowing, Some(node)) if !self.is_given(&value.name, node) => node,
                (Role::Flowing | Role::Folded, _) => {
                    self.inputs.insert(&value.name);
                    continue;
                }
            };
            self.nodes.insert(node);
            pending.extend(&flow.reads[node]);
        }
    }

    fn is_given(&self, name: &str, node: usize) -> bool {
        match &self.given {
            Given::Before(start) => node < *start,
            Given::Values(values) => values.contains(name),
        }
    }

    /// Nodes that make the values that are sizes, each from tensors that exist where it comes to be.
    pub(crate) fn read_sizes(&mut self) -> Vec<Reading> {
        let mut readings = Vec::new();
        let Given::Before(start) = self.given else { return readings };
        // What shows a size may itself need a value that is one.
        while let Some(id) = self.sized.pop() {
            let reading = sized::read(self.model, id, start, &self.seen);
            reading.sources.iter().for_each(|source| self.need_value(*source));
            readings.push(reading);
        }
        readings.sort_by_key(|reading| reading.at);
        readings
    }

    /// The model's nodes, and before the one at which sizes are first there, those that read them.
    pub(crate) fn schedule<'b>(&'b self, sizes: &'b [Reading]) -> Vec<&'b Node> {
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

    /// The constants that all of it reads.
    pub(crate) fn constants(&self, sizes: &[Reading]) -> Vec<TensorProto> {
        let constants = &self.model.parts().constants;
        let stored = self.stored.iter().filter_map(|name| constants.get(*name).cloned());
        let facts = self.model.facts();
        let computed = self.computed.iter().filter_map(|name| from_tensor(name, known(facts, name)?));
        let indices = sizes.iter().flat_map(|reading| reading.constants.iter().cloned());
        stored.chain(computed).chain(indices).collect()
    }
}
