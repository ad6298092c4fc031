//! What thresholds save, and what they cost in right answers.

use super::super::report::{Report, Step};
use super::super::table::told;
use super::frame::{Frame, SURE, Taken, WIDTH, percent, polyline, spread, whisker};
use crate::page::svg::{Anchor, Path, Svg};
use kerf_agreement::Share;

const HEIGHT: f64 = 440.0;

pub(super) fn draw(report: &Report) -> String {
    let what = if has_accuracy(report) { "accuracy" } else { "agreement with the whole model" };
    let mut svg = Svg::new(WIDTH, HEIGHT, &format!("Saved cost against {what} along the path of thresholds"));
    let (whole, promised) = (whole(report), whole(report) - report.risk);
    let frame = frame(report, promised, whole);
    frame.grid(&mut svg, (8, true), (7, true));
    frame.captions(&mut svg, "saved, of the whole model's cost", what);
    references(&mut svg, &frame, whole, promised);
    let mut taken = Taken::default();
    let place = |step: &Step| frame.at(step.saved, height(step));
    let start = frame.at(0.0, whole);
    let points: Vec<_> = [start].into_iter().chain(report.path.iter().map(place)).collect();
    for pair in points.windows(2) {
        taken.line(pair[0], pair[1]);
    }
    polyline(&mut svg, "stairs", points, "");
    // All marks are of the same requests: with labels the loss is known better than either accuracy, whose
    // intervals would hide it.
    let is_wide = has_accuracy(report);
    for step in [report.at_loss.as_ref(), certified(report)].into_iter().flatten().filter(|_| !is_wide) {
        whisker(&mut svg, &frame, step.saved, share(step));
    }
    for step in &report.path {
        let is_promised = certified(report).is_some_and(|rung| step.thresholds.is_within(&rung.thresholds));
        let class = if is_promised { "dot front" } else { "dot" };
        svg.circle(class, place(step), 4.0, &title(report, step));
        taken.disc(place(step), 5.0);
    }
    let title_of_whole = format!("the whole model, no exits: {}", percent(whole));
    svg.circle("dot base", start, 6.0, &title_of_whole);
    taken.disc(start, 8.0);
    named(&mut svg, report, &frame, &mut taken);
    taken.label(&mut svg, &frame, start, "the whole model", false, 0.0);
    svg.finish()
}

/// The promised thresholds and those for comparison, above all others.
fn named(svg: &mut Svg, report: &Report, frame: &Frame, taken: &mut Taken) {
    let place = |step: &Step| frame.at(step.saved, height(step));
    if let Some(step) = &report.at_loss {
        let ((x, y), size) = (place(step), 7.0);
        let diamond =
            Path::from((x, y - size)).to((x + size, y)).to((x, y + size)).to((x - size, y)).to((x, y - size));
        svg.path("mark s-up", &diamond, &title(report, step));
        taken.disc((x, y), size + 1.0);
    }
    if let Some(step) = certified(report) {
        svg.circle("dot front", place(step), 5.0, &title(report, step));
        svg.circle("ring", place(step), 9.0, "");
        taken.disc(place(step), 10.0);
        taken.label(svg, frame, place(step), &format!("promised, {} saved", percent(step.saved)), true, 0.0);
    }
    if let Some(step) = &report.at_loss {
        let text = format!("0.7 pp without a promise, {} saved", percent(step.saved));
        taken.label(svg, frame, place(step), &text, true, 0.0);
    }
}

/// What is promised is that answers do not fall below the second line.
fn references(svg: &mut Svg, frame: &Frame, whole: f64, promised: f64) {
    let lines = [whole, promised].map(|value| frame.y.within(value));
    let mut places = lines;
    spread(&mut places, 14.0, frame.bottom);
    let named = [("baseline", "no exits"), ("reference", "the promise")];
    for (((class, text), y), place) in named.into_iter().zip(lines).zip(places) {
        svg.line(class, (frame.left, y), (frame.right, y));
        svg.text("faint", (frame.right + 8.0, place + 4.0), Anchor::Start, text);
    }
}

fn frame(report: &Report, promised: f64, whole: f64) -> Frame {
    let steps = || report.path.iter().chain(&report.at_loss).chain(certified(report));
    let (low, high) =
        steps().map(height).fold((promised, whole), |(low, high), value| (low.min(value), high.max(value)));
    let (least, most) = steps()
        .map(|step| step.saved)
        .fold((0f64, 0.05f64), |(least, most), saved| (least.min(saved), most.max(saved)));
    let pad = (high - low) * 0.12;
    Frame::new(
        (74.0, WIDTH - 96.0),
        (16.0, HEIGHT - 48.0),
        (least * 1.1, most * 1.08),
        ((low - pad).max(0.0), (high + pad).min(1.0)),
    )
}

/// Whether right answers are known, not only agreement.
pub(super) fn has_accuracy(report: &Report) -> bool {
    let steps = || report.path.iter().chain(&report.at_loss).chain(certified(report));
    steps().next().is_some() && steps().all(|step| step.accuracy.is_some())
}

fn certified(report: &Report) -> Option<&Step> {
    report.certified.as_ref().map(|certified| &certified.judged)
}

fn whole(report: &Report) -> f64 {
    let accuracy = report.path.iter().chain(certified(report)).chain(&report.at_loss);
    let accuracy = accuracy.filter_map(|step| step.accuracy).next().filter(|_| has_accuracy(report));
    accuracy.map_or(1.0, |accuracy| Share { same: accuracy.whole, of: accuracy.of }.value().unwrap_or(0.0))
}

fn height(step: &Step) -> f64 {
    share(step).value().unwrap_or(0.0)
}

/// Right answers, or without labels those that are no loss.
fn share(step: &Step) -> Share {
    match step.accuracy {
        Some(accuracy) => Share { same: accuracy.with, of: accuracy.of },
        None => Share { same: step.risk.of.saturating_sub(step.risk.same), of: step.risk.of },
    }
}

fn title(report: &Report, step: &Step) -> String {
    let open = report.exits.iter().zip(step.thresholds.iter());
    let open: Vec<String> = open
        .filter_map(|(exit, threshold)| Some(format!("b{} from {:.4} on", exit.boundary, threshold?)))
        .collect();
    let (interval, told) = (share(step).interval(SURE), told(step, report.unit));
    format!("{}: {told} ({} to {})", open.join(", "), percent(interval.low), percent(interval.high))
}
