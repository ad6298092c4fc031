//! How large is what would be shipped from each boundary, for real requests?

use crate::Subject;
use crate::resident::Resident;
use crate::samples::{quantile, sorted};
use kerf_engine::{RunError, SegmentId, Values};
use kerf_profile::{BoundarySize, Codec, Sizes};
use kerf_tensor::NamedTensor;

/// A request, and what it was made from.
#[derive(Clone, Debug)]
pub struct Request {
    /// Inputs by the model's names.
    pub inputs: Vec<NamedTensor>,
    /// Bytes of its encoded pictures and the seconds that it took to make tensors of them.
    pub encoded: Option<(u64, f64)>,
}

/// Sizes of every boundary over `requests`, which `inputs` describes. Tensors as they are cost
/// nothing to write or read: they are sent from where they lie.
pub fn sizes(subject: &Subject<'_>, requests: &[Request], inputs: &str) -> Result<Sizes, RunError> {
    let model = subject.model;
    let mut flows: Vec<Values> =
        requests.iter().map(|request| request.inputs.iter().cloned().collect()).collect();
    let mut boundaries = Vec::new();
    let encoded: Vec<(u64, f64)> = requests.iter().filter_map(|request| request.encoded).collect();
    if !encoded.is_empty() {
        let decode = encoded.iter().map(|(_, seconds)| seconds).sum::<f64>() / encoded.len() as f64;
        boundaries.push(row(0, Codec::Encoded, encoded.iter().map(|(bytes, _)| *bytes as f64), decode));
    }
    for boundary in 0..=model.last() {
        if boundary > 0 {
            step(subject, boundary, &mut flows)?;
        }
        let bytes = flows.iter().map(|values| {
            let tensors = values.boundary(model, boundary)?;
            Ok(tensors.iter().map(|named| named.tensor.data().len() as f64).sum())
        });
        boundaries.push(row(
            boundary,
            Codec::Raw,
            bytes.collect::<Result<Vec<f64>, RunError>>()?.into_iter(),
            0.0,
        ));
    }
    Ok(Sizes { samples: requests.len(), inputs: inputs.to_owned(), boundaries })
}

/// Runs all requests from the boundary before `boundary` on the first engine that can.
fn step(subject: &Subject<'_>, boundary: usize, flows: &mut [Values]) -> Result<(), RunError> {
    let id = SegmentId { from: boundary - 1, to: boundary };
    let mut refused = None;
    for engine in subject.engines {
        let mut resident = Resident::new(subject.model, engine.clone(), 0);
        let made = resident.obtain(id).map_err(RunError::from).and_then(|(ready, _)| {
            flows.iter().map(|values| ready.run(values)).collect::<Result<Vec<_>, _>>()
        });
        match made {
            Ok(made) => {
                flows.iter_mut().zip(made).for_each(|(values, outputs)| values.extend(outputs));
                return Ok(());
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    refused.map_or(Ok(()), Err)
}

fn row(boundary: usize, codec: Codec, bytes: impl Iterator<Item = f64>, decode_s: f64) -> BoundarySize {
    let bytes = sorted(bytes);
    let bytes_mean = bytes.iter().sum::<f64>() / bytes.len().max(1) as f64;
    BoundarySize { boundary, codec, bytes_mean, bytes_p90: quantile(&bytes, 0.9), encode_s: 0.0, decode_s }
}
