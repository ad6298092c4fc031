//! What is asked: the same kind of requests as the profiles looked at.

use super::MeasureArgs;
use crate::inputs::generator;
use crate::plan::join;
use anyhow::{Context, bail};
use kerf_bundle::{Bundle, Encoded};
use kerf_profile::{Codec, Profile};
use kerf_serving::{Picture, pictures};
use kerf_tensor::{NamedTensor, Tensor};

/// Different requests that take turns.
const DIFFERENT: usize = 32;

pub(super) struct Requests<'a> {
    bundle: &'a Bundle,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Tensors(Vec<Vec<NamedTensor>>),
    Pictures(&'a Encoded, Vec<Picture>),
}

/// One request.
pub(super) struct Question {
    pub(super) inputs: Vec<NamedTensor>,
    /// Seconds in which the application made tensors of a picture.
    pub(super) decode: f64,
}

impl<'a> Requests<'a> {
    /// `edge` says whether its sizes and times are those of pictures.
    pub(super) fn new(bundle: &'a Bundle, args: &MeasureArgs, edge: &Profile) -> anyhow::Result<Self> {
        let generator = generator(bundle.model.model(), &args.bind)?;
        let of_pictures = join::size(edge, 0, Codec::Encoded).is_some();
        let kind = match (&args.inputs, &bundle.card.preprocess) {
            (Some(_), _) if !of_pictures => {
                bail!(
                    "--inputs: the edge's profile was taken without pictures; give `partitioner profile` --inputs too"
                )
            }
            (Some(dir), Some(encoded)) => {
                Kind::Pictures(encoded, pictures(&generator, &bundle.card, dir, DIFFERENT)?)
            }
            (None, _) if of_pictures => {
                bail!("the edge's profile was taken with pictures; give such with --inputs")
            }
            _ => {
                let made = (0..4).map(|seed| generator.sample(seed, 1));
                Kind::Tensors(made.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { bundle, kind })
    }

    pub(super) fn model(&self) -> &str {
        &self.bundle.card.name
    }

    /// The request of that index. Where tensors of pictures are to be shipped as they are, the
    /// application makes them: nodes ship encoded pictures as they came.
    pub(super) fn question(&self, index: usize, is_raw: bool) -> anyhow::Result<Question> {
        match &self.kind {
            Kind::Tensors(all) => Ok(Question { inputs: turn(all, index)?.clone(), decode: 0.0 }),
            Kind::Pictures(encoded, all) => {
                let picture = turn(all, index)?;
                let mut inputs = picture.inputs.clone();
                let mut decode = 0.0;
                let image = inputs.iter_mut().find(|named| named.name == encoded.input);
                let image = image.context("the model has no input for pictures")?;
                if is_raw {
                    let (pixels, seconds) = kerf_profiler::timed(|| encoded.steps.apply(&picture.file));
                    (image.tensor, decode) = (pixels?, seconds);
                } else {
                    image.name.clone_from(&encoded.encoded_input);
                    image.tensor = Tensor::from_strings(&[1], &[&picture.file])?;
                }
                Ok(Question { inputs, decode })
            }
        }
    }
}

fn turn<T>(all: &[T], index: usize) -> anyhow::Result<&T> {
    all.get(index % all.len().max(1)).context("nothing to ask")
}
