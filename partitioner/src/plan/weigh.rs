//! Every choice and every baseline, weighed by the planner: what the report compares.

use super::report::{Baseline, Choice, Leg, Part, Stage};
use crate::print;
use kerf_planner::tiers::{
    self, Constraints, Dist, Objective, Part as Piece, PartKind, Pin, Plan, Problem, Ranges, Ship, Shipment,
};

/// A codec that keeps tensors as they are.
pub(super) const RAW: &str = "raw";
/// Encoded pictures, as they came.
pub(super) const ENCODED: &str = "encoded";
/// Pixels before the affine part of the preprocessing.
pub(super) const PIXELS: &str = "u8";

/// A question to the planner.
pub(super) struct Question<'a> {
    pub(super) problem: &'a Problem,
    pub(super) objective: &'a Objective,
    pub(super) constraints: &'a Constraints,
}

/// Plans by where they leave the first tier.
pub(super) struct Weighed {
    pub(super) plans: Vec<Plan>,
    /// Index of the best among them.
    pub(super) best: usize,
}

impl Question<'_> {
    /// The best plan, and the best ones for each other place to leave the first tier, whatever limits
    /// they break; but codecs that agree too rarely are nobody's choice. At the inputs every encoding is
    /// a choice of its own, since those are baselines.
    pub(super) fn weigh(&self) -> Result<Weighed, tiers::PlanError> {
        let best = tiers::plan(self.problem, self.objective, self.constraints)?.best;
        let last = self.problem.last();
        let mut plans: Vec<Plan> = Vec::new();
        let remote = Pin { from: 0, to: last, tier: self.problem.tiers.len() - 1 };
        let mut found = Vec::new();
        for (codec, shipment) in self.problem.shipments[0].iter().enumerate() {
            if self.agrees(1.0 - shipment.agreement_loss) {
                found.extend(self.leaving(0, Some(codec)));
                found.extend(self.pinned(vec![remote], (0, Some(codec))));
            }
        }
        for split in 1..=last {
            // Beside the best codec none: what a planner without codecs has.
            let raw = self.problem.shipments[split].iter().position(|shipment| shipment.codec == RAW);
            found.extend(self.leaving(split, None));
            found.extend(raw.filter(|_| split < last).and_then(|raw| self.leaving(split, Some(raw))));
        }
        found.extend(tiers::pareto(self.problem)?.into_iter().filter(|plan| self.agrees(plan.agreement)));
        for extra in found.into_iter().chain([best.clone()]) {
            if !plans.iter().any(|plan| plan.stages == extra.stages) {
                plans.push(extra);
            }
        }
        plans.sort_by(|a, b| (split(a, last), &a.stages).cmp(&(split(b, last), &b.stages)));
        let best = plans.iter().position(|plan| plan.stages == best.stages).unwrap_or(0);
        Ok(Weighed { plans, best })
    }

    /// Whether a share of answers that agree is enough.
    pub(super) fn agrees(&self, share: f64) -> bool {
        self.constraints.agreement.is_none_or(|floor| share >= floor - 1e-12)
    }

    /// The best plan that leaves the first tier at a boundary, by the objective alone.
    fn leaving(&self, split: usize, codec: Option<usize>) -> Option<Plan> {
        let stay = (split > 0).then_some(Pin { from: 0, to: split, tier: 0 });
        if split == self.problem.last() {
            return self.pinned(stay.into_iter().collect(), (split, codec));
        }
        let plans = (1..self.problem.tiers.len()).filter_map(|tier| {
            let leave = Pin { from: split, to: split + 1, tier };
            self.pinned(stay.into_iter().chain([leave]).collect(), (split, codec))
        });
        plans.min_by(|a, b| a.score.total_cmp(&b.score))
    }

    /// The best plan with ranges where they are told to be, and one encoding alone at a boundary.
    fn pinned(&self, pins: Vec<Pin>, (split, codec): (usize, Option<usize>)) -> Option<Plan> {
        let mut problem = self.problem.clone();
        problem.tiers.iter_mut().for_each(|tier| tier.memory = None);
        if let Some(codec) = codec {
            let only = problem.shipments[split].get(codec)?.clone();
            problem.shipments[split] = vec![only];
        }
        let constraints =
            Constraints { pins, agreement: self.constraints.agreement, ..Constraints::default() };
        let mut plan = tiers::plan(&problem, self.objective, &constraints).ok()?.best;
        if let (Some(codec), Some(stage)) = (codec, plan.stages.first_mut()) {
            stage.ship = stage.ship.map(|ship| Ship { codec, ..ship });
        }
        Some(plan)
    }

    /// The limits that a plan breaks, each with what it has.
    pub(super) fn breaks(&self, plan: &Plan) -> Vec<String> {
        let (problem, constraints) = (self.problem, self.constraints);
        let mut out = Vec::new();
        if let Some(deadline) = constraints.deadline
            && plan.within(deadline.seconds * (1.0 + 1e-12)) < deadline.quantile - 1e-12
        {
            let time = print::seconds(plan.quantile(deadline.quantile));
            out.push(format!("p{} is {time}", deadline.quantile * 100.0));
        }
        if constraints.energy.is_some_and(|most| plan.energy > most * (1.0 + 1e-12)) {
            out.push(format!("takes {}", print::joules(plan.energy)));
        }
        if constraints.bytes.is_some_and(|most| plan.egress_bytes > most * (1.0 + 1e-12)) {
            out.push(format!("sends {}", print::bytes(plan.egress_bytes as u64)));
        }
        if !self.agrees(plan.agreement) {
            out.push(format!("agrees in {}", print::percent(plan.agreement)));
        }
        let floor = constraints.privacy_floor;
        if plan.split().is_some_and(|ship| ship.boundary < floor) {
            out.push(format!("leaves before b{floor}"));
        }
        for stage in plan.stages.iter().filter(|stage| stage.from < stage.to) {
            let tier = &problem.tiers[stage.tier];
            let needs = *tier.resident.at(stage.from, stage.to);
            if tier.memory.is_some_and(|memory| needs > memory) {
                out.push(format!("{} needs {}", tier.name, print::bytes(needs as u64)));
            }
        }
        out
    }
}

