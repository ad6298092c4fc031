//! A report as a model would make it: heads that know more the deeper they are, and how sure they may be.

use crate::exits::judge::Accuracy;
use crate::exits::report::{CertifiedRow, ExitRow, Report, SetsSaid, Step};
use kerf_agreement::Share;
use kerf_exits::{
    Certified, Costs, Loss, Outcome, Outcomes, Promise, Refusal, Reliability, Thresholds, certify, expect,
    risk_coverage,
};

/// Requests of each set.
const ROWS: usize = 2000;
/// Along the path.
const STEPS: i32 = 30;

/// So many exits, with labels or without, and the promised risk: 0.01 is kept, 0.0001 is refused.
pub(super) fn report(exits: usize, labels: bool, risk: f64) -> Report {
    let loss = if labels { Loss::ErrorIncrease } else { Loss::Disagreement };
    let promise = Promise::new(risk, 0.95, loss).unwrap();
    let depths: Vec<f64> = (0..exits).map(|at| 0.06 + 0.8 * (at as f64 + 0.3) / exits as f64).collect();
    let costs = Costs::new(depths.clone(), vec![0.008; exits], 1.0).unwrap();
    let [calibrate, judged] = [2, 3].map(|seed| Made::new(&depths, seed));
    let path: Vec<Thresholds> = (0..STEPS).map(|step| thresholds(exits, step)).collect();
    let certified = certify(&path, &calibrate.outcomes, &promise);
    let step = |thresholds: &Thresholds| judged.step(thresholds, &costs, labels);
    Report {
        model: "resnet20-cifar10".into(),
        output: "logits".into(),
        classes: 10,
        promise: promise.to_string(),
        risk,
        loss: match loss {
            Loss::Disagreement => "a head is confident and disagrees with the whole model",
            Loss::ErrorIncrease => "a head is confident and wrong where the whole model is right",
        },
        sets: SetsSaid {
            fit: "10000 of inputs/train".into(),
            tune: format!("{ROWS} of inputs/calibration"),
            calibrate: format!("{ROWS} of inputs/calibration"),
            report: Some(format!("{ROWS} of inputs/test")),
        },
        unit: "MACs",
        whole: 40_813_184.0,
        ways: None,
        exits: (0..exits).map(|at| row(&calibrate.outcomes, &depths, at, &certified)).collect(),
        certified: certified.as_ref().ok().map(|certified| CertifiedRow {
            errors: certified.loosest().errors,
            inputs: certified.inputs(),
            upper: certified.loosest().upper,
            rungs: certified.rungs().len(),
            judged: step(&certified.loosest().thresholds),
        }),
        refusal: certified.as_ref().err().map(ToString::to_string),
        judged_on: format!("the report set, {ROWS} of inputs/test"),
        at_loss: path.iter().rev().map(step).find(|step| {
            let lost =
                step.accuracy.map_or(step.risk.same, |accuracy| accuracy.whole.saturating_sub(accuracy.with));
            lost * 100 <= ROWS as u64
        }),
        path: path.iter().map(step).collect(),
        notes: vec!["b9 takes no head: it has no tensor of a fixed shape".into()],
    }
}

/// Every third exit is kept; they loosen together.
fn thresholds(exits: usize, step: i32) -> Thresholds {
    let threshold = 1.0 - 0.002 * 1.15f64.powi(step);
    Thresholds::new((0..exits).map(|at| at.is_multiple_of(3).then_some(threshold)).collect()).unwrap()
}

fn row(outcomes: &Outcomes, depths: &[f64], at: usize, certified: &Result<Certified, Refusal>) -> ExitRow {
    let loosest = certified.as_ref().ok().map(Certified::loosest);
    let figures = loosest.and_then(|rung| rung.exits.get(at)).copied().unwrap_or_default();
    let closed = Thresholds::closed(depths.len());
    let survivors = outcomes.survivors(loosest.map_or(&closed, |rung| &rung.thresholds), at);
    let right = (0..ROWS).filter(|row| !outcomes.of(*row, at).unwrap().wrong).count() as u64;
    ExitRow {
        boundary: at + 2,
        kind: if at.is_multiple_of(2) { "linear".into() } else { "3x3 64/2, 64".into() },
        to_exit: depths[at],
        head: 0.008,
        right: Share { same: right, of: ROWS as u64 },
        measure: if at.is_multiple_of(3) { "learnt" } else { "max_probability" },
        auroc: (at != 1).then_some(0.9),
        threshold: loosest.and_then(|rung| rung.thresholds.of(at)),
        reached: figures.reached,
        answered: figures.answered,
        wrong: figures.wrong,
        curve: risk_coverage(outcomes, at, 0..ROWS, 200),
        reliability: Reliability::of(outcomes, at, survivors, 10, |confidence| confidence.powf(1.15)),
    }
}

/// Requests and whether the whole model is right about them.
struct Made {
    outcomes: Outcomes,
    right: Vec<bool>,
}

impl Made {
    fn new(depths: &[f64], seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1u32 << 24)
        };
        let mut made = Self { outcomes: Outcomes::new(depths.len()).unwrap(), right: Vec::new() };
        for _ in 0..ROWS {
            let hard = chance();
            made.right.push(chance() > 0.3 * hard.powi(3));
            let outcomes: Vec<Outcome> = depths
                .iter()
                .map(|depth| {
                    let sure = 1.0 / (1.0 + (-14.0 * (0.35 + 0.75 * depth - hard)).exp());
                    let confidence = (0.1 + 0.9 * sure).min(1.0);
                    Outcome { confidence: Some(confidence), wrong: chance() > confidence }
                })
                .collect();
            made.outcomes.push(&outcomes).unwrap();
        }
        made
    }

    /// Where a head disagrees with the whole model, it is right about a third of what that is wrong about.
    fn step(&self, thresholds: &Thresholds, costs: &Costs, labels: bool) -> Step {
        let expected = expect(&self.outcomes, thresholds, costs).unwrap();
        let exits = 0..thresholds.len();
        let said = |row: usize| {
            let outcome = |exit| Some((exit, self.outcomes.of(row, exit)?));
            let sure = |(exit, it): &(usize, Outcome)| thresholds.admits(*exit, it.confidence.unwrap_or(0.0));
            let wrong = exits.clone().filter_map(outcome).find(sure).is_some_and(|(_, it)| it.wrong);
            if wrong { !self.right[row] && row.is_multiple_of(3) } else { self.right[row] }
        };
        let count = |right: &dyn Fn(usize) -> bool| (0..ROWS).filter(|row| right(*row)).count() as u64;
        Step {
            thresholds: thresholds.clone(),
            answered: expected.answered,
            risk: expected.risk,
            saved: expected.saved(),
            accuracy: labels.then(|| Accuracy {
                with: count(&said),
                whole: count(&|row| self.right[row]),
                of: ROWS as u64,
            }),
        }
    }
}
