//! Which values really flow: made from a request's inputs, needed by something later.
//!
//! Exporters surround a network with plumbing that computes shapes, and with operators on
//! weights alone. None of that is worth a byte on the wire: a part of the model that needs such
//! a value makes it anew, or holds it as a weight.

use crate::analysis::Facts;
use crate::load::DraftParts;
use crate::node::Node;
use crate::onnx::{AttributeProto, NodeProto};
use crate::{ops, sized};
use kerf_tensor::{DType, Tensor};
use std::collections::HashMap;

/// The values of a graph, who makes each and who reads it.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Inputs first, then constants, then what nodes make, in their order.
    pub(crate) values: Vec<Value>,
    /// By node: values read, each once.
    pub(crate) reads: Vec<Vec<usize>>,
    /// By node: values made.
    pub(crate) writes: Vec<Vec<usize>>,
    /// By node: whether it works on values that flow towards an output, or makes an output.
    /// The others are repeated where they are needed, or not needed at all.
    pub(crate) active: Vec<bool>,
}

#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The node that makes it.
    pub(crate) source: Option<usize>,
    /// Nodes that read it, ascending.
    pub(crate) readers: Vec<usize>,
    pub(crate) is_output: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Differs from request to request.
    Flowing,
    /// Lies in the file.
    Initializer,
    /// Made by nodes that read constants only.
    Folded,
    /// The same for every request of every size, such as the length of a fixed dimension, and
    /// found by inference: a part that needs it holds it as a weight.
    Known,
    /// Made of sizes that tensors show which live as long: a part that needs it reads it off
    /// their shapes.
    Sized,
}

/// When a flowing value exists, in nodes done: first possible prefix and last reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) value: usize,
    pub(crate) from: usize,
    pub(crate) until: usize,
}

impl Flow {
    /// `facts` must hold for every size of every symbol.
    pub(crate) fn new(parts: &DraftParts, facts: &Facts) -> Self {
        let mut flow = Self {
            values: Vec::new(),
            reads: Vec::with_capacity(parts.nodes.len()),
            writes: Vec::with_capacity(parts.nodes.len()),
            active: vec![false; parts.nodes.len()],
        };
        let mut ids = HashMap::new();
        for input in &parts.inputs {
            flow.add(&input.name, Role::Flowing, None, &mut ids);
        }
        for constant in parts.constants.keys() {
            flow.add(constant, Role::Initializer, None, &mut ids);
        }
        let outputs = parts.outputs.iter().map(String::as_str).collect::<std::collections::HashSet<_>>();
        for (index, node) in parts.nodes.iter().enumerate() {
            let mut reads = node.reads().filter_map(|name| ids.get(name).copied()).collect::<Vec<usize>>();
            reads.sort_unstable();
            reads.dedup();
            let is_fixed = |id: &usize| flow.values[*id].role != Role::Flowing;
            let is_folded = reads.iter().all(is_fixed) && is_repeatable(node);
            for id in &reads {
                flow.values[*id].readers.push(index);
            }
            let writes = node.writes().map(|name| {
                let role = if is_known(node, facts) && !outputs.contains(name) {
                    Role::Known
                } else if is_folded {
                    Role::Folded
                } else {
                    Role::Flowing
                };
                flow.add(name, role, Some(index), &mut ids)
            });
            let writes = writes.collect();
            flow.reads.push(reads);
            flow.writes.push(writes);
        }
        for value in &mut flow.values {
            value.is_output = outputs.contains(value.name.as_str());
        }
        flow.find_active();
        sized::mark(&mut flow, parts, facts);
        flow
    }

    fn add<'a>(
        &mut self,
        name: &'a str,
        role: Role,
        source: Option<usize>,
        ids: &mut HashMap<&'a str, usize>,
    ) -> usize {
        let id = self.values.len();
        self.values.push(Value {
            name: name.to_owned(),
            role,
            source,
            readers: Vec::new(),
            is_output: false,
        });
        ids.insert(name, id);
        id
    }

    pub(crate) fn find_active(&mut self) {
        self.active.fill(false);
        let mut wanted = self.values.iter().map(|value| value.is_output).collect::<Vec<_>>();
        for node in (0..self.active.len()).rev() {
            self.active[node] = self.writes[node].iter().any(|id| wanted[*id]);
            if self.active[node] {
                for id in &self.reads[node] {
                    wanted[*id] |= self.values[*id].role == Role::Flowing;
                }
            }
        }
    }

    /// Every value that may lie in a boundary, in the order in which they come to be.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        let flowing = (0..self.values.len()).filter(|value| self.values[*value].role == Role::Flowing);
        flowing.filter_map(|value| self.span(value))
    }

    /// When a value exists; `None` where nothing needs it.
    pub(crate) fn span(&self, value: usize) -> Option<Span> {
        let it = &self.values[value];
        let until = it.readers.iter().rev().find(|reader| self.active[**reader])?;
        let from = it.source.map_or(0, |source| source + 1);
        Some(Span { value, from, until: *until })
    }

    /// Values that exist once `prefix` nodes have run and that later nodes still need.
    pub(crate) fn live(&self, prefix: usize) -> impl Iterator<Item = &Value> {
        let is_live = move |span: &Span| span.from <= prefix && prefix <= span.until;
        self.spans().filter(is_live).map(|span| &self.values[span.value])
    }
}

/// Whether a second run of the node gives the same, so that each part may have its own.
/// Foreign operators promise nothing.
pub(crate) fn is_repeatable(node: &Node) -> bool {
    let is_plain = |domain: &str, op: &str| ops::versions(domain).is_some() && !ops::is_random(op);
    fn all(attributes: &[AttributeProto], test: &dyn Fn(&NodeProto) -> bool) -> bool {
        let graphs = attributes.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        graphs.flat_map(|graph| &graph.node).all(|node| test(node) && all(&node.attribute, test))
    }
    is_plain(&node.domain, &node.op)
        && all(&node.attributes, &|inner| {
            is_plain(inner.domain(), inner.op_type()) || inner.domain() == "ai.onnx"
        })
}

fn is_known(node: &Node, facts: &Facts) -> bool {
    let mut writes = node.writes();
    let only = writes.next().filter(|_| writes.next().is_none());
    only.is_some_and(|value| known(facts, value).is_some()) && is_repeatable(node)
}

/// The value that every request gives; integers only, which no engine computes differently.
pub(crate) fn known<'a>(facts: &'a Facts, value: &str) -> Option<&'a Tensor> {
    let tensor = facts.get(value)?.value.as_ref()?;
    matches!(tensor.dtype(), DType::I64 | DType::I32 | DType::Bool).then_some(tensor)
}
