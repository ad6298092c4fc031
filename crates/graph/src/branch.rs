//! Models with several outputs, of which not all are wanted everywhere.
//!
//! A network that was trained with classifiers on its way, as BranchyNet was (Teerapittayanon, McDanel,
//! Kung, "BranchyNet: fast inference via early exiting from deep neural networks", 2016), is one file with an
//! output for each. To run it as it is computes all of them for all requests. So the last output alone makes
//! the model that is cut, and each of the others a small model that starts at a boundary of it.

use crate::analysis::Bindings;
use crate::cut::CutModel;
use crate::encode::{EncodeError, Parts, encode};
use crate::excerpt::{Excerpt, Given};
use crate::load::{LoadError, NoExternalData};
use crate::model::Model;
use crate::node::Node;
use kerf_tensor::TensorSpec;

/// Why there is no such part of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError {
    /// No output of that name.
    #[error("no output {name:?}; there are {}", outputs.join(", "))]
    NoOutput {
        /// What was asked for.
        name: String,
        /// The outputs.
        outputs: Vec<String>,
    },
    /// A branch that begins where nothing can be cut.
    #[error("{output} cannot be computed behind b1: it needs {}, which no boundary holds", needs.join(", "))]
    NoBoundary {
        /// The output.
        output: String,
        /// What b1 would have to hold.
        needs: Vec<String>,
    },
    /// The part cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The part as written is no model.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The part of a model that computes one of its outputs from a boundary on.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The boundary that it starts from.
    pub boundary: usize,
    /// Its inputs are tensors of that boundary.
    pub model: Model,
    /// Multiply-accumulates for one request.
    pub macs: u64,
}

impl Model {
    /// The model without what only other outputs need; inputs that nothing is left to read go, too.
    ///
    /// # Errors
    /// A name that is no output.
    pub fn only(&self, outputs: &[&str]) -> Result<Self, BranchError> {
        let kept = outputs.iter().map(|name| self.output(name)).collect::<Result<Vec<_>, _>>()?;
        let mut excerpt = Excerpt::new(self, Given::Before(0));
        kept.iter().for_each(|spec| excerpt.need(&spec.name));
        let inputs = self.inputs().iter().filter(|spec| excerpt.inputs.contains(spec.name.as_str()));
        self.part(&excerpt, inputs.cloned().collect(), kept, None)
    }

    /// The part that computes an output from tensors that are given, with an output that is called as `answer`
    /// is; else what is missing.
    fn branch(
        &self,
        output: &str,
        given: &[TensorSpec],
        answer: &TensorSpec,
    ) -> Result<Result<Self, Vec<String>>, BranchError> {
        let names = given.iter().map(|spec| spec.name.as_str()).collect();
        let mut excerpt = Excerpt::new(self, Given::Values(names));
        excerpt.need(output);
        let is_given = |name: &&str| given.iter().any(|spec| spec.name == **name);
        let missing: Vec<String> =
            excerpt.inputs.iter().filter(|name| !is_given(name)).map(|name| (*name).to_owned()).collect();
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        let inputs = given.iter().filter(|spec| excerpt.inputs.contains(spec.name.as_str()));
        let rename = Node {
            name: format!("{}_of_{output}", answer.name),
            op: "Identity".into(),
            domain: String::new(),
            inputs: vec![output.to_owned()],
            outputs: vec![answer.name.clone()],
            captures: Vec::new(),
            attributes: Vec::new(),
        };
        self.part(&excerpt, inputs.cloned().collect(), vec![answer.clone()], Some(&rename)).map(Ok)
    }

    fn part(
        &self,
        excerpt: &Excerpt<'_>,
        inputs: Vec<TensorSpec>,
        outputs: Vec<TensorSpec>,
        last: Option<&Node>,
    ) -> Result<Self, BranchError> {
        let onnx = encode(Parts {
            name: "main".into(),
            inputs: &inputs,
            outputs: &outputs,
            nodes: excerpt.schedule(&[]).into_iter().chain(last).collect(),
            constants: excerpt.constants(&[]),
            opsets: &self.parts().opsets,
        })?;
        Ok(Self::load(onnx, &NoExternalData)?)
    }

    fn output(&self, name: &str) -> Result<TensorSpec, BranchError> {
        let found = self.outputs().iter().find(|spec| spec.name == name);
        found.cloned().ok_or_else(|| BranchError::NoOutput {
            name: name.to_owned(),
            outputs: self.outputs().iter().map(|spec| spec.name.clone()).collect(),
        })
    }
}

impl CutModel {
    /// What computes `output` of `whole` from one of this model's boundaries, with an output that is called
    /// as `answer` is. `whole` is this model, or the one of which it is [a part](Model::only).
    ///
    /// Of the boundaries from which it can be computed it is the one from which a request gets it with the least
    /// work in all, and of equal ones the last: there the least is computed that this model computes as well.
    ///
    /// # Errors
    /// No such output, or one that needs what lies in no boundary between the inputs and the outputs.
    pub fn branch(&self, whole: &Model, output: &str, answer: &TensorSpec) -> Result<Branch, BranchError> {
        whole.output(output)?;
        let (mut best, mut needs): (Option<(u64, Branch)>, Vec<String>) = (None, Vec::new());
        for boundary in 1..self.last() {
            let place = &self.boundaries()[boundary];
            match whole.branch(output, &place.tensors, answer)? {
                Ok(model) => {
                    let macs = model.analyse(&Bindings::ones()).total().macs;
                    let total = place.macs_before.saturating_add(macs);
                    if best.as_ref().is_none_or(|(least, _)| total <= *least) {
                        best = Some((total, Branch { boundary, model, macs }));
                    }
                }
                Err(missing) if needs.is_empty() => needs = missing,
                Err(_) => {}
            }
        }
        let none = || BranchError::NoBoundary { output: output.to_owned(), needs };
        best.map(|(_, branch)| branch).ok_or_else(none)
    }
}
