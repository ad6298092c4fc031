//! Types, shapes and small constants of every value of a graph.
//!
//! Cutting a model needs the size of each tensor, for any size of its symbols, and files say it
//! of the inputs only, or wrongly: exporters leave shapes of batch 1 behind under a symbolic
//! input. So shapes are derived here, operator by operator, in one pass. Shape computations
//! that a graph makes itself (`Shape`, `Gather`, `Concat`, `Reshape`, ...) are followed element by
//! element, with symbolic sizes where a size is not known.
//!
//! A graph comes from outside and may be hostile: whatever a rule cannot make sense of is
//! unknown, and no rule's work or memory exceeds a small multiple of what the file holds.

mod control;
mod conv;
mod elementwise;
mod generate;
mod index;
mod info;
mod join;
mod matmul;
mod normalise;
mod pool;
mod recurrent;
mod reduce;
mod resize;
mod shape;
mod signal;
mod size;
mod slice;
mod symbols;
mod values;

#[cfg(test)]
mod tests;

use crate::analysis::{Bindings, Fact, Facts, InferInput};
use crate::node::Node;
use info::{Info, Item, Shape};
use kerf_tensor::{DType, Dim};
pub(crate) use matmul::Equation;
use size::Size;
use std::collections::{BTreeMap, HashMap};
use symbols::Symbols;

/// Newest version of the default domain that the rules were written for.
const NEWEST_OPSET: i64 = 26;

/// Nodes of sub-graphs that one run visits, counting repeated visits of nested loops.
const SUBGRAPH_NODES: usize = 200_000;

/// What is known of every value of `input`.
pub(crate) fn infer(input: &InferInput<'_>) -> Facts {
    let mut run = Run::new(input.opsets);
    let mut scope = Scope::default();
    for (name, tensor) in input.constants {
        scope.infos.insert(name.clone(), Info::of_tensor(tensor));
    }
    for spec in input.inputs {
        let fact = Fact { dtype: Some(spec.dtype), shape: spec.shape.clone(), ..Fact::default() };
        scope.infos.insert(spec.name.clone(), run.import(&fact, input.bindings));
    }
    let mut facts = Facts::new();
    for (name, info) in &scope.infos {
        facts.insert(name.clone(), info.to_fact(name, &mut run.symbols));
    }
    for node in input.nodes {
        let declared = |output: &str, run: &mut Run| {
            input.declared.get(output).map(|fact| run.import(fact, input.bindings))
        };
        let mut outputs = run.visit(node, &scope, &declared);
        for (name, info) in node.outputs.iter().zip(outputs.drain(..)).filter(|(name, _)| !name.is_empty()) {
            facts.insert(name.clone(), info.to_fact(name, &mut run.symbols));
            scope.infos.insert(name.clone(), info);
        }
    }
    facts
}

/// Multiply-accumulates in the sub-graphs of `node`: of the costlier branch of an `If`, and of one
/// iteration of a loop, since how often it runs is seldom known.
pub(crate) fn macs_of_bodies(node: &Node, facts: &Facts, opsets: &BTreeMap<String, i64>) -> u64 {
    let mut run = Run::new(opsets);
    let mut scope = Scope::default();
    let reads = node.reads().filter_map(|name| Some((name, facts.get(name)?)));
    for (name, fact) in reads {
        let info = run.import(fact, &Bindings::default());
        let value = fact.value.as_ref().and_then(Info::of_constant);
        scope.infos.insert(name.to_owned(), value.unwrap_or(info));
    }
    run.visit(node, &scope, &|_, _| None);
    run.tally
}

/// What lasts from one node to the next.
struct Run {
    symbols: Symbols,
    opset: i64,
    /// Nodes of sub-graphs that may still be visited.
    budget: usize,
    depth: usize,
    /// Multiply-accumulates in sub-graphs.
    tally: u64,
}

/// The values that a graph's nodes can read: its own, then those of the graph around it.
#[derive(Default)]
struct Scope<'a> {
    infos: HashMap<String, Info>,
    outer: Option<&'a Scope<'a>>,
}

/// One node and what is known of its inputs, as a rule sees it.
struct Call<'a> {
    node: &'a Node,
    opset: i64,
    scope: &'a Scope<'a>,
    run: &'a mut Run,
}

