//! All cuts that are the cheapest somewhere in a range of prices.
//!
//! The cost of a set is a straight line over the price of a byte, so what the cheapest set costs
//! is a concave curve of straight pieces. Two pieces are known from the ends of the range; where
//! their lines meet, a minimum cut either lies below them, and is a piece between the two, or
//! shows that nothing does (Eisner and Severance, 1976).

use crate::cut::{Dag, Measure, Price, PriceError, Tie};
use fixedbitset::FixedBitSet;

/// Prices of a byte to the cloud, in units of node cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lowest price.
    pub from: f64,
    /// The highest price.
    pub to: f64,
    /// Price of a byte back, as a multiple of that of a byte up.
    pub down: f64,
    /// Which one, where several sets cost the same.
    pub tie: Tie,
    /// How many minimum cuts to find at most, at least 2; a curve of `k` pieces takes `2k`.
    pub max_cuts: usize,
}

/// What a range cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// An end is no price.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// The ends are the wrong way round.
    #[error("no price lies between {from} and {to}")]
    Empty {
        /// The lowest.
        from: f64,
        /// The highest.
        to: f64,
    },
    /// Too few cuts even for the two ends.
    #[error("at most {max_cuts} cuts: the ends of the range take 2")]
    Cuts {
        /// How many were allowed.
        max_cuts: usize,
    },
}

/// A set that is the cheapest over a part of the range.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The nodes on the edge.
    pub edge: FixedBitSet,
    /// Its work and bytes.
    pub measure: Measure,
    /// The lowest price at which it is the cheapest.
    pub from: f64,
    /// The highest.
    pub to: f64,
}

/// The pieces of the curve, by rising price; bytes fall and work rises along it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposals {
    /// One set for each piece.
    pub all: Vec<Proposal>,
    /// The range they were asked for.
    pub range: Range,
    /// Whether these are all; otherwise `max_cuts` was not enough.
    pub is_complete: bool,
}

impl Range {
    /// Every price from nothing to where no work is worth a byte. Bytes are taken to be whole.
    pub fn whole(dag: &Dag, down: f64) -> Self {
        let work: f64 = dag.nodes().iter().map(|node| node.edge + node.cloud).sum();
        Self { from: 0.0, to: work + 1.0, down, tie: Tie::Smallest, max_cuts: 256 }
    }

    /// The price of both directions, where a byte up costs `up`.
    pub fn price(&self, up: f64) -> Price {
        Price { up, down: up * self.down }
    }

    /// Bytes both ways, in bytes up.
    pub(super) fn bytes(&self, measure: &Measure) -> f64 {
        measure.up + self.down * measure.down
    }

    fn cut(&self, dag: &Dag, up: f64) -> Result<(FixedBitSet, Measure), PriceError> {
        let edge = dag.min_cut_with(&self.price(up), self.tie)?.edge;
        // A minimum cut is always permitted.
        let measure = dag.measure(&edge).unwrap_or_default();
        Ok((edge, measure))
    }
}

/// Every set that is the cheapest at some price of the range: one for each straight piece of the
/// curve of least cost.
///
/// # Errors
/// A range that is none.
pub fn sweep(dag: &Dag, range: Range) -> Result<Proposals, RangeError> {
    if range.max_cuts < 2 {
        return Err(RangeError::Cuts { max_cuts: range.max_cuts });
    }
    let first = range.cut(dag, range.from)?;
    let last = range.cut(dag, range.to)?;
    if range.from > range.to {
        return Err(RangeError::Empty { from: range.from, to: range.to });
    }
    let mut left = range.max_cuts - 2;
    let mut is_complete = true;
    let mut pieces = vec![first];
    // Pieces still to the right of the last one in `pieces`, the nearest last.
    let mut right = vec![last];
    while let Some(next) = right.pop() {
        let Some((_, here)) = pieces.last() else {
            pieces.push(next);
            continue;
        };
        match meet(&range, here, &next.1) {
            Meet::At(price) if left > 0 => {
                left -= 1;
                let found = range.cut(dag, price)?;
                if is_below(&range, price, &found.1, here) {
                    right.extend([next, found]);
                } else {
                    pieces.push(next);
                }
            }
            Meet::At(_) => {
                is_complete = false;
                pieces.push(next);
            }
            Meet::Before => {
                pieces.pop();
                right.push(next);
            }
            Meet::After => {}
        }
    }
    Ok(Proposals { all: proposals(&range, pieces), range, is_complete })
}

/// Where the second of two lines begins to be the lower one.
enum Meet {
    /// It is so from the start.
    Before,
    At(f64),
    /// It never is.
    After,
}

fn meet(range: &Range, here: &Measure, next: &Measure) -> Meet {
    let (work, bytes) = (next.work - here.work, range.bytes(here) - range.bytes(next));
    if bytes <= 0.0 {
        return if work < 0.0 { Meet::Before } else { Meet::After };
    }
    match work / bytes {
        price if price <= range.from => Meet::Before,
        price if price >= range.to => Meet::After,
        price => Meet::At(price),
    }
}

/// Whether `found` costs less than `known` there, by more than sums of `f64` are wrong by.
fn is_below(range: &Range, up: f64, found: &Measure, known: &Measure) -> bool {
    let price = range.price(up);
    let (found, known) = (found.cost(&price), known.cost(&price));
    found < known - known.abs() * 1e-12
}

fn proposals(range: &Range, pieces: Vec<(FixedBitSet, Measure)>) -> Vec<Proposal> {
    let mut all: Vec<Proposal> = Vec::new();
    for (edge, measure) in pieces {
        let mut from = range.from;
        while let Some(last) = all.last_mut() {
            match meet(range, &last.measure, &measure) {
                Meet::At(price) if price > last.from => {
                    last.to = price;
                    from = price;
                    break;
                }
                // Two pieces as good as the same, in the wrong order by a rounding error.
                _ => all.pop(),
            };
        }
        all.push(Proposal { edge, measure, from, to: range.to });
    }
    all
}
