//! What exits are placed by: the same problem that plans are made for.

use super::args::{LinkArgs, PlaceArgs, WishArgs};
use super::{boundaries, constraints, join, knows_power, read, weigh};
use crate::print;
use anyhow::{Context, bail};
use kerf_bundle::Bundle;
use kerf_planner::tiers::{self, Constraints, Exit, Objective, Plan, Problem};

/// Devices, the link, and what shall be least.
pub(crate) struct Ground {
    problem: Problem,
    objective: Objective,
    constraints: Constraints,
    /// What was asked for, in words.
    pub(crate) asked: String,
    /// Seconds of the whole model on the edge.
    pub(crate) whole: f64,
}

/// What requests come to, and where they go that no exit answers.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Way {
    /// `b5 as u8-zstd`, `all on the edge`.
    pub(crate) at: String,
    /// Expected of a request, in the unit of the objective.
    pub(crate) expected: f64,
}

impl Ground {
    /// `None` without a profile.
    pub(crate) fn new(args: &PlaceArgs, bundle: &Bundle) -> anyhow::Result<Option<Self>> {
        let PlaceArgs { profile, cloud_profile, bandwidth, downlink, rtt, traffic, wish } = args;
        let Some(profile) = profile else {
            if is_asked(wish) {
                bail!(
                    "without --profile exits are placed by multiplications, which know no time, energy or link"
                );
            }
            return Ok(None);
        };
        let cloud = cloud_profile.iter().map(|path| ("cloud".to_owned(), path));
        let devices =
            read([("edge".to_owned(), profile)].into_iter().chain(cloud).collect(), &[*traffic], bundle)?;
        knows_power(&devices, wish)?;
        let link = LinkArgs {
            bandwidth: bandwidth.iter().copied().collect(),
            downlink: downlink.iter().copied().collect(),
            rtt: rtt.iter().copied().collect(),
        };
        let (places, _) = boundaries(bundle, &devices[0].profile);
        let raw: Vec<Option<u64>> = places.iter().map(|place| place.bytes).collect();
        let problem = join::problem(&devices, &raw, (bundle.codecs.as_ref(), None), false, &link, wish)?;
        let whole = devices[0].times.time(0, problem.last()).map(|time| time.p50);
        let over = match (bandwidth, rtt) {
            (Some(bandwidth), Some(rtt)) => {
                format!(" over {}, {}", print::rate(bandwidth * 8.0), print::plain(&print::seconds(*rtt)))
            }
            _ => " on the edge alone".to_owned(),
        };
        Ok(Some(Self {
            problem,
            objective: wish.objective.objective,
            constraints: constraints(wish, None),
            asked: format!("{}{over}", wish.objective.text),
            whole: whole.context("the edge's profile does not say how long the whole model takes")?,
        }))
    }

    /// In what scores are.
    pub(crate) fn unit(&self) -> &'static str {
        match self.objective {
            Objective::Latency => "seconds",
            Objective::Energy => "joules",
            Objective::Bytes => "bytes",
            Objective::Money => "money",
            Objective::Weighted(_) => "the weighted sum",
        }
    }

    /// Where requests may go that none of these exits answers, and what that costs.
    pub(crate) fn routes(&self, exits: &[Exit]) -> anyhow::Result<Vec<tiers::Route>> {
        let problem = Problem { exits: exits.to_vec(), ..self.problem.clone() };
        Ok(tiers::routes(&problem, &self.objective, &self.constraints)?)
    }

    /// The best plan with these exits; what they are promised to lose comes on top of what codecs may.
    pub(crate) fn plan(&self, exits: &[Exit], risk: f64) -> anyhow::Result<Way> {
        let problem = Problem { exits: exits.to_vec(), ..self.problem.clone() };
        let agreement = self.constraints.agreement.map(|least| least - risk);
        let constraints = Constraints { agreement, ..self.constraints.clone() };
        let best = tiers::plan(&problem, &self.objective, &constraints)?.best;
        Ok(Way { at: self.name(&best), expected: best.score })
    }

    fn name(&self, plan: &Plan) -> String {
        weigh::name(&self.problem, plan)
    }
}

/// Whether something is wished for that only profiles can tell.
fn is_asked(wish: &WishArgs) -> bool {
    let is_latency = matches!(wish.objective.objective, Objective::Latency);
    !is_latency
        || wish.deadline.is_some()
        || wish.energy.is_some()
        || wish.memory.is_some()
        || wish.privacy_floor.is_some()
}
