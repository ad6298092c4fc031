use crate::{ModelCodecs, ModelHeads};
use kerf_bundle::{Bundle, Card, hex};
use kerf_engine::{CompileError, Engine, Runner, SegmentStore, Values};
use kerf_graph::CutModel;
use kerf_repository::{OpenError, Repository};
use kerf_tensor::{DType, Dim, NamedTensor, TensorSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A model that is loaded and can run.
pub struct Served {
    /// Its name in the repository and in requests.
    pub name: String,
    /// Its version as clients see it.
    pub version: String,
    /// SHA-256 of its manifest: what edge and cloud must agree on.
    pub digest: [u8; 32],
    /// Its card.
    pub card: Card,
    /// The graph and its boundaries.
    pub model: Arc<CutModel>,
    /// Runs its segments.
    pub runner: Arc<Runner>,
    /// How its tensors travel.
    pub codecs: ModelCodecs,
    /// Its early exits, where some were fitted.
    pub heads: Option<ModelHeads>,
}

/// The models of a node, by name.
#[derive(Default)]
pub struct Models {
    by_name: BTreeMap<String, Arc<Served>>,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The repository has no such model, or it is damaged.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// No engine takes a segment that must be ready.
    #[error("model {model}: {source}")]
    Compile {
        /// The model.
        model: String,
        /// Why.
        source: Box<CompileError>,
    },
}

/// What is wrong with the tensors of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// A tensor that the boundary does not have.
    #[error("unexpected tensor '{name}'; expected {expected}")]
    Unexpected {
        /// Its name.
        name: String,
        /// What belongs there.
        expected: String,
    },
    /// The same name twice.
    #[error("tensor '{0}' is given twice")]
    Twice(String),
    /// A tensor that the boundary needs is not there.
    #[error("tensor '{name}' is missing; expected {expected}")]
    Missing {
        /// Its name.
        name: String,
        /// What belongs there.
        expected: String,
    },
    /// Type or shape is not as declared.
    #[error("tensor '{name}' is {actual}, expected {expected}")]
    Mismatch {
        /// Its name.
        name: String,
        /// What came.
        actual: String,
        /// What belongs there.
        expected: String,
    },
    /// An encoded image that cannot be decoded.
    #[error("input '{name}': {reason}")]
    Image {
        /// Name of the encoded input.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl Models {
    /// Loads `names` from `repository`, or everything that it lists where `names` is empty.
    pub fn load(
        repository: &Repository,
        names: &[String],
        engines: &[Arc<dyn Engine>],
        store: &Arc<SegmentStore>,
    ) -> Result<Self, LoadError> {
        let names = if names.is_empty() { repository.list().map_err(Box::new)? } else { names.to_vec() };
        let mut by_name = BTreeMap::new();
        for name in names {
            let bundle = repository.open(&name).map_err(Box::new)?;
            let served = Served::new(bundle, engines, store);
            tracing::info!(model = name, digest = %hex(&served.digest[..6]), boundaries = served.last() + 1, "loaded");
            by_name.insert(name, Arc::new(served));
        }
        Ok(Self { by_name })
    }

    /// The model of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Served>> {
        self.by_name.get(name)
    }

    /// Every model, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.by_name.values()
    }

    /// Number of models.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

impl Served {
    /// A bundle and the engines that will run it.
    pub fn new(bundle: Bundle, engines: &[Arc<dyn Engine>], store: &Arc<SegmentStore>) -> Self {
        let codecs = ModelCodecs::new(&bundle);
        let heads = ModelHeads::new(&bundle, engines, store);
        let Bundle { card, digest, model, .. } = bundle;
        let runner = Runner::new(Arc::clone(&model), engines.to_vec(), Arc::clone(store));
        Self {
            name: card.name.clone(),
            version: card.version.to_string(),
            digest,
            card,
            model,
            runner: Arc::new(runner),
            codecs,
            heads,
        }
    }

    /// Compiles a head and keeps it.
    pub fn prepare_head(&self, exit: usize) -> Result<(), LoadError> {
        let prepared = self.heads.as_ref().map_or(Ok(()), |heads| heads.prepare(exit));
        prepared.map_err(|source| LoadError::Compile { model: self.name.clone(), source: Box::new(source) })
    }

    /// The digest in lower-case hexadecimal, as profiles name it.
    pub fn digest_hex(&self) -> String {
        hex(&self.digest)
    }

    /// Index of the last boundary, where everything is computed.
    pub fn last(&self) -> usize {
        self.model.last()
    }

    /// Inputs as clients may send them: those of the graph, and the encoded one beside its tensor.
    pub fn input_specs(&self) -> Vec<TensorSpec> {
        self.model.model().inputs().iter().cloned().chain(self.encoded_spec()).collect()
    }

    /// The input that takes encoded images: byte strings, as many as the tensor has rows.
    fn encoded_spec(&self) -> Option<TensorSpec> {
        let step = self.card.preprocess.as_ref()?;
        let input = self.model.model().inputs().iter().find(|spec| spec.name == step.input)?;
        let rows = input.shape.as_ref().and_then(|dims| dims.first().cloned());
        let rows = rows.unwrap_or_else(|| Dim::Symbol("N".to_owned()));
        Some(TensorSpec { name: step.encoded_input.clone(), dtype: DType::String, shape: Some(vec![rows]) })
    }

