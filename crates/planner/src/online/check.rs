//! What a model must be.

use super::model::Model;
use super::table::MAX_BOUNDARIES;
use crate::tiers::{Dist, Weights};

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
    #[error("{what} is for {found} {of}, there are {expected}")]
    Count {
        /// Which part.
        what: String,
        /// Boundaries or nodes.
        of: &'static str,
        /// How many it has.
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

pub(super) fn check(model: &Model) -> Result<(), TableError> {
    let boundaries = model.shipments.len();
    if !(2..=MAX_BOUNDARIES).contains(&boundaries) {
        return Err(TableError::Boundaries { found: boundaries });
    }
    let count = |what: String, of: &'static str, found: usize, expected: usize| {
        if found == expected { Ok(()) } else { Err(TableError::Count { what, of, found, expected }) }
    };
    count("the edge's table of times".into(), "boundaries", model.edge.times.last() + 1, boundaries)?;
    for ((from, to), time) in model.edge.times.iter() {
        time.map_or(Ok(()), |time| dist(|| format!("edge seconds of {from}..{to}"), time))?;
    }
    amount(|| "busy watts".into(), model.edge.busy_watts)?;
    amount(|| "wait watts".into(), model.edge.wait_watts)?;
    dist(|| "result bytes".into(), model.reply.bytes)?;
    dist(|| "seconds to decode the result".into(), model.reply.decode)?;
    share(|| "agreement floor".into(), model.terms.agreement)?;
    let Weights { latency, energy, bytes, money } = model.terms.weights;
    for weight in [latency, energy, bytes, money] {
        amount(|| "a weight".into(), weight)?;
    }
    let quantile = model.terms.quantile;
    if !(0.5..1.0).contains(&quantile) {
        return Err(TableError::Number { what: "the deadline's quantile".into(), value: quantile });
    }
    for (boundary, shipments) in model.shipments.iter().enumerate() {
        for (codec, it) in shipments.iter().enumerate() {
            let of = |what: &str| format!("b{boundary}, codec {codec}: {what}");
            dist(|| of("bytes"), it.bytes)?;
            dist(|| of("seconds to encode"), it.encode)?;
            count(of("the list of seconds to decode"), "nodes", it.decode.len(), model.nodes.len())?;
            it.decode.iter().try_for_each(|decode| dist(|| of("seconds to decode"), *decode))?;
            share(|| of("loss of agreement"), it.agreement_loss)?;
        }
    }
    for (node, it) in model.nodes.iter().enumerate() {
        count(format!("the list of tails of node {node}"), "boundaries", it.tails.len(), boundaries)?;
        for (boundary, tail) in it.tails.iter().enumerate() {
            tail.map_or(Ok(()), |tail| dist(|| format!("node {node}: seconds from b{boundary}"), tail))?;
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
        dist(|| format!("exit {exit}: seconds"), it.head)?;
        share(|| format!("exit {exit}: probability"), it.probability)?;
        share(|| format!("exit {exit}: loss of agreement"), it.agreement_loss)?;
    }
    Ok(())
}

fn dist(what: impl Fn() -> String, value: Dist) -> Result<(), TableError> {
    amount(&what, value.mean)?;
    amount(|| format!("{}: the deviation", what()), value.sd)
}

fn amount(what: impl Fn() -> String, value: f64) -> Result<(), TableError> {
    let is_amount = value.is_finite() && value >= 0.0;
    if is_amount { Ok(()) } else { Err(TableError::Number { what: what(), value }) }
}

fn share(what: impl Fn() -> String, value: f64) -> Result<(), TableError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(TableError::Number { what: what(), value }) }
}
