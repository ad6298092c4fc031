//! What requests decide by: this node's profile, those of cloud nodes, and what packing measured.

use super::choose::{ChooseError, ENCODED, RAW, traffic, way_of};
use crate::course::{Course, Way};
use crate::models::{Fallback, Model};
use crate::steer::{Options, Steered};
use kerf_bundle::Coding;
use kerf_planner::online::{self, Stops, Table, TableError, Terms, stops};
use kerf_planner::tiers::{Problem, Shipment, Weights};
use kerf_planner::{Coded, Machine, Shapes, assemble};
use kerf_profile::Profile;
use kerf_settings::{ExpectedLink, PlanSettings, RaceChoice};
use kerf_steer::{Pilot, PilotError, Prior, Race, Settings};
use std::time::Instant;

/// Most boundaries that requests may stop at: all ranges between them are compiled in time.
const STOPS: usize = 6;
/// How likely deadlines are kept, where nobody says.
const QUANTILE: f64 = 0.95;

/// Why requests cannot decide for themselves.
#[derive(Debug, thiserror::Error)]
pub(super) enum PilotsError {
    #[error(transparent)]
    Choose(#[from] ChooseError),
    #[error(transparent)]
    Model(#[from] online::ModelError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Pilot(#[from] PilotError),
}

/// Steers a model's requests over the mesh's nodes whose profiles are known, and says where they may
/// stop. `planned` is the way over the link that is expected, and
/// `threads` run requests here.
pub(super) fn steered(
    model: &Model,
    own: &Profile,
    clouds: &[(usize, String, Profile)],
    link: &ExpectedLink,
    wish: &PlanSettings,
    (planned, threads): (Way, usize),
) -> Result<(Steered, Stops), PilotsError> {
    let back = model.answer_coding();
    let tensors = known(model, own, clouds, link, wish, (back, false))?;
    let pictures = known(model, own, clouds, link, wish, (back, true))?;
    let usual = if model.served.card.preprocess.is_some() { &pictures } else { &tensors };
    let (stops, front) = (stops(&usual.model, STOPS)?, usual.front);
    let settings = Settings {
        threads: threads as f64,
        race: match (model.fallback, model.race) {
            (Fallback::None, _) | (_, RaceChoice::Never) => Race::Never,
            (_, RaceChoice::Deadline) => Race::Deadline,
            (_, RaceChoice::Always) => Race::Always,
        },
        ..Settings::default()
    };
    let nodes: Vec<_> = clouds.iter().map(|(index, node, _)| (*index, node.clone())).collect();
    let learnt = match model.course() {
        Course::Steered(before) => before.learnt(&nodes),
        Course::Fixed(_) => None,
    };
    let (learnt, origin) = learnt.map_or((None, Instant::now()), |(pilots, origin)| (Some(pilots), origin));
    let pilot = |known: &Known, before: Option<Pilot>| -> Result<Pilot, PilotsError> {
        let table = Table::new(known.model.stopping_at(&stops.boundaries))?;
        let Some(mut pilot) = before else { return Ok(Pilot::new(table, &known.priors, settings)?) };
        pilot.retable(table)?;
        Ok(pilot)
    };
    let [of_tensors, of_pictures] = learnt.map_or([None, None], |pilots| pilots.map(Some));
    let pilots = [pilot(&tensors, of_tensors)?, pilot(&pictures, of_pictures)?];
    let options = Options {
        stops: stops.boundaries.clone(),
        there: [tensors.codings, pictures.codings],
        back,
        nodes,
        front,
        within: wish.deadline.map(|deadline| deadline.within),
        planned,
    };
    Ok((Steered::new(pilots, origin, options), stops))
}

/// For requests of one kind.
struct Known {
    model: online::Model,
    priors: Vec<Prior>,
    /// Seconds before the first range.
    front: f64,
    /// By boundary and shipment.
    codings: Vec<Vec<Coding>>,
}

fn known(
    model: &Model,
    own: &Profile,
    clouds: &[(usize, String, Profile)],
    link: &ExpectedLink,
    wish: &PlanSettings,
    (back, is_pictures): (Coding, bool),
) -> Result<Known, PilotsError> {
    let served = &model.served;
    let boundaries = served.model.boundaries();
    let shapes = Shapes {
        raw: boundaries.iter().map(|boundary| boundary.bytes.map(|bytes| bytes as f64)).collect(),
        coded: (0..served.last()).map(|boundary| not_beaten(model.codings_at(boundary))).collect(),
        result: model.measured(served.last(), back),
    };
    let exits = match (&model.exits, &served.heads) {
        // What they lose is promised apart.
        (Some(exits), Some(heads)) => heads.planned(exits.standing().rung),
        _ => Vec::new(),
    };
    let problem = |(.., cloud): &(usize, String, Profile)| -> Result<Problem, PilotsError> {
        let machines = [machine(own, wish, 0.0), machine(cloud, wish, wish.money_per_second)];
        let mut problem = assemble(&machines, &[way_of(link, wish)], &shapes).map_err(ChooseError::from)?;
        // Pictures go as they came, or as pixels; what they decode to is never sent as it is.
        let other = if is_pictures { RAW } else { ENCODED };
        if let Some(inputs) = problem.shipments.first_mut() {
            inputs.retain(|shipment| shipment.codec != other);
        }
        if model.is_codec_named() {
            for shipments in &mut problem.shipments {
                let is_plain = |it: &Shipment| [RAW, ENCODED].contains(&it.codec.as_str());
                if !shipments.iter().all(is_plain) {
                    shipments.retain(|it| !is_plain(it));
                }
            }
        }
        problem.exits.clone_from(&exits);
        problem.exits.iter_mut().for_each(|exit| exit.agreement_loss = 0.0);
        Ok(problem)
    };
    let problems = clouds.iter().map(problem).collect::<Result<Vec<_>, _>>()?;
    let objective = &wish.objective;
    let terms = Terms {
        weights: Weights {
            latency: objective.latency,
            energy: objective.energy,
            bytes: objective.bytes,
            money: objective.money,
        },
        privacy_floor: model.privacy_floor,
        agreement: model.floor(),
        quantile: wish.deadline.map_or(QUANTILE, |deadline| deadline.quantile),
    };
    let coding = |boundary: usize, name: &str| served.codecs.named(boundary, name).unwrap_or(Coding::RAW);
    let first = problems.first().map_or(&[][..], |problem| &problem.shipments);
    let codings = first.iter().enumerate().map(|(boundary, shipments)| {
        shipments.iter().map(|shipment| coding(boundary, &shipment.codec)).collect()
    });
    Ok(Known {
        codings: codings.collect(),
        front: problems.first().map_or(0.0, |problem| problem.tiers[0].queue.mean),
        priors: problems.iter().map(|problem| Prior::from(&problem.links[0])).collect(),
        model: online::Model::of(&problems, terms)?,
    })
}

fn machine<'a>(profile: &'a Profile, wish: &PlanSettings, money_per_second: f64) -> Machine<'a> {
    Machine { profile, traffic: traffic(wish), memory: None, money_per_second }
}

/// Those that no other one beats in bytes and in time, while it agrees as often: a decision shall have
/// few to weigh.
fn not_beaten(codecs: Vec<Coded>) -> Vec<Coded> {
    let beats = |a: &Coded, b: &Coded| {
        let worst = |it: &Coded| [it.bytes_mean, it.encode + it.decode, it.agreement_loss];
        let (a, b) = (worst(a), worst(b));
        a.iter().zip(&b).all(|(a, b)| a <= b) && a != b
    };
    let keep = |it: &Coded| !codecs.iter().any(|other| beats(other, it));
    codecs.iter().filter(|it| keep(it)).cloned().collect()
}
