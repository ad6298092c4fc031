//! The best plan over this node and one cloud node, with tensors as this node would send them.
//!
//! What a plan counts on and what requests do must be one: at each boundary the planner is offered the
//! coding alone that requests from there would take. Answers may travel differently for different
//! boundaries, as what both ways lose adds up; so boundaries are planned by the coding of their answers,
//! and the best of all those plans is taken.

use crate::models::{Model, Way as Route};
use kerf_bundle::{Coding, MeasuredCodec};
use kerf_planner::tiers::{Constraints, Objective, PartKind, Plan, PlanError, Problem, Shipment, plan};
use kerf_planner::{AssembleError, Coded, Machine, Shapes, Traffic, Way, assemble};
use kerf_profile::{Codec, Profile};
use kerf_settings::ExpectedLink;
use std::collections::BTreeMap;

/// The names of what needs no codec; see [`assemble()`].
const RAW: &str = "raw";
const ENCODED: &str = "encoded";

/// A place to cut, and what it promises.
pub(super) struct Choice {
    pub(super) split: usize,
    /// Expected seconds.
    pub(super) latency: f64,
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
}

/// A plan, and the codec that its tensors travel under; none where all stays here.
struct Found {
    plan: Plan,
    codec: Option<String>,
}

/// The fastest plan over this node and one cloud node.
pub(super) fn choose(
    model: &Model,
    edge: &Profile,
    (node, cloud): (&str, &Profile),
    link: &ExpectedLink,
) -> Result<Choice, ChooseError> {
    let last = model.served.last();
    let traffic = Traffic::default();
    let machine = |profile| Machine { profile, traffic, memory: None, money_per_second: 0.0 };
    let way = Way {
        up: link.bandwidth as f64 / 8.0,
        down: link.downlink as f64 / 8.0,
        rtt: link.rtt.as_secs_f64(),
        money_per_byte: 0.0,
    };
    let mut by_answer: BTreeMap<u16, Vec<Route>> = BTreeMap::new();
    for route in (0..last).map(|split| model.way_from(split)) {
        by_answer.entry(route.back.number()).or_default().push(route);
    }
    let (mut found, mut refused): (Vec<Found>, Option<PlanError>) = (Vec::new(), None);
    for routes in by_answer.values() {
        let mut problem = assemble(&[machine(edge), machine(cloud)], &[way], &shapes(model, routes))?;
        offer(&mut problem, routes, model, edge);
        let plans = match plan(&problem, &Objective::Latency, &Constraints::default()) {
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
    let said = said(best, found.get(1), node, last);
    Ok(Choice { split: best.split(last), latency: best.plan.latency.mean, said })
}

/// Sizes of the boundaries, as they are and under the codings of these routes.
fn shapes(model: &Model, routes: &[Route]) -> Shapes {
    let served = &model.served;
    let boundaries = served.model.boundaries();
    let raw = boundaries.iter().map(|boundary| boundary.bytes.map(|bytes| bytes as f64)).collect();
    let mut coded = vec![Vec::new(); boundaries.len()];
    for route in routes {
        coded[route.split].extend(measured(model, route.split, route.there));
    }
    let result = routes.first().and_then(|route| measured(model, served.last(), route.back));
    Shapes { raw, coded, result }
}

/// What packing measured of a coding; none for tensors as they are.
fn measured(model: &Model, boundary: usize, coding: Coding) -> Option<Coded> {
    let codecs = model.served.codecs.measured().filter(|_| coding != Coding::RAW)?;
    codecs.at(boundary).find(|codec| codec.id == coding.number()).map(figures)
}

fn figures(codec: &MeasuredCodec) -> Coded {
    Coded {
        name: codec.name.clone(),
        bytes_mean: codec.bytes.mean,
        bytes_p90: codec.bytes.p90,
        encode: codec.encode,
        decode: codec.decode,
        agreement_loss: 1.0 - codec.agreement.share(),
    }
}

/// Leaves at each boundary what requests on these routes would send, and nothing elsewhere.
fn offer(problem: &mut Problem, routes: &[Route], model: &Model, edge: &Profile) {
    for (boundary, shipments) in problem.shipments.iter_mut().enumerate() {
        let Some(route) = routes.iter().find(|route| route.split == boundary) else {
            shipments.clear();
            continue;
        };
        let coded = measured(model, boundary, route.there).map(|coded| coded.name);
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

    /// `12.3 ms`, and how tensors travel where they do not go as they are.
    fn told(&self) -> String {
        let codec = self.codec.as_deref().filter(|codec| *codec != RAW);
        let codec = codec.map_or_else(String::new, |codec| format!(" as {codec}"));
        format!("{:.1} ms{codec}", self.plan.latency.mean * 1e3)
    }
}

fn said(best: &Found, next: Option<&Found>, node: &str, last: usize) -> String {
    let mut said = best.told();
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
        said += &format!("; b{} {}", next.split(last), next.told());
    }
    said
}
