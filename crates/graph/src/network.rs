//! The model as a network of work and data, for whoever chooses where to cut it.

use crate::analysis::{Analysis, Bindings};
use crate::flow::Role;
use crate::load::{LoadError, permute};
use crate::model::{Model, facts_bytes};

/// Nodes and the values between them. Indices of nodes are those of [`Model::nodes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Multiply-accumulates of each node; 0 where it works on constants or shapes alone.
    pub macs: Vec<u64>,
    /// The values, constants aside.
    pub values: Vec<NetworkValue>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkValue {
    /// Its name.
    pub name: String,
    /// The node that makes it; `None` for an input of the model.
    pub producer: Option<usize>,
    /// The nodes that read it, ascending.
    pub consumers: Vec<usize>,
    /// Its raw size. 0 where each part of the model makes it anew rather than being sent it;
    /// `None` where the size is not known.
    pub bytes: Option<u64>,
    /// Whether it is an output of the model.
    pub is_output: bool,
    /// Whether a boundary may hold it: the type and the rank must be known.
    pub may_cross: bool,
}

/// Not an order in which the nodes can run.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Nodes are missing or named twice.
    #[error("{named} of {nodes} nodes are named, each must be once")]
    Incomplete {
        /// Different nodes named.
        named: usize,
        /// Nodes of the model.
        nodes: usize,
    },
    /// A node would come before one that feeds it.
    #[error("node `{node}` reads `{value}`, which comes later")]
    Early {
        /// The node.
        node: String,
        /// What it reads.
        value: String,
    },
    /// What the model is made of does not fit together in this order.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Model {
    /// Work and data, with sizes where every symbol is 1, or where a larger size makes more of
    /// them known: an audio model's window does not fit into one sample.
    pub fn network(&self) -> Network {
        let analysis = self.most_known();
        let flow = self.flow();
        let bytes = facts_bytes(flow, analysis.facts());
        let is_variable = |value: &usize| {
            let it = &flow.values[*value];
            it.role != Role::Initializer && (it.source.is_some() || it.role == Role::Flowing)
        };
        let value = |value: usize| {
            let it = &flow.values[value];
            let is_sent = it.role == Role::Flowing;
            let fact = self.facts().get(&it.name);
            let is_typed = fact.is_some_and(|fact| fact.dtype.is_some() && fact.shape.is_some());
            NetworkValue {
                name: it.name.clone(),
                producer: it.source,
                consumers: it.readers.clone(),
                bytes: if is_sent { bytes[value] } else { Some(0) },
                is_output: it.is_output,
                may_cross: !is_sent || is_typed,
            }
        };
        let macs = flow.active.iter().enumerate();
        Network {
            macs: macs.map(|(node, active)| if *active { analysis.cost(node).macs } else { 0 }).collect(),
            values: (0..flow.values.len()).filter(is_variable).map(value).collect(),
        }
    }

    /// The same model with its nodes in another order, `order[i]` at `i`: its boundaries are the
    /// prefixes of that.
    pub fn reordered(&self, order: &[usize]) -> Result<Self, OrderError> {
        self.check_order(order)?;
        let mut parts = self.parts().clone();
        permute(&mut parts.nodes, order);
        Ok(Self::from_draft(parts, true)?)
    }

    fn check_order(&self, order: &[usize]) -> Result<(), OrderError> {
        let flow = self.flow();
        let nodes = self.nodes().len();
        let mut done = vec![false; nodes];
        for node in order.iter().copied().filter(|node| *node < nodes) {
            let is_late = |value: &&usize| flow.values[**value].source.is_some_and(|source| !done[source]);
            if let Some(value) = flow.reads[node].iter().find(is_late) {
                let (node, value) = (self.nodes()[node].name.clone(), flow.values[*value].name.clone());
                return Err(OrderError::Early { node, value });
            }
            done[node] = true;
        }
        let named = done.iter().filter(|done| **done).count();
        if named != nodes || order.len() != nodes {
            return Err(OrderError::Incomplete { named, nodes });
        }
        Ok(())
    }

    /// The analysis at the size of the symbols, 1 first, at which the most shapes are known.
    pub(crate) fn most_known(&self) -> Analysis {
        let mut best = self.analyse(&Bindings::ones());
        for size in [16, 256, 4096] {
            if best.unknown().is_empty() || self.symbols().is_empty() {
                break;
            }
            let other = self.analyse(&Bindings::all(size));
            if other.unknown().len() < best.unknown().len() {
                best = other;
            }
        }
        best
    }
}
