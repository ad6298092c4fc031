//! Shapes that follow the request: `[N, sequence, 12, 32]`, worked out once at the start of a
//! transformer and read by every layer.
//!
//! Carried across a boundary they would be tiny, but engines that want to know shapes before
//! they run, as `tract` and most accelerators do, refuse a `Reshape` whose shape comes in as a
//! tensor. A part of the model finds the same sizes on the tensors that it is given anyway.

use crate::analysis::{Element, Fact, Facts};
use crate::constant::from_tensor;
use crate::flow::{Flow, Role, is_repeatable};
use crate::load::DraftParts;
use crate::model::Model;
use crate::node::Node;
use crate::onnx::attribute_proto::AttributeType;
use crate::onnx::{AttributeProto, TensorProto};
use kerf_tensor::{DType, Dim, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Marks the values that can be read off shapes wherever they are needed.
///
/// What a boundary holds depends on this, so it looks at every prefix, chosen as a boundary or not.
pub(crate) fn mark(flow: &mut Flow, parts: &DraftParts, facts: &Facts) {
    let fact = |flow: &Flow, value: usize| facts.get(&flow.values[value].name);
    let is_candidate = |value: &usize| {
        let it = &flow.values[*value];
        let node = it.source.map(|node| &parts.nodes[node]);
        it.role == Role::Flowing
            && !it.is_output
            && node.is_some_and(|node| is_repeatable(node) && node.outputs.len() == 1)
            && fact(flow, *value).and_then(sizes).is_some()
    };
    let mut candidates: Vec<usize> = (0..flow.values.len()).filter(is_candidate).collect();
    if candidates.is_empty() {
        return;
    }
    set(flow, &candidates, Role::Sized);
    // One that fails is a tensor again, made by a node that may read others: those are then needed
    // at more prefixes, and are looked at again.
    loop {
        let shown = Shown::new(flow, facts, parts.nodes.len() + 1);
        let is_lost = |value: &usize| {
            let span = flow.span(*value);
            let names = fact(flow, *value).and_then(sizes).unwrap_or_default();
            span.is_some_and(|span| !names.iter().all(|name| shown.throughout(name, span.from, span.until)))
        };
        let (lost, kept): (Vec<usize>, Vec<usize>) = candidates.iter().partition(|value| is_lost(value));
        if lost.is_empty() {
            return;
        }
        set(flow, &lost, Role::Flowing);
        candidates = kept;
    }
}

fn set(flow: &mut Flow, values: &[usize], role: Role) {
    values.iter().for_each(|value| flow.values[*value].role = role);
    flow.find_active();
}

/// The names of the sizes in a value that is made of sizes, at least one.
fn sizes(fact: &Fact) -> Option<BTreeSet<&str>> {
    let names = fact.elements.as_ref()?.iter().filter_map(|element| match element {
        Element::Size(name) => Some(name.as_str()),
        Element::Fixed(_) => None,
    });
    let names: BTreeSet<&str> = names.collect();
    (!names.is_empty()).then_some(names)
}

/// By the name of a size: how many tensors show it at each prefix, summed from the front.
struct Shown<'a> {
    missing: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Shown<'a> {
    fn new(flow: &Flow, facts: &'a Facts, prefixes: usize) -> Self {
        let mut tally: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for span in flow.spans() {
            let dims = facts.get(&flow.values[span.value].name).and_then(|fact| fact.shape.as_ref());
            for name in dims.into_iter().flatten().filter_map(symbol) {
                let change = tally.entry(name).or_insert_with(|| vec![0; prefixes + 1]);
                change[span.from] += 1;
                change[span.until + 1] -= 1;
            }
        }
        let missing = tally.into_iter().map(|(name, change)| {
            let (mut alive, mut gaps) = (0, 0);
            let mut missing = vec![0];
            for change in change {
                alive += change;
                gaps += usize::from(alive == 0);
                missing.push(gaps);
            }
            (name, missing)
        });
        Self { missing: missing.collect() }
    }

    /// Whether some tensor shows the size at every prefix `from..=until`.
    fn throughout(&self, name: &str, from: usize, until: usize) -> bool {
        self.missing.get(name).is_some_and(|missing| missing[until + 1] == missing[from])
    }
}

fn symbol(dim: &Dim) -> Option<&str> {
    match dim {
        Dim::Symbol(name) => Some(name),
        Dim::Fixed(_) => None,
    }
}

/// How a part of the model reads one value off shapes.
pub(crate) struct Reading {
    /// The node before which it can be done.
    pub(crate) at: usize,
    /// Values whose shapes are read.
    pub(crate) sources: BTreeSet<usize>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) constants: Vec<TensorProto>,
}

