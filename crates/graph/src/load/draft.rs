use super::problem::Problems;
use super::types::{declared, is_identifier};
use super::{ExternalData, Fault, subgraphs};
use crate::analysis::{Fact, Facts};
use crate::constant::normalise;
use crate::node::Node;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::ops::{self, Standing};
use kerf_tensor::{Dim, TensorSpec};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A graph in normal form whose nodes may still stand in any order.
pub(super) struct Draft {
    parts: DraftParts,
    /// Names that stand for a value of the file, good or bad.
    values: HashSet<String>,
    node_names: HashSet<String>,
}

/// What a model is made of.
#[derive(Clone, Debug)]
pub(crate) struct DraftParts {
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<TensorSpec>,
    pub(crate) outputs: Vec<String>,
    pub(crate) constants: BTreeMap<String, TensorProto>,
    /// What the file says of intermediate values and outputs.
    pub(crate) declared: Facts,
    pub(crate) opsets: BTreeMap<String, i64>,
}

impl Draft {
    pub(super) fn new(
        graph: GraphProto,
        opsets: BTreeMap<String, i64>,
        external: &dyn ExternalData,
        problems: &mut Problems,
    ) -> Self {
        let parts = DraftParts {
            nodes: Vec::with_capacity(graph.node.len()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            constants: BTreeMap::new(),
            declared: Facts::new(),
            opsets,
        };
        let mut draft = Self { parts, values: HashSet::new(), node_names: HashSet::new() };
        draft.add_constants(graph.initializer, external, problems);
        for sparse in graph.sparse_initializer {
            let value = sparse.values.unwrap_or_default().name().to_owned();
            problems.add(None, Fault::NotATensor { value, kind: "sparse tensor" });
        }
        draft.add_inputs(&graph.input, problems);
        draft.values.extend(graph.node.iter().flat_map(|node| node.output.iter().cloned()));
        draft.node_names.extend(graph.node.iter().map(|node| node.name().to_owned()));
        draft.add_nodes(graph.node, external, problems);
        draft.declare(&graph.value_info, problems);
        draft.declare(&graph.output, problems);
        draft.add_outputs(&graph.output, problems);
        draft
    }

    pub(super) fn nodes_mut(&mut self) -> &mut Vec<Node> {
        &mut self.parts.nodes
    }

    pub(super) fn parts(&self) -> &DraftParts {
        &self.parts
    }

    /// Whether the file has a value of this name, be it a good one or not.
    pub(super) fn is_value(&self, name: &str) -> bool {
        self.values.contains(name)
    }

    pub(super) fn into_parts(self) -> DraftParts {
        self.parts
    }

    /// Drops nodes that no output needs, and constants that no node needs.
    pub(super) fn drop_dead_nodes(&mut self) {
        let DraftParts { nodes, outputs, constants, .. } = &mut self.parts;
        let mut needed = outputs.iter().cloned().collect::<HashSet<_>>();
        let mut is_dead = vec![false; nodes.len()];
        for (node, dead) in nodes.iter().zip(&mut is_dead).rev() {
            *dead = !node.writes().any(|value| needed.contains(value));
            if !*dead {
                needed.extend(node.reads().map(str::to_owned));
            }
        }
        let mut dead = is_dead.iter();
        nodes.retain(|_| !dead.next().copied().unwrap_or(false));
        constants.retain(|name, _| needed.contains(name));
    }

    fn add_constants(
        &mut self,
        initializers: Vec<TensorProto>,
        external: &dyn ExternalData,
        problems: &mut Problems,
    ) {
        for tensor in initializers {
            let name = tensor.name().to_owned();
            if name.is_empty() {
                problems.add(None, Fault::Unnamed { role: "initializer" });
                continue;
            }
            if !self.values.insert(name.clone()) {
                problems.add(None, Fault::ProducedTwice { value: name });
                continue;
            }
            match normalise(tensor, external) {
                Ok(tensor) => drop(self.parts.constants.insert(name, tensor)),
                Err(fault) => problems.add(None, fault),
            }
        }
    }

    /// Inputs that are initializers too are constants: files of an IR version before 4 had to
    /// list them, later ones may, as defaults.
    fn add_inputs(&mut self, inputs: &[ValueInfoProto], problems: &mut Problems) {
        let constants = self.values.clone();
        for info in inputs.iter().filter(|info| !constants.contains(info.name())) {
            let name = info.name().to_owned();
            if name.is_empty() {
                problems.add(None, Fault::Unnamed { role: "input" });
                continue;
            }
            if !self.values.insert(name.clone()) {
                problems.add(None, Fault::ProducedTwice { value: name });
                continue;
            }
            match declared(info) {
                Ok((Some(dtype), dims)) => {
                    let shape = dims.map(|dims| with_symbols(dims, |axis| invented_symbol(&name, axis)));
                    self.parts.inputs.push(TensorSpec { name, dtype, shape });
                }
                Ok((None, _)) => problems.add(None, Fault::Untyped { value: name, role: "input" }),
                Err(fault) => problems.add(None, fault),
            }
        }
    }

    fn add_nodes(&mut self, nodes: Vec<NodeProto>, external: &dyn ExternalData, problems: &mut Problems) {
        let mut taken = HashSet::new();
        let mut invented = HashMap::new();
        for (index, proto) in nodes.into_iter().enumerate() {
            let mut node = Node::from_proto(proto);
            if node.name.is_empty() || !taken.insert(node.name.clone()) {
                let wish = if node.name.is_empty() { format!("{}_{index}", node.op) } else { node.name };
                node.name = fresh(&wish, &mut self.node_names, &mut invented);
            }
            self.check_op(&node.name, &node.domain, &node.op, problems);
            if let Some(kind) = ops::kind_beyond_tensors(&node.domain, &node.op) {
                problems.add(Some(&node.name), Fault::OpBeyondTensors { op: node.op.clone(), kind });
            }
            subgraphs::nodes(&node.attributes, &mut |inner| {
                let domain = if inner.domain() == "ai.onnx" { "" } else { inner.domain() };
                self.check_op(&node.name, domain, inner.op_type(), problems);
            });
            normalise_attributes(&node.name, &mut node.attributes, external, problems);
            node.captures = subgraphs::captures(&node.attributes);
            self.parts.nodes.push(node);
        }
    }

    fn check_op(&self, node: &str, domain: &str, op: &str, problems: &mut Problems) {
        let Some(&opset) = self.parts.opsets.get(domain) else {
            // A missing default opset is told once.
            if !domain.is_empty() {
                problems.add(Some(node), Fault::DomainNotImported { domain: domain.to_owned() });
            }
            return;
        };
        let standing = ops::standing(domain, op, opset);
        let op = if domain.is_empty() { op.to_owned() } else { format!("{domain}.{op}") };
        let fault = match standing {
            Standing::Since(_) | Standing::Foreign => return,
            Standing::NotBefore(since) => Fault::OpTooNew { op, since, opset },
            Standing::Removed(removed) => Fault::OpRemoved { op, removed, opset },
            Standing::Unknown => Fault::UnknownOp { op },
        };
        problems.add(Some(node), fault);
    }

    fn declare(&mut self, infos: &[ValueInfoProto], problems: &mut Problems) {
        for info in infos {
            match declared(info) {
                Ok((dtype, dims)) => {
                    let name = info.name();
                    // A symbol that is no plain name is not written either, so it must not be
                    // kept: the model that is read back is to be the same.
                    let is_plain = |dim: &Dim| !matches!(dim, Dim::Symbol(name) if !is_identifier(name));
                    let plain =
                        |dims: Vec<Option<Dim>>| dims.into_iter().map(|dim| dim.filter(is_plain)).collect();
                    let shape = dims.map(|dims| with_symbols(plain(dims), |axis| format!("{name}.{axis}")));
                    let fact = Fact { dtype, shape, ..Fact::default() };
                    self.parts.declared.insert(name.to_owned(), fact);
                }
                Err(fault) => problems.add(None, fault),
            }
        }
    }

    fn add_outputs(&mut self, outputs: &[ValueInfoProto], problems: &mut Problems) {
        if outputs.is_empty() {
            problems.add(None, Fault::NoOutputs);
        }
        let mut invented = HashMap::new();
        let mut taken = self.parts.inputs.iter().map(|input| input.name.clone()).collect::<HashSet<_>>();
        taken.extend(self.parts.constants.keys().cloned());
        for name in outputs.iter().map(|info| info.name()) {
            if name.is_empty() {
                problems.add(None, Fault::Unnamed { role: "output" });
                continue;
            }
            if !self.values.contains(name) {
                problems.add(None, Fault::OutputMissing { value: name.to_owned() });
                continue;
            }
            let output = if taken.insert(name.to_owned()) {
                name.to_owned()
            } else {
                self.add_identity(name, &mut invented)
            };
            self.parts.outputs.push(output);
        }
    }

    /// A value that equals `value`, made by a node.
    fn add_identity(&mut self, value: &str, invented: &mut HashMap<String, usize>) -> String {
        let output = fresh(&format!("{value}_output"), &mut self.values, invented);
        let name = fresh(&format!("Identity_{output}"), &mut self.node_names, invented);
        if let Some(fact) = self.parts.declared.get(value).cloned() {
            self.parts.declared.insert(output.clone(), fact);
        }
        self.parts.nodes.push(Node {
            name,
            op: "Identity".into(),
            domain: String::new(),
            inputs: vec![value.to_owned()],
            outputs: vec![output.clone()],
            captures: Vec::new(),
            attributes: Vec::new(),
        });
        output
    }
}

fn with_symbols(dims: Vec<Option<Dim>>, name: impl Fn(usize) -> String) -> Vec<Dim> {
    dims.into_iter().enumerate().map(|(axis, dim)| dim.unwrap_or_else(|| Dim::Symbol(name(axis)))).collect()
}

/// A name for the size of an input's dimension that the file does not name, fit for every engine.
fn invented_symbol(input: &str, axis: usize) -> String {
    let plain = input.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
    let start = if plain.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    format!("{start}{plain}_dim_{axis}")
}

/// A name like `wish` that nothing else has. `invented` keeps how far each wish has got, so
/// that a thousand equal ones take a thousand steps.
fn fresh(wish: &str, taken: &mut HashSet<String>, invented: &mut HashMap<String, usize>) -> String {
    if taken.insert(wish.to_owned()) {
        return wish.to_owned();
    }
    let next = invented.entry(wish.to_owned()).or_insert(2);
    loop {
        let name = format!("{wish}_{next}");
        *next += 1;
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

/// Tensors among the attributes, and those of sub-graphs, in the one form.
fn normalise_attributes(
    node: &str,
    attributes: &mut [AttributeProto],
    external: &dyn ExternalData,
    problems: &mut Problems,
) {
    let mut apply = |tensor: &mut TensorProto| match normalise(std::mem::take(tensor), external) {
        Ok(plain) => *tensor = plain,
        Err(fault) => problems.add(Some(node), fault),
    };
    for attribute in attributes.iter_mut() {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(&mut apply);
    }
    for graph in subgraphs::of_mut(attributes) {
        graph.initializer.iter_mut().for_each(&mut apply);
    }
    for attribute in attributes.iter() {
        if attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty() {
            let value = attribute.name().to_owned();
            problems.add(Some(node), Fault::NotATensor { value, kind: "sparse tensor" });
        }
    }
    for graph in subgraphs::of_mut(attributes) {
        check_body(node, graph, problems);
        for inner in &mut graph.node {
            normalise_attributes(node, &mut inner.attribute, external, problems);
        }
    }
}

/// What a body gives back must be tensors; what it uses inside is its own affair. Shapes noted
/// inside are as stale as those outside.
fn check_body(node: &str, graph: &mut GraphProto, problems: &mut Problems) {
    graph.value_info.clear();
    for info in &graph.output {
        if let Err(fault) = declared(info) {
            problems.add(Some(node), fault);
        }
    }
}
