use crate::{NameError, card_yaml, check_name};
use kerf_preprocess::Preprocess;
use kerf_tensor::{Dim, TensorSpec};
use serde::{Deserialize, Serialize};

/// What `model.yaml` says of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The model's name in the repository and in requests.
    pub name: String,
    /// Always 1 so far; the folder of the model's files.
    pub version: u32,
    /// What it was packed from.
    pub source: Source,
    /// The graph's inputs.
    pub inputs: Vec<TensorSpec>,
    /// The graph's outputs.
    pub outputs: Vec<TensorSpec>,
    /// How encoded pictures become an input, if they may.
    pub preprocess: Option<Encoded>,
    /// How answers are compared.
    pub metric: Metric,
    /// Largest max|a − ref| / max|ref| of an answer that `verify` accepts.
    pub tolerance: f64,
    /// Whether requests may share a batch, where packing could tell.
    pub batching: Option<Batching>,
}

/// The file that was packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name, without folders.
    pub file: String,
    /// Its SHA-256 in hexadecimal; external tensor data is not in it.
    pub sha256: String,
    /// Version of the ONNX operators that it uses.
    pub opset: i64,
}

/// A second input, of encoded pictures, in the place of one of the graph's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoded {
    /// The graph input that the pictures become.
    pub input: String,
    /// The name by which requests send them: a string tensor `[N]`.
    pub encoded_input: String,
    /// How.
    pub steps: Preprocess,
}

/// How two answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// By the class with the largest score: quantised models, whose rounding amplifies differences.
    Top1,
    /// By value, within the tolerance.
    Numeric,
}

/// Whether a batch answers as its members do alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batching {
    /// The finding.
    pub kind: BatchingKind,
    /// Largest max|a − ref| / max|ref| between a batch and its members; absent where nothing was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// Members of the batch that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<usize>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchingKind {
    /// A batch equals its members: requests may be joined.
    Independent,
    /// Members change each other's answers, as under dynamic quantisation.
    Coupled,
    /// The model's batch size is fixed.
    Fixed,
}

/// What is wrong with a card.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// Not YAML, or not a card.
    #[error("{0}")]
    Syntax(String),
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An unknown version.
    #[error("version {0}: this release reads version 1")]
    Version(u32),
    /// A tolerance that compares nothing.
    #[error("tolerance {0}: expected a positive number")]
    Tolerance(f64),
    /// Preprocessing for an input that is not there.
    #[error("preprocess.input {input:?} is not an input of the model; it has {}", list(.inputs))]
    NoSuchInput {
        /// As stated.
        input: String,
        /// The graph's inputs.
        inputs: Vec<String>,
    },
    /// The name for encoded pictures is taken.
    #[error("preprocess.encoded_input {0:?} is also an input of the model; choose another name")]
    Clash(String),
    /// The pictures become something else than the input takes.
    #[error("preprocess makes {made}, but the model takes {wanted}")]
    Mismatch {
        /// What the steps make.
        made: String,
        /// What the graph says.
        wanted: String,
    },
}

impl Card {
    /// Reads and checks a card.
    pub fn parse(yaml: &str) -> Result<Self, CardError> {
        let card = card_yaml::parse(yaml)?;
        card.check()?;
        Ok(card)
    }

    /// The card's text, with comments for whoever opens it.
    pub fn to_yaml(&self) -> String {
        card_yaml::write(self)
    }

    /// Checks the parts against each other.
    pub fn check(&self) -> Result<(), CardError> {
        check_name(&self.name)?;
        if self.version != 1 {
            return Err(CardError::Version(self.version));
        }
        if !self.tolerance.is_finite() || self.tolerance <= 0.0 {
            return Err(CardError::Tolerance(self.tolerance));
        }
        self.preprocess.as_ref().map_or(Ok(()), |encoded| encoded.check(&self.inputs))
    }
}

impl Encoded {
    /// Pictures for `input`, sent as `<input>_encoded`.
    pub fn new(input: &str, steps: Preprocess) -> Self {
        Self { input: input.into(), encoded_input: format!("{input}_encoded"), steps }
    }

    /// Checks that the steps make what the graph's input takes.
    pub fn check(&self, inputs: &[TensorSpec]) -> Result<(), CardError> {
        let Some(wanted) = inputs.iter().find(|spec| spec.name == self.input) else {
            let inputs = inputs.iter().map(|spec| spec.name.clone()).collect();
            return Err(CardError::NoSuchInput { input: self.input.clone(), inputs });
        };
        if inputs.iter().any(|spec| spec.name == self.encoded_input) {
            return Err(CardError::Clash(self.encoded_input.clone()));
        }
        let made = self.steps.spec(&self.input);
        if made.dtype != wanted.dtype || !may_be(made.shape.as_deref(), wanted.shape.as_deref()) {
            return Err(CardError::Mismatch { made: made.to_string(), wanted: wanted.to_string() });
        }
        Ok(())
    }
}

/// Whether some tensor fits both shapes.
fn may_be(made: Option<&[Dim]>, wanted: Option<&[Dim]>) -> bool {
    let (Some(made), Some(wanted)) = (made, wanted) else { return true };
    made.len() == wanted.len()
        && made.iter().zip(wanted).all(|dims| match dims {
            (Dim::Fixed(made), Dim::Fixed(wanted)) => made == wanted,
            _ => true,
        })
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
