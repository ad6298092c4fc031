//! Where could exits be, and what would they cost?

use crate::cli::ExitsFitArgs;
use anyhow::{Context, bail};
use kerf_bundle::{Bundle, hex};
use kerf_exits::Kind;
use kerf_exits_fit::{Features, Front, Shape};
use kerf_graph::CutModel;
use kerf_profile::{Predictor, Profile};
use kerf_serving::ProfileFile;
use kerf_tensor::{Dim, TensorSpec};
use std::path::Path;

/// Heads that are fitted where nobody says which.
const MOST: usize = 8;
/// Exits before this part of the model's work know too little, those behind the other save too little.
const USEFUL: (f64, f64) = (0.03, 0.9);
/// A head costs at most this part of the model: larger ones hardly save more.
const HEAD: f64 = 0.015;

/// Bytes of all features, and of one.
const MEMORY: usize = 1 << 30;
const VALUE: usize = 2;

/// Places for exits, in order, and the output in whose place they answer.
pub(crate) struct Candidates {
    pub(crate) output: TensorSpec,
    pub(crate) classes: usize,
    /// What the output's scores are; known once some were seen.
    pub(crate) kind: Kind,
    pub(crate) places: Vec<Place>,
    /// Of the whole model.
    pub(crate) whole: Cost,
    pub(crate) notes: Vec<String>,
}

/// What running up to somewhere takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) macs: u64,
    /// Seconds on the profiled device, where there is a profile.
    pub(crate) seconds: Option<f64>,
}

pub(crate) struct Place {
    pub(crate) boundary: usize,
    pub(crate) to: Cost,
    pub(crate) source: Source,
}

pub(crate) enum Source {
    /// Heads of these shapes, the plainest first.
    Heads { front: Front, shapes: Vec<Shape> },
    /// An output of the model itself.
    Output(String),
}

impl Candidates {
    pub(crate) fn choose(
        bundle: &Bundle,
        args: &ExitsFitArgs,
        rows: usize,
        profile: Option<&Predictor>,
    ) -> anyhow::Result<Self> {
        let model = &bundle.model;
        let (output, classes) = classifier(model, args.output.as_deref())?;
        let costs = costs(model, profile);
        let last = model.last();
        let whole = costs[last];
        if let Some(wrong) = args.boundaries.iter().find(|at| !(1..last).contains(&usize::from(**at))) {
            bail!("--boundaries: b{wrong} can hold no exit; the model has b1 to b{} for them", last - 1);
        }
        let share = |boundary: usize| costs[boundary].macs as f64 / whole.macs.max(1) as f64;
        let is_wanted = |boundary: &usize| match args.boundaries.as_slice() {
            [] => (USEFUL.0..=USEFUL.1).contains(&share(*boundary)),
            chosen => chosen.contains(&(*boundary as u16)),
        };
        let declared = declared(model, &output);
        // What is kept of all inputs at all places has to fit into memory.
        let features = MEMORY / MOST.max(args.boundaries.len()) / VALUE / rows.max(1);
        let (mut places, mut notes) = (Vec::new(), Vec::new());
        for boundary in (1..last).filter(is_wanted) {
            if declared.iter().any(|(at, _)| *at == boundary) {
                continue;
            }
            match Front::within(&model.boundaries()[boundary].tensors, features.min(Front::MAX_FEATURES)) {
                Ok(front) => {
                    let shapes = Shape::candidates(&front, classes, (whole.macs as f64 * HEAD) as u64);
                    if shapes.is_empty() {
                        notes.push(format!(
                            "b{boundary}: the plainest head costs more than 1.5% of the model"
                        ));
                        continue;
                    }
                    places.push(Place {
                        boundary,
                        to: costs[boundary],
                        source: Source::Heads { front, shapes },
                    });
                }
                Err(error) => notes.push(format!("b{boundary} takes no head: {error}")),
            }
        }
        if args.boundaries.is_empty() {
            places = thinned(places, MOST);
        }
        for (boundary, name) in
            declared.into_iter().filter(|(at, _)| args.boundaries.is_empty() || is_wanted(at))
        {
            places.push(Place { boundary, to: costs[boundary], source: Source::Output(name) });
        }
        places.sort_by_key(|place| place.boundary);
        if places.is_empty() {
            bail!("no boundary of {} takes an exit; `partitioner inspect` shows them", bundle.card.name);
        }
        Ok(Self { output, classes, kind: Kind::Logits, places, whole, notes })
    }

