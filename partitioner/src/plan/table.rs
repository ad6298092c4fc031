//! The plan for a terminal: the choice, what it was weighed against, and what would change it.

use super::report::{Choice, Report, Stage};
use super::words;
use crate::print::{self, Align, Paint, Table, elide};
use std::fmt::Write as _;

/// Runners-up that are shown.
const RUNNERS_UP: usize = 5;

pub(super) fn render(report: &Report, paint: Paint) -> String {
    let asked = &report.asked;
    let mut out = format!("{}\n", paint.bold(&words::headline(report)));
    let mut conditions = format!(
        "{} up, {} down, {} round trip",
        print::rate(asked.uplink_bps),
        print::rate(asked.downlink_bps),
        print::plain(&print::seconds(asked.rtt_s))
    );
    let least = format!("least {}", asked.objective);
    for more in asked.further.iter().chain([&least]).chain(&asked.limits) {
        let _ = write!(conditions, ", {more}");
    }
    let _ = writeln!(out, "  {} · {conditions}", elide(&report.model.name, 60));
    let _ = writeln!(out, "\n{}", paint.bold("Choices"));
    out.push_str(&choices(report, paint));
    let _ = writeln!(out, "\n{}", paint.bold("Baselines"));
    out.push_str(&baselines(report, paint));
    let _ = writeln!(out, "\n{}", paint.bold("What would have to change"));
    out.push_str(&changes(report, paint));
    let _ = writeln!(out, "\n{}", paint.bold("Measured"));
    for device in &report.devices {
        let error = device.error.map_or_else(String::new, |error| {
            format!(", predicted within {:.1}% (median, left out in turn)", error.median * 100.0)
        });
        let _ = writeln!(
            out,
            "  {:<9} {} on {}, {} threads; {} of {} ranges timed{error}",
            device.role,
            elide(&device.engine, 40),
            elide(&device.host, 30),
            device.threads,
            device.timed,
            device.timed + device.predicted
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "  note      {note}");
    }
    out
}

/// The choice and its runners-up, with where their time goes.
fn choices(report: &Report, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("choice", Align::Left),
        ("edge", Align::Right),
        ("up", Align::Right),
        ("cloud", Align::Right),
        ("back", Align::Right),
        ("mean", Align::Right),
        ("p95", Align::Right),
        ("sent", Align::Right),
        ("energy", Align::Right),
        ("agrees", Align::Right),
        ("", Align::Left),
    ]);
    let runners = report.runners_up();
    for (index, choice) in
        [report.chosen()].into_iter().chain(runners.iter().copied().take(RUNNERS_UP)).enumerate()
    {
        table.row(row(report, choice, index == 0, paint));
    }
    let more = runners.len().saturating_sub(RUNNERS_UP);
    let refused = report.choices.iter().filter(|choice| !choice.breaks.is_empty()).count();
    if more + refused > 0 {
        table.note(format!("… {more} more, and {refused} that break a limit; --json and --html show all"));
    }
    table.render(paint)
}

fn row(report: &Report, choice: &Choice, is_chosen: bool, paint: Paint) -> [String; 12] {
    let of = |stages: &[Stage]| match stages.iter().map(|stage| choice.of(*stage)).sum::<f64>() {
        seconds if seconds > 0.0 => print::seconds(seconds),
        _ => "–".into(),
    };
    let name = elide(&choice.name, 40);
    let worse = match choice.objective / report.chosen().objective {
        _ if is_chosen => "chosen".into(),
        factor if factor.is_finite() => format!("{} worse", words::times(factor)),
        _ => String::new(),
    };
    [
        if is_chosen { "▶" } else { " " }.into(),
        if is_chosen { paint.bold(&name) } else { name },
        of(&[Stage::Edge, Stage::Encode]),
        of(&[Stage::Up]),
        of(&[Stage::Middle, Stage::Queue, Stage::Decode, Stage::Cloud]),
        of(&[Stage::Down]),
        print::seconds(choice.mean_s()),
        print::seconds(choice.p95_s),
        print::bytes(choice.bytes_up as u64),
        choice.joules.map_or_else(|| "?".into(), print::joules),
        print::percent(choice.agreement),
        worse,
    ]
}

fn baselines(report: &Report, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("baseline", Align::Left),
        ("does", Align::Left),
        ("costs", Align::Right),
        ("we gain", Align::Right),
        ("", Align::Left),
    ]);
    for baseline in &report.baselines {
        let choice = baseline.choice.and_then(|index| report.choices.get(index));
        table.row([
            baseline.name.clone(),
            choice.map_or_else(|| "–".into(), |choice| elide(&choice.name, 40)),
            choice.map_or_else(|| "–".into(), |choice| words::amount(report, choice)),
            choice.map_or_else(|| "–".into(), |choice| words::gain_over(report, choice)),
            baseline.note.clone(),
        ]);
    }
    table.render(paint)
}

fn changes(report: &Report, paint: Paint) -> String {
    if report.changes.is_empty() {
        return "  no change of one condition by itself makes another choice the best\n".into();
    }
    let mut table = Table::new(&[
        ("if", Align::Left),
        ("were", Align::Right),
        ("not", Align::Right),
        ("that is", Align::Right),
        ("best would be", Align::Left),
    ]);
    for change in &report.changes {
        table.row([
            change.what.clone(),
            change.then.clone(),
            change.now.clone(),
            words::change(change.factor),
            elide(&change.winner, 40),
        ]);
    }
    table.render(paint)
}
