//! What a model will be asked, and what it answers when nothing is lost on the way.

use anyhow::{Context, bail};
use kerf_agreement::{Criterion, Labels, Metric};
use kerf_bundle::{Card, Encoded};
use kerf_engine::{Runner, Values};
use kerf_graph::CutModel;
use kerf_inputs::Generator;
use kerf_samples::{Half, Reader, Samples};
use kerf_tensor::NamedTensor;
use std::path::Path;

/// Splits the requests; the same in every release, so that figures can be had again.
pub(crate) const SEED: u64 = 0;

/// Bytes of all requests' tensors at one boundary: more are left out.
const MEMORY: usize = 1 << 30;

/// With fewer no interval says anything.
const FEWEST: usize = 8;

/// One request, and the whole model's answer.
pub(crate) struct Asked {
    /// Which half it belongs to.
    pub(crate) half: Half,
    /// Bytes of the picture that a client would send.
    pub(crate) encoded: Option<usize>,
    /// What is known so far: the inputs at first.
    pub(crate) values: Values,
    /// The answer.
    pub(crate) outputs: Vec<NamedTensor>,
    /// Whether the answer is right, where there is a label.
    pub(crate) is_right: Option<bool>,
    /// What is right.
    pub(crate) label: Option<u32>,
}

/// Requests of a folder.
pub(crate) struct Requests {
    pub(crate) all: Vec<Asked>,
    /// `250 of the 500 inputs in photos`.
    pub(crate) said: String,
}

impl Requests {
    /// Reads requests and asks the whole model.
    pub(crate) fn read(
        folder: &Path,
        card: &Card,
        model: &CutModel,
        runner: &Runner,
        criterion: &Criterion,
        most: usize,
    ) -> anyhow::Result<Self> {
        let samples = Samples::open(folder)?;
        let labels = samples.labels()?;
        let generator = Generator::new(model.model(), &[])?;
        let reader = Reader::new(&samples, card, &generator)?;
        let bar = crate::print::progress(samples.len().min(most) as u64, "whole model");
        let mut all = Vec::new();
        let mut largest = 0;
        for sample in reader.all().take(most) {
            let sample = sample?;
            let what = || format!("{}: the whole model", sample.name);
            let values: Values = sample.inputs.iter().cloned().collect();
            let mut whole = values.clone();
            runner.run(0, model.last(), &mut whole).with_context(what)?;
            let outputs = whole.outputs(model).with_context(what)?;
            largest = largest.max(live(model, &sample.inputs));
            if largest.saturating_mul(all.len() + 1) > MEMORY {
                break;
            }
            let label = labels.as_ref().filter(|_| matches!(criterion.by, Metric::Top1(_)));
            let label = label.and_then(|labels: &Labels| labels.class(&sample.name));
            let is_right = label.map(|label| is_right(criterion, &outputs, label)).transpose()?;
            all.push(Asked {
                half: Half::of(&sample.name, SEED),
                encoded: sample.encoded.as_ref().map(|picture| picture.len()),
                values,
                outputs,
                is_right,
                label,
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        for half in [Half::Calibration, Half::HeldOut] {
            if all.len() < FEWEST || !all.iter().any(|asked| asked.half == half) {
                bail!(
                    "{}: {} inputs are too few to fit codecs on one half and judge them on the other; \
                     give some dozens at least",
                    folder.display(),
                    all.len()
                );
            }
        }
        let said = match (all.len(), samples.len()) {
            (used, there) if used < there => format!("{used} of the {there} inputs in {}", folder.display()),
            (used, _) => format!("{used} inputs in {}", folder.display()),
        };
        Ok(Self { all, said })
    }

    /// The mean size of the pictures as clients would send them.
    pub(crate) fn mean_encoded(&self) -> Option<f64> {
        let sizes: Option<Vec<usize>> = self.all.iter().map(|asked| asked.encoded).collect();
        let sizes = sizes?;
        Some(sizes.iter().sum::<usize>() as f64 / sizes.len().max(1) as f64)
    }

    /// Takes every request from one boundary to the next, and forgets what is no longer needed.
    pub(crate) fn advance(&mut self, model: &CutModel, runner: &Runner, from: usize) -> anyhow::Result<()> {
        for asked in &mut self.all {
            runner
                .run(from, from + 1, &mut asked.values)
                .with_context(|| format!("b{from} to b{}", from + 1))?;
            let mut kept: Values = asked.values.boundary(model, from + 1)?.into_iter().collect();
            let done = model.model().outputs().iter().filter_map(|spec| {
                let tensor = asked.values.get(&spec.name)?.clone();
                Some(NamedTensor { name: spec.name.clone(), tensor })
            });
            kept.extend(done);
            asked.values = kept;
        }
        Ok(())
    }
}

/// Whether an answer of one row chooses its label.
pub(crate) fn is_right(criterion: &Criterion, outputs: &[NamedTensor], label: u32) -> anyhow::Result<bool> {
    Ok(criterion.choices(outputs)?.first().copied().flatten() == Some(i64::from(label)))
}

/// What pictures become, if that is an input of the model.
pub(crate) fn pixels<'a>(card: &'a Card, requests: &Requests) -> Option<&'a Encoded> {
    card.preprocess.as_ref().filter(|_| requests.all.iter().all(|asked| asked.encoded.is_some()))
}

/// Bytes at the widest boundary, as far as shapes say; the inputs' at least.
fn live(model: &CutModel, inputs: &[NamedTensor]) -> usize {
    let inputs = inputs.iter().map(|named| named.tensor.data().len()).sum::<usize>();
    let known = model.boundaries().iter().filter_map(|boundary| boundary.bytes).max();
    inputs.max(known.unwrap_or(0) as usize)
}
