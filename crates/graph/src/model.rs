use crate::analysis::{Analysis, Bindings, Fact, Facts, InferInput};
use crate::costs::costs;
use crate::encode::{EncodeError, Parts, encode};
use crate::flow::Flow;
use crate::infer::infer;
use crate::load::{DraftParts, Fault, LoadError, permute};
use crate::node::Node;
use crate::{ops, schedule};
use bytes::Bytes;
use kerf_tensor::{Dim, TensorSpec};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A checked ONNX model in normal form. Clones share everything.
#[derive(Clone, Debug)]
pub struct Model {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    parts: DraftParts,
    outputs: Vec<TensorSpec>,
    symbols: Vec<String>,
    /// What holds whatever size the symbols have.
    facts: Facts,
    flow: Flow,
}

impl Model {
    /// `is_scheduled`: the nodes stand in the order that an earlier load found.
    pub(crate) fn from_draft(mut parts: DraftParts, is_scheduled: bool) -> Result<Self, LoadError> {
        let symbols = symbols(&parts.inputs);
        let mut facts = facts(&parts, &symbols, &Bindings::default());
        let mut flow = Flow::new(&parts, &facts);
        if !is_scheduled {
            let sizes = facts_bytes(&flow, &self::facts(&parts, &symbols, &Bindings::ones()));
            if let Some(order) = schedule::better(&flow, &sizes) {
                permute(&mut parts.nodes, &order);
                // Inference names unknown sizes after the first value that has them.
                facts = self::facts(&parts, &symbols, &Bindings::default());
                flow = Flow::new(&parts, &facts);
            }
        }
        let output = |name: &String| {
            let fact = facts.get(name).filter(|fact| fact.dtype.is_some()).cloned().unwrap_or_default();
            let untyped = || Fault::Untyped { value: name.clone(), role: "output" };
            let dtype = fact.dtype.ok_or_else(untyped)?;
            Ok::<_, Fault>(TensorSpec { name: name.clone(), dtype, shape: fact.shape })
        };
        let outputs = parts.outputs.iter().map(output).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { inner: Arc::new(Inner { parts, outputs, symbols, facts, flow }) })
    }

    /// What a request gives; symbols stand for sizes that it chooses.
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inner.parts.inputs
    }

    /// What an answer holds.
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.inner.outputs
    }

    /// The nodes in schedule order, which is topological and the same each time that the model,
    /// or what [`to_onnx`](Self::to_onnx) made of it, is loaded.
    pub fn nodes(&self) -> &[Node] {
        &self.inner.parts.nodes
    }

    /// Version of the default operator set.
    pub fn opset(&self) -> i64 {
        self.inner.parts.opsets.get("").copied().unwrap_or(ops::OLDEST)
    }

    /// Symbols of the inputs, in order of appearance.
    pub fn symbols(&self) -> Vec<String> {
        self.inner.symbols.clone()
    }

    /// Operators of domains that are not the ONNX project's, as `domain.op`, each once: only
    /// an engine that has them can run the model.
    pub fn foreign_ops(&self) -> Vec<String> {
        let foreign = self.nodes().iter().filter(|node| ops::versions(&node.domain).is_none());
        let names = foreign.map(|node| format!("{}.{}", node.domain, node.op));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The model as one self-contained file: no external data, no functions, no initializers
    /// among the inputs, nodes in schedule order, no shapes of intermediate values.
    pub fn to_onnx(&self) -> Result<Bytes, EncodeError> {
        encode(Parts {
            name: "main".into(),
            inputs: self.inputs(),
            outputs: self.outputs(),
            nodes: self.nodes().iter().collect(),
            constants: self.parts().constants.values().cloned().collect(),
            opsets: &self.parts().opsets,
        })
    }

    /// Types, shapes and costs where the symbols have the given sizes.
    pub fn analyse(&self, bindings: &Bindings) -> Analysis {
        let facts = facts(self.parts(), &self.inner.symbols, bindings);
        let costs = costs(&infer_input(self.parts(), bindings), &facts);
        Analysis::new(self.nodes(), facts, costs)
    }

    pub(crate) fn parts(&self) -> &DraftParts {
        &self.inner.parts
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.inner.flow
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    /// Type of a value for any size of the symbols.
    pub(crate) fn spec(&self, value: &str) -> Option<TensorSpec> {
        let fact = self.inner.facts.get(value)?;
        Some(TensorSpec { name: value.to_owned(), dtype: fact.dtype?, shape: fact.shape.clone() })
    }

    /// The tensors that lie between the first `prefix` nodes and the others, or the name of one
    /// whose type is not known.
    pub(crate) fn live(&self, prefix: usize) -> Result<Vec<TensorSpec>, String> {
        if prefix == 0 {
            return Ok(self.inputs().to_vec());
        }
        if prefix >= self.nodes().len() {
            return Ok(self.outputs().to_vec());
        }
        self.flow()
            .live(prefix)
            .map(|value| self.spec(&value.name).ok_or_else(|| value.name.clone()))
            .collect()
    }
}

/// Sizes of a flow's values.
pub(crate) fn facts_bytes(flow: &Flow, facts: &Facts) -> Vec<Option<u64>> {
    flow.values.iter().map(|value| facts.get(&value.name).and_then(Fact::bytes)).collect()
}

fn symbols(inputs: &[TensorSpec]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let dims = inputs.iter().filter_map(|input| input.shape.as_ref()).flatten();
    let names = dims.filter_map(|dim| match dim {
        Dim::Symbol(name) => Some(name),
        Dim::Fixed(_) => None,
    });
    names.filter(|name| seen.insert((*name).clone())).cloned().collect()
}

fn facts(parts: &DraftParts, symbols: &[String], bindings: &Bindings) -> Facts {
    let mut facts = infer(&infer_input(parts, bindings));
    let symbols = symbols.iter().map(String::as_str).collect::<BTreeSet<_>>();
    for name in &parts.outputs {
        let fact = facts.entry(name.clone()).or_default();
        if let Some(declared) = parts.declared.get(name) {
            complete(fact, declared, &symbols, bindings);
        }
    }
    facts
}

fn infer_input<'a>(parts: &'a DraftParts, bindings: &'a Bindings) -> InferInput<'a> {
    InferInput {
        nodes: &parts.nodes,
        inputs: &parts.inputs,
        constants: &parts.constants,
        opsets: &parts.opsets,
        declared: &parts.declared,
        bindings,
    }
}

/// Fills what inference could not tell of an output with what the file says. Where both speak,
/// inference is right: a model whose batch was made symbolic later often still declares 1.
fn complete(fact: &mut Fact, declared: &Fact, symbols: &BTreeSet<&str>, bindings: &Bindings) {
    fact.dtype = fact.dtype.or(declared.dtype);
    let Some(said) = &declared.shape else { return };
    let said = said.iter().map(|dim| bindings.bind(dim)).collect::<Vec<_>>();
    let Some(dims) = &mut fact.shape else {
        fact.shape = Some(said);
        return;
    };
    if dims.len() == said.len() {
        for (dim, said) in dims.iter_mut().zip(said) {
            if matches!(dim, Dim::Symbol(name) if !symbols.contains(name.as_str())) {
                *dim = said;
            }
        }
    }
}
