//! Which exits are worth their head, where requests go that none answers, and in what order thresholds loosen.
//!
//! Every exit could answer a little, and each error that one makes is an error that another may not make:
//! thresholds are one joint choice. Trying all of them against a calibration set would need it to be
//! enormous. So data of their own, for tuning, order them first into one path, from thresholds that
//! hardly answer to ones that answer too much; calibration then only finds how far one may go on it.

mod walk;

use crate::binomial;
use crate::{Costs, ExpectError, Expectation, Outcomes, Promise, Thresholds, expect};
use serde::Serialize;
use walk::Walk;

/// Exits and their path of thresholds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placement {
    /// Which of the costs are the least with these exits; where none is kept, which are without.
    pub route: usize,
    /// The cost of a request without exits, wherever that is the least.
    pub without: f64,
    /// The exits to keep, in order. None where no exit saves more than its head costs.
    pub exits: Vec<usize>,
    /// From the strictest on, over all exits given; those not kept are closed. Whatever one admits the
    /// next ones admit too.
    pub path: Vec<Thresholds>,
    /// On the tuning data, as far along the path as these would carry the promise if they were calibration
    /// data: optimistic in its risk. `None` where no exit is kept.
    pub expected: Option<Expectation>,
}

/// Chooses exits and a path by the expected cost of a request on tuning data, on which nothing may have
/// been fitted but the gates.
///
/// `routes` are the costs for each way that a request may take that no exit answers: to run it all, or to
/// ship it from one boundary or another, which the exits before that do not change, and the choice
/// among exits does. The best exits are found for each, and the cheapest pair is kept, if it is
/// cheaper than the cheapest way without any exit.
///
/// A path is a way along prices: at each price of an error all thresholds together are those of the least
/// cost, errors included. The price under which errors come to what the promise allows has thresholds as good
/// as can be found; stricter and looser ones are as good as being nested with them lets. Exits are
/// added one by one, each time the one that lowers the cost most where the promise would end, and only
/// where it does so by more than a standard error of the difference over requests; at last those that the
/// others have made useless are dropped again.
///
/// Takes memory and time in proportion to requests times exits (times the exits tried) times routes.
///
/// # Errors
/// Outcomes and costs that do not fit together, or are none.
pub fn place(tuning: &Outcomes, routes: &[Costs], promise: &Promise) -> Result<Placement, ExpectError> {
    // Also checks that they fit together.
    let closed = Thresholds::closed(tuning.exits());
    for costs in routes {
        expect(tuning, &closed, costs)?;
    }
    let whole = |route: &usize| routes[*route].whole();
    let plain = (0..routes.len()).min_by(|a, b| whole(a).total_cmp(&whole(b))).ok_or(ExpectError::NoCosts)?;
    let (without, budget) = (whole(&plain), budget(tuning, promise));
    let found = routes.iter().enumerate().map(|(route, costs)| {
        let search = Search { walk: Walk::new(tuning, costs), budget };
        let (exits, costs) = search.choose();
        (route, exits, costs)
    });
    let best = found.filter(|(_, exits, _)| !exits.is_empty());
    let best = best.min_by(|a, b| mean(&a.2).total_cmp(&mean(&b.2)));
    let others = vec![without; tuning.len()];
    let Some((route, exits, _)) = best.filter(|(_, _, costs)| is_less(costs, &others)) else {
        return Ok(Placement { route: plain, without, exits: Vec::new(), path: Vec::new(), expected: None });
    };
    let beyond = budget.saturating_mul(2).saturating_add(5);
    let path = Walk::new(tuning, &routes[route]).path(&exits, budget, beyond);
    let carried = path.iter().rev().find(|thresholds| tuning.losses(thresholds) <= budget);
    let expected = carried.map(|thresholds| expect(tuning, thresholds, &routes[route])).transpose()?;
    Ok(Placement { route, without, exits, path, expected })
}

/// How many errors would carry the promise; none where there are too few requests for any.
fn budget(tuning: &Outcomes, promise: &Promise) -> u64 {
    binomial::most(tuning.len() as u64, promise.risk(), promise.tail()).unwrap_or(0)
}

struct Search<'a> {
    walk: Walk<'a>,
    budget: u64,
}

impl Search<'_> {
    /// The exits to keep on this route, and what each request then costs.
    fn choose(&self) -> (Vec<usize>, Vec<f64>) {
        let mut kept: Vec<usize> = Vec::new();
        let mut cost = self.walk.costs_of(&kept, self.budget);
        let mut left: Vec<usize> = self.walk.exits().collect();
        loop {
            let tried = left.iter().map(|exit| {
                let mut with = kept.clone();
                with.push(*exit);
                with.sort_unstable();
                let costs = self.walk.costs_of(&with, self.budget);
                (*exit, with, costs)
            });
            let best = tried.min_by(|a, b| mean(&a.2).total_cmp(&mean(&b.2)));
            let Some((exit, with, costs)) = best.filter(|(_, _, costs)| is_less(costs, &cost)) else { break };
            (kept, cost) = (with, costs);
            left.retain(|other| *other != exit);
        }
        while let Some((without, costs)) = self.droppable(&kept, &cost) {
            (kept, cost) = (without, costs);
        }
        (kept, cost)
    }

    /// The exits less one that costs more than it saves.
    fn droppable(&self, kept: &[usize], cost: &[f64]) -> Option<(Vec<usize>, Vec<f64>)> {
        let tried = kept.iter().map(|exit| {
            let without: Vec<usize> = kept.iter().copied().filter(|other| other != exit).collect();
            let costs = self.walk.costs_of(&without, self.budget);
            (without, costs)
        });
        let best = tried.min_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)))?;
        (!is_less(cost, &best.1)).then_some(best)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Whether `costs` are less than `others`, request by request, by more than a standard error.
fn is_less(costs: &[f64], others: &[f64]) -> bool {
    let gains: Vec<f64> = costs.iter().zip(others).map(|(cost, other)| other - cost).collect();
    let gain = mean(&gains);
    let variance = mean(&gains.iter().map(|one| (one - gain).powi(2)).collect::<Vec<_>>());
    gain > 0.0 && gain > (variance / gains.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests;
