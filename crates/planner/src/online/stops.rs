//! Which boundaries are worth stopping at?
//!
//! A request may stop at any boundary between two ranges that are compiled, and each compiled range
//! takes memory and, once, seconds. So an edge that decides anew at every boundary stops at few: those
//! that cost least, over links from slow to fast and near to far, against stopping wherever it pays.

use super::model::Model;
use super::offers::{Conditions, NodeState, Query};
use super::table::Table;
use super::{TableError, decide};
use crate::tiers::{Dist, Ranges};

/// Bytes per second of the links that are thought of.
const RATES: [f64; 10] = [3e4, 6e4, 1.2e5, 2.5e5, 5e5, 1e6, 2e6, 8e6, 3.2e7, 1.25e8];
/// Their round trips in seconds.
const ROUND_TRIPS: [f64; 3] = [0.005, 0.04, 0.16];
/// How many times slower than measured the edge may be.
const SLOWDOWNS: [f64; 2] = [1.0, 4.0];
/// Fewer stops are better than so little lost on the worst of these links.
const NOTHING: f64 = 0.01;

/// Boundaries to stop at, and what is lost by stopping nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct Stops {
    /// In order, the inputs and the outputs among them.
    pub boundaries: Vec<usize>,
    /// Share of the cost that is lost against stopping wherever it pays, on average over the links
    /// that are thought of.
    pub mean_regret: f64,
    /// The same on the worst of them.
    pub worst_regret: f64,
}

/// At most `most` stops, the inputs and the outputs among them, chosen one after the other: always the
/// one with which least is lost.
///
/// # Errors
/// A model that makes no table.
pub fn stops(model: &Model, most: usize) -> Result<Stops, TableError> {
    let last = model.shipments.len().saturating_sub(1);
    let nodes: Vec<Vec<NodeState>> = RATES
        .iter()
        .flat_map(|rate| ROUND_TRIPS.map(|round_trip| vec![state(*rate, round_trip); model.nodes.len()]))
        .collect();
    let conditions: Vec<Conditions<'_>> =
        nodes.iter().flat_map(|nodes| SLOWDOWNS.map(|slowdown| condition(nodes, slowdown))).collect();
    let best = costs(model, &conditions)?;
    let regret = |boundaries: &[usize]| -> Result<(f64, f64), TableError> {
        let costs = costs(&model.stopping_at(boundaries), &conditions)?;
        let lost =
            costs.iter().zip(&best).map(|(cost, best)| if *best > 0.0 { cost / best - 1.0 } else { 0.0 });
        let (sum, worst) = lost.fold((0.0, 0.0f64), |(sum, worst), lost| (sum + lost, worst.max(lost)));
        Ok((sum / best.len() as f64, worst))
    };
    let mut boundaries = vec![0, last];
    let (mut mean_regret, mut worst_regret) = regret(&boundaries)?;
    while boundaries.len() < most && worst_regret > NOTHING {
        let mut next: Option<(Vec<usize>, (f64, f64))> = None;
        for boundary in (1..last).filter(|boundary| !boundaries.contains(boundary)) {
            let mut with = boundaries.clone();
            with.push(boundary);
            with.sort_unstable();
            let lost = regret(&with)?;
            if next.as_ref().is_none_or(|(_, least)| lost.0 < least.0) {
                next = Some((with, lost));
            }
        }
        let Some((with, lost)) = next.filter(|(_, lost)| lost.0 < mean_regret) else { break };
        (boundaries, (mean_regret, worst_regret)) = (with, lost);
    }
    Ok(Stops { boundaries, mean_regret, worst_regret })
}

impl Model {
    /// The same, but requests stop, and ship from, these boundaries alone. Heads elsewhere are gone.
    pub fn stopping_at(&self, boundaries: &[usize]) -> Self {
        let stops = |boundary: &usize| boundaries.contains(boundary);
        let mut model = self.clone();
        model.edge.times = Ranges::new(self.edge.times.last(), |from, to| {
            self.edge.times.at(from, to).filter(|_| stops(&from) && stops(&to))
        });
        for (boundary, shipments) in model.shipments.iter_mut().enumerate() {
            if !stops(&boundary) {
                shipments.clear();
            }
        }
        model.exits.retain(|exit| stops(&exit.boundary));
        model
    }
}

