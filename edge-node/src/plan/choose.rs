//! The best plan over this node and one cloud node, with tensors as this node would send them.
//!
//! What a plan counts on and what requests do must be one: at each boundary the planner is offered the
//! coding alone that requests from there would take. Answers may travel differently for different
//! boundaries, as what both ways lose adds up; so boundaries are planned by the coding of their answers,
//! and the best of all those plans is taken.

use crate::course::Way as Route;
use crate::models::Model;
use kerf_planner::tiers::{
    Constraints, Deadline, Objective, PartKind, Plan, PlanError, Problem, Shipment, Weights, plan,
};
use kerf_planner::{AssembleError, Machine, Shapes, Traffic, Way, assemble};
use kerf_profile::{Codec, Power, PowerSource, Profile};
use kerf_settings::{ExpectedLink, PlanSettings, wish};
use std::collections::BTreeMap;

/// The names of what needs no codec; see [`assemble()`].
pub(super) const RAW: &str = "raw";
pub(super) const ENCODED: &str = "encoded";

/// A place to cut, and what it promises.
pub(super) struct Choice {
    pub(super) split: usize,
    /// What the objective makes of it; less is better.
    pub(super) score: f64,
    pub(super) said: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChooseError {
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("the model has no boundaries")]
    NoBoundaries,
    #[error(
        "energy shall be little, and neither profile says what its device draws: say `plan.power`, or measure \
         it with `--profile` where there is a sensor"
    )]
    NoPower,
}

/// A plan, and the codec that its tensors travel under; none where all stays here.
struct Found {
    plan: Plan,
    codec: Option<String>,
}

/// The best plan over this node and one cloud node.
pub(super) fn choose(
    model: &Model,
    edge: &Profile,
    (node, cloud): (&str, &Profile),
    link: &ExpectedLink,
    wish: &PlanSettings,
) -> Result<Choice, ChooseError> {
    let last = model.served.last();
    if wish.objective.energy > 0.0 && edge.power.is_none() && cloud.power.is_none() {
        return Err(ChooseError::NoPower);
    }
    let traffic = traffic(wish);
    let machine = |profile, money_per_second| Machine { profile, traffic, memory: None, money_per_second };
    let machines = [machine(edge, 0.0), machine(cloud, wish.money_per_second)];
    let wish::Objective { latency, energy, bytes, money, .. } = wish.objective;
    let objective = Objective::Weighted(Weights { latency, energy, bytes, money });
    let constraints = Constraints {
        deadline: wish
            .deadline
            .map(|deadline| Deadline { seconds: deadline.within.as_secs_f64(), quantile: deadline.quantile }),
        privacy_floor: wish.privacy_floor.into(),
        ..Constraints::default()
    };
    let way = way_of(link, wish);
    let mut by_answer: BTreeMap<u16, Vec<Route>> = BTreeMap::new();
    for route in (0..last).map(|split| model.way_from(split)) {
        by_answer.entry(route.back.number()).or_default().push(route);
    }
    let exits = match (&model.exits, &model.served.heads) {
        (Some(exits), Some(heads)) => heads.planned(exits.standing().rung),
        _ => Vec::new(),
    };
    let (mut found, mut refused): (Vec<Found>, Option<PlanError>) = (Vec::new(), None);
    for routes in by_answer.values() {
        let mut problem = assemble(&machines, &[way], &shapes(model, routes))?;
        offer(&mut problem, routes, model, edge);
        problem.exits = exits.clone();
        let plans = match plan(&problem, &objective, &constraints) {
            Ok(plans) => plans,
            Err(error) => {
                refused = Some(error);
                continue;
            }
        };
        for plan in [plans.best].into_iter().chain(plans.runners_up) {
            let shipment = plan.split().map(|ship| &problem.shipments[ship.boundary][ship.codec]);
            let codec = shipment.map(|shipment| shipment.codec.clone());
            // Without a cut it is the same plan each time.
            if codec.is_some() || found.iter().all(|it| it.codec.is_some()) {
                found.push(Found { plan, codec });
            }
        }
    }
    found.sort_by(|a, b| a.plan.score.total_cmp(&b.plan.score));
    let Some(best) = found.first() else {
        return Err(refused.map_or(ChooseError::NoBoundaries, ChooseError::from));
    };
    let said = format!("{}: {}", wanted(wish), said(best, found.get(1), node, last, &wish.objective));
    Ok(Choice { split: best.split(last), score: best.plan.score, said })
}

/// How requests come, as planners say it.
pub(super) fn traffic(wish: &PlanSettings) -> Traffic {
    match wish.traffic {
        wish::Traffic::Sparse => Traffic::Sparse,
        wish::Traffic::Dense => Traffic::Dense,
    }
}