    /// Features of every place that has heads, still empty.
    pub(crate) fn features(&self) -> Vec<Option<Features>> {
        let features = |place: &Place| match &place.source {
            Source::Heads { front, .. } => Some(Features::new(front.clone())),
            Source::Output(_) => None,
        };
        self.places.iter().map(features).collect()
    }
}

/// A profile of this model, as times.
pub(crate) fn profile(path: &Path, bundle: &Bundle) -> anyhow::Result<Predictor> {
    let shown = || path.display().to_string();
    let profile: Profile =
        ProfileFile::new(path).read()?.with_context(|| format!("{}: no such file", shown()))?;
    profile
        .fits(&bundle.card.name, &hex(&bundle.digest), bundle.model.boundaries().len())
        .with_context(shown)?;
    Predictor::fit(&profile, 1).with_context(shown)
}

/// The output of a classifier: `[N, classes]`, perhaps with ones behind. Of several the last that is
/// computed, as in models with exits of their own.
pub(crate) fn classifier(model: &CutModel, wanted: Option<&str>) -> anyhow::Result<(TensorSpec, usize)> {
    let outputs = model.model().outputs();
    let found = match wanted {
        Some(name) => {
            let found = outputs.iter().find(|spec| spec.name == name);
            vec![
                found
                    .with_context(|| format!("--output: no output {name:?}; there are {}", list(outputs)))?,
            ]
        }
        None => {
            let finals = || model.segment(model.last() - 1, model.last());
            let computed = finals().map(|segment| segment.outputs).unwrap_or_default();
            outputs.iter().filter(|spec| computed.iter().any(|out| out.name == spec.name)).collect()
        }
    };
    let scores: Vec<(&TensorSpec, usize)> =
        found.into_iter().filter_map(|spec| Some((spec, classes(spec)?))).collect();
    match scores.as_slice() {
        [(spec, classes)] => Ok(((*spec).clone(), *classes)),
        [] => bail!(
            "not a classifier: exits need an output of scores [N, classes], and the model has {}",
            list(outputs)
        ),
        many => {
            let names: Vec<_> = many.iter().map(|(spec, _)| spec.name.as_str()).collect();
            bail!("several outputs could be a classifier's: choose one of {} with --output", names.join(", "))
        }
    }
}

fn classes(spec: &TensorSpec) -> Option<usize> {
    let (_, behind) = spec.shape.as_deref()?.split_first()?;
    match behind {
        [Dim::Fixed(classes), ones @ ..]
            if *classes >= 2 && spec.dtype.is_float() && ones.iter().all(|one| *one == Dim::Fixed(1)) =>
        {
            Some(*classes)
        }
        _ => None,
    }
}

/// Earlier outputs of the same kind: exits that the model was made with, where they are first there.
fn declared(model: &CutModel, output: &TensorSpec) -> Vec<(usize, String)> {
    let alike = |spec: &&TensorSpec| {
        spec.name != output.name && spec.dtype == output.dtype && classes(spec) == classes(output)
    };
    let outputs = model.model().outputs().iter().filter(alike);
    let first = |name: &str| {
        (1..model.last()).find(|boundary| {
            let segment = model.segment(boundary - 1, *boundary);
            segment.is_ok_and(|segment| segment.outputs.iter().any(|spec| spec.name == name))
        })
    };
    outputs.filter_map(|spec| Some((first(&spec.name)?, spec.name.clone()))).collect()
}

/// What it takes to come to each boundary.
fn costs(model: &CutModel, profile: Option<&Predictor>) -> Vec<Cost> {
    let of = |(at, boundary): (usize, &kerf_graph::Boundary)| Cost {
        macs: boundary.macs_before,
        seconds: profile.and_then(|times| match at {
            0 => Some(0.0),
            at => times.time(0, at).map(|time| time.p50),
        }),
    };
    model.boundaries().iter().enumerate().map(of).collect()
}

/// At most so many of them, spread evenly over the work.
fn thinned(mut places: Vec<Place>, most: usize) -> Vec<Place> {
    while places.len() > most {
        let gap = |at: usize| {
            let before = if at == 0 { 0 } else { places[at - 1].to.macs };
            places[at].to.macs - before
        };
        // The one that comes soonest after the one before it.
        let Some(least) = (0..places.len()).min_by_key(|at| gap(*at)) else { break };
        places.remove(least);
    }
    places
}

fn list(outputs: &[TensorSpec]) -> String {
    outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
