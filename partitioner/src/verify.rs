//! Does cutting the model change its answers?

mod judge;
mod report;

use crate::cli::VerifyArgs;
use crate::engines::{self, Present};
use crate::inputs::generator;
use crate::piece::{Piece, run_all};
use crate::print::{Outcome, Paint, emit, emit_json, progress};
use crate::source;
use anyhow::{Context, bail};
use judge::Verdict;
use kerf_bundle::{Bundle, Metric};
use kerf_engine::{CompileError, Engine};
use kerf_graph::CutModel;
use kerf_inputs::Pixels;
use kerf_serving::pictures;
use kerf_tensor::NamedTensor;
use report::{EngineReport, Report, Row};
use std::time::{Duration, Instant};

/// Enough answers of a quantised model that one wrong one in a hundred shows: half of the
/// batches hold two.
const QUANTISED_SAMPLES: usize = 72;
/// An engine that is slow on such a model compares fewer of them, so that it ends in some minutes.
const BUDGET: Duration = Duration::from_secs(120);
const FEWEST: usize = 12;
const SAMPLES: usize = 4;
const PICTURES: usize = 32;

pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<Outcome> {
    let bundle = source::packed(&args.model)?;
    let present = engines::present(0, args.library.as_deref())?;
    let chosen = present.select(args.engine)?;
    let tolerance = args.tolerance.unwrap_or(bundle.card.tolerance);
    let reference = Reference::new(&present, &bundle.model)?;
    let (samples, kind) = samples(args, &bundle, &reference)?;
    let whole = reference.answers(&samples)?;

    let mut report =
        Report::new(&bundle, reference.name, samples.len(), tolerance, present.absent.as_deref());
    report.inputs = kind;
    let last = bundle.model.last();
    let bar = progress((chosen.len() * (last + 1)) as u64, &bundle.card.name);
    for engine in &chosen {
        let mut check =
            Check { engine: engine.as_ref(), model: &bundle.model, samples: &samples, whole: &whole };
        if args.samples.is_none() && bundle.card.metric == Metric::Top1 {
            check.limit(BUDGET);
        }
        let mut rows = Vec::new();
        for boundary in 0..last {
            bar.set_message(format!("{} b{boundary}", engine.name()));
            rows.push(check.split(boundary));
            bar.inc(1);
        }
        // At the last boundary the head is the whole model, as the tail is at the first.
        if let Some(whole) = rows.first() {
            rows.push(whole.at(format!("b{last}"), &bundle.model.boundaries()[last]));
        }
        bar.set_message(format!("{} chain", engine.name()));
        rows.push(check.chain());
        bar.inc(1);
        report.engines.push(EngineReport {
            name: engine.name(),
            version: engine.version(),
            samples: check.samples.len(),
            rows: rows.into_iter().map(|row| row.judge(bundle.card.metric, tolerance)).collect(),
        });
    }
    bar.finish_and_clear();

    if args.json {
        emit_json(&report.json())?;
    } else {
        emit(&report.render(Paint::detect()))?;
    }
    Ok(if report.passed() { Outcome::Passed } else { Outcome::Failed })
}

/// The inputs, and what they are in words.
fn samples(
    args: &VerifyArgs,
    bundle: &Bundle,
    reference: &Reference<'_>,
) -> anyhow::Result<(Vec<Vec<NamedTensor>>, &'static str)> {
    let mut generator = generator(bundle.model.model(), &args.bind)?;
    let wanted = args.samples.map(|samples| samples as usize);
    if let Some(dir) = &args.inputs {
        let pictures = pictures(&generator, &bundle.card, dir, wanted.unwrap_or(PICTURES))?;
        return Ok((pictures.into_iter().map(|picture| picture.inputs).collect(), "pictures"));
    }
    let count = wanted.unwrap_or(match bundle.card.metric {
        Metric::Top1 => QUANTISED_SAMPLES,
        Metric::Numeric => SAMPLES,
    });
    if bundle.card.metric == Metric::Numeric {
        generator.settle_pixels(|request, nudged| reference.distance(request, nudged))?;
    }
    let kind = match generator.pixels() {
        Pixels::Normalised => "random inputs",
        Pixels::Levels => "random inputs with pixels of 0 to 255",
    };
    let batch = |index: usize| if generator.batch_symbol().is_some() { 1 + index % 2 } else { 1 };
    let made = (0..count).map(|index| generator.sample(index as u64, batch(index)));
    Ok((made.collect::<Result<_, _>>()?, kind))
}

