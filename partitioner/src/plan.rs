//! Where should this model be cut for these devices and this link, and why there?
//!
//! A plan that is not understood is not trusted. So the command does not only decide: it weighs every
//! place to cut, the things that a user would do without it, and other links, and tells all that as
//! one [`report::Report`], in a terminal, as JSON, or as a page.

mod args;
mod ask;
mod devices;
mod ground;
mod join;
mod landscape;
mod measure;
mod page;
mod report;
mod structure;
mod table;
mod weigh;
mod words;

pub(crate) use args::{PlaceArgs, PlanArgs};
pub(crate) use ground::{Ground, Way};

use crate::print::{self, Outcome, Paint, emit, emit_json};
use crate::source;
use anyhow::{Context, bail};
use args::WishArgs;
use devices::Witness;
use kerf_bundle::{Bundle, Codecs, Exits, hex};
use kerf_graph::{Analysis, Bindings};
use kerf_planner::Traffic;
use kerf_planner::tiers::{self, Constraints, Problem};
use kerf_profile::{Codec, PowerSource, Profile};
use kerf_serving::ProfileFile;
use landscape::Link;
use measure::Measured;
use report::{Asked, Map, Report, Subject};
use serde::Serialize;
use std::path::PathBuf;
use weigh::Question;

/// Engines that run segments.
const ENGINES: [&str; 2] = ["tract", "ort"];

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let report = explain(args)?;
    if let Some(path) = &args.html {
        std::fs::write(path, page::render(&report)).with_context(|| path.display().to_string())?;
    }
    let measured = args.running.measure.then(|| measure(args, &report)).transpose()?;
    if args.json {
        emit_json(&Whole { report: &report, measured })?;
    } else {
        let paint = Paint::detect();
        let measured = measured.map_or_else(String::new, |measured| measured.render(paint));
        emit(&(table::render(&report, paint) + &measured))?;
    }
    Ok(Outcome::Passed)
}

/// What goes out as JSON.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
}

fn measure(args: &PlanArgs, report: &Report) -> anyhow::Result<Measured> {
    let bundle = source::packed(&args.model)?;
    measure::run(args, &bundle, &witnesses(args, &bundle)?, report).context("--measure")
}

