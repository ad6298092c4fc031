use crate::{CompileError, RunError, SegmentId};
use kerf_graph::CutModel;
use kerf_tensor::{NamedTensor, Tensor};
use std::collections::HashMap;

/// The tensors of one request that are known so far, by name: what came in, and what the
/// segments that ran have given. Tensors are shared, so that keeping all of them costs little
/// more than keeping the last ones.
#[derive(Clone, Debug, Default)]
pub struct Values(HashMap<String, Tensor>);

impl Values {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor; the one that had the name before is returned.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        self.0.insert(name.into(), tensor)
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// Takes a tensor out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }

    /// The tensors that are live at boundary `boundary`, in its order.
    pub fn boundary(&self, model: &CutModel, boundary: usize) -> Result<Vec<NamedTensor>, RunError> {
        let segment = SegmentId { from: boundary, to: boundary };
        let Some(found) = model.boundaries().get(boundary) else {
            return Err(
                CompileError::Cut { segment, reason: "the model has no such boundary".to_owned() }.into()
            );
        };
        self.named(segment, found.tensors.iter().map(|spec| spec.name.as_str()))
    }

    /// The model's outputs, in its order.
    pub fn outputs(&self, model: &CutModel) -> Result<Vec<NamedTensor>, RunError> {
        let last = model.last();
        let names = model.model().outputs().iter().map(|spec| spec.name.as_str());
        self.named(SegmentId { from: last, to: last }, names)
    }

    fn named<'a>(
        &self,
        segment: SegmentId,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<NamedTensor>, RunError> {
        names
            .map(|name| match self.get(name) {
                Some(tensor) => Ok(NamedTensor { name: name.to_owned(), tensor: tensor.clone() }),
                None => Err(RunError::Missing { segment, name: name.to_owned() }),
            })
            .collect()
    }
}

impl FromIterator<NamedTensor> for Values {
    fn from_iter<I: IntoIterator<Item = NamedTensor>>(tensors: I) -> Self {
        Self(tensors.into_iter().map(|named| (named.name, named.tensor)).collect())
    }
}

impl Extend<NamedTensor> for Values {
    fn extend<I: IntoIterator<Item = NamedTensor>>(&mut self, tensors: I) {
        self.0.extend(tensors.into_iter().map(|named| (named.name, named.tensor)));
    }
}
