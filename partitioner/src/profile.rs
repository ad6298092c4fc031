//! How long does each part of a model take on this device?
//!
//! The measuring is `kerf_profiler`'s; here are its inputs, its file and what people see of it.
//! The file is written while measuring, so that Ctrl-C leaves one that is valid and can be gone on
//! with.

mod report;

use crate::cli::{Preferred, ProfileArgs};
use crate::inputs::generator;
use crate::print::{Outcome, Paint, duration, emit, emit_json, progress, warn};
use crate::source;
use anyhow::{Context, bail};
use kerf_bundle::{BatchingKind, Bundle, hex};
use kerf_engines::{EngineChoice, EngineKind, Opened};
use kerf_power::Roots;
use kerf_profile::{Predictor, Profile};
use kerf_profiler::{Options, Progress, Subject};
use kerf_serving::{Energy, ProfileFile, boundary_sizes, measure, threads};
use report::Report;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

/// Seconds that the engine's profiler may run, and its least and most runs.
const LAYERS: (f64, usize, usize) = (3.0, 3, 50);
/// Median error of predictions beyond which `--check` fails.
const ACCURATE: f64 = 0.10;
/// Ranges that a check looks at take at least so many seconds.
const CHECKED_FROM: f64 = 1e-3;

pub(crate) fn run(args: &ProfileArgs) -> anyhow::Result<Outcome> {
    let bundle = source::packed(&args.model)?;
    let opened = open(args)?;
    let generator = generator(bundle.model.model(), &args.bind)?;
    let inputs = |batch: usize| generator.sample(0, batch).map_err(|error| error.to_string());
    let digest = hex(&bundle.digest);
    let subject = Subject {
        name: &bundle.card.name,
        digest: &digest,
        model: &bundle.model,
        engines: &opened.engines,
        threads: threads(args.threads as usize, &opened),
        inputs: &inputs,
    };
    let mut file = ProfileFile::new(&args.output);
    let earlier = if args.fresh { None } else { earlier(&file, &subject)? };
    let options =
        Options { budget: args.budget, batches: batches(args.batch, &bundle), ..Options::default() };

    let mut energy = Energy::find(args.power, &Roots::default());
    eprintln!("{}", energy.describe());
    let bar = progress(0, subject.name);
    let measured =
        measure(&subject, &options, earlier, &mut file, &mut energy, &mut |step: &Progress| show(&bar, step));
    bar.finish_and_clear();
    let mut profile = measured?;
    if profile.sizes.is_none() || args.inputs.is_some() {
        profile.sizes = Some(boundary_sizes(&subject, &generator, &bundle.card, args.inputs.as_deref())?);
    }
    if args.per_layer {
        profile.layers = layers(&subject, &profile)?;
    }
    file.write(&profile)?;
    let predictor = Predictor::fit(&profile, 1)?;
    let checked =
        args.check.map(|most| check(&subject, &options, &profile, &predictor, most as usize)).transpose()?;

    let report =
        Report { profile: &profile, predictor: &predictor, checked: checked.as_deref(), file: &args.output };
    let failed = report.check_error().is_some_and(|(median, _)| median > ACCURATE);
    if args.json {
        emit_json(&report.json())?
    } else {
        emit(&report.render(Paint::detect()))?
    }
    Ok(if failed { Outcome::Failed } else { Outcome::Passed })
}

fn open(args: &ProfileArgs) -> anyhow::Result<Opened> {
    let kind = match args.engine {
        Preferred::Auto => EngineKind::Auto,
        Preferred::Tract => EngineKind::Tract,
        Preferred::Ort => EngineKind::Ort,
    };
    let choice = EngineChoice { kind, threads: args.threads as usize, library: args.library.clone() };
    let opened = kerf_engines::open(&choice)?;
    if args.engine == Preferred::Auto {
        eprintln!("{}", opened.why);
    }
    Ok(opened)
}

/// The profile that is there already, if it can be gone on with.
fn earlier(file: &ProfileFile, subject: &Subject<'_>) -> anyhow::Result<Option<Profile>> {
    let Some(earlier) = file.read().context("what is there already (--fresh replaces it)")? else {
        return Ok(None);
    };
    let shown = file.path().display();
    kerf_profiler::can_continue(&earlier, subject)
        .with_context(|| format!("{shown} cannot be continued (--fresh measures anew)"))?;
    Ok(Some(earlier))
}

/// Powers of two up to `most`, where requests may share a batch at all.
fn batches(most: u32, bundle: &Bundle) -> Vec<usize> {
    let independent =
        bundle.card.batching.as_ref().is_some_and(|found| found.kind == BatchingKind::Independent);
    if most > 1 && !independent {
        warn(
            "--batch: the model's requests may not share a batch, as its card says; only single ones are timed",
        );
        return Vec::new();
    }
    (1..=10).map(|power| 1 << power).take_while(|batch| *batch <= most as usize).collect()
}

fn layers(subject: &Subject<'_>, profile: &Profile) -> anyhow::Result<Option<kerf_profile::Layers>> {
    let (seconds, least, most) = LAYERS;
    let whole = profile.range(0, profile.last(), 1).map_or(seconds, |range| range.p50);
    let runs = ((seconds / whole.max(1e-9)) as usize).clamp(least, most);
    let Some(runs) = NonZeroUsize::new(runs) else { bail!("no runs") };
    let layers = kerf_profiler::layers(subject, runs).context("--per-layer")?;
    if layers.is_none() {
        warn("--per-layer: this engine has no profiler");
    }
    Ok(layers)
}

/// A range that was predicted, then measured: both medians in seconds.
pub(super) struct Checked {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) predicted: f64,
    pub(super) measured: f64,
}

/// Times some of the ranges that were only predicted, spread evenly over them.
fn check(
    subject: &Subject<'_>,
    options: &Options,
    profile: &Profile,
    predictor: &Predictor,
    most: usize,
) -> anyhow::Result<Vec<Checked>> {
    let last = profile.last();
    let pairs = (0..last).flat_map(|from| (from + 1..=last).map(move |to| (from, to)));
    let open: Vec<(usize, usize)> = pairs
        .filter(|(from, to)| {
            predictor.time(*from, *to).is_some_and(|time| !time.timed && time.p50 >= CHECKED_FROM)
        })
        .collect();
    let step = open.len() as f64 / most.min(open.len()).max(1) as f64;
    let chosen: Vec<(usize, usize)> =
        (0..most.min(open.len())).map(|index| open[(index as f64 * step) as usize]).collect();
    let bar = progress(0, "check");
    let mut report = |step: &Progress, _: &dyn Fn() -> Profile| {
        show(&bar, step);
        ControlFlow::Continue(())
    };
    let measured = kerf_profiler::check(subject, options, profile, &chosen, &mut report);
    bar.finish_and_clear();
    let compared = measured?.into_iter().filter_map(|range| {
        let predicted = predictor.time(range.from, range.to)?.p50;
        Some(Checked { from: range.from, to: range.to, predicted, measured: range.p50 })
    });
    Ok(compared.collect())
}

fn show(bar: &indicatif::ProgressBar, step: &Progress) {
    bar.set_length(step.of as u64);
    bar.set_position(step.done as u64);
    let left = Duration::from_secs(step.left.as_secs());
    bar.set_message(format!("{}, {} left", step.range, duration(left)));
}
