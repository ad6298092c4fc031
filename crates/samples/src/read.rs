use crate::fit::fit;
use crate::folder::{At, bounded, read_npy, read_npz};
use crate::{Form, Misfit, OpenError, Samples};
use bytes::Bytes;
use kerf_bundle::Card;
use kerf_inputs::{Generator, InputsError};
use kerf_preprocess::PreprocessError;
use kerf_tensor::{NamedTensor, Tensor, TensorError};

/// One request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The file's name, or the row's number.
    pub name: String,
    /// The model's inputs, in its order.
    pub inputs: Vec<NamedTensor>,
    /// The file as it was, where it is a picture: what a client would send.
    pub encoded: Option<Bytes>,
}

/// Reads samples one at a time, so that a folder may be larger than memory.
pub struct Reader<'a> {
    card: &'a Card,
    generator: &'a Generator<'a>,
    samples: &'a Samples,
}

/// Why a sample is no request for a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Pictures for a model that takes tensors only.
    #[error("model {0} takes no pictures: it was packed without preprocessing (--preprocess, --resize, …)")]
    NoPreprocessing(String),
    /// One array without a name for a model with several inputs.
    #[error("model {model} has {} inputs, {}; a .npy file is one array: save .npz files with arrays of these names", .inputs.len(), .inputs.join(", "))]
    Unnamed {
        /// The model.
        model: String,
        /// Its inputs.
        inputs: Vec<String>,
    },
    /// An input that the sample lacks.
    #[error("{sample}: no array is called {input:?}; it has {}", .arrays.join(", "))]
    Missing {
        /// The sample's name.
        sample: String,
        /// The input.
        input: String,
        /// The sample's arrays.
        arrays: Vec<String>,
    },
    /// An array that no input is called as.
    #[error("{sample}: array {array:?} is no input of the model; it has {}", .inputs.join(", "))]
    Foreign {
        /// The sample's name.
        sample: String,
        /// The array.
        array: String,
        /// The model's inputs.
        inputs: Vec<String>,
    },
    /// An array of another type or shape than the input's.
    #[error("{sample}: {input}: {source}")]
    Misfit {
        /// The sample's name.
        sample: String,
        /// The input.
        input: String,
        /// What is wrong.
        source: Misfit,
    },
    /// A file that is no picture, or none that the model can take.
    #[error("{sample}: {source}")]
    Picture {
        /// The sample's name.
        sample: String,
        /// What is wrong.
        source: PreprocessError,
    },
    /// There is no such sample.
    #[error("sample {0} is not there")]
    Index(usize),
    /// The file.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Inputs beside a picture that cannot be made.
    #[error(transparent)]
    Inputs(#[from] InputsError),
}

impl<'a> Reader<'a> {
    /// `generator` makes the inputs that are beside a picture; arrays have to be complete.
    ///
    /// # Errors
    /// A form of samples that the model does not take.
    pub fn new(
        samples: &'a Samples,
        card: &'a Card,
        generator: &'a Generator<'a>,
    ) -> Result<Self, ReadError> {
        let is_unnamed = match samples.form() {
            Form::Pictures if card.preprocess.is_none() => {
                return Err(ReadError::NoPreprocessing(card.name.clone()));
            }
            Form::Npy => true,
            Form::Rows => samples.arrays.iter().any(|(name, _)| name.is_none()),
            Form::Pictures | Form::Npz => false,
        };
        if is_unnamed && card.inputs.len() != 1 {
            return Err(ReadError::Unnamed { model: card.name.clone(), inputs: names(card) });
        }
        Ok(Self { card, generator, samples })
    }

    /// The sample at an index of [`Samples::names`].
    ///
    /// # Errors
    /// A file that cannot be read, or is no request for the model; each names the sample.
    pub fn read(&self, index: usize) -> Result<Sample, ReadError> {
        let place = self.samples.places.get(index).ok_or(ReadError::Index(index))?;
        let name = place.name.clone();
        let arrays = match (&place.at, self.samples.form()) {
            (At::File(path), Form::Pictures) => return self.picture(index, name, bounded(path)?),
            (At::File(path), Form::Npz) => {
                read_npz(path)?.into_iter().map(|array| (Some(array.name), array.tensor)).collect()
            }
            (At::File(path), _) => vec![(None, read_npy(path)?)],
            (At::Row(row), _) => self.row(*row).map_err(|source| ReadError::Misfit {
                sample: name.clone(),
                input: "row".into(),
                source: source.into(),
            })?,
        };
        let inputs = self.named(&name, arrays)?;
        Ok(Sample { name, inputs, encoded: None })
    }

    /// All of them, in order.
    pub fn all(&self) -> impl ExactSizeIterator<Item = Result<Sample, ReadError>> {
        (0..self.samples.len()).map(|index| self.read(index))
    }

    fn picture(&self, index: usize, name: String, file: Bytes) -> Result<Sample, ReadError> {
        let Some(encoded) = &self.card.preprocess else {
            return Err(ReadError::NoPreprocessing(self.card.name.clone()));
        };
        let pixels = match encoded.steps.apply(&file) {
            Ok(pixels) => pixels,
            Err(source) => return Err(ReadError::Picture { sample: name, source }),
        };
        let inputs = if let [only] = &self.card.inputs[..] {
            vec![NamedTensor { name: only.name.clone(), tensor: pixels }]
        } else {
            let mut made = self.generator.sample(index as u64, 1)?;
            for input in made.iter_mut().filter(|input| input.name == encoded.input) {
                input.tensor = pixels.clone();
            }
            made
        };
        Ok(Sample { name, inputs, encoded: Some(file) })
    }

    /// One row of every array, with a leading axis of 1.
    fn row(&self, row: usize) -> Result<Vec<(Option<String>, Tensor)>, TensorError> {
        let slice = |(name, array): &(Option<String>, Tensor)| {
            let rows = array.shape().first().copied().unwrap_or(1).max(1);
            let bytes = array.data().len() / rows;
            let mut shape = array.shape().to_vec();
            if let Some(first) = shape.first_mut() {
                *first = 1;
            }
            let data = array.data().slice(row * bytes..(row + 1) * bytes);
            Ok((name.clone(), Tensor::new(array.dtype(), shape, data)?))
        };
        self.samples.arrays.iter().map(slice).collect()
    }

    fn named(
        &self,
        sample: &str,
        mut arrays: Vec<(Option<String>, Tensor)>,
    ) -> Result<Vec<NamedTensor>, ReadError> {
        let mut inputs = Vec::with_capacity(self.card.inputs.len());
        for spec in &self.card.inputs {
            let is_it =
                |(name, _): &(Option<String>, Tensor)| name.as_ref().is_none_or(|name| *name == spec.name);
            let Some(at) = arrays.iter().position(is_it) else {
                let arrays = arrays.iter().filter_map(|(name, _)| name.clone()).collect();
                return Err(ReadError::Missing { sample: sample.into(), input: spec.name.clone(), arrays });
            };
            let (_, array) = arrays.swap_remove(at);
            let tensor = fit(array, spec).map_err(|source| ReadError::Misfit {
                sample: sample.into(),
                input: spec.name.clone(),
                source,
            })?;
            inputs.push(NamedTensor { name: spec.name.clone(), tensor });
        }
        match arrays.into_iter().next() {
            None => Ok(inputs),
            Some((array, _)) => Err(ReadError::Foreign {
                sample: sample.into(),
                array: array.unwrap_or_default(),
                inputs: names(self.card),
            }),
        }
    }
}

fn names(card: &Card) -> Vec<String> {
    card.inputs.iter().map(|spec| spec.name.clone()).collect()
}