fn explain(args: &PlanArgs) -> anyhow::Result<Report> {
    let bundle = source::packed(&args.model)?;
    let devices = witnesses(args, &bundle)?;
    let (places, sized) = boundaries(&bundle, &devices[0].profile);
    let raw_bytes: Vec<Option<u64>> = places.iter().map(|place| place.bytes).collect();
    // An edge node that is told a codec's name sends answers back as they are.
    let (codecs, plain) = (bundle.codecs.as_ref(), args.running.measure);
    // Which requests leave early is a matter of the inputs, and those of a measurement are few.
    let exits = bundle.exits.as_ref().filter(|_| !plain);
    let problem = join::problem(&devices, &raw_bytes, (codecs, exits), plain, &args.link, &args.wish)?;
    let constraints = constraints(&args.wish, exits);
    let objective = &args.wish.objective.objective;
    let knows_power = knows_power(&devices, &args.wish)?;
    let question = Question { problem: &problem, objective, constraints: &constraints };
    let mut weighed = question.weigh()?;

    // Without codecs pixels cannot be shipped, but the comparison would be unfair without them.
    let mut compared = problem.clone();
    let takes_pictures = bundle.card.preprocess.is_some();
    if takes_pictures && !compared.shipments[0].iter().any(|shipment| weigh::is_picture(&shipment.codec)) {
        compared.shipments[0].extend(weigh::pixels(&problem));
    }
    let against = Question { problem: &compared, ..question };
    let chosen = weighed.plans[weighed.best].clone();
    weighed.plans = against.weigh()?.plans;
    weighed.best =
        weighed.plans.iter().position(|plan| plan.stages == chosen.stages).context("the plan is lost")?;

    let mut steps: Vec<Vec<f64>> = devices.iter().map(|device| device.steps(&bundle.model)).collect();
    // Whoever plans, the edge decodes a picture before its first layer.
    steps[0][0] += join::size(&devices[0].profile, 0, Codec::Encoded).map_or(0.0, |size| size.decode_s);
    let is_single: Vec<bool> = places.iter().map(|place| place.tensors.len() == 1).collect();
    let chain = weigh::as_chain(&compared, &steps, &is_single);
    let chain_choice =
        tiers::plan(&chain, objective, &constraints).map_err(|error| error.to_string()).and_then(|plans| {
            let sent = weigh::payload(&chain, &plans.best);
            let found = weighed.plans.iter().position(|plan| {
                landscape::same_cut(plan, &plans.best) && weigh::payload(&compared, plan) == sent
            });
            found.ok_or_else(|| "its cut is none of the choices".to_owned())
        });
    let is_timed = |tier: usize, from: usize, to: usize| {
        devices[tier].times.time(from, to).is_some_and(|estimate| estimate.timed)
    };
    let mut choices: Vec<_> =
        weighed.plans.iter().map(|plan| weigh::choice(&against, plan, &is_timed)).collect();
    if !knows_power {
        choices.iter_mut().for_each(|choice| choice.joules = None);
    }
    weigh::mark_front(&mut choices);
    let link = Link { uplink_bps: args.link.bandwidth[0] * 8.0, rtt_s: args.link.rtt[0] };
    let analysis = bundle.model.model().analyse(&Bindings::ones());
    Ok(Report {
        model: Subject {
            name: bundle.card.name.clone(),
            digest: hex(&bundle.digest),
            nodes: bundle.model.model().nodes().len(),
            macs: analysis.total().macs,
        },
        asked: asked(args, &problem, codecs.is_some(), &link),
        devices: devices.iter().map(Witness::device).collect(),
        chosen: weighed.best,
        baselines: weigh::baselines(&against, &weighed.plans, chain_choice),
        changes: landscape::changes(&against, &weighed, &link),
        map: if args.json || args.html.is_some() {
            landscape::map(&against, &chain, &link)
        } else {
            Map::default()
        },
        layers: devices.iter().map(|device| device.layers(&bundle.model)).collect(),
        graph: structure::graph(&bundle.model, &sized),
        notes: exits
            .map(|exits| format!("early exits on the edge: {}", exits.said()))
            .into_iter()
            .chain(notes(&devices, &choices, (codecs, plain), &args.wish))
            .collect(),
        boundaries: places,
        choices,
    })
}

/// The profiles from the edge on, each checked against the model.
fn witnesses(args: &PlanArgs, bundle: &Bundle) -> anyhow::Result<Vec<Witness>> {
    let middle = args.tier.iter().enumerate().map(|(index, path)| match args.tier.len() {
        1 => ("middle".to_owned(), path),
        _ => (format!("middle {}", index + 1), path),
    });
    let all = [("edge".to_owned(), &args.edge)].into_iter().chain(middle);
    read(all.chain([("cloud".to_owned(), &args.cloud)]).collect(), &args.traffic, bundle)
}

/// Profiles by role.
fn read(paths: Vec<(String, &PathBuf)>, values: &[Traffic], bundle: &Bundle) -> anyhow::Result<Vec<Witness>> {
    let traffic = traffic(values, paths.len())?;
    let all = paths.into_iter().zip(traffic);
    all.map(|((role, path), traffic)| {
        let shown = || path.display().to_string();
        let Some(profile) = ProfileFile::new(path).read()? else {
            bail!("{}: there is no such file; `partitioner profile` makes one on the device", shown());
        };
        witness(role, profile, traffic, bundle).with_context(shown)
    })
    .collect()
}

