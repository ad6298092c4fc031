//! What does not change from request to request.

use crate::tiers::{Dist, Exit, Problem, Ranges, Weights};

/// What is known of a model on an edge and its cloud nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The edge.
    pub edge: Edge,
    /// By boundary, from the inputs to the outputs, and by codec; those of the last boundary are
    /// not used.
    pub shipments: Vec<Vec<Shipment>>,
    /// The cloud nodes that may be shipped to.
    pub nodes: Vec<CloudNode>,
    /// Heads in order of their boundaries, each tried when the request stops there.
    pub exits: Vec<Exit>,
    /// A result on its way back.
    pub reply: Reply,
    /// What is wanted.
    pub terms: Terms,
}

/// The edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Seconds per range; `None` where it cannot run the range.
    pub times: Ranges<Option<Dist>>,
    /// Watts while it computes.
    pub busy_watts: f64,
    /// Watts while a request is elsewhere.
    pub wait_watts: f64,
}

/// A boundary in one encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Shipment {
    /// Bytes on the wire.
    pub bytes: Dist,
    /// Seconds to encode on the edge.
    pub encode: Dist,
    /// Seconds to decode, by cloud node.
    pub decode: Vec<Dist>,
    /// Share of all requests whose answer it changes, at most.
    pub agreement_loss: f64,
}

/// A cloud node.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudNode {
    /// Seconds from each boundary to the end, the result's encoding included; `None` where it
    /// cannot start there.
    pub tails: Vec<Option<Dist>>,
    /// Joules per byte to it and back, as the edge pays them.
    pub joules_per_byte: f64,
    /// Units of currency per byte to it and back.
    pub money_per_byte: f64,
    /// Units of currency per second that it computes.
    pub money_per_second: f64,
}

/// A result on its way back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reply {
    /// Bytes on the wire.
    pub bytes: Dist,
    /// Seconds to decode on the edge.
    pub decode: Dist,
}

/// What is wanted of decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// What a second, a joule, a byte sent and a unit of currency are worth.
    pub weights: Weights,
    /// Boundaries before this one are never shipped.
    pub privacy_floor: usize,
    /// Least share of answers that equal the whole model's. Losses add up: a shipment is left out
    /// where its loss and those of all exits together are too much.
    pub agreement: f64,
    /// How likely a deadline must be kept, from 0.5 to less than 1.
    pub quantile: f64,
}

impl Default for Terms {
    /// The least expected seconds, deadlines kept by 19 requests of 20.
    fn default() -> Self {
        let weights = Weights { latency: 1.0, ..Weights::default() };
        Self { weights, privacy_floor: 0, agreement: 0.0, quantile: 0.95 }
    }
}

/// Why planning problems do not make a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// An edge and a cloud node is what there must be.
    #[error("problem {problem} has {tiers} tiers, there must be 2")]
    Tiers {
        /// Which one.
        problem: usize,
        /// How many it has.
        tiers: usize,
    },
    /// No problem, so not even an edge.
    #[error("there is no problem")]
    Empty,
    /// Problems of different models, or with different codecs.
    #[error("problem {problem} has other boundaries or codecs than problem 0")]
    Different {
        /// Which one.
        problem: usize,
    },
}

impl Model {
    /// The model of problems that share their first tier, an edge, and each have a cloud node for
    /// their second: what [`assemble`](crate::assemble()) makes of the same edge's profile with
    /// each node's.
    ///
    /// What the edge takes before it begins is paid by ranges from `b0`, as shipments from there
    /// pay it by their encoding. The links' numbers are not part of a model: they are conditions.
    ///
    /// # Errors
    /// Problems that are no pairs, or do not fit each other.
    pub fn of(problems: &[Problem], terms: Terms) -> Result<Self, ModelError> {
        let Some(first) = problems.first() else { return Err(ModelError::Empty) };
        for (problem, it) in problems.iter().enumerate() {
            let (tiers, links) = (it.tiers.len(), it.links.len());
            if (tiers, links) != (2, 1) {
                return Err(ModelError::Tiers { problem, tiers });
            }
            let names = |it: &Problem| -> Vec<Vec<String>> {
                let names =
                    |list: &Vec<crate::tiers::Shipment>| list.iter().map(|it| it.codec.clone()).collect();
                it.shipments.iter().map(names).collect()
            };
            if names(it) != names(first) || it.tiers.iter().any(|tier| tier.times.last() != first.last()) {
                return Err(ModelError::Different { problem });
            }
        }
        let (edge, last) = (&first.tiers[0], first.last());
        let times = Ranges::new(last, |from, to| {
            let time = (*edge.times.at(from, to))?;
            Some(if from == 0 { edge.queue.plus(time) } else { time })
        });
        let shipment = |boundary: usize, codec: usize| {
            let it = &first.shipments[boundary][codec];
            Shipment {
                bytes: it.bytes,
                encode: it.encode[0],
                decode: problems.iter().map(|it| it.shipments[boundary][codec].decode[1]).collect(),
                agreement_loss: it.agreement_loss + first.reply.agreement_loss,
            }
        };
        let shipments = first.shipments.iter().enumerate();
        let shipments = shipments
            .map(|(boundary, list)| (0..list.len()).map(|codec| shipment(boundary, codec)).collect());
        Ok(Self {
            edge: Edge { times, busy_watts: edge.busy_watts, wait_watts: edge.wait_watts },
            shipments: shipments.collect(),
            nodes: problems.iter().map(node).collect(),
            exits: first.exits.clone(),
            reply: Reply { bytes: first.reply.bytes, decode: first.reply.decode },
            terms,
        })
    }
}

fn node(problem: &Problem) -> CloudNode {
    let (tier, link, last) = (&problem.tiers[1], &problem.links[0], problem.last());
    let around = tier.queue.plus(problem.reply.encode[1]);
    let tail = |from: usize| {
        if from == last { Some(Dist::default()) } else { tier.times.at(from, last).map(|it| it.plus(around)) }
    };
    CloudNode {
        tails: (0..=last).map(tail).collect(),
        joules_per_byte: link.joules_per_byte,
        money_per_byte: link.money_per_byte,
        money_per_second: tier.money_per_second,
    }
}
