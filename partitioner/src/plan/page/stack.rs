//! Latency by split point: one bar for each choice, stacked in the order in which time passes.

use crate::page::scale::Scale;
use crate::page::svg::{Anchor, Rect, Svg};
use crate::plan::report::{Choice, Report, Stage};
use crate::print;

const WIDTH: f64 = 1040.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 34.0;
const ROW: f64 = 25.0;
const BAR: f64 = 15.0;

/// Bars longer than this many times the chosen one's are cut off: they would flatten all others.
const LONGEST: f64 = 5.0;

/// The stages that any choice has.
pub(super) fn stages(report: &Report) -> Vec<Stage> {
    let some = |stage: &Stage| report.choices.iter().any(|choice| choice.of(*stage) > 0.0);
    Stage::ALL.into_iter().filter(some).collect()
}

pub(super) fn class(stage: Stage) -> &'static str {
    match stage {
        Stage::Edge => "s-edge",
        Stage::Encode => "s-encode",
        Stage::Up => "s-up",
        Stage::Middle => "s-middle",
        Stage::Queue => "s-queue",
        Stage::Decode => "s-decode",
        Stage::Cloud => "s-cloud",
        Stage::Down => "s-down",
    }
}

pub(super) fn draw(report: &Report) -> String {
    let rows = report.choices.len() as f64;
    let bottom = TOP + rows * ROW;
    let longest = report.choices.iter().map(|choice| choice.p95_s.max(choice.mean_s())).fold(0.0, f64::max);
    let end = longest.min(report.chosen().p95_s * LONGEST);
    let scale = Scale::linear((0.0, end), (LEFT, WIDTH - RIGHT));
    let mut svg =
        Svg::new(WIDTH, bottom + 12.0, "Expected latency of every choice, stacked by what takes the time");
    for tick in scale.ticks(6) {
        let x = scale.at(tick);
        svg.line("grid", (x, TOP - 4.0), (x, bottom));
        svg.text("tick", (x, TOP - 10.0), Anchor::Middle, &print::plain(&print::seconds(tick)));
    }
    for (index, choice) in report.choices.iter().enumerate() {
        row(&mut svg, &scale, TOP + index as f64 * ROW, choice, index == report.chosen);
    }
    svg.line("axis", (LEFT, TOP - 4.0), (LEFT, bottom));
    svg.finish()
}

fn row(svg: &mut Svg, scale: &Scale, y: f64, choice: &Choice, is_chosen: bool) {
    let (middle, top) = (y + ROW / 2.0 + 4.0, y + (ROW - BAR) / 2.0);
    let weight = if is_chosen { "label strong" } else { "label" };
    if is_chosen {
        svg.rect("band", Rect { x: 0.0, y: y + 0.5, width: WIDTH, height: ROW - 1.0 }, "");
        svg.text("label strong", (6.0, middle), Anchor::Start, "▶");
    }
    svg.text(weight, (LEFT - 8.0, middle), Anchor::End, &print::elide(&choice.name, 26));
    let mut until = 0.0;
    for part in choice.parts.iter().filter(|part| part.seconds > 0.0) {
        let (from, to) = (scale.within(until), scale.within(until + part.seconds));
        until += part.seconds;
        let title = format!("{}: {} {}", choice.name, part.stage.name(), print::seconds(part.seconds));
        // A seam between neighbours, so that colour is not all that tells them apart.
        let seam = if to - from > 2.0 { 1.0 } else { 0.0 };
        let rect = Rect { x: from, y: top, width: to - from - seam, height: BAR };
        svg.rect(class(part.stage), rect, &title);
    }
    let end = scale.within(until);
    if !choice.breaks.is_empty() {
        let rect = Rect { x: scale.at(0.0), y: top, width: end - scale.at(0.0), height: BAR };
        svg.rect("hatch", rect, &format!("{} breaks: {}", choice.name, choice.breaks.join("; ")));
    }
    let (_, most) = scale.range();
    let late = scale.within(choice.p95_s);
    if choice.p95_s <= most {
        svg.line("whisker", (end.min(late), y + ROW / 2.0), (late, y + ROW / 2.0));
        svg.line("whisker", (late, top + 2.0), (late, top + BAR - 2.0));
    }
    let is_cut = until > most;
    if is_cut {
        for shift in [0.0, 5.0] {
            let x = end - 14.0 + shift;
            svg.line("gap", (x, top + BAR + 2.0), (x + 5.0, top - 2.0));
        }
    }
    let total = format!("{}{}", if is_cut { "→ " } else { "" }, print::seconds(choice.mean_s()));
    let (from, mut note) = (WIDTH - RIGHT + 10.0, String::new());
    if is_chosen {
        note.push_str("chosen");
    } else if !choice.breaks.is_empty() {
        note = format!("✕ {}", print::elide(&choice.breaks[0], 18));
    }
    if choice.is_baseline && choice.breaks.is_empty() {
        note.push_str(if note.is_empty() { "baseline" } else { ", a baseline" });
    }
    svg.text(weight, (from, middle), Anchor::Start, &total);
    svg.text("faint", (from + 72.0, middle), Anchor::Start, &note);
}
