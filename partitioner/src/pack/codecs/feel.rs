//! How much do the answers feel an error in a tensor, and in which direction?
//!
//! The crate `codec-fit` says what to ask ([`Probe`]); this asks the model.

use super::requests::Asked;
use super::spread::spread;
use super::trial::Stage;
use kerf_agreement::{Criterion, Metric};
use kerf_codec_fit::{Probe, Samples, Sensitivity, softmax_change};
use kerf_tensor::NamedTensor;

/// Numbers of an answer that are compared; a detector has hundreds of thousands.
const NUMBERS: usize = 4096;

/// Classes that are nearly as likely as the first count too.
const TEMPERATURE: f32 = 3.0;

/// What `passes` runs of the tail tell of one tensor of its boundary; `None` where they tell nothing,
/// or requests are batches.
pub(crate) fn sensitivity(
    stage: &Stage,
    requests: &[&Asked],
    tensor: &str,
    samples: &Samples,
    passes: usize,
) -> anyhow::Result<Option<Sensitivity>> {
    let mut probe = Probe::new(samples, passes, 1);
    let asked: Vec<(usize, &Asked)> = requests.iter().copied().enumerate().take(probe.samples()).collect();
    let ask = |(index, asked): &(usize, &Asked)| -> anyhow::Result<Option<Vec<Vec<f32>>>> {
        let Some(value) = asked.values.get(tensor) else { return Ok(None) };
        let mut changes = Vec::with_capacity(probe.pairs());
        for pair in 0..probe.pairs() {
            let Ok((plus, minus)) = probe.pair(*index, pair, value) else { return Ok(None) };
            let answer = |tensor_value| {
                let moved = NamedTensor { name: tensor.to_owned(), tensor: tensor_value };
                stage.answer(asked, vec![moved]).map(|outputs| numbers(&outputs, stage.criterion))
            };
            changes.push(change(&answer(plus)?, &answer(minus)?, stage.criterion));
        }
        Ok(Some(changes))
    };
    for changes in spread(&asked, ask)? {
        let Some(changes) = changes else { return Ok(None) };
        if probe.learn(&changes).is_err() {
            return Ok(None);
        }
    }
    Ok(probe.finish())
}

fn change(plus: &[f32], minus: &[f32], criterion: &Criterion) -> Vec<f32> {
    if !matches!(criterion.by, Metric::Top1(_)) {
        return plus.iter().zip(minus).map(|(a, b)| a - b).collect();
    }
    let is_share = |values: &[f32]| {
        values.iter().all(|value| (0.0..=1.0).contains(value))
            && (values.iter().sum::<f32>() - 1.0).abs() < 1e-3
    };
    if is_share(plus) && is_share(minus) {
        // Behind a softmax: back to logits, up to a constant.
        let logits = |values: &[f32]| values.iter().map(|value| value.max(1e-20).ln()).collect::<Vec<f32>>();
        return softmax_change(&logits(plus), &logits(minus), TEMPERATURE);
    }
    softmax_change(plus, minus, TEMPERATURE)
}

/// The numbers of the outputs that count: all, or evenly spread ones of many.
fn numbers(outputs: &[NamedTensor], criterion: &Criterion) -> Vec<f32> {
    let counts =
        |named: &&NamedTensor| criterion.outputs.is_empty() || criterion.outputs.contains(&named.name);
    let floats = outputs.iter().filter(counts).filter(|named| named.tensor.dtype().is_float());
    let all: Vec<f32> = floats
        .flat_map(|named| named.tensor.to_f64().unwrap_or_default())
        .map(|value| value as f32)
        .collect();
    let stride = all.len().div_ceil(NUMBERS).max(1);
    all.into_iter().step_by(stride).collect()
}