/// The reading of `value` in a part that starts at prefix `start`; off tensors in `used`, where
/// those show the sizes.
pub(crate) fn read(model: &Model, value: usize, start: usize, used: &BTreeSet<usize>) -> Reading {
    let flow = model.flow();
    let target = &flow.values[value];
    let fact = model.facts().get(&target.name);
    let at = flow.span(value).map_or(start, |span| span.from.max(start));
    let mut alive: Vec<usize> =
        flow.spans().filter(|span| span.from <= at && at <= span.until).map(|span| span.value).collect();
    alive.sort_by_key(|source| !used.contains(source));
    let find = |name: &str| {
        alive.iter().find_map(|source| {
            let dims = model.facts().get(&flow.values[*source].name)?.shape.as_ref()?;
            let axis = dims.iter().position(|dim| symbol(dim) == Some(name))?;
            Some((*source, axis))
        })
    };

    let mut writer =
        Writer { model, prefix: &target.name, reading: Reading::empty(at), shapes: BTreeMap::new() };
    let elements = fact.and_then(|fact| fact.elements.as_deref()).unwrap_or_default();
    let parts = elements.iter().map(|element| match element {
        Element::Fixed(size) => writer.vector("size", *size),
        // `mark` saw to it that each size is shown.
        Element::Size(name) => match find(name) {
            Some((source, axis)) => writer.size(source, axis as i64),
            None => writer.vector("size", -1),
        },
    });
    let parts: Vec<String> = parts.collect();
    let is_scalar = fact.and_then(|fact| fact.shape.as_ref()).is_some_and(Vec::is_empty);
    let is_short = fact.and_then(|fact| fact.dtype) == Some(DType::I32);
    writer.finish(parts, is_scalar, is_short)
}

impl Reading {
    fn empty(at: usize) -> Self {
        Self { at, sources: BTreeSet::new(), nodes: Vec::new(), constants: Vec::new() }
    }
}

/// Writes operators that mean the same in every opset: indices are vectors, and `Gather` of a
/// scalar index makes a scalar.
struct Writer<'a> {
    model: &'a Model,
    prefix: &'a str,
    reading: Reading,
    /// By value: the name of its shape.
    shapes: BTreeMap<usize, String>,
}

impl Writer<'_> {
    /// One dimension of `source`, as a vector of one element.
    fn size(&mut self, source: usize, axis: i64) -> String {
        let shape = match self.shapes.get(&source) {
            Some(shape) => shape.clone(),
            None => {
                let tensor = self.model.flow().values[source].name.clone();
                let shape = self.node("Shape", vec![tensor], None);
                self.reading.sources.insert(source);
                self.shapes.insert(source, shape.clone());
                shape
            }
        };
        let index = self.vector("axis", axis);
        self.node("Gather", vec![shape, index], Some(("axis", 0)))
    }

    fn finish(mut self, parts: Vec<String>, is_scalar: bool, is_short: bool) -> Reading {
        let mut whole = match <[String; 1]>::try_from(parts) {
            Ok([one]) => one,
            Err(parts) => self.node("Concat", parts, Some(("axis", 0))),
        };
        if is_scalar {
            let zero = self.constant("first", Tensor::from_vec(&[], vec![0i64]));
            whole = self.node("Gather", vec![whole, zero], Some(("axis", 0)));
        }
        if is_short {
            let to = i64::from(DType::I32.onnx_code());
            whole = self.node("Cast", vec![whole], Some(("to", to)));
        }
        debug_assert_eq!(self.reading.nodes.last().map(|node| &node.outputs[0]), Some(&whole));
        if let Some(last) = self.reading.nodes.last_mut() {
            last.outputs = vec![self.prefix.to_owned()];
        }
        self.reading
    }

    fn vector(&mut self, what: &str, element: i64) -> String {
        self.constant(what, Tensor::from_vec(&[1], vec![element]))
    }

    fn constant<E>(&mut self, what: &str, tensor: Result<Tensor, E>) -> String {
        let name = self.fresh(what);
        self.reading.constants.extend(tensor.ok().and_then(|tensor| from_tensor(&name, &tensor)));
        name
    }

    fn node(&mut self, op: &str, inputs: Vec<String>, attribute: Option<(&str, i64)>) -> String {
        let output = self.fresh(op);
        let attribute = attribute.map(|(name, value)| AttributeProto {
            name: Some(name.into()),
            r#type: Some(AttributeType::Int as i32),
            i: Some(value),
            ..AttributeProto::default()
        });
        self.reading.nodes.push(Node {
            name: output.clone(),
            op: op.into(),
            domain: String::new(),
            inputs,
            outputs: vec![output.clone()],
            captures: Vec::new(),
            attributes: attribute.into_iter().collect(),
        });
        output
    }

    /// A name that no value of the model has.
    fn fresh(&self, what: &str) -> String {
        let count = self.reading.nodes.len() + self.reading.constants.len();
        let mut name = format!("{}/{what}_{count}", self.prefix);
        while self.model.facts().contains_key(&name) {
            name.push('\'');
        }
        name
    }
}
