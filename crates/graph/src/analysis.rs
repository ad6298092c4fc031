use crate::node::Node;
use crate::onnx::TensorProto;
use kerf_tensor::{DType, Dim, Tensor, TensorSpec};
use std::collections::BTreeMap;

/// Sizes for the symbols of a model's inputs, such as `N` or `sequence`.
///
/// The default binds nothing: what is then known holds for every size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    sizes: BTreeMap<String, usize>,
    others: Option<usize>,
}

impl Bindings {
    /// Every symbol is 1.
    pub fn ones() -> Self {
        Self::all(1)
    }

    /// Every symbol is `size`.
    pub fn all(size: usize) -> Self {
        Self { sizes: BTreeMap::new(), others: Some(size) }
    }

    /// As before, and `symbol` is `size`.
    #[must_use]
    pub fn with(mut self, symbol: &str, size: usize) -> Self {
        self.sizes.insert(symbol.to_owned(), size);
        self
    }

    /// The size of a symbol, where it has one.
    pub fn size(&self, symbol: &str) -> Option<usize> {
        self.sizes.get(symbol).copied().or(self.others)
    }

    /// The dimension with its symbol replaced, where that is bound.
    pub fn bind(&self, dim: &Dim) -> Dim {
        match dim {
            Dim::Symbol(symbol) => self.size(symbol).map_or_else(|| dim.clone(), Dim::Fixed),
            Dim::Fixed(size) => Dim::Fixed(*size),
        }
    }
}

/// What a node costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCost {
    /// Multiply-accumulates; 0 where a node has none, or its shapes are not known.
    pub macs: u64,
    /// Elements of the constants that the node reads.
    pub params: u64,
    /// Bytes of the constants that the node reads.
    pub weight_bytes: u64,
    /// Bytes of all outputs; `None` where a shape is not known.
    pub output_bytes: Option<u64>,
}

/// Types, shapes and costs of a model under given symbol sizes.
#[derive(Clone, Debug)]
pub struct Analysis {
    facts: Facts,
    costs: Vec<NodeCost>,
    total: NodeCost,
    unknown: Vec<String>,
}

impl Analysis {
    pub(crate) fn new(nodes: &[Node], facts: Facts, costs: Vec<NodeCost>) -> Self {
        let total =
            costs.iter().fold(NodeCost { output_bytes: Some(0), ..NodeCost::default() }, |sum, cost| {
                NodeCost {
                    macs: sum.macs.saturating_add(cost.macs),
                    params: sum.params.saturating_add(cost.params),
                    weight_bytes: sum.weight_bytes.saturating_add(cost.weight_bytes),
                    output_bytes: sum.output_bytes.zip(cost.output_bytes).map(|(a, b)| a.saturating_add(b)),
                }
            });
        let is_known = |value: &str| facts.get(value).is_some_and(|fact| fact.bytes().is_some());
        let unknown = nodes.iter().flat_map(Node::writes).filter(|value| !is_known(value));
        let unknown = unknown.map(str::to_owned).collect();
        Self { facts, costs, total, unknown }
    }

    /// Type and shape of a value; `None` where not even the type is known.
    pub fn spec(&self, value: &str) -> Option<TensorSpec> {
        let fact = self.facts.get(value)?;
        Some(TensorSpec { name: value.to_owned(), dtype: fact.dtype?, shape: fact.shape.clone() })
    }

    /// Bytes of a value; `None` where its type or a dimension is not known, or it holds strings.
    pub fn bytes(&self, value: &str) -> Option<u64> {
        self.facts.get(value)?.bytes()
    }

    /// Cost of the node at `node` in schedule order.
    ///
    /// # Panics
    /// Where there is no such node.
    pub fn cost(&self, node: usize) -> &NodeCost {
        &self.costs[node]
    }

    /// Sum over all nodes. Weights that several nodes share count once, for their first reader.
    pub fn total(&self) -> NodeCost {
        self.total
    }

    /// Values that nodes produce and whose size in bytes is not known.
    pub fn unknown(&self) -> Vec<String> {
        self.unknown.clone()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// What is known of the values of a graph, by name.
pub(crate) type Facts = BTreeMap<String, Fact>;

/// What is known of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fact {
    pub(crate) dtype: Option<DType>,
    /// `None`: not even the rank is known. A size that no input symbol determines is a symbol
    /// of its own, `VALUE.AXIS`, that no binding sets.
    pub(crate) shape: Option<Vec<Dim>>,
    /// The value itself, where it is small and the same for every request under the bindings.
    pub(crate) value: Option<Tensor>,
    /// The elements of an integer scalar or vector that describes shapes, where some are
    /// symbols (`Shape`, `Gather`, `Concat`, ... over symbolic shapes).
    pub(crate) elements: Option<Vec<Element>>,
}

/// One element of a value that describes shapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Element {
    /// The same for every request; -1 where a `Reshape` shall find a size itself.
    Fixed(i64),
    /// The size that dimensions of this name have.
    Size(String),
}

impl Fact {
    /// Size in bytes; `None` where type or shape are not known or the elements are strings.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let size = self.dtype?.size()? as u64;
        self.shape.as_ref()?.iter().try_fold(size, |bytes, dim| match dim {
            Dim::Fixed(dim) => bytes.checked_mul(*dim as u64),
            Dim::Symbol(_) => None,
        })
    }
}

/// What inference starts from.
pub(crate) struct InferInput<'a> {
    /// In topological order.
    pub(crate) nodes: &'a [Node],
    pub(crate) inputs: &'a [TensorSpec],
    /// Initializers; those that lay in other files hold their `raw_data` here.
    /// Their dimensions and data agree, and their types are ones that `DType` names.
    pub(crate) constants: &'a BTreeMap<String, TensorProto>,
    /// Version by domain; the default domain is the empty string.
    pub(crate) opsets: &'a BTreeMap<String, i64>,
    /// What the file says of intermediate values and outputs. Shapes there are often stale (a
    /// batch of 1 under a symbolic input), so they serve only for operators that inference
    /// does not know; types serve wherever inference finds none.
    pub(crate) declared: &'a Facts,
    pub(crate) bindings: &'a Bindings,
}
