//! A model laid out for decisions.

use super::check::{TableError, check};
use super::model::Model;
use crate::tiers::Dist;

/// Boundaries that a table may have, the inputs and the outputs among them.
pub const MAX_BOUNDARIES: usize = 33;

/// A model made ready for [`decide`](super::decide()).
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub(super) model: Model,
    /// `choices[first[b]..first[b + 1]]` are the shipments of boundary `b` that may be used.
    pub(super) first: Vec<usize>,
    pub(super) choices: Vec<Choice>,
    /// By node and choice, mean and variance of decoding and the tail.
    pub(super) clouds: Vec<Option<Moments>>,
    /// The head at each boundary, and how likely it does not answer.
    pub(super) heads: Vec<(Moments, f64)>,
    /// By boundary, the rest on the edge alone, without heads.
    local: Vec<Option<Dist>>,
    /// The terms' quantile of the standard normal distribution.
    pub(super) z: f64,
}

/// A shipment that privacy and agreement allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) codec: usize,
    pub(super) bytes: Moments,
    pub(super) encode: Moments,
}

/// What adds up: mean and variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

impl From<Dist> for Moments {
    fn from(it: Dist) -> Self {
        Self { mean: it.mean, variance: it.sd * it.sd }
    }
}

impl Moments {
    /// The sum with an independent quantity.
    #[inline]
    pub(super) fn plus(self, other: Self) -> Self {
        Self { mean: self.mean + other.mean, variance: self.variance + other.variance }
    }

    /// The product with an independent quantity.
    #[inline]
    pub(super) fn times(self, other: Self) -> Self {
        let variance = self.mean * self.mean * other.variance
            + self.variance * (other.mean * other.mean + other.variance);
        Self { mean: self.mean * other.mean, variance }
    }

    pub(super) fn dist(self) -> Dist {
        Dist { mean: self.mean, sd: self.variance.sqrt() }
    }
}

impl Table {
    /// Checks a model and lays it out.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(model: Model) -> Result<Self, TableError> {
        check(&model)?;
        let boundaries = model.shipments.len();
        let lost: f64 = model.exits.iter().map(|exit| exit.agreement_loss).sum();
        let allowed = 1.0 - model.terms.agreement;
        if lost > allowed + ROUNDING {
            return Err(TableError::Agreement { loss: lost, allowed });
        }
        let (mut first, mut choices, mut places) = (vec![0], Vec::new(), Vec::new());
        for (boundary, shipments) in model.shipments.iter().enumerate() {
            if boundary >= model.terms.privacy_floor && boundary + 1 < boundaries {
                let all = shipments.iter().enumerate();
                for (codec, it) in all.filter(|(_, it)| lost + it.agreement_loss <= allowed + ROUNDING) {
                    choices.push(Choice { codec, bytes: it.bytes.into(), encode: it.encode.into() });
                    places.push((boundary, codec));
                }
            }
            first.push(choices.len());
        }
        let cloud = |node: usize, (boundary, codec): (usize, usize)| {
            let tail = model.nodes[node].tails[boundary]?;
            Some(Moments::from(tail).plus(model.shipments[boundary][codec].decode[node].into()))
        };
        let clouds = (0..model.nodes.len()).flat_map(|node| places.iter().map(move |place| (node, *place)));
        let clouds = clouds.map(|(node, place)| cloud(node, place)).collect();
        let mut heads = vec![(Moments::default(), 1.0); boundaries];
        for exit in &model.exits {
            heads[exit.boundary] = (exit.head.into(), 1.0 - exit.probability);
        }
        let (local, z) = (local(&model), Dist::normal_quantile(model.terms.quantile));
        Ok(Self { model, first, choices, clouds, heads, local, z })
    }

    /// What it was made of.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The boundary of the outputs.
    pub fn last(&self) -> usize {
        self.heads.len() - 1
    }

    /// Seconds from a boundary to the end on the edge alone, without heads, in the ranges that take
    /// the least; `None` where it cannot, or there is no such boundary.
    pub fn local(&self, from: usize) -> Option<Dist> {
        self.local.get(from).copied().flatten()
    }

    /// The standard deviations above the mean at which deadlines are checked.
    pub fn deviations(&self) -> f64 {
        self.z
    }
}

fn local(model: &Model) -> Vec<Option<Dist>> {
    let last = model.edge.times.last();
    let mut rest = vec![None; last + 1];
    rest[last] = Some(Dist::default());
    for from in (0..last).rev() {
        let by = |to: usize| Some((*model.edge.times.at(from, to))?.plus(rest[to]?));
        let all = (from + 1..=last).filter_map(by);
        rest[from] = all.min_by(|a: &Dist, b: &Dist| a.mean.total_cmp(&b.mean));
    }
    rest
}

/// Sums of losses are wrong by less.
const ROUNDING: f64 = 1e-12;
