//! Model-local functions, replaced by what they stand for: a boundary may then lie inside
//! one, and no engine has to know them.

use super::problem::Problems;
use super::{Fault, opset_map, subgraphs};
use crate::onnx::{AttributeProto, FunctionProto, GraphProto, NodeProto};
use crate::ops;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Nodes of a model, sub-graphs included: a few functions that call each other twice describe
/// more nodes than memory holds.
const MAX_NODES: usize = 1 << 18;
/// Bytes of the functions that inlining copies, for the same reason.
const MAX_COPIED: usize = 256 << 20;

/// The graph without calls of model-local functions. Opsets that only functions import are
/// added to `opsets`.
pub(super) fn inline(
    mut graph: GraphProto,
    functions: &[FunctionProto],
    opsets: &mut BTreeMap<String, i64>,
    problems: &mut Problems,
) -> GraphProto {
    let key = |function: &FunctionProto| Key::new(function.domain(), function.name(), function.overload());
    let mut inliner = Inliner {
        functions: functions.iter().map(|function| (key(function), function)).collect(),
        calls: Vec::new(),
        names: BTreeSet::new(),
        nodes: 0,
        copied: 0,
        opsets,
        problems,
    };
    if !functions.is_empty() {
        inliner.note_names(&graph);
    }
    graph.node = inliner.expand(graph.node);
    if inliner.is_over() {
        problems.add(None, Fault::TooManyNodes { limit: MAX_NODES });
        graph.node.clear();
    }
    graph
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    domain: String,
    name: String,
    overload: String,
}

impl Key {
    fn new(domain: &str, name: &str, overload: &str) -> Self {
        let domain = if domain == "ai.onnx" { "" } else { domain };
        Self { domain: domain.to_owned(), name: name.to_owned(), overload: overload.to_owned() }
    }
}

struct Inliner<'a> {
    functions: HashMap<Key, &'a FunctionProto>,
    /// Functions being inlined, outermost first.
    calls: Vec<Key>,
    /// Values of the model, so that those inside a function get new names.
    names: BTreeSet<String>,
    nodes: usize,
    copied: usize,
    opsets: &'a mut BTreeMap<String, i64>,
    problems: &'a mut Problems,
}

impl Inliner<'_> {
    fn is_over(&self) -> bool {
        self.nodes > MAX_NODES || self.copied > MAX_COPIED
    }

    fn note_names(&mut self, graph: &GraphProto) {
        self.names.extend(graph.input.iter().map(|input| input.name().to_owned()));
        self.names.extend(graph.initializer.iter().map(|tensor| tensor.name().to_owned()));
        for node in &graph.node {
            self.names.extend(node.output.iter().cloned());
            subgraphs::of(&node.attribute).for_each(|graph| self.note_names(graph));
        }
    }

    fn expand(&mut self, nodes: Vec<NodeProto>) -> Vec<NodeProto> {
        let mut out = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            self.nodes += 1;
            if self.is_over() {
                break;
            }
            for graph in subgraphs::of_mut(&mut node.attribute) {
                graph.node = self.expand(std::mem::take(&mut graph.node));
            }
            let key = Key::new(node.domain(), node.op_type(), node.overload());
            match self.functions.get(&key).copied() {
                Some(function) => out.append(&mut self.call(&node, key, function)),
                None => out.push(node),
            }
        }
        out
    }

    fn call(&mut self, call: &NodeProto, key: Key, function: &FunctionProto) -> Vec<NodeProto> {
        if self.calls.contains(&key) {
            let function = function.name().to_owned();
            self.problems.add(call.name.as_deref(), Fault::RecursiveFunction { function });
            return Vec::new();
        }
        self.copied = self.copied.saturating_add(function.encoded_len());
        if self.is_over() {
            return Vec::new();
        }
        self.import(call, function);
        let prefix = match call.name() {
            "" => call.output.iter().find(|name| !name.is_empty()).map_or("call", String::as_str),
            name => name,
        };
        let mut body = Body { call, function, prefix, values: HashMap::new(), names: &mut self.names };
        body.bind();
        let mut nodes = function.node.iter().map(|node| body.node(node)).collect::<Vec<_>>();
        nodes.append(&mut body.passed_through());
        self.calls.push(key);
        let nodes = self.expand(nodes);
        self.calls.pop();
        nodes
    }

    /// Takes the function's opsets over. One of another version than the model's is no problem
    /// where it means the same for every operator that the function uses.
    fn import(&mut self, call: &NodeProto, function: &FunctionProto) {
        for (domain, version) in opset_map(&function.opset_import) {
            let opset = *self.opsets.entry(domain.clone()).or_insert(version);
            let is_same = |node: &NodeProto| {
                Key::new(node.domain(), "", "").domain != domain
                    || self.functions.contains_key(&Key::new(node.domain(), node.op_type(), node.overload()))
                    || ops::standing(&domain, node.op_type(), opset)
                        == ops::standing(&domain, node.op_type(), version)
            };
            let is_table = ops::versions(&domain).is_some();
            let mut same = version == opset || is_table && function.node.iter().all(is_same);
            if same && version != opset {
                for node in &function.node {
                    subgraphs::nodes(&node.attribute, &mut |inner| same &= is_same(inner));
                }
            }
            if !same {
                let function = function.name().to_owned();
                let domain = if domain.is_empty() { "ai.onnx".to_owned() } else { domain };
                let fault = Fault::FunctionOpset { function, domain, function_opset: version, opset };
                self.problems.add(call.name.as_deref(), fault);
            }
        }
    }
}

