//! What must hold of a problem before it is planned.

use super::dist::Dist;
use super::problem::{Exit, Problem, Reply, Shipment, Tier};
use super::{Constraints, Objective};

/// What is wrong with a problem, a constraint or an objective.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// A number is negative, infinite, no number, or out of its bounds.
    #[error("{what} is {value}, it must be {wanted}")]
    Number {
        /// Which one.
        what: String,
        /// What it is.
        value: f64,
        /// What would do.
        wanted: &'static str,
    },
    /// Two parts do not fit each other.
    #[error("{what}: {found}, there must be {expected}")]
    Count {
        /// Which parts.
        what: String,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A boundary, tier or range that is not there, or out of order.
    #[error("{what}: no such place, {wanted}")]
    Place {
        /// What names it.
        what: String,
        /// What would do.
        wanted: String,
    },
}

type Checked = Result<(), ProblemError>;

pub(super) fn problem(problem: &Problem) -> Checked {
    let last = problem.last();
    if last == 0 {
        return Err(ProblemError::Count {
            what: "boundaries".into(),
            found: problem.shipments.len(),
            expected: 2,
        });
    }
    count(|| "tiers".into(), problem.tiers.len(), problem.tiers.len().max(1))?;
    count(|| "links between tiers".into(), problem.links.len(), problem.tiers.len() - 1)?;
    for it in &problem.tiers {
        tier(it, last)?;
    }
    for (index, link) in problem.links.iter().enumerate() {
        let of = |what: &'static str| move || format!("link {index}: {what}");
        // A bandwidth of 0 is an infinite time per byte.
        dist(of("seconds per byte up"), link.up)?;
        dist(of("seconds per byte down"), link.down)?;
        dist(of("delay up"), link.up_delay)?;
        dist(of("delay down"), link.down_delay)?;
        amount(of("joules per byte"), link.joules_per_byte)?;
        amount(of("money per byte"), link.money_per_byte)?;
    }
    for (boundary, all) in problem.shipments.iter().enumerate() {
        for it in all {
            shipment(it, boundary, problem.tiers.len())?;
        }
    }
    reply(&problem.reply, problem.tiers.len())?;
    exits(&problem.exits, last)
}

fn tier(tier: &Tier, last: usize) -> Checked {
    let of = |what: &'static str| move || format!("tier `{}`: {what}", tier.name);
    count(of("boundaries of its times"), tier.times.last() + 1, last + 1)?;
    count(of("boundaries of its memory"), tier.resident.last() + 1, last + 1)?;
    for ((from, to), time) in tier.times.iter() {
        if let Some(time) = time {
            dist(|| format!("tier `{}`: seconds of {from}..{to}", tier.name), *time)?;
        }
    }
    for ((from, to), bytes) in tier.resident.iter() {
        amount(|| format!("tier `{}`: bytes of {from}..{to}", tier.name), *bytes)?;
    }
    if let Some(memory) = tier.memory {
        amount(of("memory"), memory)?;
    }
    amount(of("busy watts"), tier.busy_watts)?;
    amount(of("wait watts"), tier.wait_watts)?;
    amount(of("money per second"), tier.money_per_second)?;
    dist(of("queue"), tier.queue)
}

fn shipment(it: &Shipment, boundary: usize, tiers: usize) -> Checked {
    let of = |what: &'static str| move || format!("b{boundary} as {}: {what}", it.codec);
    dist(of("bytes"), it.bytes)?;
    share(of("loss of agreement"), it.agreement_loss)?;
    for (what, times) in [("encode", &it.encode), ("decode", &it.decode)] {
        count(|| format!("b{boundary} as {}: tiers that {what}", it.codec), times.len(), tiers)?;
        for (tier, time) in times.iter().enumerate() {
            let named = || format!("b{boundary} as {}: seconds to {what} on tier {tier}", it.codec);
            dist(named, *time)?;
        }
    }
    Ok(())
}

