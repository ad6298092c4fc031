//! One codec at one boundary: bytes, time, and what becomes of the answers.

use super::requests::{Asked, is_right};
use super::spread::spread;
use anyhow::Context;
use bytes::Bytes;
use kerf_agreement::{Criterion, Paired, Tally, Verdict};
use kerf_bundle::Encoded;
use kerf_codec::{BuiltIn, Codec, Limits, Spec};
use kerf_engine::{Runner, Values};
use kerf_graph::CutModel;
use kerf_preprocess::Recode;
use kerf_samples::Half;
use kerf_tensor::NamedTensor;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A way to send the tensors of a boundary.
pub(crate) enum Way<'a> {
    /// Each under its codec; one that has none goes as it is.
    Tensors(BTreeMap<String, Codec>),
    /// The pixels that became the input.
    Pixels(&'a Encoded, Recode),
}

/// What was seen of a codec over requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    rows: Vec<Row>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    half: Half,
    bytes: f64,
    encode: f64,
    decode: f64,
    verdict: Verdict,
    /// Whether the whole model's answer is right, and this one.
    is_right: Option<(bool, bool)>,
}

/// A boundary of a model that can be run from there.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) model: &'a CutModel,
    pub(crate) runner: &'a Runner,
    pub(crate) boundary: usize,
    pub(crate) criterion: &'a Criterion,
}

/// Tensors that went and came.
struct Sent {
    tensors: Vec<NamedTensor>,
    bytes: usize,
    encode: Duration,
    decode: Duration,
    /// Whether these are the very tensors that went.
    is_exact: bool,
}

impl<'a> Way<'a> {
    /// Every tensor under its spec.
    pub(crate) fn new(specs: &[(String, Spec)]) -> anyhow::Result<Self> {
        let ready = |(name, spec): &(String, Spec)| {
            Ok((name.clone(), Codec::new(spec).with_context(|| format!("tensor {name:?}"))?))
        };
        Ok(Self::Tensors(specs.iter().map(ready).collect::<anyhow::Result<_>>()?))
    }

    /// Every tensor under one built-in codec.
    pub(crate) fn built_in(codec: BuiltIn, names: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        let specs: Vec<_> = names.map(|name| (name.to_owned(), Spec::from(codec))).collect();
        Self::new(&specs)
    }

    fn send(&self, tensors: &[NamedTensor]) -> anyhow::Result<Sent> {
        let mut sent = Sent {
            tensors: Vec::new(),
            bytes: 0,
            encode: Duration::ZERO,
            decode: Duration::ZERO,
            is_exact: true,
        };
        for named in tensors {
            let NamedTensor { name, tensor } = named;
            let start = Instant::now();
            let encoded = match self {
                Self::Tensors(codecs) => codecs.get(name).and_then(|codec| {
                    let coder = codec.coder(tensor.dtype(), tensor.shape(), Limits::default()).ok()?;
                    let mut out = Vec::new();
                    // What a codec refuses goes as it is, as between nodes.
                    coder.encode(tensor, &mut out).ok().map(|()| out)
                }),
                Self::Pixels(pictures, recode) if pictures.input == *name => {
                    Some(pictures.steps.recode(tensor, *recode)?)
                }
                Self::Pixels(..) => None,
            };
            sent.encode += start.elapsed();
            let Some(encoded) = encoded.filter(|out| out.len() < tensor.data().len()) else {
                sent.bytes += tensor.data().len();
                sent.tensors.push(named.clone());
                continue;
            };
            sent.bytes += encoded.len();
            let payload = Bytes::from(encoded);
            let start = Instant::now();
            let again = match self {
                Self::Tensors(codecs) => {
                    let codec = codecs.get(name).context("no codec")?;
                    codec.coder(tensor.dtype(), tensor.shape(), Limits::default())?.decode(&payload)?
                }
                Self::Pixels(pictures, recode) => {
                    pictures.steps.restore(&payload, tensor.dtype(), tensor.shape(), *recode)?
                }
            };
            sent.decode += start.elapsed();
            sent.is_exact &= again == *tensor;
            sent.tensors.push(NamedTensor { name: name.clone(), tensor: again });
        }
        Ok(sent)
    }
}

