//! What does not change from request to request.

use crate::tiers::{Ranges, Weights};

/// Boundaries that a table may have, the inputs and the outputs among them.
pub const MAX_BOUNDARIES: usize = 33;

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
    /// Heads in order of their boundaries.
    pub exits: Vec<Exit>,
    /// Bytes of a result on its way back.
    pub result_bytes: f64,
    /// What a second, a joule, a byte sent and a unit of currency are worth.
    pub weights: Weights,
    /// Boundaries before this one are never shipped.
    pub privacy_floor: usize,
    /// Least share of answers that equal the whole model's. Losses add up: a shipment is left out
    /// where its loss and those of all exits together are too much.
    pub agreement: f64,
}

/// The edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Seconds per range; `None` where it cannot run the range.
    pub times: Ranges<Option<f64>>,
    /// Watts while it computes.
    pub busy_watts: f64,
    /// Watts while a request is elsewhere.
    pub wait_watts: f64,
}

/// A boundary in one encoding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shipment {
    /// Bytes on the wire.
    pub bytes: f64,
    /// Seconds to encode on the edge.
    pub encode: f64,
    /// Seconds to decode in the cloud.
    pub decode: f64,
    /// Share of all requests whose answer it changes, at most.
    pub agreement_loss: f64,
}

/// A cloud node.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudNode {
    /// Seconds from each boundary to the end; `None` where it cannot start there.
    pub tails: Vec<Option<f64>>,
    /// Joules per byte to it and back, as the edge pays them.
    pub joules_per_byte: f64,
    /// Units of currency per byte to it and back.
    pub money_per_byte: f64,
    /// Units of currency per second that it computes.
    pub money_per_second: f64,
}

/// A head on the edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// Where it is tried, when the request stops there.
    pub boundary: usize,
    /// How likely it answers if all heads before it did not.
    pub probability: f64,
    /// Seconds that it takes.
    pub head: f64,
    /// Share of all requests whose answer it changes, at most.
    pub agreement_loss: f64,
}

/// A model made ready for [`decide`](super::decide()).
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub(super) model: Model,
    /// `choices[first[b]..first[b + 1]]` are the shipments of boundary `b` that may be used.
    pub(super) first: Vec<usize>,
    pub(super) choices: Vec<Choice>,
    /// Seconds of the head at each boundary, and how likely it does not answer.
    pub(super) heads: Vec<(f64, f64)>,
}

/// A shipment that privacy and agreement allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) codec: usize,
    pub(super) shipment: Shipment,
}

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Too few boundaries, or more than a decision has room for.
    #[error("{found} boundaries, there must be 2 to {MAX_BOUNDARIES}")]
    Boundaries {
        /// How many there are.
        found: usize,
    },
    /// Parts that do not fit each other.
    #[error("{what} is for {found} boundaries, there are {expected}")]
    Count {
        /// Which part.
        what: String,
        /// How many boundaries it has.
        found: usize,
        /// How many there are.
        expected: usize,
    },
    /// A number is negative, infinite, no number, or out of its bounds.
    #[error("{what} is {value}")]
    Number {
        /// Which one.
        what: String,
        /// What it is.
        value: f64,
    },
    /// Exits lie between the ends, in order.
    #[error("exit {exit} cannot be at b{boundary}")]
    Exit {
        /// Which one.
        exit: usize,
        /// Where it is.
        boundary: usize,
    },
    /// The heads alone change too many answers.
    #[error("exits lose {loss} of agreement, the floor allows {allowed}")]
    Agreement {
        /// Their sum.
        loss: f64,
        /// What there is to lose.
        allowed: f64,
    },
}