/// The link that is expected, as planners say it.
pub(super) fn way_of(link: &ExpectedLink, wish: &PlanSettings) -> Way {
    Way {
        up: link.bandwidth as f64 / 8.0,
        down: link.downlink as f64 / 8.0,
        rtt: link.rtt.as_secs_f64(),
        money_per_byte: wish.money_per_byte,
    }
}

/// Sizes of the boundaries, as they are and under the codings of these routes.
fn shapes(model: &Model, routes: &[Route]) -> Shapes {
    let served = &model.served;
    let boundaries = served.model.boundaries();
    let raw = boundaries.iter().map(|boundary| boundary.bytes.map(|bytes| bytes as f64)).collect();
    let mut coded = vec![Vec::new(); boundaries.len()];
    for route in routes {
        coded[route.split].extend(model.measured(route.split, route.there));
    }
    let result = routes.first().and_then(|route| model.measured(served.last(), route.back));
    Shapes { raw, coded, result }
}

/// Leaves at each boundary what requests on these routes would send, and nothing elsewhere.
fn offer(problem: &mut Problem, routes: &[Route], model: &Model, edge: &Profile) {
    for (boundary, shipments) in problem.shipments.iter_mut().enumerate() {
        let Some(route) = routes.iter().find(|route| route.split == boundary) else {
            shipments.clear();
            continue;
        };
        let coded = model.measured(boundary, route.there).map(|coded| coded.name);
        let name = if sends_pictures(model, route, edge) {
            ENCODED.to_owned()
        } else {
            coded.unwrap_or_else(|| RAW.to_owned())
        };
        shipments.retain(|shipment: &Shipment| shipment.codec == name);
    }
}

/// Whether pictures would go as they came: the pipeline's rule, for the mean picture of the profile.
fn sends_pictures(model: &Model, route: &Route, edge: &Profile) -> bool {
    let sizes = edge.sizes.iter().flat_map(|sizes| &sizes.boundaries);
    let mut encoded = sizes.filter(|size| (size.boundary, size.codec) == (route.split, Codec::Encoded));
    let expected = model.served.codecs.mean_bytes(route.split, route.there);
    encoded.next().is_some_and(|came| expected.is_none_or(|expected| expected >= came.bytes_mean))
}

impl Found {
    fn split(&self, last: usize) -> usize {
        self.plan.split().map_or(last, |ship| ship.boundary)
    }

    /// `12.3 ms`, what else counts, and how tensors travel where they do not go as they are.
    fn told(&self, objective: &wish::Objective) -> String {
        let plan = &self.plan;
        let mut told = format!("{:.1} ms", plan.latency.mean * 1e3);
        if objective.energy > 0.0 {
            told += &format!(", {:.2} mJ", plan.energy * 1e3);
        }
        if objective.bytes > 0.0 {
            told += &format!(", {:.0} bytes sent", plan.egress_bytes);
        }
        if objective.money > 0.0 {
            told += &format!(", {:.2} per million", plan.money * 1e6);
        }
        if let Some(codec) = self.codec.as_deref().filter(|codec| *codec != RAW) {
            told += &format!(" as {codec}");
        }
        told
    }
}

/// `least latency, p95 within 100ms, nothing before b2`.
fn wanted(wish: &PlanSettings) -> String {
    let mut wanted = format!("least {}", wish.objective.text);
    if let Some(deadline) = wish.deadline {
        wanted += &format!(", p{} within {:?}", (deadline.quantile * 1e4).round() / 1e2, deadline.within);
    }
    if wish.privacy_floor > 0 {
        wanted += &format!(", nothing before b{}", wish.privacy_floor);
    }
    wanted
}

/// This node's profile, with the settings' power where it has none.
pub(super) fn with_power(mut profile: Profile, wish: &PlanSettings) -> Profile {
    if let (None, Some(power)) = (&profile.power, wish.power) {
        profile.power = Some(Power {
            source: PowerSource::Modelled,
            idle_watts: power.idle,
            busy_watts: power.busy,
            joules_per_byte: power.per_byte,
        });
    }
    profile
}

fn said(best: &Found, next: Option<&Found>, node: &str, last: usize, objective: &wish::Objective) -> String {
    let mut said = best.told(objective);
    if best.codec.is_some() {
        let here = |kind: &PartKind| {
            matches!(
                kind,
                PartKind::Queue { tier: 0 }
                    | PartKind::Compute { tier: 0, .. }
                    | PartKind::Encode { tier: 0 }
                    | PartKind::DecodeResult
            )
        };
        let link = |kind: &PartKind| matches!(kind, PartKind::Up { .. } | PartKind::Back { .. });
        let [here, link] = [best.plan.seconds(here), best.plan.seconds(link)].map(|seconds| seconds * 1e3);
        said += &format!(" with {node}: {here:.1} here, {link:.1} link");
    } else {
        said += " here";
    }
    if let Some(next) = next {
        said += &format!("; b{} {}", next.split(last), next.told(objective));
    }
    said
}
