//! A chain of few sets, and what it costs to have no others.

use super::sweep::{Proposals, Range};
use crate::cut::{Dag, Measure};
use fixedbitset::FixedBitSet;
use std::collections::BTreeSet;

/// Unions and intersections are added to the proposals until there are this many sets.
const MAX_CANDIDATES: usize = 192;

/// Prices at which chains are compared, beyond the breakpoints of the proposals.
const SAMPLES: usize = 48;

/// How large a chain, and what it is good at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nesting {
    /// Sets in the chain, at least 1.
    pub max: usize,
    /// What is kept small.
    pub aim: Aim,
}

/// What a chain keeps small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aim {
    /// The regret at the worst price.
    #[default]
    Worst,
    /// The mean regret over the sampled prices.
    Mean,
}

/// A nested family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// From the smallest set to the largest.
    pub chain: Vec<FixedBitSet>,
    /// Work and bytes of each.
    pub measures: Vec<Measure>,
    /// What the chain costs.
    pub regret: Regret,
}

/// How much more the best set of a chain costs than the cheapest cut, as a share of that: 0.02
/// is 2% more.
#[derive(Clone, Debug, PartialEq)]
pub struct Regret {
    /// The largest over the range; from its first breakpoint on where the cheapest cut is free at
    /// its start, next to which any other is infinitely dearer.
    pub worst: f64,
    /// Where that is.
    pub at_price: f64,
    /// The mean over [`prices`](Self::prices).
    pub mean: f64,
    /// What was sampled: the breakpoints of the proposals, where each would be missed the most,
    /// and prices in equal ratios.
    pub prices: Vec<f64>,
}

/// Why there is no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NestError {
    /// A chain of nothing.
    #[error("a family has at least one set")]
    Empty,
    /// Not from this graph, or none at all.
    #[error("proposal {proposal} may not run on the edge of this graph")]
    Foreign {
        /// Which one; 0 also where there is none.
        proposal: usize,
    },
}

/// Chooses a chain from the lattice that proposals span.
///
/// Dynamic programming over the sets by inclusion: every set of a chain serves an interval of
/// prices, and the intervals rise, or fall, along the chain. Among chains served so the best is
/// found; chains whose best sets jump to and fro with the price are not sought. What is left of
/// `max` is filled while that helps. The regret is that of the chain as it is, with any set at
/// any price.
///
/// # Errors
/// No proposals, proposals of another graph, or a chain of nothing.
pub fn nest(dag: &Dag, proposals: &Proposals, nesting: Nesting) -> Result<Family, NestError> {
    if nesting.max == 0 {
        return Err(NestError::Empty);
    }
    let candidates = candidates(dag, proposals)?;
    let prices = prices(proposals);
    let table = Table::new(&candidates, proposals, &prices);
    let rising = table.best_chain(&candidates, nesting, false);
    let falling = table.best_chain(&candidates, nesting, true);
    let better =
        if table.score(&falling, nesting.aim) < table.score(&rising, nesting.aim) { falling } else { rising };
    let chain = table.fill(&candidates, better, nesting);

    let measures: Vec<Measure> = chain.iter().map(|set| candidates[*set].measure).collect();
    let regret = regret(proposals, &measures);
    let chain = chain.into_iter().map(|set| candidates[set].set.clone()).collect();
    Ok(Family { chain, measures, regret })
}

/// The regret of sets that cost `measures`, of whatever origin, against the proposals.
pub fn regret(proposals: &Proposals, measures: &[Measure]) -> Regret {
    let prices = prices(proposals);
    let (worst, at_price) = worst(&proposals.range, proposals, measures);
    let of = |price: &f64| {
        let at = proposals.range.price(*price);
        let cost = measures.iter().map(|measure| measure.cost(&at)).fold(f64::INFINITY, f64::min);
        relative(cost, least(proposals, *price))
    };
    let mean = prices.iter().map(of).sum::<f64>() / prices.len().max(1) as f64;
    Regret { worst, at_price, mean, prices }
}

struct Candidate {
    set: FixedBitSet,
    size: usize,
    measure: Measure,
}