/// The boundary at which a plan leaves the first tier; the last one where it does not.
pub(super) fn split(plan: &Plan, last: usize) -> usize {
    plan.split().map_or(last, |ship| ship.boundary)
}

/// What a plan ships first.
pub(super) fn payload<'a>(problem: &'a Problem, plan: &Plan) -> Option<&'a str> {
    let ship = plan.split()?;
    problem.shipments.get(ship.boundary)?.get(ship.codec).map(|shipment| shipment.codec.as_str())
}

/// `b5`, `picture → cloud`, `all on the edge`.
pub(super) fn name(problem: &Problem, plan: &Plan) -> String {
    let tier = |index: usize| problem.tiers[index].name.as_str();
    let mut stages = plan.stages.iter().filter(|stage| stage.from < stage.to);
    let Some(first) = stages.next() else { return "nothing to run".into() };
    let rest: Vec<_> = stages.collect();
    let Some(ship) = plan.split() else { return format!("all on the {}", tier(first.tier)) };
    let what = match payload(problem, plan) {
        Some(codec) if ship.boundary == 0 => format!("{} → ", payload_name(codec, true)),
        Some(codec) if codec != RAW => format!("b{} as {codec}", ship.boundary),
        _ => format!("b{}", ship.boundary),
    };
    let runs = if first.tier == 0 { rest } else { [&[first][..], &rest].concat() };
    if problem.tiers.len() == 2 {
        return if ship.boundary == 0 { format!("{what}{}", tier(1)) } else { what };
    }
    let next: Vec<String> = runs
        .iter()
        .enumerate()
        .map(|(index, stage)| match index {
            0 => tier(stage.tier).to_owned(),
            _ => format!("b{} {}", stage.from, tier(stage.tier)),
        })
        .collect();
    let arrow = if ship.boundary == 0 { "" } else { " → " };
    format!("{what}{arrow}{}", next.join(" → "))
}