impl Table {
    /// Checks a model and lays it out.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(model: Model) -> Result<Self, TableError> {
        let boundaries = model.shipments.len();
        if !(2..=MAX_BOUNDARIES).contains(&boundaries) {
            return Err(TableError::Boundaries { found: boundaries });
        }
        check(&model)?;
        let lost: f64 = model.exits.iter().map(|exit| exit.agreement_loss).sum();
        let allowed = 1.0 - model.agreement;
        if lost > allowed + ROUNDING {
            return Err(TableError::Agreement { loss: lost, allowed });
        }
        let (mut first, mut choices) = (vec![0], Vec::new());
        for (boundary, shipments) in model.shipments.iter().enumerate() {
            if boundary >= model.privacy_floor && boundary + 1 < boundaries {
                let all = shipments.iter().enumerate().map(|(codec, it)| Choice { codec, shipment: *it });
                choices.extend(all.filter(|it| lost + it.shipment.agreement_loss <= allowed + ROUNDING));
            }
            first.push(choices.len());
        }
        let mut heads = vec![(0.0, 1.0); boundaries];
        for exit in &model.exits {
            heads[exit.boundary] = (exit.head, 1.0 - exit.probability);
        }
        Ok(Self { model, first, choices, heads })
    }

    /// What it was made of.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The boundary of the outputs.
    pub fn last(&self) -> usize {
        self.heads.len() - 1
    }
}

/// Sums of losses are wrong by less.
const ROUNDING: f64 = 1e-12;

fn check(model: &Model) -> Result<(), TableError> {
    let boundaries = model.shipments.len();
    let count = |what: String, found: usize| {
        if found == boundaries {
            Ok(())
        } else {
            Err(TableError::Count { what, found, expected: boundaries })
        }
    };
    count("the edge's table of times".into(), model.edge.times.last() + 1)?;
    for ((from, to), time) in model.edge.times.iter() {
        time.map_or(Ok(()), |time| amount(|| format!("edge seconds of {from}..{to}"), time))?;
    }
    amount(|| "busy watts".into(), model.edge.busy_watts)?;
    amount(|| "wait watts".into(), model.edge.wait_watts)?;
    amount(|| "result bytes".into(), model.result_bytes)?;
    share(|| "agreement floor".into(), model.agreement)?;
    let Weights { latency, energy, bytes, money } = model.weights;
    for weight in [latency, energy, bytes, money] {
        amount(|| "a weight".into(), weight)?;
    }
    for (boundary, shipments) in model.shipments.iter().enumerate() {
        for (codec, it) in shipments.iter().enumerate() {
            let of = |what: &str| format!("b{boundary}, codec {codec}: {what}");
            amount(|| of("bytes"), it.bytes)?;
            amount(|| of("seconds to encode"), it.encode)?;
            amount(|| of("seconds to decode"), it.decode)?;
            share(|| of("loss of agreement"), it.agreement_loss)?;
        }
    }
    for (node, it) in model.nodes.iter().enumerate() {
        count(format!("the list of tails of node {node}"), it.tails.len())?;
        for (boundary, tail) in it.tails.iter().enumerate() {
            tail.map_or(Ok(()), |tail| amount(|| format!("node {node}: seconds from b{boundary}"), tail))?;
        }
        amount(|| format!("node {node}: joules per byte"), it.joules_per_byte)?;
        amount(|| format!("node {node}: money per byte"), it.money_per_byte)?;
        amount(|| format!("node {node}: money per second"), it.money_per_second)?;
    }
    let mut before = 0;
    for (exit, it) in model.exits.iter().enumerate() {
        if it.boundary <= before || it.boundary + 1 >= boundaries {
            return Err(TableError::Exit { exit, boundary: it.boundary });
        }
        before = it.boundary;
        amount(|| format!("exit {exit}: seconds"), it.head)?;
        share(|| format!("exit {exit}: probability"), it.probability)?;
        share(|| format!("exit {exit}: loss of agreement"), it.agreement_loss)?;
    }
    Ok(())
}

fn amount(what: impl Fn() -> String, value: f64) -> Result<(), TableError> {
    let is_amount = value.is_finite() && value >= 0.0;
    if is_amount { Ok(()) } else { Err(TableError::Number { what: what(), value }) }
}

fn share(what: impl Fn() -> String, value: f64) -> Result<(), TableError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(TableError::Number { what: what(), value }) }
}
