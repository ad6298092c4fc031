//! Where in the model requests leave, and what heads there know.

use super::super::report::Report;
use super::frame::{Frame, Taken, WIDTH, colour, kept, percent, whisker};
use crate::page::svg::{Anchor, Rect, Svg};
use kerf_agreement::Share;

const ACROSS: (f64, f64) = (74.0, WIDTH - 150.0);

/// Both panels, on the same axis; the first only where thresholds are served.
pub(super) fn draw(report: &Report) -> String {
    let is_served = kept(report).next().is_some();
    let (leaving, height) = if is_served { (280.0, 590.0) } else { (0.0, 280.0) };
    let mut svg = Svg::new(WIDTH, height, "Exits by the part of the model that runs before them");
    if is_served {
        leave(&mut svg, report, &Frame::new(ACROSS, (20.0, leaving), (0.0, 1.0), (0.0, 1.0)));
    }
    let least = report.exits.iter().filter_map(|exit| exit.right.value()).fold(1.0, f64::min);
    let low = (least - (1.0 - least) * 0.15 - 0.005).max(0.0);
    let top = if is_served { leaving + 60.0 } else { 20.0 };
    let frame = Frame::new(ACROSS, (top, height - 48.0), (0.0, 1.0), (low, 1.0));
    know(&mut svg, report, &frame, is_served.then_some(leaving));
    svg.finish()
}

/// Steps down, by the share that leaves at each exit: what lies below them is the work that is done.
fn leave(svg: &mut Svg, report: &Report, frame: &Frame) {
    frame.grid(svg, (10, false), (5, true));
    let middle = f64::midpoint(frame.top, frame.bottom);
    svg.turned("caption", (frame.left - 56.0, middle), Anchor::Middle, -90.0, "requests still under way");
    let all = kept(report).map(|(_, exit)| exit.reached).max().unwrap_or(0).max(1) as f64;
    let (mut before, mut level, mut done, mut heads) = (0.0, 1.0, 0.0, 0.0);
    let (mut drops, mut taken) = (Vec::new(), Taken::default());
    for (at, exit) in kept(report) {
        block(svg, frame, (before, exit.to_exit), level);
        let after = (exit.reached.saturating_sub(exit.answered) as f64 / all).min(level);
        done += (exit.to_exit - before).max(0.0) * level;
        heads += exit.head * level;
        drops.push((at, exit, level, after));
        (before, level) = (exit.to_exit.max(before), after);
    }
    block(svg, frame, (before, 1.0), level);
    done += (1.0 - before) * level;
    taken.line(frame.at(0.0, 1.0), frame.at(1.0, 1.0));
    for (_, exit, from, to) in &drops {
        taken.line(frame.at(exit.to_exit, *from), frame.at(exit.to_exit, *to));
    }
    let ends = drops.iter().skip(1).map(|(_, exit, ..)| exit.to_exit).chain([1.0]);
    for ((_, exit, _, to), end) in drops.iter().zip(ends) {
        taken.line(frame.at(exit.to_exit, *to), frame.at(end, *to));
    }
    for (at, exit, from, to) in &drops {
        let title = format!(
            "b{}, after {} of the work: {} of the {} that come here leave, {} of them wrongly",
            exit.boundary,
            percent(exit.to_exit),
            exit.answered,
            exit.reached,
            exit.wrong
        );
        let (x, top) = frame.at(exit.to_exit, *from);
        let tall = frame.y.within(*to) - top;
        svg.rect(
            &format!("drop {}", colour(report, *at)),
            Rect { x: x - 2.0, y: top, width: 4.0, height: tall },
            &title,
        );
        let text = format!("b{} · {} leave", exit.boundary, percent(from - to));
        taken.label(svg, frame, frame.at(exit.to_exit, f64::midpoint(*from, *to)), &text, false, 130.0);
    }
    let text = format!("{} of the model's work, heads add {}", percent(done), percent(heads));
    svg.text("caption halo", (frame.left + 10.0, frame.bottom - 10.0), Anchor::Start, &text);
    let rest = frame.at(1.0, level / 2.0);
    svg.text("", (rest.0 + 9.0, rest.1 + 4.0), Anchor::Start, &format!("{} run to the end", percent(level)));
}

fn block(svg: &mut Svg, frame: &Frame, (from, to): (f64, f64), level: f64) {
    let ((x, y), (right, bottom)) = (frame.at(from, level), frame.at(to, 0.0));
    svg.rect("side edge", Rect { x, y, width: right - x, height: bottom - y }, "");
}

/// How often each head is right where it would answer everything.
fn know(svg: &mut Svg, report: &Report, frame: &Frame, above: Option<f64>) {
    frame.grid(svg, (10, true), (5, true));
    frame.captions(svg, "work of the model before the exit", "right, were all to exit");
    let y = frame.y.within(1.0);
    svg.line("baseline", (frame.left, y), (frame.right, y));
    svg.text("faint", (frame.right + 8.0, y + 4.0), Anchor::Start, "the whole model");
    let mut taken = Taken::default();
    taken.line((frame.left, y), (frame.right, y));
    let spot = |right: Share, to_exit: f64| frame.at(to_exit, right.value().unwrap_or(0.0));
    for exit in &report.exits {
        taken.disc(spot(exit.right, exit.to_exit), 6.0);
    }
    for (at, exit) in report.exits.iter().enumerate() {
        let (x, y) = spot(exit.right, exit.to_exit);
        if let (Some(above), Some(_)) = (above, exit.threshold) {
            svg.line("rule", (x, above), (x, y));
        }
        whisker(svg, frame, exit.to_exit, exit.right);
        let right = percent(exit.right.value().unwrap_or(0.0));
        let title = format!(
            "b{}, {}: {right} right ({} of {}), after {} of the work; the head itself is {}",
            exit.boundary,
            exit.kind,
            exit.right.same,
            exit.right.of,
            percent(exit.to_exit),
            percent(exit.head)
        );
        svg.circle(&format!("pip {}", colour(report, at)), (x, y), 5.5, &title);
    }
    for exit in &report.exits {
        let right = percent(exit.right.value().unwrap_or(0.0));
        let text = format!("b{} {right}", exit.boundary);
        taken.label(svg, frame, spot(exit.right, exit.to_exit), &text, false, 60.0);
    }
}
