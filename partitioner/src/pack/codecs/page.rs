//! Bytes against agreement, as one page.
//!
//! Everything here is a pure function of the [`Report`]: the same report makes the same bytes.

mod plot;

use super::report::{self, Report, Tried};
use crate::page::svg::escape;
use crate::page::table::Table;
use crate::page::{document, legend};
use crate::print;
use std::fmt::Write as _;

/// The page as HTML.
pub(crate) fn render(report: &Report) -> String {
    let parts = [head, overview, by_boundary, numbers, trust];
    let title = format!("What {} sends", print::elide(&report.model, 80));
    document(&title, &parts.map(|part| part(report)).concat())
}

fn head(report: &Report) -> String {
    let name = escape(&print::elide(&report.model, 80));
    let said = escape(&format!("{} · {}", report.criterion, report.inputs));
    let (headline, facts) = match report.first_chosen() {
        None => ("No codec was chosen.".to_owned(), String::new()),
        Some((place, tried)) => {
            let agreement = report::share(tried.agreement, report.interval(tried.agreement));
            let (share, interval) = agreement.split_once(' ').unwrap_or((&agreement, ""));
            let headline = format!(
                "{} from b{} and {share} of the answers stay the same.",
                print::bytes(tried.mean as u64),
                place.boundary
            );
            let codec = format!("{} at b{}", print::elide(&tried.name, 24), place.boundary);
            let than = |than: Option<f64>| {
                than.map_or_else(|| "–".to_owned(), |than| report::times(than, tried.mean))
            };
            let first = report.references.first();
            let mut facts = vec![
                ("codec", codec, format!("p90 {}", print::bytes(tried.p90 as u64))),
                ("smaller than raw", than(Some(place.raw)), print::bytes(place.raw as u64)),
                (
                    "than 8 bit + zstd",
                    than(place.eight_bit),
                    place.eight_bit.map_or_else(|| "not measured".into(), |b| print::bytes(b as u64)),
                ),
                ("agreement", share.into(), interval.trim_matches(['(', ')']).into()),
                ("encode", print::seconds(tried.encode), format!("decode {}", print::seconds(tried.decode))),
            ];
            if let Some(reference) = first {
                let (times, size) = (than(Some(reference.bytes)), print::bytes(reference.bytes as u64));
                facts.insert(3, ("than the input", times, format!("{}, {size}", reference.name)));
            }
            (headline, facts.iter().map(|(term, value, more)| fact(term, value, more)).collect())
        }
    };
    format!(
        "<header>\n<p class=\"kicker\">{name} · {said}</p>\n<h1>{}</h1>\n<dl class=\"facts\">{facts}</dl>\n</header>\n",
        escape(&headline)
    )
}

fn fact(term: &str, value: &str, more: &str) -> String {
    format!("<div><dt>{term}</dt><dd>{}<small>{}</small></dd></div>", escape(value), escape(more))
}

fn overview(report: &Report) -> String {
    let disc = |class: &str| format!("<circle class=\"mark {class}\" cx=\"9\" cy=\"6\" r=\"5\"/>");
    let entries = [
        (disc("d0"), "an early boundary".to_owned()),
        (disc("d7"), "a late one".to_owned()),
        ("<circle class=\"ring\" cx=\"9\" cy=\"6\" r=\"4.5\"/>".into(), "chosen".into()),
        ("<path class=\"stairs\" d=\"M1 11H9V2H17\"/>".into(), "the best there is".into()),
        (
            "<line class=\"reference\" x1=\"0\" y1=\"6\" x2=\"18\" y2=\"6\"/>".into(),
            "the input itself".into(),
        ),
    ];
    format!(
        "<section>\n<h2>1 · Bytes against agreement</h2>\n\
         <p>What is worth having at each boundary: no other codec there has fewer bytes and agrees as often. \
         The vertical axis is stretched near 100%; bars are {:.0}% intervals.</p>\n{}<figure>{}</figure>\n</section>\n",
        report.confidence * 100.0,
        legend(entries.into_iter()),
        plot::overview(report)
    )
}