pub(super) fn payload_name(codec: &str, is_input: bool) -> String {
    match codec {
        ENCODED => "picture".into(),
        RAW if is_input => "raw tensor".into(),
        PIXELS => "u8 pixels".into(),
        other => other.into(),
    }
}

/// A plan as the report tells it.
pub(super) fn choice(
    question: &Question<'_>,
    plan: &Plan,
    is_timed: &dyn Fn(usize, usize, usize) -> bool,
) -> Choice {
    let (problem, last) = (question.problem, question.problem.last());
    let ship = plan.split();
    let codec = payload(problem, plan);
    let result: f64 =
        plan.parts.iter().filter(|part| matches!(part.kind, PartKind::Back { .. })).count() as f64;
    Choice {
        name: name(problem, plan),
        split: split(plan, last),
        route: plan
            .stages
            .iter()
            .map(|stage| Leg { device: stage.tier, from: stage.from, to: stage.to })
            .collect(),
        payload: codec.map_or_else(|| "nothing".into(), |codec| payload_name(codec, false)),
        parts: parts(problem, plan),
        p50_s: plan.quantile(0.5),
        p95_s: plan.quantile(0.95),
        bytes_up: plan.egress_bytes,
        bytes_down: if ship.is_some() { result * problem.reply.bytes.mean } else { 0.0 },
        joules: Some(plan.energy),
        money: Some(plan.money * 1e6),
        agreement: plan.agreement,
        objective: plan.score,
        timed: plan
            .stages
            .iter()
            .all(|stage| stage.from == stage.to || is_timed(stage.tier, stage.from, stage.to)),
        on_front: false,
        is_baseline: is_baseline(problem, plan),
        breaks: question.breaks(plan),
    }
}

/// Everything on one machine, from inputs that went in a way known to all: what needs no planner.
pub(super) fn is_baseline(problem: &Problem, plan: &Plan) -> bool {
    plan.stages.iter().filter(|stage| stage.from < stage.to).count() == 1
        && payload(problem, plan).is_none_or(|codec| codec == RAW || is_picture(codec))
}

/// Whether inputs under this codec are pictures; codecs of tensors have no such names.
pub(super) fn is_picture(codec: &str) -> bool {
    let is_jpeg = || codec.strip_prefix("jpeg").is_some_and(|quality| quality.parse::<u8>().is_ok());
    [ENCODED, PIXELS, "pixels", "webp"].contains(&codec) || is_jpeg()
}

/// Parts in the order in which they pass, neighbours of one kind as one.
fn parts(problem: &Problem, plan: &Plan) -> Vec<Part> {
    let end = problem.tiers.len() - 1;
    let of = |tier: usize, stage: Stage| if tier == 0 || tier == end { stage } else { Stage::Middle };
    let mut parts: Vec<Part> = Vec::new();
    for Piece { kind, probability, time } in &plan.parts {
        let stage = match kind {
            PartKind::Compute { tier, .. } => of(*tier, if *tier == 0 { Stage::Edge } else { Stage::Cloud }),
            PartKind::Head { .. } => Stage::Edge,
            PartKind::Encode { tier } => of(*tier, Stage::Encode),
            PartKind::Up { .. } => Stage::Up,
            PartKind::Queue { tier: 0 } => Stage::Edge,
            PartKind::Queue { .. } => Stage::Queue,
            PartKind::Decode { tier } => of(*tier, Stage::Decode),
            PartKind::Back { .. } => Stage::Down,
            // Results mostly go as they are.
            PartKind::EncodeResult { .. } | PartKind::DecodeResult if time.mean == 0.0 => continue,
            PartKind::EncodeResult { tier } => of(*tier, Stage::Cloud),
            PartKind::DecodeResult => Stage::Edge,
        };
        let seconds = probability * time.mean;
        match parts.last_mut() {
            Some(before) if before.stage == stage => before.seconds += seconds,
            _ => parts.push(Part { stage, seconds }),
        }
    }
    parts
}