/// Derives what is known of the outputs; those left out are unknown.
type Rule = fn(&mut Call<'_>) -> Vec<Info>;

/// The rule of an operator of the default domain.
fn rule(op: &str) -> Option<Rule> {
    elementwise::rule(op)
        .or_else(|| conv::rule(op))
        .or_else(|| pool::rule(op))
        .or_else(|| shape::rule(op))
        .or_else(|| index::rule(op))
        .or_else(|| join::rule(op))
        .or_else(|| slice::rule(op))
        .or_else(|| matmul::rule(op))
        .or_else(|| normalise::rule(op))
        .or_else(|| reduce::rule(op))
        .or_else(|| resize::rule(op))
        .or_else(|| generate::rule(op))
        .or_else(|| recurrent::rule(op))
        .or_else(|| signal::rule(op))
        .or_else(|| control::rule(op))
}

impl Run {
    fn new(opsets: &BTreeMap<String, i64>) -> Self {
        let opset = opsets.get("").copied().unwrap_or(NEWEST_OPSET);
        Self { symbols: Symbols::default(), opset, budget: SUBGRAPH_NODES, depth: 0, tally: 0 }
    }

    /// One info per output of `node`. What the file declares of an output fills a type that no
    /// rule finds, and stands in for everything where there is no rule at all.
    fn visit(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        declared: &dyn Fn(&str, &mut Self) -> Option<Info>,
    ) -> Vec<Info> {
        let rule = node.domain.is_empty().then(|| rule(&node.op)).flatten();
        let mut infos = match rule {
            Some(rule) => rule(&mut Call { node, opset: self.opset, scope, run: self }),
            None => node.outputs.iter().map(|name| declared(name, self).unwrap_or_default()).collect(),
        };
        infos.resize_with(node.outputs.len(), Info::unknown);
        for (name, info) in node.outputs.iter().zip(&mut infos).filter(|(_, info)| info.dtype.is_none()) {
            info.dtype = declared(name, self).and_then(|declared| declared.dtype);
        }
        infos
    }

    fn import(&mut self, fact: &Fact, bindings: &Bindings) -> Info {
        let shape = fact.shape.as_ref().and_then(|dims| {
            let sizes = dims.iter().map(|dim| match bindings.bind(dim) {
                Dim::Fixed(size) => i64::try_from(size).ok().map(Size::Known),
                Dim::Symbol(name) => Some(self.symbols.symbol(&name)),
            });
            sizes.collect()
        });
        Info::new(fact.dtype, shape)
    }

    /// A size that is one, where arithmetic has lost track of it.
    fn or_fresh(&mut self, size: Option<Size>) -> Size {
        size.unwrap_or_else(|| self.symbols.fresh())
    }

    /// A shape of which only the rank is known.
    fn fresh_shape(&mut self, rank: usize) -> Option<Shape> {
        (rank <= info::MAX_RANK).then(|| (0..rank).map(|_| self.symbols.fresh()).collect())
    }

    /// The shape that all `shapes` broadcast to, as NumPy's rule has it.
    fn broadcast(&mut self, shapes: &[&[Size]]) -> Option<Shape> {
        let rank = shapes.iter().map(|shape| shape.len()).max()?;
        let mut result = vec![Size::ONE; rank];
        for shape in shapes {
            for (size, other) in result[rank - shape.len()..].iter_mut().zip(*shape) {
                *size = self.symbols.broadcast(size, other)?;
            }
        }
        Some(result)
    }
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Option<&Info> {
        let mut scope = Some(self);
        while let Some(current) = scope {
            if let Some(info) = current.infos.get(name) {
                return Some(info);
            }
            scope = current.outer;
        }
        None
    }
}

impl<'a> Call<'a> {
    /// What is known of input `index`; `None` where it is absent or nothing is known.
    fn input(&self, index: usize) -> Option<&'a Info> {
        self.scope.get(self.node.input(index)?)
    }

    /// Whether the node names an input at `index`.
    fn has(&self, index: usize) -> bool {
        self.node.input(index).is_some()
    }

    fn dtype(&self, index: usize) -> Option<DType> {
        self.input(index)?.dtype
    }

    fn shape(&self, index: usize) -> Option<&'a [Size]> {
        self.input(index)?.shape.as_deref()
    }

    fn value(&self, index: usize) -> Option<&'a [Item]> {
        self.input(index)?.value()
    }

    fn int(&self, attribute: &str, default: i64) -> i64 {
        self.node.int(attribute).unwrap_or(default)
    }

    fn flag(&self, attribute: &str) -> bool {
        self.int(attribute, 0) != 0
    }

    /// Integers that older opsets give as an attribute and newer ones as input `index`.
    /// `Err` where an input holds them that is not constant; `Ok(None)` where neither is there.
    fn ints(&self, attribute: &str, index: usize) -> Result<Option<Vec<i64>>, NotConstant> {
        match (self.has(index), self.node.ints(attribute)) {
            (true, _) => self.input(index).and_then(Info::ints).map(Some).ok_or(NotConstant),
            (false, Some(ints)) => Ok(Some(ints.to_vec())),
            (false, None) => Ok(None),
        }
    }

    /// The type that a `TensorProto.DataType` attribute names.
    fn dtype_attribute(&self, attribute: &str) -> Option<DType> {
        DType::from_onnx_code(i32::try_from(self.node.int(attribute)?).ok()?)
    }
}

/// A shape depends on an input whose value is not known.
struct NotConstant;

/// `axis` counted from the front, of `rank` axes.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

/// Distinct axes counted from the front.
fn axes(given: &[i64], rank: usize) -> Option<Vec<usize>> {
    let mut axes = given.iter().map(|given| axis(*given, rank)).collect::<Option<Vec<_>>>()?;
    axes.sort_unstable();
    axes.windows(2).all(|pair| pair[0] != pair[1]).then_some(axes)
}

/// Outputs of a node that has one.
fn one(dtype: Option<DType>, shape: Option<Shape>) -> Vec<Info> {
    vec![Info::new(dtype, shape)]
}