fn by_boundary(report: &Report) -> String {
    let entries = [
        ("<circle class=\"mark d5\" cx=\"9\" cy=\"6\" r=\"5\"/>".to_owned(), "worth having".to_owned()),
        ("<circle class=\"mark weak d5\" cx=\"9\" cy=\"6\" r=\"4\"/>".into(), "beaten".into()),
        ("<circle class=\"ring\" cx=\"9\" cy=\"6\" r=\"4.5\"/>".into(), "chosen".into()),
        (
            "<line class=\"baseline\" x1=\"0\" y1=\"6\" x2=\"18\" y2=\"6\"/>".into(),
            "8 bit + zstd at this boundary".into(),
        ),
        (
            "<line class=\"reference\" x1=\"0\" y1=\"6\" x2=\"18\" y2=\"6\"/>".into(),
            "the input itself".into(),
        ),
    ];
    format!(
        "<section>\n<h2>2 · Every codec, by boundary</h2>\n\
         <p>The same axes in all. A mark at the lower edge agrees less often than the axis reaches; its title has \
         the figure.</p>\n{}<figure>{}</figure>\n</section>\n",
        legend(entries.into_iter()),
        plot::by_boundary(report)
    )
}

fn numbers(report: &Report) -> String {
    let has_labels = report.places.iter().flat_map(|place| &place.tried).any(|it| it.accuracy.is_some());
    let mut head = vec![
        ("codec", true),
        ("bytes", false),
        ("p90", false),
        ("than raw", false),
        ("than 8 bit + zstd", false),
        ("encode", false),
        ("decode", false),
        ("agreement", false),
        ("off by, mean", false),
    ];
    if has_labels {
        head.push(("accuracy", false));
    }
    let mut out = String::from("<section>\n<h2>3 · All numbers</h2>\n");
    if let Some(share) = report.accuracy {
        let text = report::share(share, report.interval(share));
        let _ = writeln!(out, "<p>The whole model is right about {} of the inputs.</p>", escape(&text));
    }
    for (index, place) in report.places.iter().enumerate() {
        let mut table = Table::new(&head);
        for (at, tried) in place.tried.iter().enumerate() {
            let class = match (report.is_chosen(index, at), tried.kept) {
                (true, _) => "chosen",
                (false, true) => "",
                (false, false) => "refused",
            };
            table.row(class, &cells(report, place.raw, place.eight_bit, tried, has_labels));
        }
        let tensors = escape(&print::elide(&place.tensors.join(", "), 160));
        let _ = write!(
            out,
            "<details{}><summary>b{} · {tensors} · {} raw</summary>\n{}</details>\n",
            if report.chosen.iter().any(|(place, _)| *place == index) { " open=\"\"" } else { "" },
            place.boundary,
            print::bytes(place.raw as u64),
            table.finish()
        );
    }
    out + "</section>\n"
}

fn cells(report: &Report, raw: f64, eight_bit: Option<f64>, tried: &Tried, has_labels: bool) -> Vec<String> {
    let mut cells = vec![
        print::elide(&tried.name, 40),
        print::bytes(tried.mean as u64),
        print::bytes(tried.p90 as u64),
        report::times(raw, tried.mean),
        eight_bit.map_or_else(|| "–".into(), |than| report::times(than, tried.mean)),
        print::seconds(tried.encode),
        print::seconds(tried.decode),
        report::share(tried.agreement, report.interval(tried.agreement)),
        tried.distance.map_or_else(|| "–".into(), |distance| format!("{distance:.1e}")),
    ];
    if has_labels {
        cells.push(tried.accuracy.map_or_else(|| "–".into(), report::change));
    }
    cells
}

fn trust(report: &Report) -> String {
    let why = report.why.as_ref().map(|why| format!("Judged by {} since {why}.", report.criterion));
    let mut notes = String::new();
    for note in why.iter().chain(&report.notes) {
        let _ = writeln!(notes, "<li>{}</li>", escape(note));
    }
    format!("<section>\n<h2>4 · How this was measured</h2>\n<ul class=\"notes\">\n{notes}</ul>\n</section>\n")
}

#[cfg(test)]
mod tests;
