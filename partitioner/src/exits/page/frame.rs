//! Axes of shares, and labels that keep out of each other's way.

use super::super::report::{ExitRow, Report};
use crate::page::scale::Scale;
use crate::page::svg::{Anchor, Path, Svg};
use crate::print;
use kerf_agreement::Share;

/// Of every figure, in its own units.
pub(super) const WIDTH: f64 = 1040.0;
/// Of the intervals that are drawn.
pub(super) const SURE: f64 = 0.95;
/// Width of a character of a label, about, and of a strong one.
const CHARACTER: (f64, f64) = (6.9, 7.6);

/// A rectangle with a share along each side.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
    /// `across` and `down` are left and right, top and bottom; `x` and `y` the shares at their ends.
    pub(super) fn new(across: (f64, f64), down: (f64, f64), x: (f64, f64), y: (f64, f64)) -> Self {
        let ((left, right), (top, bottom)) = (across, down);
        Self { left, right, top, bottom, x: Scale::linear(x, across), y: Scale::linear(y, (bottom, top)) }
    }

    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.within(x), self.y.within(y))
    }

    /// Lines at about so many round shares of each axis, and whether they are named.
    pub(super) fn grid(&self, svg: &mut Svg, across: (usize, bool), up: (usize, bool)) {
        let Self { left, right, top, bottom, x, y } = self;
        for tick in x.ticks(across.0) {
            svg.line("grid", (x.at(tick), *top), (x.at(tick), *bottom));
            if across.1 {
                svg.text("tick", (x.at(tick), bottom + 17.0), Anchor::Middle, &percent(tick));
            }
        }
        for tick in y.ticks(up.0) {
            svg.line("grid", (*left, y.at(tick)), (*right, y.at(tick)));
            if up.1 {
                svg.text("tick", (left - 8.0, y.at(tick) + 4.0), Anchor::End, &percent(tick));
            }
        }
        svg.line("axis", (*left, *top), (*left, *bottom));
        svg.line("axis", (*left, *bottom), (*right, *bottom));
    }

    /// What the axes are; a caption may be empty.
    pub(super) fn captions(&self, svg: &mut Svg, x: &str, y: &str) {
        let middle = (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom));
        svg.text("caption", (middle.0, self.bottom + 36.0), Anchor::Middle, x);
        svg.turned("caption", (self.left - 56.0, middle.1), Anchor::Middle, -90.0, y);
    }
}

/// What is drawn already, as left, right, top and bottom.
#[derive(Default)]
pub(super) struct Taken(Vec<(f64, f64, f64, f64)>);

impl Taken {
    /// A mark.
    pub(super) fn disc(&mut self, (x, y): (f64, f64), radius: f64) {
        self.0.push((x - radius, x + radius, y - radius, y + radius));
    }

    /// A straight line, as discs along it.
    pub(super) fn line(&mut self, a: (f64, f64), b: (f64, f64)) {
        let steps = ((b.0 - a.0).hypot(b.1 - a.1) / 6.0).ceil().clamp(1.0, 400.0);
        for step in 0..=steps as usize {
            let share = step as f64 / steps;
            self.disc((a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share), 1.5);
        }
    }

    /// Writes a text near a point where nothing else is, within the frame and `beyond` to its right. Where
    /// no place is free one that `must` be written takes the first, another is left to its tooltip.
    pub(super) fn label(
        &mut self,
        svg: &mut Svg,
        frame: &Frame,
        (x, y): (f64, f64),
        text: &str,
        must: bool,
        beyond: f64,
    ) {
        let wide = text.chars().count() as f64 * if must { CHARACTER.1 } else { CHARACTER.0 };
        let near = [(14.0, 4.0), (9.0, -14.0), (9.0, 22.0), (14.0, -28.0), (14.0, 36.0)];
        // Far from its mark a label is worse than none, unless there must be one.
        let near = &near[..if must { near.len() } else { 3 }];
        let spots = near
            .iter()
            .map(|(dx, dy)| (x + dx, y + dy, Anchor::Start, x + dx))
            .chain(near.iter().map(|(dx, dy)| (x - dx, y + dy, Anchor::End, x - dx - wide)))
            .chain([-14.0, 23.0].map(|dy| (x, y + dy, Anchor::Middle, x - wide / 2.0)));
        let spots: Vec<_> = spots.collect();
        let is_free = |left: f64, base: f64| {
            let (right, top, bottom) = (left + wide, base - 11.0, base + 3.0);
            let is_within = left > frame.left + 2.0
                && right < frame.right + beyond
                && top > frame.top - 6.0
                && bottom < frame.bottom;
            is_within && self.0.iter().all(|(l, r, t, b)| left > *r || right < *l || top > *b || bottom < *t)
        };
        let spot = spots.iter().find(|spot| is_free(spot.3, spot.1)).or(must.then_some(&spots[0]));
        if let Some((at, base, anchor, left)) = spot {
            svg.text(if must { "strong halo" } else { "halo" }, (*at, *base), *anchor, text);
            self.0.push((*left, left + wide, base - 11.0, base + 3.0));
        }
    }
}

/// Moves places along a line, which are in order, until any two are `gap` apart, none beyond `most`.
pub(super) fn spread(places: &mut [f64], gap: f64, most: f64) {
    let mut least = f64::NEG_INFINITY;
    for place in places.iter_mut() {
        *place = place.max(least);
        least = *place + gap;
    }
    let mut most = most;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - gap;
    }
}

/// Where a share lies at [`SURE`], as a line through its mark.
pub(super) fn whisker(svg: &mut Svg, frame: &Frame, x: f64, share: Share) {
    if share.of == 0 {
        return;
    }
    let (x, interval) = (frame.x.within(x), share.interval(SURE));
    let ends = [interval.low, interval.high].map(|end| frame.y.within(end));
    svg.line("error", (x, ends[0]), (x, ends[1]));
    for end in ends {
        svg.line("error", (x - 3.0, end), (x + 3.0, end));
    }
}

/// A line through points.
pub(super) fn polyline(
    svg: &mut Svg,
    class: &str,
    points: impl IntoIterator<Item = (f64, f64)>,
    title: &str,
) {
    let mut points = points.into_iter();
    if let Some(first) = points.next() {
        svg.path(class, &points.fold(Path::from(first), Path::to), title);
    }
}

/// The colour of an exit, the same in every figure: kept ones take turns, and take the second turn with
/// dashes; the others have none.
pub(super) fn colour(report: &Report, exit: usize) -> &'static str {
    const TURNS: [&str; 6] = ["x0", "x1", "x2", "x0 again", "x1 again", "x2 again"];
    let before = report.exits.iter().take(exit).filter(|exit| exit.threshold.is_some()).count();
    match report.exits.get(exit).and_then(|exit| exit.threshold) {
        Some(_) => TURNS[before % TURNS.len()],
        None => "idle",
    }
}

/// The exits that answer, by their place in the report.
pub(super) fn kept(report: &Report) -> impl Iterator<Item = (usize, &ExitRow)> {
    report.exits.iter().enumerate().filter(|(_, exit)| exit.threshold.is_some())
}

/// To a tenth from 1% on, `41.2%`, below to a hundredth.
pub(super) fn percent(share: f64) -> String {
    let digits = if share.abs() >= 0.01 { 1 } else { 2 };
    let text = print::plain(&format!("{:.digits$} ", share * 100.0));
    format!("{}%", if text == "-0" { "0" } else { &text })
}