/// The proposals, and what they span, from small to large: a chain goes upward in this order.
fn candidates(dag: &Dag, proposals: &Proposals) -> Result<Vec<Candidate>, NestError> {
    let mut sets: Vec<FixedBitSet> = Vec::new();
    let mut seen = BTreeSet::new();
    for proposal in &proposals.all {
        if seen.insert(proposal.edge.clone()) {
            sets.push(proposal.edge.clone());
        }
    }
    let mut newest = 1;
    while newest < sets.len() && sets.len() < MAX_CANDIDATES {
        for older in 0..newest {
            let (a, b) = (&sets[older], &sets[newest]);
            if a.is_subset(b) || b.is_subset(a) {
                continue;
            }
            for set in [a & b, a | b] {
                if seen.insert(set.clone()) {
                    sets.push(set);
                }
            }
            if sets.len() >= MAX_CANDIDATES {
                break;
            }
        }
        newest += 1;
    }
    let candidate = |(proposal, set): (usize, FixedBitSet)| {
        let is_of_dag = set.ones().all(|node| node < dag.nodes().len());
        let measure = dag.measure(&set).filter(|_| is_of_dag).ok_or(NestError::Foreign { proposal })?;
        Ok(Candidate { size: set.count_ones(..), set, measure })
    };
    let mut all = sets.into_iter().enumerate().map(candidate).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return Err(NestError::Foreign { proposal: 0 });
    }
    all.sort_by(|a, b| a.size.cmp(&b.size).then_with(|| a.set.cmp(&b.set)));
    Ok(all)
}

/// The ends and breakpoints, where each proposal would be missed the most, and prices in equal
/// ratios between the first that is not 0 and the last.
fn prices(proposals: &Proposals) -> Vec<f64> {
    let Range { from, to, .. } = proposals.range;
    let mut prices: Vec<f64> = proposals.all.iter().map(|proposal| proposal.from).collect();
    prices.extend([from, to]);
    // At its breakpoints a proposal's neighbours are as good, and its piece may be too short for
    // a price in equal ratios to fall within.
    let neighbours = proposals.all.windows(3).map(|it| (&it[0].measure, &it[2].measure));
    prices.extend(neighbours.map(|(a, b)| crossing(&proposals.range, a, b)));
    let low = lowest(proposals);
    let inner = prices.iter().copied().filter(|price| *price < to).fold(low, f64::max);
    // Beyond the last breakpoint nothing changes, however far the range goes.
    let high = (inner * 4.0).min(to);
    if low > 0.0 && high > low {
        let step = (high / low).ln() / SAMPLES as f64;
        prices.extend((1..SAMPLES).map(|sample| low * (step * sample as f64).exp()));
    }
    prices.sort_by(f64::total_cmp);
    prices.dedup();
    prices
}

impl Aim {
    /// Regret so far, and that at one more price.
    fn join(self, so_far: f64, regret: f64) -> f64 {
        match self {
            Self::Worst => so_far.max(regret),
            Self::Mean => so_far + regret,
        }
    }
}

/// Regret of the prices served so far, and the set below with the price up to which it serves.
type Step = (f64, Option<(usize, usize)>);

/// Regret of each candidate at each price.
struct Table {
    regret: Vec<Vec<f64>>,
}

impl Table {
    fn new(candidates: &[Candidate], proposals: &Proposals, prices: &[f64]) -> Self {
        let least: Vec<f64> = prices.iter().map(|price| least(proposals, *price)).collect();
        let of = |candidate: &Candidate| {
            let costs = prices.iter().map(|price| candidate.measure.cost(&proposals.range.price(*price)));
            costs.zip(&least).map(|(cost, least)| relative(cost, *least)).collect()
        };
        Self { regret: candidates.iter().map(of).collect() }
    }

    fn prices(&self) -> usize {
        self.regret.first().map_or(0, Vec::len)
    }

