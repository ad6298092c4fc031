//! Where the time goes along the schedule, and how much would have to travel at each boundary: two
//! small plots on one axis of nodes, since a good cut is late in the one and low in the other.

use crate::page::scale::{Scale, decimal_bytes};
use crate::page::svg::{Anchor, Rect, Svg};
use crate::plan::report::{Layers, Report};
use crate::print;

const WIDTH: f64 = 1040.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 24.0;
/// Above each panel, for its caption.
const HEAD: f64 = 34.0;
const TIMES: f64 = 140.0;
const BYTES: f64 = 120.0;

/// Bars narrower than this are joined with their neighbours.
const NARROWEST: f64 = 1.2;

/// Boundary labels closer than this would overlap.
const APART: f64 = 24.0;

pub(super) fn draw(report: &Report) -> String {
    let panels = report.layers.len() as f64;
    let bottom = TOP + panels * (HEAD + TIMES) + HEAD + BYTES;
    let mut svg = Svg::new(WIDTH, bottom + 46.0, "Time by node and bytes by boundary along the schedule");
    let nodes = report.model.nodes.max(1) as f64;
    let x = Scale::linear((0.0, nodes), (LEFT, WIDTH - RIGHT));
    let cut = report.chosen().split;
    verticals(&mut svg, report, &x, cut, bottom);
    for (index, layers) in report.layers.iter().enumerate() {
        times(&mut svg, layers, &x, TOP + HEAD + index as f64 * (HEAD + TIMES));
    }
    sizes(&mut svg, report, &x, cut, bottom - BYTES);
    for tick in x.ticks(10) {
        svg.text("tick", (x.at(tick), bottom + 17.0), Anchor::Middle, &format!("{tick}"));
    }
    svg.text(
        "caption",
        ((LEFT + WIDTH - RIGHT) / 2.0, bottom + 38.0),
        Anchor::Middle,
        "node, in schedule order",
    );
    svg.finish()
}

fn verticals(svg: &mut Svg, report: &Report, x: &Scale, cut: usize, bottom: f64) {
    let cut_at = x.at(report.boundaries.get(cut).map_or(0.0, |place| place.nodes as f64));
    svg.text("label strong", (cut_at, TOP - 8.0), Anchor::Middle, &format!("b{cut}"));
    let mut labelled = f64::NEG_INFINITY;
    for (index, place) in report.boundaries.iter().enumerate() {
        let at = x.at(place.nodes as f64);
        svg.line(if index == cut { "cut" } else { "rule" }, (at, TOP - 4.0), (at, bottom));
        if index != cut && at - labelled >= APART && (at - cut_at).abs() >= APART {
            svg.text("tick", (at, TOP - 8.0), Anchor::Middle, &format!("b{index}"));
            labelled = at;
        }
    }
}

fn times(svg: &mut Svg, layers: &Layers, x: &Scale, top: f64) {
    let joined = joined(layers, x);
    let most = joined.iter().map(|bar| bar.3).fold(0.0, f64::max);
    let y = Scale::linear((0.0, if most > 0.0 { most } else { 1e-3 }), (top + TIMES, top));
    for tick in y.ticks(3) {
        svg.line("grid", (LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)));
        svg.text("tick", (LEFT - 8.0, y.at(tick) + 4.0), Anchor::End, &print::plain(&print::seconds(tick)));
    }
    let class = if layers.role == "edge" { "s-edge" } else { "s-cloud" };
    for (first, end, name, seconds) in &joined {
        let (left, right) = (x.at(*first as f64), x.at(*end as f64));
        let seam = if right - left > 3.0 { 0.6 } else { 0.0 };
        let rect = Rect {
            x: left,
            y: y.at(*seconds),
            width: right - left - seam,
            height: top + TIMES - y.at(*seconds),
        };
        svg.rect(class, rect, &format!("{name}: {}", print::seconds(*seconds)));
    }
    svg.line("axis", (LEFT, top + TIMES), (WIDTH - RIGHT, top + TIMES));
    let caption = format!("{}: time, by {}", layers.role, layers.source);
    svg.text("caption halo", (LEFT, top - 11.0), Anchor::Start, &caption);
}

/// Bars of a width that can be seen: first node, end, name, seconds.
fn joined(layers: &Layers, x: &Scale) -> Vec<(usize, usize, String, f64)> {
    let mut out: Vec<(usize, usize, String, f64)> = Vec::new();
    for bar in &layers.bars {
        let name = print::elide(&bar.name, 60);
        match out.last_mut() {
            Some(last) if x.at(last.1 as f64) - x.at(last.0 as f64) < NARROWEST => {
                last.1 = bar.end;
                last.3 += bar.seconds;
                if !last.2.ends_with(" and more") {
                    last.2.push_str(" and more");
                }
            }
            _ => out.push((bar.first, bar.end, name, bar.seconds)),
        }
    }
    out
}

fn sizes(svg: &mut Svg, report: &Report, x: &Scale, cut: usize, top: f64) {
    let known = report.boundaries.iter().filter_map(|place| place.bytes).filter(|bytes| *bytes > 0);
    let (low, high) = known.fold((u64::MAX, 1), |(low, high), bytes| (low.min(bytes), high.max(bytes)));
    let low = low.min(high);
    let y = Scale::log((low as f64 / 1.6, high as f64 * 1.3), (top + BYTES, top));
    let mut ticks = y.ticks(3);
    ticks.retain(|tick| *tick >= 1.0);
    for tick in ticks {
        svg.line("grid", (LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)));
        svg.text("tick", (LEFT - 8.0, y.at(tick) + 4.0), Anchor::End, &decimal_bytes(tick));
    }
    svg.line("axis", (LEFT, top + BYTES), (WIDTH - RIGHT, top + BYTES));
    for (index, place) in report.boundaries.iter().enumerate() {
        let Some(bytes) = place.bytes else { continue };
        let at = (x.at(place.nodes as f64), y.within(bytes as f64));
        let title = format!("b{index}: {} tensors, {}", place.tensors.len(), print::bytes(bytes));
        svg.line(if index == cut { "stem strong" } else { "stem" }, (at.0, top + BYTES), at);
        svg.circle(
            if index == cut { "dot front" } else { "dot" },
            at,
            if index == cut { 5.5 } else { 4.0 },
            &title,
        );
    }
    svg.text(
        "caption halo",
        (LEFT, top - 11.0),
        Anchor::Start,
        "bytes of the boundary's tensors, raw (logarithmic)",
    );
}