/// The whole model on the engine that all are measured against.
struct Reference<'a> {
    name: &'static str,
    model: &'a CutModel,
    whole: Piece,
}

impl<'a> Reference<'a> {
    fn new(present: &Present, model: &'a CutModel) -> anyhow::Result<Self> {
        let Some(engine) = present.engines.first() else { bail!("no engine") };
        let whole = Piece::compile(engine.as_ref(), model, 0, model.last())
            .with_context(|| format!("the whole model on {}", engine.name()))?;
        Ok(Self { name: engine.name(), model, whole })
    }

    fn answer(&self, inputs: &[NamedTensor]) -> anyhow::Result<Vec<NamedTensor>> {
        run_all(self.model, &[&self.whole], inputs)
            .with_context(|| format!("the whole model on {}", self.name))
    }

    fn answers(&self, samples: &[Vec<NamedTensor>]) -> anyhow::Result<Vec<Vec<NamedTensor>>> {
        samples.iter().map(|inputs| self.answer(inputs)).collect()
    }

    /// How far the answers to two requests are apart.
    fn distance(&self, request: &[NamedTensor], other: &[NamedTensor]) -> anyhow::Result<f64> {
        let mut verdict = Verdict::default();
        verdict.add(&self.answer(other)?, &self.answer(request)?);
        Ok(verdict.error())
    }
}

struct Check<'a> {
    engine: &'a dyn Engine,
    model: &'a CutModel,
    samples: &'a [Vec<NamedTensor>],
    whole: &'a [Vec<NamedTensor>],
}

impl Check<'_> {
    /// Takes as many samples as fit, by the time that the first one takes.
    fn limit(&mut self, budget: Duration) {
        let last = self.model.last();
        let Ok(whole) = Piece::compile(self.engine, self.model, 0, last) else { return };
        let start = Instant::now();
        let Some(inputs) = self.samples.first() else { return };
        if run_all(self.model, &[&whole], inputs).is_ok() {
            // Batches hold one and two in turn.
            let one = start.elapsed().as_secs_f64() * 1.5 * (last + 1) as f64;
            let fit = (budget.as_secs_f64() / one.max(1e-9)) as usize;
            let most = self.samples.len();
            self.samples = &self.samples[..fit.clamp(FEWEST.min(most), most)];
        }
    }

    fn split(&self, boundary: usize) -> Row {
        let last = self.model.last();
        let pieces = || -> Result<_, CompileError> {
            let head = Piece::compile(self.engine, self.model, 0, boundary)?;
            Ok(vec![head, Piece::compile(self.engine, self.model, boundary, last)?])
        };
        let place = &self.model.boundaries()[boundary];
        Row::new(format!("b{boundary}"), place, self.compare(pieces()))
    }

    /// Every segment between neighbouring boundaries, one after the other.
    fn chain(&self) -> Row {
        let last = self.model.last();
        let pieces: Result<Vec<_>, _> =
            (0..last).map(|from| Piece::compile(self.engine, self.model, from, from + 1)).collect();
        let place = &self.model.boundaries()[last];
        Row::new(format!("b0..b{last}"), place, self.compare(pieces)).chained(last)
    }

    fn compare(&self, pieces: Result<Vec<Piece>, CompileError>) -> Result<Verdict, String> {
        let pieces = pieces.map_err(|error| error.to_string())?;
        let pieces: Vec<&Piece> = pieces.iter().collect();
        let mut verdict = Verdict::default();
        for (inputs, reference) in self.samples.iter().zip(self.whole) {
            let answer = run_all(self.model, &pieces, inputs).map_err(|error| error.to_string())?;
            verdict.add(&answer, reference);
        }
        Ok(verdict)
    }
}
