//! Where could exits be, and what would they cost?

use super::declared;
use crate::cli::ExitsFitArgs;
use anyhow::{Context, bail};
use kerf_bundle::{Bundle, ExitHead};
use kerf_exits::Kind;
use kerf_exits_fit::{Features, Front, Shape};
use kerf_graph::CutModel;
use kerf_tensor::{Dim, TensorSpec};

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
    /// Multiplications of the whole model.
    pub(crate) whole: u64,
    pub(crate) notes: Vec<String>,
}

pub(crate) struct Place {
    pub(crate) boundary: usize,
    /// Multiplications up to there.
    pub(crate) to: u64,
    pub(crate) source: Source,
}

pub(crate) enum Source {
    /// Heads of these shapes, the plainest first.
    Heads { front: Front, shapes: Vec<Shape> },
    /// What the model was made with.
    Declared(Declared),
}

/// An output that the model was made with as an exit.
#[derive(Clone)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// What computes it, from the tensors of the boundary to the name of the model's answer.
    pub(crate) head: ExitHead,
    pub(crate) macs: u64,
}

impl Candidates {
    pub(crate) fn choose(bundle: &Bundle, args: &ExitsFitArgs, rows: usize) -> anyhow::Result<Self> {
        let model = &bundle.model;
        let (output, classes) = classifier(model, args)?;
        let costs: Vec<u64> = model.boundaries().iter().map(|boundary| boundary.macs_before).collect();
        let last = model.last();
        let whole = costs[last];
        if let Some(wrong) = args.boundaries.iter().find(|at| !(1..last).contains(&usize::from(**at))) {
            bail!("--boundaries: b{wrong} can hold no exit; the model has b1 to b{} for them", last - 1);
        }
        let share = |boundary: usize| costs[boundary] as f64 / whole.max(1) as f64;
        let is_wanted = |boundary: &usize| match args.boundaries.as_slice() {
            [] => args.fits() && (USEFUL.0..=USEFUL.1).contains(&share(*boundary)),
            chosen => chosen.contains(&(*boundary as u16)),
        };
        let declared = declared::read(bundle, args, &output)?;
        // What is kept of all inputs at all places has to fit into memory.
        let features = MEMORY / MOST.max(args.boundaries.len()) / VALUE / rows.max(1);
        let (mut places, mut notes) = (Vec::new(), declared::notes(bundle, args, &output));
        for boundary in (1..last).filter(is_wanted) {
            if declared.iter().any(|(at, _)| *at == boundary) {
                notes.push(format!("b{boundary} has a declared exit, none is fitted there"));
                continue;
            }
            match Front::within(&model.boundaries()[boundary].tensors, features.min(Front::MAX_FEATURES)) {
                Ok(front) => {
                    let shapes = Shape::candidates(&front, classes, (whole as f64 * HEAD) as u64);
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
        places.extend(declared.into_iter().map(|(boundary, declared)| Place {
            boundary,
            to: costs[boundary],
            source: Source::Declared(declared),
        }));
        places.sort_by_key(|place| place.boundary);
        if places.is_empty() {
            bail!("no boundary of {} takes an exit; `partitioner inspect` shows them", bundle.card.name);
        }
        Ok(Self { output, classes, kind: Kind::Logits, places, whole, notes })
    }

    /// How many places a head is fitted at.
    pub(crate) fn fitted(&self) -> usize {
        self.places.iter().filter(|place| matches!(place.source, Source::Heads { .. })).count()
    }

    /// Features of every place that has heads, still empty.
    pub(crate) fn features(&self) -> Vec<Option<Features>> {
        let features = |place: &Place| match &place.source {
            Source::Heads { front, .. } => Some(Features::new(front.clone())),
            Source::Declared(_) => None,
        };
        self.places.iter().map(features).collect()
    }
}

/// The output of a classifier: `[N, classes]`, perhaps with ones behind. Of several the last that is
/// computed, as in models with exits of their own; those that are declared to be such are not it.
pub(crate) fn classifier(model: &CutModel, args: &ExitsFitArgs) -> anyhow::Result<(TensorSpec, usize)> {
    let outputs = model.model().outputs();
    let found = match &args.output {
        Some(name) => {
            let found = outputs.iter().find(|spec| spec.name == *name);
            vec![
                found
                    .with_context(|| format!("--output: no output {name:?}; there are {}", list(outputs)))?,
            ]
        }
        None => {
            let finals = || model.segment(model.last() - 1, model.last());
            let computed = finals().map(|segment| segment.outputs).unwrap_or_default();
            let is_computed = |spec: &&TensorSpec| computed.iter().any(|out| out.name == spec.name);
            let found = outputs.iter().filter(|spec| !args.declared.contains(&spec.name));
            found.filter(is_computed).collect()
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

pub(crate) fn classes(spec: &TensorSpec) -> Option<usize> {
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

/// At most so many of them, spread evenly over the work.
fn thinned(mut places: Vec<Place>, most: usize) -> Vec<Place> {
    while places.len() > most {
        let gap = |at: usize| {
            let before = if at == 0 { 0 } else { places[at - 1].to };
            places[at].to - before
        };
        // The one that comes soonest after the one before it.
        let Some(least) = (0..places.len()).min_by_key(|at| gap(*at)) else { break };
        places.remove(least);
    }
    places
}

pub(crate) fn list(outputs: &[TensorSpec]) -> String {
    outputs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
