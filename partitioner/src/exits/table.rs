//! Exits as text.

use super::judge::Ways;
use super::report::{Report, Step};
use crate::plan::Way;
use crate::print::{self, Align, Paint, Table, percent};
use std::fmt::Write;
use std::path::Path;

pub(crate) fn render(report: &Report, written: Option<&Path>, paint: Paint) -> String {
    let mut out = String::new();
    let line = |out: &mut String, text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(
        &mut out,
        &format!("{}: exits for output {} ({} classes)", report.model, report.output, report.classes),
    );
    let sets = &report.sets;
    line(&mut out, &format!("  fitted to {}; thresholds proposed on {}", sets.fit, sets.tune));
    line(&mut out, &format!("  promise tested on {}", sets.calibrate));
    out.push('\n');
    out.push_str(&table(report).render(paint));
    out.push('\n');
    match (&report.certified, &report.refusal) {
        (Some(certified), _) => {
            let promise = format!("Promised: {}: of all requests, {}.", report.promise, report.loss);
            line(&mut out, &paint.good(&promise));
            line(
                &mut out,
                &format!(
                    "  calibration: {} of {}, at most {} not ruled out; {} stricter settings to fall back to",
                    certified.errors,
                    certified.inputs,
                    percent(certified.upper),
                    certified.rungs - 1
                ),
            );
            line(&mut out, &format!("  on {}: {}", report.judged_on, told(&certified.judged, report.unit)));
        }
        (None, Some(refusal)) => line(&mut out, &paint.bad(&format!("No promise: {refusal}"))),
        (None, None) => {}
    }
    if let Some(step) = &report.at_loss {
        line(
            &mut out,
            &format!(
                "For comparison, thresholds chosen to cost about 0.7 pp, without a promise: {}",
                told(step, report.unit)
            ),
        );
    }
    if let Some(ways) = &report.ways {
        line(&mut out, &told_ways(ways, report.unit));
    }
    match written {
        Some(folder) => line(&mut out, &paint.bold(&format!("written to {}", folder.display()))),
        None => line(&mut out, "nothing was written"),
    }
    out
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(&[
        ("exit", Align::Left),
        ("head", Align::Left),
        ("model up to it", Align::Right),
        ("head costs", Align::Right),
        ("right", Align::Right),
        ("confidence", Align::Left),
        ("AUROC", Align::Right),
        ("threshold", Align::Right),
        ("answers", Align::Right),
        ("wrongly", Align::Right),
    ]);
    for exit in &report.exits {
        let answers = match exit.threshold {
            Some(_) => format!("{} of {}", exit.answered, exit.reached),
            None => String::new(),
        };
        table.row([
            format!("b{}", exit.boundary),
            exit.kind.clone(),
            percent(exit.to_exit),
            percent(exit.head),
            percent(exit.right.value().unwrap_or(0.0)),
            exit.measure.to_owned(),
            exit.auroc.map(|auroc| format!("{auroc:.3}")).unwrap_or_default(),
            exit.threshold.map_or("not kept".to_owned(), |threshold| format!("{threshold:.4}")),
            answers,
            exit.threshold.map(|_| exit.wrong.to_string()).unwrap_or_default(),
        ]);
    }
    table
}

/// `latency over 8 Mbps, 40 ms: 21 ms expected with these exits (b4), 34 ms without (picture → cloud)`.
pub(crate) fn told_ways(ways: &Ways, unit: &str) -> String {
    let way = |way: &Way| format!("{} expected ({})", amount(way.expected, unit), way.at);
    match &ways.with {
        Some(with) => {
            format!("{}: {} with these exits, {} without", ways.asked, way(with), way(&ways.without))
        }
        None => format!("{}: {} without exits", ways.asked, way(&ways.without)),
    }
}

/// A cost with its unit.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    match unit {
        "seconds" => print::seconds(value),
        "joules" => print::joules(value),
        "bytes" => print::bytes(value as u64),
        "MACs" => format!("{} MACs", print::count(value as u64)),
        _ => format!("{value:.4}"),
    }
}

/// `41% of requests exit, 23% of MACs saved, 7 of 2500 confident and wrong; accuracy 87.6%, 87.9% without`.
pub(crate) fn told(step: &Step, unit: &str) -> String {
    let mut told = format!(
        "{} of requests exit, {} of {unit} saved, {} of {} confident and wrong",
        percent(step.answered.value().unwrap_or(0.0)),
        percent(step.saved),
        step.risk.same,
        step.risk.of
    );
    if let Some(accuracy) = &step.accuracy {
        let share = |right: u64| percent(right as f64 / accuracy.of.max(1) as f64);
        let _ = write!(told, "; accuracy {}, {} without", share(accuracy.with), share(accuracy.whole));
    }
    told
}
