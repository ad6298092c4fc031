//! What an early answer saves, by where a request goes that gets none.

use super::dist::Dist;
use super::plan::{Plan, Stage};
use super::problem::{Exit, Problem};
use super::search::Search;
use super::{Constraints, Objective, Pin, PlanError, plan};

/// One way for requests that no exit answers, as an objective scores it.
///
/// Scores are of single requests, so that whoever knows how likely each exit answers can add them up: one
/// that passes the first exits and leaves at the next has the heads and the cuts of those before, and
/// `answered` and `head` of that one; one that passes them all has `whole` and all heads and cuts.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Where the first tier stops and what it sends; the last boundary where it sends nothing.
    pub plan: Plan,
    /// The exits on the way, in the order of the problem's; those behind are not reached.
    pub exits: Vec<Passed>,
    /// Of a request that there are no exits for.
    pub whole: f64,
}

/// An exit on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// Of a request that ends there, without any head.
    pub answered: f64,
    /// The head.
    pub head: f64,
    /// What it adds that the first tier runs its range in two pieces: to what goes on.
    pub cut: f64,
}

/// For every boundary at which the first tier may stop, the best way on from there; those that the
/// constraints rule out are left out. The exits of the problem count by their places and the seconds of
/// their heads, whatever they are likely to answer and lose.
///
/// A request that failed at an exit may be shipped from any boundary that it passed.
///
/// # Errors
/// Numbers that make no sense, or no way that keeps to the constraints.
pub fn routes(
    problem: &Problem,
    objective: &Objective,
    constraints: &Constraints,
) -> Result<Vec<Route>, PlanError> {
    let plain = Problem { exits: Vec::new(), ..problem.clone() };
    // Whatever is wrong, and whether anything will do.
    plan(&plain, objective, constraints)?;
    let last = problem.last();
    let score = |exits: Vec<Exit>, stages: &[Stage]| {
        let with = Problem { exits, ..plain.clone() };
        Plan::new(&with, stages.to_vec(), |plan| objective.score(plan)).map(|plan| plan.score)
    };
    let leaving: Vec<Option<Plan>> =
        (0..=last).map(|stop| leaving(&plain, objective, constraints, stop)).collect();
    let search = Search::best(&plain, objective, constraints, 1);
    let route = |stop: usize| {
        // Stopping here, and sending what was there earlier, before an exit that failed.
        let is_after_exit =
            |before: usize| problem.exits.iter().any(|exit| before < exit.boundary && exit.boundary <= stop);
        let is_open = stop < last && search.may_run(0, 0, stop);
        let earlier = (0..stop).filter(|before| is_open && is_after_exit(*before)).filter_map(|before| {
            let mut stages = leaving[before].as_ref()?.stages.clone();
            stages.first_mut()?.to = stop;
            Plan::new(&plain, stages, |plan| objective.score(plan)).filter(|plan| constraints.are_met(plan))
        });
        let all = leaving[stop].clone().into_iter().chain(earlier);
        let best = all.min_by(|a, b| a.score.total_cmp(&b.score))?;
        let passed = |exit: &Exit| {
            let of = |probability: f64, head: Dist| {
                score(vec![at(exit.boundary, probability, head)], &best.stages)
            };
            let answered = of(1.0, Dist::default())?;
            Some(Passed {
                answered,
                head: of(1.0, exit.head)? - answered,
                // Pieces that were timed apart may by chance be the faster ones.
                cut: (of(0.0, Dist::default())? - best.score).max(0.0),
            })
        };
        let exits = problem.exits.iter().take_while(|exit| exit.boundary <= stop).map(passed);
        Some(Route { exits: exits.collect::<Option<_>>()?, whole: best.score, plan: best })
    };
    Ok((0..=last).filter_map(route).collect())
}

fn at(boundary: usize, probability: f64, head: Dist) -> Exit {
    Exit { boundary, probability, head, agreement_loss: 0.0 }
}

