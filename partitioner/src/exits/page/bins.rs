//! Whether heads know how sure they may be: claimed confidence against right answers.

use super::super::report::{ExitRow, Report};
use super::frame::{Frame, SURE, WIDTH, colour, kept, percent, whisker};
use crate::page::svg::{Anchor, Rect, Svg};

const LEFT: f64 = 58.0;
/// Height of the counts below a diagram.
const COUNTS: f64 = 38.0;
/// What a panel needs beside and below its diagram.
const MARGIN: (f64, f64) = (44.0, 132.0);

/// A diagram for every exit that answers, or where none does for all.
pub(super) fn draw(report: &Report) -> String {
    let all = || report.exits.iter().enumerate();
    let shown: Vec<(usize, &ExitRow)> =
        if kept(report).next().is_some() { kept(report).collect() } else { all().collect() };
    let columns = shown.len().clamp(3, 4);
    let wide = (WIDTH - LEFT) / columns as f64;
    let (side, step) = (wide - MARGIN.0, wide - MARGIN.0 + MARGIN.1);
    let rows = shown.len().div_ceil(columns).max(1);
    let label = "Claimed confidence against the share of right answers of each exit";
    let mut svg = Svg::new(WIDTH, rows as f64 * step, label);
    for (index, (at, exit)) in shown.into_iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let (left, top) = (LEFT + column as f64 * wide, row as f64 * step + 28.0);
        let frame = Frame::new((left, left + side), (top, top + side), (0.0, 1.0), (0.0, 1.0));
        panel(&mut svg, &frame, exit, colour(report, at), column == 0);
    }
    svg.finish()
}

fn panel(svg: &mut Svg, frame: &Frame, exit: &ExitRow, colour: &str, is_first: bool) {
    let off = match exit.reliability.bins.is_empty() {
        true => "nothing came here".to_owned(),
        false => format!("off by {} on average", percent(exit.reliability.error)),
    };
    svg.text("strong", (frame.left, frame.top - 11.0), Anchor::Start, &format!("b{} · {off}", exit.boundary));
    frame.grid(svg, (5, false), (5, is_first));
    svg.line("baseline", frame.at(0.0, 0.0), frame.at(1.0, 1.0));
    let most = exit.reliability.bins.iter().map(|bin| bin.right.of).max().unwrap_or(0).max(1) as f64;
    let base = frame.bottom + 14.0 + COUNTS;
    svg.line("axis", (frame.left, base), (frame.right, base));
    for tick in frame.x.ticks(5) {
        svg.text("tick", (frame.x.at(tick), base + 16.0), Anchor::Middle, &percent(tick));
    }
    for bin in &exit.reliability.bins {
        let right = bin.right.value().unwrap_or(0.0);
        let interval = bin.right.interval(SURE);
        let title = format!(
            "claimed {}: {} of {} right, {} ({} to {})",
            percent(bin.confidence),
            bin.right.same,
            bin.right.of,
            percent(right),
            percent(interval.low),
            percent(interval.high)
        );
        whisker(svg, frame, bin.confidence, bin.right);
        let (x, y) = frame.at(bin.confidence, right);
        svg.circle(&format!("pip {colour}"), (x, y), 5.0, &title);
        let tall = (COUNTS * bin.right.of as f64 / most).max(1.0);
        svg.rect("count", Rect { x: x - 5.0, y: base - tall, width: 10.0, height: tall }, &title);
    }
    svg.text("caption", (f64::midpoint(frame.left, frame.right), base + 34.0), Anchor::Middle, "claimed");
    if is_first {
        let (x, middle) = (frame.left - 44.0, f64::midpoint(frame.top, frame.bottom));
        svg.turned("caption", (x, middle), Anchor::Middle, -90.0, "right");
    }
}
