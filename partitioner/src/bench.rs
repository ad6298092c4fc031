//! What does cutting a model cost, with no wire between?
//!
//! Whole and split runs alternate, so that a machine that gets warm or busy slows both; figures
//! are ratios of medians.

use crate::cli::BenchArgs;
use crate::engines;
use crate::inputs::generator;
use crate::piece::{Piece, run_all};
use crate::print::{Align, Outcome, Paint, Table, bytes, chain, duration, elide, emit, emit_json, progress};
use crate::source;
use anyhow::Context;
use kerf_engine::Engine;
use kerf_graph::{Boundary, CutModel};
use kerf_tensor::NamedTensor;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Runs before the first one that counts.
const WARM_UP: usize = 3;

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Outcome> {
    let bundle = source::packed(&args.model)?;
    let model = &bundle.model;
    let engines = engines::present(args.threads as usize, args.library.as_deref())?.select(args.engine)?;
    let inputs = generator(model.model(), &args.bind)?.sample(0, 1)?;
    let bar = progress((engines.len() * model.last().saturating_sub(1)) as u64, &bundle.card.name);
    let mut results = Vec::new();
    for engine in &engines {
        bar.set_message(engine.name());
        let measured = measure(engine.as_ref(), model, &inputs, args.runs as usize, &bar);
        results.push(EngineTimes { version: engine.version(), name: engine.name(), measured });
    }
    bar.finish_and_clear();
    let failed = results.iter().any(|result| result.measured.is_err());
    if args.json {
        let engines: Vec<Value> = results.iter().map(|result| result.json(model)).collect();
        let (threads, runs) = (args.threads, args.runs);
        emit_json(&json!({"model": bundle.card.name, "threads": threads, "runs": runs, "engines": engines}))?;
    } else {
        let (name, runs, threads) = (&bundle.card.name, args.runs, args.threads);
        let mut out =
            format!("{name}: head + tail against the whole, {runs} interleaved runs, {threads} thread(s)\n");
        results.iter().for_each(|result| result.render(model, &mut out, Paint::detect()));
        emit(&out)?;
    }
    Ok(if failed { Outcome::Failed } else { Outcome::Passed })
}

struct EngineTimes {
    name: &'static str,
    version: String,
    measured: anyhow::Result<Vec<Times>>,
}

/// Medians at one boundary.
struct Times {
    boundary: usize,
    whole: Duration,
    split: Duration,
}

fn measure(
    engine: &dyn Engine,
    model: &CutModel,
    inputs: &[NamedTensor],
    runs: usize,
    bar: &indicatif::ProgressBar,
) -> anyhow::Result<Vec<Times>> {
    let last = model.last();
    let whole = Piece::compile(engine, model, 0, last)?;
    (1..last)
        .map(|boundary| {
            let head = Piece::compile(engine, model, 0, boundary)?;
            let tail = Piece::compile(engine, model, boundary, last)?;
            let mut times = (Vec::with_capacity(runs), Vec::with_capacity(runs));
            for round in 0..WARM_UP + runs {
                let a = time(model, &[&whole], inputs)?;
                let b = time(model, &[&head, &tail], inputs).with_context(|| format!("b{boundary}"))?;
                if round >= WARM_UP {
                    times.0.push(a);
                    times.1.push(b);
                }
            }
            bar.inc(1);
            Ok(Times { boundary, whole: median(times.0), split: median(times.1) })
        })
        .collect()
}

fn time(model: &CutModel, pieces: &[&Piece], inputs: &[NamedTensor]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    run_all(model, pieces, inputs)?;
    Ok(start.elapsed())
}

fn median<T: PartialOrd + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Times {
    fn ratio(&self) -> f64 {
        self.split.as_secs_f64() / self.whole.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl EngineTimes {
    fn render(&self, model: &CutModel, out: &mut String, paint: Paint) {
        let _ = writeln!(out, "\n{}", self.version);
        let times = match &self.measured {
            Ok(times) if times.is_empty() => {
                return out.push_str("  no boundary between the inputs and the outputs\n");
            }
            Ok(times) => times,
            Err(error) => {
                let _ = writeln!(out, "  {}: {}", paint.bad("not timed"), chain(error));
                return;
            }
        };
        let mut table = Table::new(&[
            ("boundary", Align::Left),
            ("after node", Align::Left),
            ("bytes", Align::Right),
            ("whole", Align::Right),
            ("head + tail", Align::Right),
            ("ratio", Align::Right),
        ]);
        for time in times {
            let place = &model.boundaries()[time.boundary];
            table.row([
                format!("b{}", time.boundary),
                elide(place.after.as_deref().unwrap_or_default(), 40),
                place.bytes.map_or_else(|| "?".into(), bytes),
                duration(time.whole),
                duration(time.split),
                format!("{:.3}", time.ratio()),
            ]);
        }
        out.push_str(&table.render(paint));
        let middle = median(times.iter().map(Times::ratio).collect());
        let _ = writeln!(out, "  median ratio over boundaries {}", paint.bold(&format!("{middle:.3}")));
    }

    fn json(&self, model: &CutModel) -> Value {
        let after =
            |index: usize| model.boundaries().get(index).and_then(|place: &Boundary| place.after.clone());
        match &self.measured {
            Ok(times) => json!({
                "engine": self.name,
                "version": self.version,
                "median_ratio": median(times.iter().map(Times::ratio).collect()),
                "boundaries": times.iter().map(|time| json!({
                    "boundary": time.boundary,
                    "after": after(time.boundary),
                    "whole_ms": time.whole.as_secs_f64() * 1e3,
                    "split_ms": time.split.as_secs_f64() * 1e3,
                    "ratio": time.ratio(),
                })).collect::<Vec<_>>(),
            }),
            Err(error) => {
                json!({"engine": self.name, "version": self.version, "error": chain(error)})
            }
        }
    }
}