    /// Checks the tensors of a request that enters at `boundary`. At the first one, an encoded
    /// image may stand for the tensor that it decodes to.
    pub fn accept(&self, boundary: usize, tensors: Vec<NamedTensor>) -> Result<Values, InputError> {
        let wanted = &self.model.boundaries()[boundary].tensors;
        let encoded = self.card.preprocess.as_ref().filter(|_| boundary == 0);
        let encoded_spec = encoded.and_then(|_| self.encoded_spec());
        let mut values = Values::default();
        for NamedTensor { name, tensor } in tensors {
            let Some(spec) = wanted.iter().chain(&encoded_spec).find(|spec| spec.name == name) else {
                return Err(InputError::Unexpected { name, expected: list(wanted, encoded_spec.as_ref()) });
            };
            if !spec.accepts(&tensor) {
                let actual = format!("{}{:?}", tensor.dtype(), tensor.shape());
                return Err(InputError::Mismatch { name, actual, expected: spec.to_string() });
            }
            if values.get(&name).is_some() {
                return Err(InputError::Twice(name));
            }
            values.insert(name, tensor);
        }
        let stands_in =
            encoded.filter(|step| values.get(&step.encoded_input).is_some()).map(|step| &step.input);
        for spec in wanted {
            if values.get(&spec.name).is_none() && stands_in != Some(&spec.name) {
                return Err(InputError::Missing { name: spec.name.clone(), expected: spec.to_string() });
            }
        }
        Ok(values)
    }

    /// Whether an encoded image waits to be decoded.
    pub fn has_encoded(&self, values: &Values) -> bool {
        self.encoded(values).is_some()
    }

    /// The encoded image that waits to be decoded, if there is one.
    pub fn encoded(&self, values: &Values) -> Option<NamedTensor> {
        let name = &self.card.preprocess.as_ref()?.encoded_input;
        Some(NamedTensor { name: name.clone(), tensor: values.get(name)?.clone() })
    }

    /// Turns an encoded image, if there is one, into the tensor that it stands for.
    pub fn decode(&self, values: &mut Values) -> Result<(), InputError> {
        let Some(step) = &self.card.preprocess else { return Ok(()) };
        let Some(encoded) = values.remove(&step.encoded_input) else { return Ok(()) };
        let image = |reason: String| InputError::Image { name: step.encoded_input.clone(), reason };
        let tensor = step.steps.batch(&encoded).map_err(|error| image(error.to_string()))?;
        values.insert(step.input.clone(), tensor);
        Ok(())
    }

    /// The tensors to ship from `boundary`. At the first one, encoded images go as they came: they
    /// are smaller than what they decode to.
    pub fn shipment(&self, boundary: usize, values: &Values) -> Result<Vec<NamedTensor>, InputError> {
        let step = self.card.preprocess.as_ref().filter(|_| boundary == 0 && self.has_encoded(values));
        self.model.boundaries()[boundary]
            .tensors
            .iter()
            .map(|spec| {
                let name = match step {
                    Some(step) if step.input == spec.name => &step.encoded_input,
                    _ => &spec.name,
                };
                let missing = || InputError::Missing { name: name.clone(), expected: spec.to_string() };
                let tensor = values.get(name).ok_or_else(missing)?.clone();
                Ok(NamedTensor { name: name.clone(), tensor })
            })
            .collect()
    }

    /// Checks that an answer has exactly the outputs `wanted`, each of its declared type and rank.
    pub fn check_outputs(&self, wanted: &[String], tensors: &[NamedTensor]) -> Result<(), InputError> {
        let declared = self.model.model().outputs();
        for name in wanted {
            let Some(named) = tensors.iter().find(|named| named.name == *name) else {
                return Err(InputError::Missing { name: name.clone(), expected: list(declared, None) });
            };
            if let Some(spec) = declared.iter().find(|spec| spec.name == *name)
                && !spec.accepts(&named.tensor)
            {
                let actual = format!("{}{:?}", named.tensor.dtype(), named.tensor.shape());
                return Err(InputError::Mismatch { name: name.clone(), actual, expected: spec.to_string() });
            }
        }
        if let Some(extra) = tensors.iter().find(|named| !wanted.contains(&named.name)) {
            return Err(InputError::Unexpected { name: extra.name.clone(), expected: wanted.join(", ") });
        }
        Ok(())
    }

    /// Compiles `from..to` now rather than at the first request; `keep` holds it outside the cap.
    pub fn prepare(&self, from: usize, to: usize, keep: bool) -> Result<(), LoadError> {
        let outcome = if keep { self.runner.pin(from, to) } else { self.runner.warm(from, to) };
        outcome
            .map(|_| ())
            .map_err(|source| LoadError::Compile { model: self.name.clone(), source: Box::new(source) })
    }

    /// Lets `from..to` be dropped again when room is needed.
    pub fn release(&self, from: usize, to: usize) {
        self.runner.unpin(from, to);
    }

    /// The graph outputs `names` among what is known, in that order.
    pub fn outputs(&self, names: &[String], values: &Values) -> Result<Vec<NamedTensor>, InputError> {
        names
            .iter()
            .map(|name| match values.get(name) {
                Some(tensor) => Ok(NamedTensor { name: name.clone(), tensor: tensor.clone() }),
                None => {
                    let expected = list(self.model.model().outputs(), None);
                    Err(InputError::Missing { name: name.clone(), expected })
                }
            })
            .collect()
    }
}

fn list(specs: &[TensorSpec], also: Option<&TensorSpec>) -> String {
    let names: Vec<_> = specs.iter().chain(also).map(ToString::to_string).collect();
    names.join("; ")
}
