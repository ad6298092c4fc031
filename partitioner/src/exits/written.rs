//! What is packed: heads as models, tried on the engines that will run them.

use super::candidates::Candidates;
use super::collect::Collected;
use super::heads::Exit;
use super::judge::Judged;
use super::sets::Sets;
use crate::print::progress;
use anyhow::Context;
use kerf_bundle::{Bundle, ExitHead, ExitInputs, Exits, FittedExit, FittedExits};
use kerf_engine::{Engine, Runner, SegmentStore, Values};
use kerf_exits::{Certified, Judged as Said, Outcome, Outcomes, Promise, Reference, Thresholds, certify};
use kerf_inputs::Generator;
use kerf_serving::Served;
use std::sync::Arc;
use std::time::Instant;

/// Runs that are timed.
const RUNS: usize = 50;

/// The exits that are open, with their heads, and the promise tested once more: on the heads as engines
/// run them.
pub(crate) fn exits(
    bundle: &Bundle,
    engines: &[Arc<dyn Engine>],
    sets: &Sets,
    (candidates, collected, judged): (&Candidates, &Collected, &Judged),
    certified: &Certified,
) -> anyhow::Result<Exits> {
    let open = judged.open();
    let (mut fitted, mut heads) = (Vec::new(), Vec::new());
    for at in &open {
        let exit = &judged.exits[*at];
        let boundary = exit.boundary as u16;
        let head = exit.packed(candidates)?;
        let seconds = time(bundle, engines, exit, &head).with_context(|| format!("b{boundary}"))?;
        fitted.push(FittedExit {
            boundary,
            kind: exit.kind(),
            macs: exit.macs(),
            seconds,
            gate: exit.gate,
            calibration: judged.calibration(*at).with_context(|| format!("b{boundary}: no confidence"))?,
            reference: None,
        });
        heads.push(head);
    }
    let fitted = FittedExits {
        output: candidates.output.name.clone(),
        inputs: ExitInputs {
            fit: sets.fit.rows.len() as u32,
            tune: collected.tune.rows() as u32,
            calibrate: collected.calibrate.rows() as u32,
        },
        exits: fitted,
        certified: certified.only(&open).context("certificate")?,
    };
    let promise = *certified.promise();
    let exits = Exits::new(fitted, heads, &bundle.model)?;
    let outcomes = outcomes(bundle, engines, sets, &exits, &promise)?;
    // Up to where only these exits are open: fewer steps of the path are no other test.
    let is_open = |thresholds: &Thresholds| {
        (0..thresholds.len()).all(|at| open.contains(&at) || !thresholds.is_open(at))
    };
    let path = judged.placement.path.iter().take_while(|thresholds| is_open(thresholds));
    let path: Vec<Thresholds> = path
        .map(|thresholds| Thresholds::new(open.iter().map(|at| thresholds.of(*at)).collect()))
        .collect::<Result<_, _>>()?;
    let certified = certify(&path, &outcomes, &promise).context("with the heads as engines run them")?;
    let loosest = certified.loosest().thresholds.clone();
    let mut fitted = exits.fitted;
    for (at, exit) in fitted.exits.iter_mut().enumerate() {
        exit.reference = Reference::of(&outcomes, &loosest, at, 0).ok();
    }
    Ok(Exits::new(FittedExits { certified, ..fitted }, exits.heads, &bundle.model)?)
}

/// What the heads make of the calibration set on the engines that will run them.
fn outcomes(
    bundle: &Bundle,
    engines: &[Arc<dyn Engine>],
    sets: &Sets,
    exits: &Exits,
    promise: &Promise,
) -> anyhow::Result<Outcomes> {
    let store = Arc::new(SegmentStore::new(1 << 30));
    let served = Served::new(bundle.clone().with_exits(Some(exits.clone())), engines, &store);
    let heads = served.heads.as_ref().context("no heads")?;
    let generator = Generator::new(bundle.model.model(), &[])?;
    let reader = sets.reader(&sets.calibrate, &generator)?;
    let labels = sets.labels(&sets.calibrate);
    let mut outcomes = Outcomes::new(exits.fitted.exits.len())?;
    let bar = progress(sets.calibrate.rows.len() as u64, "promise");
    for (at, row) in sets.calibrate.rows.iter().enumerate() {
        let mut values: Values = reader.read(*row)?.inputs.into_iter().collect();
        let (mut from, mut said) = (0, Vec::new());
        for (exit, fitted) in exits.fitted.exits.iter().enumerate() {
            served.runner.run(from, fitted.boundary.into(), &mut values)?;
            from = fitted.boundary.into();
            said.push(heads.ask(exit, &values)?.judged.first().copied().flatten());
        }
        served.runner.run(from, served.last(), &mut values)?;
        let whole = values.get(&exits.fitted.output).and_then(|scores| heads.classes(scores));
        let whole =
            *whole.as_ref().and_then(|classes| classes.first()).context("the model gave no scores")?;
        // Without labels the whole model is right.
        let right = labels.as_ref().map_or(whole, |labels| labels[at]);
        let outcome = |judged: &Option<Said>| Outcome {
            confidence: judged.map(|judged| judged.confidence),
            wrong: judged.is_none_or(|judged| promise.loss().is_wrong(judged.class, whole, right)),
        };
        outcomes.push(&said.iter().map(outcome).collect::<Vec<_>>())?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(outcomes)
}

/// Seconds of each head on a device that takes `there` seconds for the whole model: as much of that as here.
pub(crate) fn seconds(
    bundle: &Bundle,
    engines: &[Arc<dyn Engine>],
    candidates: &Candidates,
    exits: &[Exit],
    there: f64,
) -> anyhow::Result<Vec<f64>> {
    let runner =
        Runner::new(Arc::clone(&bundle.model), engines.to_vec(), Arc::new(SegmentStore::new(1 << 30)));
    let inputs: Values = Generator::new(bundle.model.model(), &[])?.sample(0, 1)?.into_iter().collect();
    let here = median(&runner, &inputs)?;
    let of = |exit: &Exit| Ok(time(bundle, engines, exit, &exit.packed(candidates)?)? * there / here);
    exits.iter().map(of).collect()
}

/// Seconds of a head on the engine that would run it; it must run there.
fn time(bundle: &Bundle, engines: &[Arc<dyn Engine>], exit: &Exit, head: &ExitHead) -> anyhow::Result<f64> {
    let store = Arc::new(SegmentStore::new(1 << 30));
    let whole = Runner::new(Arc::clone(&bundle.model), engines.to_vec(), Arc::clone(&store));
    let generator = Generator::new(bundle.model.model(), &[])?;
    let mut values: Values = generator.sample(0, 1)?.into_iter().collect();
    whole.run(0, exit.boundary, &mut values)?;
    median(&Runner::new(Arc::clone(&head.model), engines.to_vec(), store), &values)
}

/// Median seconds of a model, from its inputs to its outputs.
fn median(runner: &Runner, values: &Values) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let mut known = values.clone();
        let start = Instant::now();
        runner.run(0, runner.model().last(), &mut known)?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