/// Whether energy can be told, which it must where it is asked for.
fn knows_power(devices: &[Witness], wish: &WishArgs) -> anyhow::Result<bool> {
    let knows = devices.iter().any(|device| device.profile.power.is_some());
    if !knows && (wish.objective.objective.weights().energy > 0.0 || wish.energy.is_some()) {
        bail!(
            "energy was asked for, and no profile says what power its device draws: profile it with a power model"
        );
    }
    Ok(knows)
}

/// One value for each device, of one for all or one each.
fn traffic(values: &[Traffic], count: usize) -> anyhow::Result<Vec<Traffic>> {
    match values {
        [one] => Ok(vec![*one; count]),
        many if many.len() == count => Ok(many.to_vec()),
        many => {
            bail!("--traffic has {} values for {count} devices: give one, or one for each device", many.len())
        }
    }
}

fn witness(role: String, profile: Profile, traffic: Traffic, bundle: &Bundle) -> anyhow::Result<Witness> {
    profile.fits(&bundle.card.name, &hex(&bundle.digest), bundle.model.boundaries().len())?;
    if !ENGINES.contains(&profile.engine.name.as_str()) {
        bail!("times of engine {}; this release runs {}", profile.engine.name, ENGINES.join(" and "));
    }
    let times = kerf_planner::times(&profile, traffic)?;
    Ok(Witness { role, profile, traffic, times })
}

/// Boundaries with sizes as the edge measured them, and what is known of all values: a symbolic size
/// is 1 in the model and something else in requests, so that only the measured sizes are right then.
fn boundaries(bundle: &Bundle, edge: &Profile) -> (Vec<report::Place>, Analysis) {
    let model = &bundle.model;
    let analysis = model.model().analyse(&Bindings::ones());
    let places = structure::places(model, &analysis);
    let measured = |index: usize| join::size(edge, index, Codec::Raw).map(|size| size.bytes_mean as u64);
    let differs = |index: usize, bytes: Option<u64>| measured(index).is_some_and(|it| Some(it) != bytes);
    if !places.iter().enumerate().any(|(index, place)| differs(index, place.bytes)) {
        return (places, analysis);
    }
    let analysis = model.model().analyse(&Bindings::default());
    let mut places = structure::places(model, &analysis);
    for (index, place) in places.iter_mut().enumerate() {
        place.bytes = measured(index).or(place.bytes);
    }
    (places, analysis)
}

/// What exits are promised to lose comes on top of what codecs may.
fn constraints(wish: &WishArgs, exits: Option<&Exits>) -> Constraints {
    Constraints {
        deadline: wish.deadline,
        agreement: Some(wish.agreement_floor - exits.map_or(0.0, Exits::risk)),
        energy: wish.energy,
        privacy_floor: wish.privacy_floor.unwrap_or(0),
        ..Constraints::default()
    }
}

fn asked(args: &PlanArgs, problem: &Problem, has_codecs: bool, link: &Link) -> Asked {
    let wish = &args.wish;
    let limits = [
        wish.deadline.map(|it| {
            format!("p{} within {}", it.quantile * 100.0, print::plain(&print::seconds(it.seconds)))
        }),
        wish.privacy_floor.map(|floor| format!("nothing before b{floor} leaves the edge")),
        has_codecs.then(|| format!("agreement at least {}", print::percent(wish.agreement_floor))),
        wish.energy.map(|most| format!("at most {}", print::plain(&print::joules(most)))),
        wish.memory.map(|most| format!("{} of memory on the edge", print::plain(&print::bytes(most as u64)))),
    ];
    Asked {
        uplink_bps: link.uplink_bps,
        downlink_bps: problem.links.first().map_or(0.0, |link| 8.0 / link.down.mean),
        rtt_s: link.rtt_s,
        further: further(problem),
        objective: wish.objective.text.clone(),
        limits: limits.into_iter().flatten().collect(),
    }
}

