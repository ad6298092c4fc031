use crate::boundaries::{Boundary, MAX_BOUNDARIES};
use crate::encode::EncodeError;
use crate::model::Model;
use crate::segment::{Segment, cut};
use kerf_tensor::{DType, TensorSpec};

/// A model and the boundaries at which it may be cut: what engines and nodes run.
#[derive(Clone, Debug)]
pub struct CutModel {
    model: Model,
    boundaries: Vec<Boundary>,
}

/// Why boundaries do not fit a model, or a segment cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// There must be the inputs and the outputs, and not too many between.
    #[error("{found} boundaries, a model has 2 to {MAX_BOUNDARIES}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// The node sets must grow from nothing to the whole model.
    #[error("boundary b{boundary} is after {found} nodes, which does not fit {expected}")]
    Nesting {
        /// Which one.
        boundary: usize,
        /// Nodes before it.
        found: usize,
        /// What would fit.
        expected: String,
    },
    /// The tensors are not those that this model has there.
    #[error("boundary b{boundary} holds {found}, the model has {expected} there")]
    Tensors {
        /// Which one.
        boundary: usize,
        /// What it says.
        found: String,
        /// What is so.
        expected: String,
    },
    /// A tensor of unknown type cannot be carried.
    #[error("boundary b{boundary} cuts through `{value}`, whose type is not known")]
    Untyped {
        /// Which one.
        boundary: usize,
        /// The value.
        value: String,
    },
    /// There is no such segment.
    #[error("no segment {from}..{to}: the boundaries are b0 to b{last}")]
    Range {
        /// Start.
        from: usize,
        /// End.
        to: usize,
        /// The last boundary.
        last: usize,
    },
    /// The segment cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl CutModel {
    /// Checks that the boundaries are this model's: they may come from a file. Names and types
    /// must agree; shapes are taken from the model, since a later version may infer more of them.
    pub fn new(model: Model, mut boundaries: Vec<Boundary>) -> Result<Self, CutError> {
        let total = model.nodes().len();
        if !(2..=MAX_BOUNDARIES).contains(&boundaries.len()) {
            return Err(CutError::Count { found: boundaries.len() });
        }
        let last = boundaries.len() - 1;
        for (index, boundary) in boundaries.iter().enumerate() {
            let found = boundary.nodes;
            let before = index.checked_sub(1).map_or(0, |before| boundaries[before].nodes);
            let (fits, expected) = match index {
                0 => (found == 0, "0, the inputs".to_owned()),
                _ if index == last => (found == total, format!("{total}, the outputs")),
                _ => (found > before && found < total, format!("more than {before} and less than {total}")),
            };
            if !fits {
                return Err(CutError::Nesting { boundary: index, found, expected });
            }
        }
        for (index, boundary) in boundaries.iter_mut().enumerate() {
            let untyped = |value| CutError::Untyped { boundary: index, value };
            let live = model.live(boundary.nodes).map_err(untyped)?;
            if !live.iter().map(key).eq(boundary.tensors.iter().map(key)) {
                let (found, expected) = (list(&boundary.tensors), list(&live));
                return Err(CutError::Tensors { boundary: index, found, expected });
            }
            boundary.tensors = live;
        }
        Ok(Self { model, boundaries })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its boundaries, from the inputs to the outputs.
    pub fn boundaries(&self) -> &[Boundary] {
        &self.boundaries
    }

    /// Index of the last boundary, the outputs.
    pub fn last(&self) -> usize {
        self.boundaries.len() - 1
    }

    /// The part from boundary `from` to boundary `to` as a valid ONNX model of its own.
    pub fn segment(&self, from: usize, to: usize) -> Result<Segment, CutError> {
        match (self.boundaries.get(from), self.boundaries.get(to)) {
            (Some(start), Some(end)) if from < to => Ok(cut(&self.model, (from, to), (start, end))?),
            _ => Err(CutError::Range { from, to, last: self.last() }),
        }
    }
}

fn key(spec: &TensorSpec) -> (&str, DType) {
    (&spec.name, spec.dtype)
}

fn list(tensors: &[TensorSpec]) -> String {
    let specs = tensors.iter().map(ToString::to_string).collect::<Vec<_>>();
    if specs.is_empty() { "nothing".into() } else { specs.join(", ") }
}
