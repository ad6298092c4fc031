use std::fmt;

/// Problems told one by one; a damaged file may have one for each of its nodes.
const LISTED: usize = 100;

/// Everything that keeps a model from being loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// How many further problems were found but not listed.
    pub more: usize,
}

/// One thing that is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the node that it is about.
    pub node: Option<String>,
    /// What it is.
    pub fault: Fault,
}

/// What can be wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Fault {
    #[error("not an ONNX model, or a damaged one: {0}")]
    NotOnnx(String),
    #[error("the file describes more than its size can justify: over {limit} bytes of structure")]
    TooComplex { limit: usize },
    #[error("over {limit} nodes once model-local functions are inlined")]
    TooManyNodes { limit: usize },
    #[error("imports no opset of the default domain")]
    NoOpset,
    #[error("opset {version} of {domain} is not supported, {oldest} to {newest} are")]
    Opset { domain: String, version: i64, oldest: i64, newest: i64 },
    #[error("uses domain {domain}, which the model does not import")]
    DomainNotImported { domain: String },
    #[error("unknown operator {op}")]
    UnknownOp { op: String },
    #[error("operator {op} comes with opset {since}, the model imports {opset}")]
    OpTooNew { op: String, since: i64, opset: i64 },
    #[error("operator {op} was removed in opset {removed}, the model imports {opset}")]
    OpRemoved { op: String, removed: i64, opset: i64 },
    #[error("`{value}` is a {kind}; only tensors can be carried")]
    NotATensor { value: String, kind: &'static str },
    #[error("operator {op} works on a {kind}; only tensors can be carried")]
    OpBeyondTensors { op: String, kind: &'static str },
    #[error("`{value}` has elements of type {dtype}, which cannot be carried")]
    ValueType { value: String, dtype: String },
    #[error("nothing says what type graph {role} `{value}` has")]
    Untyped { value: String, role: &'static str },
    #[error("tensor `{tensor}` has elements of type {dtype}, which cannot be carried")]
    TensorType { tensor: String, dtype: String },
    #[error("tensor `{tensor}` {reason}")]
    Tensor { tensor: String, reason: String },
    #[error("tensor `{tensor}` in other file {location:?}: {reason}")]
    External { tensor: String, location: String, reason: String },
    #[error("graph {role} without a name")]
    Unnamed { role: &'static str },
    #[error("reads `{value}`, which nothing produces")]
    Missing { value: String },
    #[error("graph output `{value}` is produced by nothing")]
    OutputMissing { value: String },
    #[error("the graph has no outputs")]
    NoOutputs,
    #[error("`{value}` is produced twice")]
    ProducedTwice { value: String },
    #[error("cycle: {}", nodes.join(" → "))]
    Cycle { nodes: Vec<String> },
    #[error("function {function} calls itself")]
    RecursiveFunction { function: String },
    #[error(
        "function {function} is written for version {function_opset} of {domain}, the model imports {opset}"
    )]
    FunctionOpset { function: String, domain: String, function_opset: i64, opset: i64 },
}

/// Notes problems, the first of them in full.
#[derive(Debug, Default)]
pub(super) struct Problems {
    listed: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn add(&mut self, node: Option<&str>, fault: Fault) {
        if self.listed.len() < LISTED {
            self.listed.push(Problem { node: node.map(str::to_owned), fault });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_result(self) -> Result<(), LoadError> {
        if self.listed.is_empty() {
            Ok(())
        } else {
            Err(LoadError { problems: self.listed, more: self.more })
        }
    }
}

impl From<Fault> for LoadError {
    fn from(fault: Fault) -> Self {
        Self { problems: vec![Problem { node: None, fault }], more: 0 }
    }
}

impl fmt::Display for LoadError {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "node `{node}`: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}
