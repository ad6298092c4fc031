//! Fitted codecs of one method, from fine to coarse.

use super::feel;
use super::requests::Asked;
use super::trial::Stage;
use anyhow::Context;
use kerf_codec::Spec;
use kerf_codec_fit::{Fit, Input, Method, Samples, Sensitivity, channel_axis};
use kerf_engine::RunError;
use kerf_tensor::{NamedTensor, TensorSpec};

/// What requests leave at a boundary, tensor by tensor.
pub(crate) struct Calibration {
    tensors: Vec<Gathered>,
}

/// One tensor.
struct Gathered {
    name: String,
    /// `None` where it is sent without loss.
    samples: Option<Samples>,
    /// How much the answers feel errors in it, if that was asked.
    sensitivity: Option<Sensitivity>,
}

/// Codecs of one method.
pub(crate) struct Ladder(Fit);

impl Calibration {
    /// Gathers the tensors of requests; ones that are never fitted are noted by name only.
    pub(crate) fn gather(
        specs: &[TensorSpec],
        requests: impl Iterator<Item = Result<Vec<NamedTensor>, RunError>>,
    ) -> anyhow::Result<Self> {
        let gathered = |spec: &TensorSpec| Gathered {
            name: spec.name.clone(),
            samples: channel_axis(spec).map(|(axis, count)| Samples::new(axis, count)),
            sensitivity: None,
        };
        let mut tensors: Vec<Gathered> = specs.iter().map(gathered).collect();
        for request in requests {
            for (named, Gathered { samples, .. }) in request?.iter().zip(&mut tensors) {
                let Some(taking) = samples else { continue };
                // NaN, say: such a tensor is sent without loss.
                if taking.push(&named.tensor).is_err() {
                    *samples = None;
                }
            }
        }
        Ok(Self { tensors })
    }

    /// Finds out what the answers feel, with about so many runs of the tail.
    pub(crate) fn probe(&mut self, stage: &Stage, requests: &[&Asked], passes: usize) -> anyhow::Result<()> {
        let passes = passes / self.tensors.len().max(1);
        for Gathered { name, samples, sensitivity } in &mut self.tensors {
            if let Some(samples) = samples.as_ref().filter(|samples| !samples.is_empty()) {
                *sensitivity = feel::sensitivity(stage, requests, name, samples, passes)?;
            }
        }
        Ok(())
    }
}

impl Ladder {
    /// Bits per value of the rungs, finest first.
    pub(crate) const BITS: [f64; 14] = Fit::LADDER;

    /// The rung to begin with: finer ones are rarely needed.
    pub(crate) const MIDDLE: usize = 4;

    /// Fits transforms to all tensors of a boundary.
    pub(crate) fn new(method: Method, calibration: &Calibration) -> Self {
        let inputs = calibration.tensors.iter().map(|it| Input {
            name: &it.name,
            samples: it.samples.as_ref(),
            sensitivity: it.sensitivity.as_ref(),
        });
        let inputs: Vec<Input<'_>> = inputs.collect();
        Self(Fit::new(&inputs, method))
    }

    /// A codec for every tensor, and its name; `None` where none is fitted.
    pub(crate) fn rung(&self, bits: f64) -> Option<(String, Vec<(String, Spec)>)> {
        self.0.candidate(bits).map(|candidate| (candidate.name, candidate.tensors))
    }

    /// As [`rung`](Self::rung), where another ladder of the same tensors had one.
    pub(crate) fn same_rung(&self, bits: f64) -> anyhow::Result<Vec<(String, Spec)>> {
        let (_, tensors) =
            self.rung(bits).context("one half of the inputs leaves nothing to fit codecs to")?;
        Ok(tensors)
    }
}
