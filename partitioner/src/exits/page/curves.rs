//! How far each exit alone could go: risk against coverage.

use super::super::report::{ExitRow, Report};
use super::frame::{Frame, WIDTH, colour, percent, polyline, spread};
use crate::page::svg::{Anchor, Svg};
use kerf_exits::Point;

const HEIGHT: f64 = 400.0;
const TOP: f64 = 52.0;
/// The right panel shows errors up to so many times the promised ones, or up to this share of requests.
const NEAR: (f64, f64) = (4.0, 0.02);

/// What an exit answers to fewer requests than this does not stretch the axes.
const FEW: f64 = 0.05;

/// A quantity of a point, drawn over its coverage.
type Value = fn(&Point) -> f64;

/// On the left errors among those answered, on the right among all requests, near the promise.
pub(super) fn draw(report: &Report) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT, "Risk against coverage of every exit on the calibration set");
    // The first few answers tell nothing of a rate yet.
    let points = || report.exits.iter().flat_map(|exit| &exit.curve).filter(|point| point.coverage > FEW);
    let highest = |value: Value| points().map(value).fold(report.risk * 1.5, f64::max);
    let down = (TOP, HEIGHT - 48.0);
    let answered: Value = |point| point.risk;
    let left = Frame::new((74.0, 470.0), down, (0.0, 1.0), (0.0, highest(answered) * 1.04));
    head(&mut svg, &left, "wrong, of those answered");
    left.grid(&mut svg, (5, true), (6, true));
    left.captions(&mut svg, "requests that the exit alone would answer", "");
    // At a coverage c the promise allows risk / c of those answered.
    let (from, most) = (report.risk / left.y.range().1, 100);
    let allowed = (0..=most).map(|step| from + (1.0 - from) * (f64::from(step) / f64::from(most)).powi(3));
    polyline(&mut svg, "reference bent", allowed.map(|share| left.at(share, report.risk / share)), "");
    curves(&mut svg, report, &left, answered);

    let of_all: Value = |point| point.risk * point.coverage;
    let right = Frame::new(
        (596.0, 992.0),
        down,
        (0.0, 1.0),
        (0.0, highest(of_all).min((report.risk * NEAR.0).max(NEAR.1))),
    );
    head(&mut svg, &right, "wrong, of all requests");
    right.grid(&mut svg, (5, true), (6, true));
    right.captions(&mut svg, "requests that the exit alone would answer", "");
    let promised = right.y.within(report.risk);
    svg.line("reference", (right.left, promised), (right.right, promised));
    let text = format!("promised: {}", super::promised(report).0);
    svg.text("named halo", (right.left + 8.0, promised - 6.0), Anchor::Start, &text);
    curves(&mut svg, report, &right, of_all);
    svg.finish()
}

fn head(svg: &mut Svg, frame: &Frame, text: &str) {
    svg.text("strong", (frame.left, frame.top - 32.0), Anchor::Start, text);
}

/// Every exit's curve as far as the frame reaches, its name where it ends, a disc at its threshold.
fn curves(svg: &mut Svg, report: &Report, frame: &Frame, value: Value) {
    let (mut above, mut beside) = (Vec::new(), Vec::new());
    // Kept ones last, above the others.
    let mut order: Vec<(usize, &ExitRow)> = report.exits.iter().enumerate().collect();
    order.sort_by_key(|(_, exit)| exit.threshold.is_some());
    for (at, exit) in order {
        let line = within(&exit.curve, frame.y.range().1, value);
        let title = title(exit);
        let class = colour(report, at);
        polyline(svg, &format!("curve {class}"), line.iter().map(|(x, y)| frame.at(*x, *y)), &title);
        if let Some(point) = served(exit).filter(|point| value(point) <= frame.y.range().1) {
            let spot = frame.at(point.coverage, value(&point));
            svg.circle(&format!("pip {class}"), spot, 5.0, &title);
        }
        if let Some((x, y)) = line.last().map(|(x, y)| frame.at(*x, *y)) {
            let name = format!("b{}", exit.boundary);
            match y <= frame.top + 0.5 && x < frame.right - 1.0 {
                true => above.push(Name { place: x, is_kept: exit.threshold.is_some(), text: name }),
                false => beside.push(Name { place: y, is_kept: exit.threshold.is_some(), text: name }),
            }
        }
    }
    for (x, name) in apart(above, 27.0, frame.right) {
        svg.text("", (x, frame.top - 7.0), Anchor::Middle, &name);
    }
    for (y, name) in apart(beside, 14.0, frame.bottom) {
        svg.text("halo", (frame.right + 9.0, y + 4.0), Anchor::Start, &name);
    }
}

/// A name for the end of a curve.
struct Name {
    place: f64,
    is_kept: bool,
    text: String,
}

/// Where names are written, any two `gap` apart: those of all kept exits, and of others as far as there is
/// room at the ends of their curves.
fn apart(mut names: Vec<Name>, gap: f64, most: f64) -> Vec<(f64, String)> {
    names.sort_by_key(|name| !name.is_kept);
    let mut chosen: Vec<Name> = Vec::new();
    for name in names {
        if name.is_kept || chosen.iter().all(|other| (other.place - name.place).abs() > 0.6 * gap) {
            chosen.push(name);
        }
    }
    chosen.sort_by(|a, b| a.place.total_cmp(&b.place));
    let mut places: Vec<f64> = chosen.iter().map(|name| name.place).collect();
    spread(&mut places, gap, most);
    places.into_iter().zip(chosen.into_iter().map(|name| name.text)).collect()
}

/// The line through the points up to where it rises above `most` for good.
fn within(curve: &[Point], most: f64, value: Value) -> Vec<(f64, f64)> {
    let below = curve.iter().rposition(|point| value(point) <= most).map_or(0, |last| last + 1);
    let point = |point: &Point| (point.coverage, value(point).min(most));
    let mut line: Vec<(f64, f64)> = curve.iter().take(below).map(point).collect();
    if let Some(beyond) = curve.get(below) {
        let ((x, y), (from, low)) =
            ((beyond.coverage, value(beyond)), line.last().copied().unwrap_or((0.0, 0.0)));
        let share = if y > low { (most - low) / (y - low) } else { 1.0 };
        line.push((from + (x - from) * share, most));
    }
    line
}

/// The point of the threshold that is served.
fn served(exit: &ExitRow) -> Option<Point> {
    let threshold = exit.threshold?;
    exit.curve.iter().rev().find(|point| point.threshold >= threshold).copied()
}

fn title(exit: &ExitRow) -> String {
    let all = exit.curve.last().map_or(0.0, |point| point.risk);
    let mut text = format!("b{}: {} wrong were it to answer everything", exit.boundary, percent(all));
    if let (Some(threshold), Some(point)) = (exit.threshold, served(exit)) {
        text.push_str(&format!(
            "; from its threshold {threshold:.4} on it would answer {} of all requests, {} of them wrongly",
            percent(point.coverage),
            percent(point.risk)
        ));
    }
    text
}