/// What a request costs under each condition; nothing is known to be costlier than what cannot be done.
fn costs(model: &Model, conditions: &[Conditions<'_>]) -> Result<Vec<f64>, TableError> {
    let table = Table::new(model.clone())?;
    let cost = |conditions: &Conditions<'_>| {
        let decision = decide(&table, conditions, Query { at: 0, held: 1 }, None);
        decision.map_or(f64::MAX, |decision| decision.best.cost)
    };
    Ok(conditions.iter().map(cost).collect())
}

fn condition(nodes: &[NodeState], slowdown: f64) -> Conditions<'_> {
    let sure = Dist::exact;
    Conditions {
        edge_wait: sure(0.0),
        edge_slowdown: sure(slowdown),
        edge_price: 0.0,
        energy_factor: 1.0,
        nodes,
    }
}

fn state(rate: f64, round_trip: f64) -> NodeState {
    let sure = Dist::exact;
    NodeState {
        is_available: true,
        round_trip: sure(round_trip),
        up: sure(1.0 / rate),
        down: sure(1.0 / rate),
        backlog: 0.0,
        price: 0.0,
        queue: sure(0.0),
        slowdown: sure(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{CloudNode, Edge, Reply, Shipment, Terms};
    use super::*;
    use crate::tiers::Exit;

    /// Eight segments of 10 ms here and 1 ms there; bytes fall by half at each boundary, but for two
    /// that are wide.
    fn model() -> Model {
        let last = 8;
        let bytes = |boundary: usize| match boundary {
            3 | 6 => 1e6,
            _ => 1e5 / f64::from(1 << boundary),
        };
        let shipment = |boundary| Shipment {
            bytes: Dist::exact(bytes(boundary)),
            encode: Dist::exact(1e-4),
            decode: vec![Dist::exact(1e-4)],
            agreement_loss: 0.0,
        };
        let node = CloudNode {
            tails: (0..=last).map(|from| Some(Dist::exact(0.001 * (last - from) as f64))).collect(),
            joules_per_byte: 0.0,
            money_per_byte: 0.0,
            money_per_second: 0.0,
        };
        Model {
            edge: Edge {
                times: Ranges::new(last, |from, to| Some(Dist::exact(0.01 * (to - from) as f64))),
                busy_watts: 0.0,
                wait_watts: 0.0,
            },
            shipments: (0..=last).map(|boundary| vec![shipment(boundary)]).collect(),
            nodes: vec![node],
            exits: Vec::new(),
            reply: Reply { bytes: Dist::exact(100.0), decode: Dist::default() },
            terms: Terms::default(),
        }
    }

    #[test]
    fn what_never_pays_is_no_stop_and_more_stops_lose_less() {
        let model = model();
        let mut before = f64::INFINITY;
        for most in 2..=8 {
            let found = stops(&model, most).unwrap();
            assert!(found.boundaries.len() <= most);
            assert_eq!((found.boundaries.first(), found.boundaries.last()), (Some(&0), Some(&8)));
            assert!(!found.boundaries.contains(&3) && !found.boundaries.contains(&6), "{found:?}");
            assert!(found.mean_regret <= before && found.mean_regret <= found.worst_regret, "{found:?}");
            before = found.mean_regret;
        }
        let all = stops(&model, 9).unwrap();
        assert!(all.worst_regret <= NOTHING, "{all:?}");
    }

    #[test]
    fn a_head_that_answers_most_requests_is_worth_a_stop() {
        let mut model = model();
        model.exits =
            vec![Exit { boundary: 3, probability: 0.9, head: Dist::exact(1e-4), agreement_loss: 0.0 }];
        assert!(stops(&model, 3).unwrap().boundaries.contains(&3));
    }

    #[test]
    fn two_boundaries_are_where_they_are() {
        let mut model = model();
        model.shipments.truncate(2);
        model.edge.times = Ranges::new(1, |_, _| Some(Dist::exact(0.01)));
        model.nodes[0].tails.truncate(2);
        assert_eq!(stops(&model, 6).unwrap().boundaries, [0, 1]);
    }
}