/// Marks the choices that no other beats in latency, energy, bytes and agreement at once.
pub(super) fn mark_front(choices: &mut [Choice]) {
    let values: Vec<[f64; 4]> = choices
        .iter()
        .map(|it| [it.mean_s(), it.joules.unwrap_or(0.0), it.bytes_up, -it.agreement])
        .collect();
    let beats = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).all(|(a, b)| a <= b) && a != b;
    for (choice, own) in choices.iter_mut().zip(&values) {
        choice.on_front = choice.breaks.is_empty() && !values.iter().any(|other| beats(other, own));
    }
}

/// The four things that a user without this tool would do.
pub(super) fn baselines(
    question: &Question<'_>,
    plans: &[Plan],
    chain: Result<usize, String>,
) -> Vec<Baseline> {
    let problem = question.problem;
    let last = problem.last();
    let end = problem.tiers.len() - 1;
    let is_remote = |plan: &&Plan, codec: &dyn Fn(&str) -> bool| {
        let [.., run] = plan.stages.as_slice() else { return false };
        (run.tier, run.from, run.to) == (end, 0, last) && payload(problem, plan).is_some_and(codec)
    };
    let at = |wanted: &dyn Fn(&Plan) -> bool| plans.iter().position(wanted);
    let local = at(&|plan| plan.split().is_none());
    let packed = plans
        .iter()
        .enumerate()
        .filter(|(_, plan)| is_remote(plan, &is_picture) && question.agrees(plan.agreement))
        .min_by(|(_, a), (_, b)| a.score.total_cmp(&b.score))
        .map(|(index, _)| index);
    let raw = at(&|plan| is_remote(&plan, &|codec| codec == RAW));
    let baseline = |name: &str, choice: Option<usize>, note: &str, missing: &str| Baseline {
        name: name.into(),
        choice,
        note: if choice.is_some() { note } else { missing }.into(),
    };
    let how = match packed.and_then(|index| payload(problem, &plans[index])) {
        Some(PIXELS) => "pixels as u8, before the affine part of the preprocessing".to_owned(),
        Some(codec) if codec != ENCODED => format!("the pixels that the model looks at, as {codec}"),
        _ => "encoded pictures as they came".to_owned(),
    };
    let (chain, why) = match chain {
        Ok(index) => (Some(index), "boundaries of one tensor, times as sums over layers".to_owned()),
        Err(why) => (None, why),
    };
    vec![
        baseline("all on the edge", local, "", "the edge cannot run the whole model"),
        baseline(
            "compressed input, all in the cloud",
            packed,
            &how,
            "the model takes no pictures, or none were measured",
        ),
        baseline("raw tensor, all in the cloud", raw, "", "the cloud cannot run the whole model"),
        Baseline { name: "per-layer chain planner".into(), choice: chain, note: why },
    ]
}

/// The problem as a planner of chains sees it: times are sums over layers, tensors go as they are, and
/// only a boundary of a single tensor is a place to cut (Kang et al., "Neurosurgeon", 2017). `steps` are the seconds
/// between neighbouring boundaries, by tier.
pub(super) fn as_chain(problem: &Problem, steps: &[Vec<f64>], is_single: &[bool]) -> Problem {
    let mut chain = problem.clone();
    let last = problem.last();
    for (tier, steps) in chain.tiers.iter_mut().zip(steps) {
        let sum = |from: usize, to: usize| Dist::exact(steps[from..to].iter().sum());
        tier.times = Ranges::new(last, |from, to| Some(sum(from, to)));
    }
    for (boundary, shipments) in chain.shipments.iter_mut().enumerate() {
        shipments.retain(|shipment| [RAW, ENCODED, PIXELS].contains(&shipment.codec.as_str()));
        if boundary > 0 && !is_single.get(boundary).copied().unwrap_or(false) {
            shipments.clear();
        }
    }
    chain
}

/// A shipment of the inputs as pixels of one byte, a quarter of the tensor of floats that they
/// become; conversion is counted as nothing, which flatters this baseline.
pub(super) fn pixels(problem: &Problem) -> Option<Shipment> {
    let raw = problem.shipments.first()?.iter().find(|shipment| shipment.codec == RAW)?;
    Some(Shipment { codec: PIXELS.into(), bytes: raw.bytes.scaled(0.25), ..raw.clone() })
}

#[cfg(test)]
mod tests;