/// The best plan of which the first tier runs exactly up to a boundary.
fn leaving(problem: &Problem, objective: &Objective, constraints: &Constraints, stop: usize) -> Option<Plan> {
    let stay = (stop > 0).then_some(Pin { from: 0, to: stop, tier: 0 });
    let pinned = |further: Option<Pin>| {
        let pins = constraints.pins.iter().copied().chain(stay).chain(further).collect();
        plan(problem, objective, &Constraints { pins, ..constraints.clone() }).ok().map(|plans| plans.best)
    };
    if stop == problem.last() {
        return pinned(None);
    }
    let leave = |tier: usize| Some(Pin { from: stop, to: stop + 1, tier });
    let found = (1..problem.tiers.len()).filter_map(|tier| pinned(leave(tier)));
    found.min_by(|a, b| a.score.total_cmp(&b.score))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiers::{Link, Ranges, Reply, Shipment, Tier};

    /// Two tiers of four boundaries, 10 ms and 1 ms a step; pieces take 1 ms more each on the first.
    fn problem() -> Problem {
        let tier = |step: f64, piece: f64| Tier {
            name: String::new(),
            times: Ranges::new(3, |from, to| Some(Dist::exact(step * (to - from) as f64 + piece))),
            resident: Ranges::new(3, |_, _| 0.0),
            memory: None,
            busy_watts: 2.0,
            wait_watts: 0.5,
            money_per_second: 0.0,
            queue: Dist::exact(0.002),
        };
        let shipment = |bytes: f64| Shipment {
            codec: "raw".into(),
            bytes: Dist::exact(bytes),
            encode: vec![Dist::default(); 2],
            decode: vec![Dist::default(); 2],
            agreement_loss: 0.0,
        };
        let link = Link {
            up_delay: Dist::exact(0.005),
            down_delay: Dist::exact(0.005),
            up: Dist::exact(1e-6),
            down: Dist::exact(1e-6),
            joules_per_byte: 1e-6,
            money_per_byte: 0.0,
        };
        Problem {
            tiers: vec![tier(0.01, 0.001), tier(0.001, 0.0)],
            links: vec![link],
            shipments: vec![vec![shipment(2e4)], vec![shipment(9e4)], vec![shipment(5e3)], vec![]],
            reply: Reply::plain(Dist::exact(1e3), 2),
            exits: [1, 2].map(|boundary| at(boundary, 0.3, Dist::exact(0.0005))).to_vec(),
        }
    }

    #[test]
    fn each_stop_has_its_way_on() {
        let found = routes(&problem(), &Objective::Latency, &Constraints::default()).unwrap();
        let stops: Vec<usize> = found.iter().map(|route| route.plan.stages[0].to).collect();
        assert_eq!(stops, [0, 1, 2, 3]);
        let shipped: Vec<_> =
            found.iter().map(|route| route.plan.split().map(|ship| ship.boundary)).collect();
        // After the exit at b1 the inputs are the cheaper thing to send.
        assert_eq!(shipped, [Some(0), Some(0), Some(2), None]);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        for (route, whole) in found.iter().zip([
            0.02 + 0.011 + 0.002 + 0.003,
            0.002 + 0.011 + 0.02 + 0.011 + 0.002 + 0.003,
            0.002 + 0.021 + 0.005 + 0.011 + 0.002 + 0.001,
            0.002 + 0.031,
        ]) {
            close(route.whole, whole);
            assert_eq!(route.exits.len(), route.plan.stages[0].to.min(2));
            for (exit, answered) in route.exits.iter().zip([0.013, 0.023]) {
                close(exit.answered, answered);
                close(exit.head, 0.0005);
            }
        }
        // Where it stops anyway it is not cut.
        let cuts: Vec<Vec<f64>> =
            found.iter().map(|route| route.exits.iter().map(|exit| exit.cut).collect()).collect();
        close(cuts[1][0], 0.0);
        close(cuts[2][0], 0.001);
        close(cuts[2][1], 0.0);
        close(cuts[3][1], 0.001);
    }

    /// With one exit, the parts add up to what the planner makes of it, whatever the objective.
    #[test]
    fn parts_add_up() {
        let weighted = super::super::Weights { latency: 1.0, energy: 3.0, bytes: 1e-6, money: 0.0 };
        for objective in
            [Objective::Latency, Objective::Energy, Objective::Bytes, Objective::Weighted(weighted)]
        {
            let problem = problem();
            for route in routes(&problem, &objective, &Constraints::default()).unwrap() {
                for (exit, passed) in problem.exits.iter().zip(&route.exits) {
                    let with = Problem { exits: vec![*exit], ..problem.clone() };
                    let plan =
                        Plan::new(&with, route.plan.stages.clone(), |plan| objective.score(plan)).unwrap();
                    let (p, Passed { answered, head, cut }) = (exit.probability, *passed);
                    let sum = head + p * answered + (1.0 - p) * (route.whole + cut);
                    assert!((plan.score - sum).abs() < 1e-12, "{objective:?} {} {sum}", plan.score);
                }
            }
        }
    }

    #[test]
    fn constraints_rule_ways_out() {
        let stops = |constraints: Constraints| {
            let found = routes(&problem(), &Objective::Latency, &constraints).unwrap();
            found.iter().map(|route| route.plan.stages[0].to).collect::<Vec<_>>()
        };
        assert_eq!(stops(Constraints { privacy_floor: 2, ..Constraints::default() }), [2, 3]);
        assert_eq!(stops(Constraints { privacy_floor: 3, ..Constraints::default() }), [3]);
        let wrong = Problem { shipments: Vec::new(), ..problem() };
        assert!(routes(&wrong, &Objective::Latency, &Constraints::default()).is_err());
    }
}
