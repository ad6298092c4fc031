//! The table for a terminal.

use super::report::{self, Place, Report, Tried};
use crate::print::{Align, Paint, Table, bytes, elide, seconds};
use std::fmt::Write as _;

/// Everything that was tried; with `all` unset only what is kept.
pub(crate) fn render(report: &Report, all: bool, paint: Paint) -> String {
    let has_labels = report.places.iter().flat_map(|place| &place.tried).any(|it| it.accuracy.is_some());
    let mut columns = vec![
        ("", Align::Left),
        ("codec", Align::Left),
        ("bytes", Align::Right),
        ("p90", Align::Right),
        ("smaller than raw", Align::Right),
        ("than 8 bit + zstd", Align::Right),
        ("encode", Align::Right),
        ("decode", Align::Right),
        ("changed", Align::Right),
        ("agreement", Align::Right),
    ];
    if has_labels {
        columns.push(("accuracy", Align::Right));
    }
    let mut table = Table::new(&columns);
    for (index, place) in report.places.iter().enumerate() {
        let tensors = elide(&place.tensors.join(", "), 80);
        table.note(format!("b{}  {tensors}, {} raw", place.boundary, bytes(place.raw as u64)));
        for at in ordered(place) {
            let tried = &place.tried[at];
            let is_chosen = report.is_chosen(index, at);
            if all || tried.kept || is_chosen {
                table.row(row(report, place, tried, is_chosen, has_labels, paint));
            }
        }
    }
    let mut out = format!("{}\n", paint.bold(&format!("Codecs, {}", report.inputs)));
    let why = report.why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
    let _ = writeln!(out, "judged by {}{why}", report.criterion);
    if let Some(share) = report.accuracy {
        let _ =
            writeln!(out, "accuracy of the whole model: {}", report::share(share, report.interval(share)));
    }
    out.push_str(&table.render(paint));
    for reference in &report.references {
        let _ = writeln!(out, "  for comparison: {}, {}", reference.name, bytes(reference.bytes as u64));
    }
    choices(report, &mut out, paint);
    let percent = report.confidence * 100.0;
    let _ = writeln!(out, "\n→ chosen   * none smaller agrees as much   intervals at {percent:.0}%");
    out
}

/// What the choice is worth, without the flattery of choosing.
fn choices(report: &Report, out: &mut String, paint: Paint) {
    if report.choices.is_empty() {
        return;
    }
    let mut columns = vec![
        ("", Align::Left),
        ("chosen", Align::Left),
        ("bytes", Align::Right),
        ("smaller than raw", Align::Right),
        ("than 8 bit + zstd", Align::Right),
        ("changed", Align::Right),
        ("agreement", Align::Right),
    ];
    let has_labels = report.choices.iter().any(|choice| choice.accuracy.is_some());
    if has_labels {
        columns.push(("accuracy", Align::Right));
    }
    let mut table = Table::new(&columns);
    for choice in &report.choices {
        let share = choice.agreement;
        let mut cells = vec![
            format!("b{}", choice.boundary),
            elide(&choice.codecs.join(", "), 32),
            bytes(choice.bytes as u64),
            report::times(choice.raw, choice.bytes),
            choice.eight_bit.map_or_else(|| "–".into(), |than| report::times(than, choice.bytes)),
            format!("{} of {}", share.of - share.same.min(share.of), share.of),
            report::share(share, report.interval(share)),
        ];
        if has_labels {
            cells.push(choice.accuracy.map_or_else(|| "–".into(), report::change));
        }
        table.row(cells);
    }
    let title = "Chosen on one half of the inputs, judged on the other, both ways round";
    let _ = write!(out, "\n{}\n{}", paint.bold(title), table.render(paint));
}

/// Most bytes first.
fn ordered(place: &Place) -> Vec<usize> {
    let mut order: Vec<usize> = (0..place.tried.len()).collect();
    order.sort_by(|a, b| place.tried[*b].mean.total_cmp(&place.tried[*a].mean));
    order
}

fn row(
    report: &Report,
    place: &Place,
    tried: &Tried,
    is_chosen: bool,
    has_labels: bool,
    paint: Paint,
) -> Vec<String> {
    let mark = match (is_chosen, tried.kept) {
        (true, _) => "→",
        (false, true) => "*",
        (false, false) => "",
    };
    let changed = tried.agreement.of - tried.agreement.same.min(tried.agreement.of);
    let name = elide(&tried.name, 32);
    let mut cells = vec![
        mark.into(),
        if is_chosen { paint.bold(&name) } else { name },
        bytes(tried.mean as u64),
        bytes(tried.p90 as u64),
        report::times(place.raw, tried.mean),
        place.eight_bit.map_or_else(|| "–".into(), |than| report::times(than, tried.mean)),
        seconds(tried.encode),
        seconds(tried.decode),
        format!("{changed} of {}", tried.agreement.of),
        report::share(tried.agreement, report.interval(tried.agreement)),
    ];
    if has_labels {
        cells.push(tried.accuracy.map_or_else(|| "–".into(), report::change));
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::codecs::fixture;

    #[test]
    fn kept_ones_are_shown_and_the_rest_on_demand() {
        let report = fixture::report(4);
        let (short, long) = (render(&report, false, Paint::plain()), render(&report, true, Paint::plain()));
        assert!(short.lines().count() < long.lines().count());
        assert!(short.contains("b2  relu_2: f32[1, 48, 28, 28], 147 KiB raw"), "{short}");
        assert!(short.contains("judged by top-1 (output has scores by class)"));
        assert_eq!(long.matches(" of 250 ").count(), 4 * 8, "{long}");
        assert_eq!(short.lines().filter(|line| line.trim_start().starts_with('→')).count(), 3, "{short}");
        assert!(short.contains("for comparison: JPEG as it came, 15.6 KiB"));
    }

    #[test]
    fn nothing_measured_is_a_table_too() {
        let mut report = fixture::report(2);
        report.accuracy = None;
        report.places.iter_mut().flat_map(|place| &mut place.tried).for_each(|it| {
            (it.accuracy, it.agreement, it.mean) = (None, kerf_agreement::Share::default(), 0.0);
        });
        let text = render(&report, true, Paint::plain());
        assert!(
            text.contains("nothing was tried") && !text.contains("pp (") && !text.contains("NaN"),
            "{text}"
        );
    }
}