/// A function's body under the names of one call.
struct Body<'a> {
    call: &'a NodeProto,
    function: &'a FunctionProto,
    prefix: &'a str,
    values: HashMap<String, String>,
    names: &'a mut BTreeSet<String>,
}

impl Body<'_> {
    fn bind(&mut self) {
        let outputs =
            self.function.output.iter().zip(&self.call.output).filter(|(_, actual)| !actual.is_empty());
        self.values.extend(outputs.map(|(formal, actual)| (formal.clone(), actual.clone())));
        for (index, formal) in self.function.input.iter().enumerate() {
            let actual = self.call.input.get(index).cloned().unwrap_or_default();
            self.values.insert(formal.clone(), actual);
        }
    }

    /// Identities for outputs of the function that are its inputs.
    fn passed_through(&self) -> Vec<NodeProto> {
        let inputs = self.function.input.iter().collect::<BTreeSet<_>>();
        let formals = self.function.output.iter().zip(&self.call.output);
        formals
            .filter(|(formal, actual)| inputs.contains(formal) && !actual.is_empty())
            .map(|(formal, actual)| NodeProto {
                op_type: Some("Identity".into()),
                input: vec![self.values.get(formal).cloned().unwrap_or_default()],
                output: vec![actual.clone()],
                ..NodeProto::default()
            })
            .collect()
    }

    fn node(&mut self, node: &NodeProto) -> NodeProto {
        NodeProto {
            name: Some(match node.name() {
                "" => String::new(),
                name => format!("{}/{name}", self.prefix),
            }),
            input: node.input.iter().map(|value| self.value(value)).collect(),
            output: node.output.iter().map(|value| self.value(value)).collect(),
            attribute: node.attribute.iter().filter_map(|attribute| self.attribute(attribute)).collect(),
            op_type: node.op_type.clone(),
            domain: node.domain.clone(),
            overload: node.overload.clone(),
            ..NodeProto::default()
        }
    }

    fn value(&mut self, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        if let Some(known) = self.values.get(value) {
            return known.clone();
        }
        let mut fresh = format!("{}/{value}", self.prefix);
        while !self.names.insert(fresh.clone()) {
            fresh.push('\'');
        }
        self.values.insert(value.to_owned(), fresh.clone());
        fresh
    }

    /// The attribute with references resolved by the call, else by the function's default;
    /// `None` where neither has it.
    fn attribute(&mut self, attribute: &AttributeProto) -> Option<AttributeProto> {
        let reference = attribute.ref_attr_name();
        if !reference.is_empty() {
            let mut given = self.call.attribute.iter().chain(&self.function.attribute_proto);
            let given = given.find(|given| given.name() == reference)?;
            return Some(AttributeProto { name: attribute.name.clone(), ..given.clone() });
        }
        let mut attribute = attribute.clone();
        for graph in subgraphs::of_mut(std::slice::from_mut(&mut attribute)) {
            self.graph(graph);
        }
        Some(attribute)
    }

    /// Values of a sub-graph get new names too: the old ones may stand for others out there.
    fn graph(&mut self, graph: &mut GraphProto) {
        for value in graph.input.iter_mut().chain(&mut graph.output) {
            value.name = Some(self.value(value.name()));
        }
        for tensor in &mut graph.initializer {
            tensor.name = Some(self.value(tensor.name()));
        }
        graph.value_info.clear();
        graph.node = graph.node.iter().map(|node| self.node(node)).collect();
    }
}
