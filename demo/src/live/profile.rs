//! What the model takes on this machine, and what it would on the emulated edge.

use anyhow::Context as _;
use kerf_bundle::Coding;
use kerf_inputs::Generator;
use kerf_planner::tiers::Problem;
use kerf_planner::{Coded, Machine, Shapes, Traffic, Way, assemble};
use kerf_profile::Profile;
use kerf_profiler::{Options, Subject};
use kerf_serving::{Energy, Opened, ProfileFile, Served, boundary_sizes, measure, threads};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Measures `served` for at most `budget`, with the pictures in a folder, and writes the profile.
pub(crate) fn measured(
    served: &Served,
    opened: &Opened,
    pictures: &Path,
    budget: Duration,
    path: PathBuf,
) -> anyhow::Result<Profile> {
    let generator = Generator::new(served.model.model(), &[])?;
    let inputs = |batch: usize| generator.sample(0, batch).map_err(|error| error.to_string());
    let digest = served.digest_hex();
    let subject = Subject {
        name: &served.name,
        digest: &digest,
        model: &served.model,
        engines: &opened.engines,
        threads: threads(1, opened),
        inputs: &inputs,
    };
    let options = Options { budget, ..Options::default() };
    let mut file = ProfileFile::new(path);
    let mut energy = Energy::Unknown(Vec::new());
    let mut profile = measure(&subject, &options, None, &mut file, &mut energy, &mut |_| {})?;
    profile.sizes = Some(boundary_sizes(&subject, &generator, &served.card, Some(pictures))?);
    file.write(&profile)?;
    Ok(profile)
}

/// The profile of a device that is emulated to be so much slower, by its own engines: what is
/// stretched there is stretched here. Pictures and codecs take what they take.
pub(crate) fn stretched(mut profile: Profile, factor: f64, slow: &Opened) -> anyhow::Result<Profile> {
    let engine = slow.engines.first().context("no engine")?;
    profile.engine.name = engine.name().to_owned();
    profile.engine.version = engine.version();
    for range in &mut profile.ranges {
        let times = [&mut range.p50, &mut range.p90, &mut range.p99, &mut range.mean, &mut range.sd];
        times.into_iter().for_each(|time| *time *= factor);
        if let Some(rested) = &mut range.rested {
            rested.p50 *= factor;
            rested.sd *= factor;
        }
    }
    if let Some(reference) = &mut profile.reference {
        reference.p50 *= factor;
    }
    Ok(profile)
}

/// The planning problem of the two nodes, with the codecs that the edge may choose among. The link in
/// it is any.
pub(crate) fn problem(
    served: &Served,
    [edge, cloud]: [&Profile; 2],
    agreement: f64,
) -> anyhow::Result<Problem> {
    let last = served.last();
    let coded = |boundary: usize| -> Vec<Coded> {
        let codecs = served.codecs.measured().into_iter().flat_map(|codecs| codecs.at(boundary));
        codecs
            .filter(|codec| codec.is_on_front && codec.id != Coding::RAW.number())
            .map(Coded::from)
            .collect()
    };
    let boundaries = served.model.boundaries();
    let shapes = Shapes {
        raw: boundaries.iter().map(|boundary| boundary.bytes.map(|bytes| bytes as f64)).collect(),
        coded: (0..last).map(coded).collect(),
        // As the node does: answers may lose half of what may be lost.
        result: served
            .codecs
            .measured()
            .and_then(|codecs| codecs.smallest(last, (1.0 + agreement) / 2.0))
            .map(Coded::from),
    };
    let machine =
        |profile| Machine { profile, traffic: Traffic::Sparse, memory: None, money_per_second: 0.0 };
    let way = Way { up: 1e6, down: 1e6, rtt: 0.0, money_per_byte: 0.0 };
    let mut problem = assemble(&[machine(edge), machine(cloud)], &[way], &shapes)?;
    // Pictures go as they came or as pixels; what they decode to is never sent as it is.
    if let Some(inputs) = problem.shipments.first_mut() {
        inputs.retain(|shipment| shipment.codec != "raw");
    }
    Ok(problem)
}