/// The links beyond the first; delays hold what handling a request takes, too.
fn further(problem: &Problem) -> Vec<String> {
    let pairs = problem.tiers.windows(2).zip(&problem.links).skip(1);
    let rate = |seconds_per_byte: f64| print::rate(8.0 / seconds_per_byte);
    pairs
        .map(|(tiers, link)| {
            let (from, to) = (&tiers[0].name, &tiers[1].name);
            let delay = print::plain(&print::seconds(link.up_delay.mean + link.down_delay.mean));
            format!("{from} to {to}: {} up, {} down, {delay}", rate(link.up.mean), rate(link.down.mean))
        })
        .collect()
}

/// What a reader should know before believing the numbers.
fn notes(
    devices: &[Witness],
    choices: &[report::Choice],
    (codecs, plain): (Option<&Codecs>, bool),
    wish: &WishArgs,
) -> Vec<String> {
    let mut notes = Vec::new();
    let hosts: Vec<&str> = devices.iter().map(|device| device.profile.device.host.as_str()).collect();
    if hosts.windows(2).all(|pair| pair[0] == pair[1]) {
        notes.push(format!("all profiles are of one machine, {}: no edge is as fast as its cloud", hosts[0]));
    }
    for device in devices.iter().filter(|device| !device.profile.complete) {
        notes.push(format!(
            "the profile of the {} is not finished: run `partitioner profile` on",
            device.role
        ));
    }
    for device in devices {
        let Some(reference) = &device.profile.reference else { continue };
        if reference.slow / reference.fast > 1.3 {
            let times = reference.slow / reference.fast;
            notes.push(format!(
                "the {} was unsteady while it was measured: up to {times:.2} times slower",
                device.role
            ));
        }
    }
    for device in devices {
        let (role, rest) = (&device.role, device.profile.rest);
        notes.push(match (device.traffic, rest) {
            (Traffic::Dense, _) => format!("the {role} is taken to compute one request after the other"),
            (Traffic::Sparse, Some(rest)) => format!(
                "the {role} is taken to rest between requests: its times are those after {} without work",
                print::plain(&print::seconds(rest.pause))
            ),
            (Traffic::Sparse, None) => format!(
                "the profile of the {role} knows no runs after a pause, and requests that come apart take \
                 longer: run `partitioner profile` on"
            ),
        });
    }
    let edge = &devices[0].profile;
    match &edge.sizes {
        Some(sizes) => {
            notes.push(format!("sizes were taken with {} ({} looked at)", sizes.inputs, sizes.samples))
        }
        None => notes.push("sizes are those of the shapes; decoding pictures counts as nothing".into()),
    }
    notes.push(match codecs.map(|codecs| &codecs.measured) {
        Some(measured) => format!(
            "codecs were measured when the model was packed, with {} inputs ({}): their times are of the \
             machine that packed",
            measured.inputs, measured.metric
        ),
        None => "the model was packed without inputs: no codecs, tensors go as they are".into(),
    });
    match edge.power.as_ref().map(|power| &power.source) {
        None => notes.push("the edge's power is not known: only the others' energy counts".into()),
        Some(PowerSource::Modelled) => notes.push("the edge's energy is modelled, not measured".into()),
        Some(PowerSource::Measured(_)) => {}
    }
    if devices.iter().any(|device| device.profile.power.is_some()) {
        notes.push("energy is what a request adds to idle devices, on all of them and on the links".into());
    }
    if plain && codecs.is_some() {
        notes.push("answers travel as they are, as from nodes that are told a codec by name".into());
    }
    if wish.memory.is_some() {
        notes.push("memory is what the engine keeps between runs, without the process around it".into());
    }
    let predicted = choices.iter().filter(|choice| !choice.timed).count();
    if predicted > 0 {
        notes.push(format!("{predicted} of {} choices hold a range whose time is predicted", choices.len()));
    }
    notes.push("the link is taken to be steady and otherwise idle, the devices too".into());
    notes
}