    /// `served[set][price]`: the least regret of the prices before `price`, by chains that end
    /// in `set`; it grows by one set a round.
    fn best_chain(&self, candidates: &[Candidate], nesting: Nesting, falls: bool) -> Vec<usize> {
        let (sets, prices) = (candidates.len(), self.prices());
        let regret =
            |set: usize, price: usize| self.regret[set][if falls { prices - 1 - price } else { price }];
        let is_below: Vec<Vec<usize>> = (0..sets)
            .map(|set| {
                (0..set).filter(|below| candidates[*below].set.is_subset(&candidates[set].set)).collect()
            })
            .collect();
        let mut rounds: Vec<Vec<Vec<Step>>> = Vec::new();
        for _ in 0..nesting.max.min(sets) {
            let mut served = vec![vec![(f64::INFINITY, None); prices + 1]; sets];
            for set in 0..sets {
                for price in 0..=prices {
                    // Where the set begins to serve, after the best chain below it.
                    let start = match rounds.last() {
                        None => (if price == 0 { 0.0 } else { f64::INFINITY }, None),
                        Some(before) => {
                            let before = is_below[set]
                                .iter()
                                .map(|below| (before[*below][price].0, Some((*below, price))));
                            before.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::INFINITY, None))
                        }
                    };
                    let on = price.checked_sub(1).map(|last| {
                        let (so_far, from) = served[set][last];
                        (nesting.aim.join(so_far, regret(set, last)), from)
                    });
                    served[set][price] = on.filter(|on| on.0 <= start.0).unwrap_or(start);
                }
            }
            rounds.push(served);
        }
        let ends = rounds.iter().enumerate().flat_map(|(round, served)| {
            served.iter().enumerate().map(move |(set, served)| (served[prices].0, round, set))
        });
        let Some((_, round, set)) = ends.min_by(|a, b| a.0.total_cmp(&b.0)) else { return Vec::new() };
        let mut chain = vec![set];
        let (mut set, mut price) = (set, prices);
        for served in rounds[..=round].iter().rev() {
            let Some((below, until)) = served[set][price].1 else { break };
            chain.push(below);
            (set, price) = (below, until);
        }
        chain.reverse();
        chain
    }

    /// Adds the set that helps most, while one does and there is room.
    fn fill(&self, candidates: &[Candidate], mut chain: Vec<usize>, nesting: Nesting) -> Vec<usize> {
        while chain.len() < nesting.max {
            let fits = |set: &usize| {
                chain.iter().all(|member| {
                    let (low, high) = (member.min(set), member.max(set));
                    member != set && candidates[*low].set.is_subset(&candidates[*high].set)
                })
            };
            let with = |set: usize| {
                let mut longer = chain.clone();
                longer.push(set);
                (self.score(&longer, nesting.aim), self.mean(&longer), set)
            };
            let best = (0..candidates.len()).filter(fits).map(with);
            let best = best.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let Some((_, _, set)) = best.filter(|best| best.1 < self.mean(&chain)) else { break };
            chain.push(set);
            chain.sort_unstable();
        }
        chain
    }

    /// Regret of a chain at a price, where any of its sets may serve.
    fn at(&self, chain: &[usize], price: usize) -> f64 {
        chain.iter().map(|set| self.regret[*set][price]).fold(f64::INFINITY, f64::min)
    }

    fn score(&self, chain: &[usize], aim: Aim) -> f64 {
        let of = |price| self.at(chain, price);
        match aim {
            Aim::Worst => (0..self.prices()).map(of).fold(0.0, f64::max),
            Aim::Mean => self.mean(chain),
        }
    }

    fn mean(&self, chain: &[usize]) -> f64 {
        (0..self.prices()).map(|price| self.at(chain, price)).sum::<f64>() / self.prices().max(1) as f64
    }
}

/// The largest regret over the whole range. Between two neighbours of all crossings of two lines
/// each curve is straight, and a ratio of straight lines has its largest value at an end.
fn worst(range: &Range, proposals: &Proposals, chain: &[Measure]) -> (f64, f64) {
    let mut prices: Vec<f64> = proposals.all.iter().map(|proposal| proposal.from).collect();
    prices.extend([range.from, range.to]);
    for (index, a) in chain.iter().enumerate() {
        for b in &chain[..index] {
            prices.push(crossing(range, a, b));
        }
    }
    let first = if least(proposals, range.from) > 0.0 { range.from } else { lowest(proposals) };
    prices.push(first);
    prices.retain(|price| (first..=range.to).contains(price));
    let regret = |price: f64| {
        let cost =
            chain.iter().map(|measure| measure.cost(&range.price(price))).fold(f64::INFINITY, f64::min);
        relative(cost, least(proposals, price))
    };
    let all = prices.into_iter().map(|price| (regret(price), price));
    all.fold((0.0, first), |worst, other| if other.0 > worst.0 { other } else { worst })
}

/// The price at which two sets cost the same; no number of the range where there is none.
fn crossing(range: &Range, a: &Measure, b: &Measure) -> f64 {
    (a.work - b.work) / (range.bytes(b) - range.bytes(a))
}

/// The lowest end or breakpoint above 0.
fn lowest(proposals: &Proposals) -> f64 {
    let Range { from, to, .. } = proposals.range;
    let starts = proposals.all.iter().map(|proposal| proposal.from).chain([from]);
    starts.filter(|price| *price > 0.0).fold(to, f64::min)
}

fn least(proposals: &Proposals, price: f64) -> f64 {
    let price = proposals.range.price(price);
    proposals.all.iter().map(|proposal| proposal.measure.cost(&price)).fold(f64::INFINITY, f64::min)
}

/// Nothing can be compared with a cut that is free, as all are that leave free work to the cloud
/// when bytes are free.
fn relative(cost: f64, least: f64) -> f64 {
    if least > 0.0 { (cost / least - 1.0).max(0.0) } else { 0.0 }
}
