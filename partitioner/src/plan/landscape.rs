//! What wins elsewhere: over all links, and how near the conditions are to another choice.

use super::report::{Change, Map, Region};
use super::weigh::{Question, Weighed, is_baseline, name, split};
use super::words::SAME;
use crate::print;
use kerf_planner::tiers::{self, Dist, Parameter, Plan, Problem};

/// Decades that the map shows, whatever the conditions.
const BANDWIDTHS: (f64, f64) = (1e5, 1e9);
const RTTS: (f64, f64) = (1e-3, 1.0);
const COLUMNS: usize = 64;
const ROWS: usize = 36;

/// The link that the map varies.
pub(super) struct Link {
    /// Bits per second up.
    pub(super) uplink_bps: f64,
    pub(super) rtt_s: f64,
}

/// The best plan over bandwidth and round-trip time of the first link, and where a planner of chains
/// would have cut alike.
pub(super) fn map(question: &Question<'_>, chain: &Problem, link: &Link) -> Map {
    let bandwidths = steps(BANDWIDTHS, link.uplink_bps, COLUMNS);
    let rtts = steps(RTTS, link.rtt_s, ROWS);
    let last = question.problem.last();
    let mut map = Map { bandwidths, rtts, regions: Vec::new(), cells: Vec::new(), chain_agrees: Vec::new() };
    let best = |problem: &Problem| {
        let plans = tiers::plan(problem, question.objective, question.constraints).ok()?;
        let as_good = plans.best.score * SAME;
        // A cut that gains next to nothing is no reason to cut.
        let plain =
            plans.runners_up.into_iter().find(|plan| is_baseline(problem, plan) && plan.score <= as_good);
        Some(plain.filter(|_| !is_baseline(problem, &plans.best)).unwrap_or(plans.best))
    };
    let (mut here, mut there) = (question.problem.clone(), chain.clone());
    for rtt in &map.rtts {
        for bps in &map.bandwidths {
            for (problem, from) in [(&mut here, question.problem), (&mut there, chain)] {
                set(problem, from, link, *bps, *rtt);
            }
            let plan = best(&here);
            // Where nothing is cut, there is nothing to agree about.
            let is_cut = plan.as_ref().is_some_and(|plan| !is_baseline(&here, plan));
            let cell = plan.as_ref().map(|plan| {
                let name = name(&here, plan);
                map.regions.iter().position(|region| region.name == name).unwrap_or_else(|| {
                    let is_baseline = is_baseline(&here, plan);
                    map.regions.push(Region { name, split: split(plan, last), is_baseline });
                    map.regions.len() - 1
                })
            });
            map.cells.push(cell);
            let theirs = plan.filter(|_| is_cut).zip(is_cut.then(|| best(&there)).flatten());
            map.chain_agrees.push(theirs.is_some_and(|(ours, theirs)| same_cut(&ours, &theirs)));
        }
    }
    by_depth(map)
}

/// Both leave the first tier at the same boundary and go the same way.
pub(super) fn same_cut(a: &Plan, b: &Plan) -> bool {
    let cut =
        |plan: &Plan| plan.stages.iter().map(|stage| (stage.tier, stage.from, stage.to)).collect::<Vec<_>>();
    cut(a) == cut(b)
}

/// Regions from those that leave the edge first to those that do last, so that legends and colours
/// have the order of the schedule.
fn by_depth(mut map: Map) -> Map {
    let mut order: Vec<usize> = (0..map.regions.len()).collect();
    order.sort_by(|a, b| {
        let key = |index: &usize| (map.regions[*index].split, map.regions[*index].name.clone());
        key(a).cmp(&key(b))
    });
    let regions = order.iter().map(|index| map.regions[*index].clone()).collect();
    for cell in map.cells.iter_mut().flatten() {
        *cell = order.iter().position(|index| index == cell).unwrap_or(*cell);
    }
    map.regions = regions;
    map
}

fn set(problem: &mut Problem, from: &Problem, link: &Link, bps: f64, rtt: f64) {
    let (Some(to), Some(from)) = (problem.links.first_mut(), from.links.first()) else { return };
    let slower = link.uplink_bps / bps;
    (to.up, to.down) = (from.up.scaled(slower), from.down.scaled(slower));
    let delay =
        |known: Dist| if link.rtt_s > 0.0 { known.scaled(rtt / link.rtt_s) } else { Dist::exact(rtt / 2.0) };
    (to.up_delay, to.down_delay) = (delay(from.up_delay), delay(from.down_delay));
}

/// Values even in the logarithm, over the bounds and the value at hand.
fn steps((low, high): (f64, f64), value: f64, count: usize) -> Vec<f64> {
    let (low, high) = if value > 0.0 { (low.min(value / 2.0), high.max(value * 2.0)) } else { (low, high) };
    (0..count).map(|index| low * (high / low).powf(index as f64 / (count - 1) as f64)).collect()
}

/// The nearest change of each condition, up and down, that makes another choice the best.
pub(super) fn changes(question: &Question<'_>, weighed: &Weighed, link: &Link) -> Vec<Change> {
    let Question { problem, objective, constraints } = question;
    let mut found: Vec<(Parameter, f64, String)> = Vec::new();
    for (index, plan) in weighed.plans.iter().enumerate() {
        if index == weighed.best {
            continue;
        }
        let Ok(changes) = tiers::sensitivity(problem, objective, constraints, plan) else { continue };
        for change in changes {
            let is_more = change.factor >= 1.0;
            let known = found.iter_mut().find(|it| it.0 == change.parameter && (it.1 >= 1.0) == is_more);
            let winner = name(problem, plan);
            match known {
                Some(it) if change.factor.ln().abs() < it.1.ln().abs() => {
                    (it.1, it.2) = (change.factor, winner)
                }
                Some(_) => {}
                None => found.push((change.parameter, change.factor, winner)),
            }
        }
    }
    found.sort_by(|a, b| a.1.ln().abs().total_cmp(&b.1.ln().abs()));
    found
        .into_iter()
        .map(|(parameter, factor, winner)| change(problem, link, parameter, factor, winner))
        .collect()
}

fn change(problem: &Problem, link: &Link, parameter: Parameter, factor: f64, winner: String) -> Change {
    let last = problem.tiers.last().map_or("cloud", |tier| tier.name.as_str());
    let first = problem.tiers.first().map_or("edge", |tier| tier.name.as_str());
    let downlink = problem.links.first().map_or(0.0, |link| 8.0 / link.down.mean);
    let changed = match factor {
        f if f < 0.1 => format!("1/{:.0} of that", 1.0 / f),
        f => format!("{f:.2}× that"),
    };
    let speed = |name: &str| (format!("the {name}'s speed"), "as measured".to_owned(), changed.clone());
    let rate = |name: &str, bps: f64| (name.to_owned(), print::rate(bps), print::rate(bps * factor));
    let (what, now, then) = match parameter {
        Parameter::UpBandwidth => rate("the uplink", link.uplink_bps),
        Parameter::DownBandwidth => rate("the downlink", downlink),
        Parameter::RoundTrip => {
            ("the round trip".to_owned(), print::seconds(link.rtt_s), print::seconds(link.rtt_s * factor))
        }
        Parameter::FirstTierSpeed => speed(first),
        _ => speed(last),
    };
    Change { what, now, then, factor, winner }
}