impl Stage<'_> {
    /// Sends one request this way and asks the tail, unless nothing is lost on the way.
    fn ask(&self, way: &Way, asked: &Asked) -> anyhow::Result<Row> {
        let sent = way.send(&asked.values.boundary(self.model, self.boundary)?)?;
        let outputs = match sent.is_exact {
            true => asked.outputs.clone(),
            false => self.answer(asked, sent.tensors)?,
        };
        let right = asked.is_right.zip(asked.label);
        let right =
            right.map(|(whole, label)| anyhow::Ok((whole, is_right(self.criterion, &outputs, label)?)));
        Ok(Row {
            half: asked.half,
            bytes: sent.bytes as f64,
            encode: sent.encode.as_secs_f64(),
            decode: sent.decode.as_secs_f64(),
            verdict: self.criterion.judge(&outputs, &asked.outputs)?,
            is_right: right.transpose()?,
        })
    }

    /// Sends requests, each its way, and asks the tail; ends early, with `None`, where more than
    /// `most` answers changed.
    pub(crate) fn try_on<'w>(
        &self,
        requests: &[Asked],
        way: impl Fn(&Asked) -> &'w Way<'w> + Sync,
        most: usize,
    ) -> anyhow::Result<Option<Trial>> {
        let changed = AtomicUsize::new(0);
        let rows = spread(requests, |asked| {
            if changed.load(Ordering::Relaxed) > most {
                return Ok(None);
            }
            let row = self.ask(way(asked), asked)?;
            changed.fetch_add(usize::from(!row.verdict.same), Ordering::Relaxed);
            Ok(Some(row))
        })?;
        // A few more than `most` may have been counted by the time that all had stopped.
        Ok(rows.into_iter().collect::<Option<Vec<Row>>>().map(|rows| Trial { rows }))
    }

    /// Bytes of one request this way.
    pub(crate) fn bytes(&self, way: &Way, asked: &Asked) -> anyhow::Result<f64> {
        Ok(way.send(&asked.values.boundary(self.model, self.boundary)?)?.bytes as f64)
    }

    /// The answer from other tensors of the boundary.
    pub(crate) fn answer(
        &self,
        asked: &Asked,
        tensors: Vec<NamedTensor>,
    ) -> anyhow::Result<Vec<NamedTensor>> {
        let mut values: Values = asked.values.clone();
        values.extend(tensors);
        self.runner.run(self.boundary, self.model.last(), &mut values)?;
        Ok(values.outputs(self.model)?)
    }
}

impl Trial {
    /// What was seen on one half.
    pub(crate) fn of(&self, half: Half) -> Self {
        Self { rows: self.rows.iter().filter(|row| row.half == half).cloned().collect() }
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self
    }

    /// How many answers stayed the same.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.rows.iter().for_each(|row| tally.add(&row.verdict));
        tally
    }

    /// The share of answers that stayed the same; 0 of none.
    pub(crate) fn agreement(&self) -> f64 {
        self.tally().requests.value().unwrap_or(0.0)
    }

    /// Right answers before and after, where there are labels.
    pub(crate) fn accuracy(&self) -> Option<Paired> {
        let mut paired = Paired::default();
        let pairs = self.rows.iter().map(|row| row.is_right);
        pairs.for_each(|pair| {
            if let Some((before, after)) = pair {
                paired.add(before, after);
            }
        });
        (paired.of() > 0).then_some(paired)
    }

    pub(crate) fn mean_bytes(&self) -> f64 {
        self.rows.iter().map(|row| row.bytes).sum::<f64>() / self.rows.len().max(1) as f64
    }

    /// Nine of ten requests take no more.
    pub(crate) fn p90_bytes(&self) -> f64 {
        quantile(self.rows.iter().map(|row| row.bytes), 0.9)
    }

    /// Median seconds to encode a request, and to decode it.
    pub(crate) fn seconds(&self) -> (f64, f64) {
        (
            quantile(self.rows.iter().map(|row| row.encode), 0.5),
            quantile(self.rows.iter().map(|row| row.decode), 0.5),
        )
    }
}

/// The value that a share of the others does not exceed; 0 of none.
fn quantile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}