fn reply(reply: &Reply, tiers: usize) -> Checked {
    let of = |what: &'static str| move || format!("result: {what}");
    dist(of("bytes"), reply.bytes)?;
    count(of("tiers that encode"), reply.encode.len(), tiers)?;
    for (tier, time) in reply.encode.iter().enumerate() {
        dist(|| format!("result: seconds to encode on tier {tier}"), *time)?;
    }
    dist(of("seconds to decode"), reply.decode)?;
    share(of("loss of agreement"), reply.agreement_loss)
}

fn exits(exits: &[Exit], last: usize) -> Checked {
    let mut before = 0;
    for (index, exit) in exits.iter().enumerate() {
        let what = format!("exit {index} at b{}", exit.boundary);
        if exit.boundary <= before || exit.boundary >= last {
            let wanted = format!("exits lie between b0 and b{last}, in order, one at a boundary");
            return Err(ProblemError::Place { what, wanted });
        }
        before = exit.boundary;
        dist(|| format!("{what}: seconds"), exit.head)?;
        share(|| format!("{what}: probability"), exit.probability)?;
        share(|| format!("{what}: loss of agreement"), exit.agreement_loss)?;
    }
    Ok(())
}

pub(super) fn constraints(problem: &Problem, constraints: &Constraints) -> Checked {
    if let Some(deadline) = constraints.deadline {
        amount(|| "deadline".into(), deadline.seconds)?;
        bounded(|| "quantile of the deadline".into(), deadline.quantile, 0.5..1.0, "from 0.5 to below 1")?;
    }
    if let Some(floor) = constraints.agreement {
        share(|| "agreement floor".into(), floor)?;
    }
    let caps =
        [("energy", constraints.energy), ("egress bytes", constraints.bytes), ("money", constraints.money)];
    for (what, cap) in caps {
        cap.map_or(Ok(()), |cap| amount(|| format!("limit of {what}"), cap))?;
    }
    let last = problem.last();
    if constraints.privacy_floor > last {
        let what = format!("privacy floor b{}", constraints.privacy_floor);
        return Err(ProblemError::Place { what, wanted: format!("the boundaries are b0 to b{last}") });
    }
    for pin in &constraints.pins {
        if pin.from >= pin.to || pin.to > last || pin.tier >= problem.tiers.len() {
            let what = format!("pin of {}..{} to tier {}", pin.from, pin.to, pin.tier);
            let wanted = format!("ranges lie in 0..{last}, tiers are 0 to {}", problem.tiers.len() - 1);
            return Err(ProblemError::Place { what, wanted });
        }
    }
    Ok(())
}

pub(super) fn objective(objective: &Objective) -> Checked {
    let weights = objective.weights();
    let all = [weights.latency, weights.energy, weights.bytes, weights.money];
    all.iter().try_for_each(|weight| amount(|| "weight of the objective".into(), *weight))?;
    let sum = all.iter().sum::<f64>();
    if sum > 0.0 { Ok(()) } else { number("sum of the objective's weights".into(), sum, "above 0") }
}

/// Names are made where something is wrong: problems are checked each time that one is planned.
fn dist(what: impl Fn() -> String, dist: Dist) -> Checked {
    amount(&what, dist.mean)?;
    amount(|| format!("spread of {}", what()), dist.sd)
}

fn amount(what: impl Fn() -> String, value: f64) -> Checked {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { number(what(), value, "finite and not negative") }
}

fn share(what: impl Fn() -> String, value: f64) -> Checked {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { number(what(), value, "from 0 to 1") }
}

fn bounded(
    what: impl Fn() -> String,
    value: f64,
    bounds: std::ops::Range<f64>,
    wanted: &'static str,
) -> Checked {
    if bounds.contains(&value) { Ok(()) } else { number(what(), value, wanted) }
}

fn number(what: String, value: f64, wanted: &'static str) -> Checked {
    Err(ProblemError::Number { what, value, wanted })
}

fn count(what: impl Fn() -> String, found: usize, expected: usize) -> Checked {
    if found == expected { Ok(()) } else { Err(ProblemError::Count { what: what(), found, expected }) }
}
