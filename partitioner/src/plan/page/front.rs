//! Latency against energy: what can be had for what.

use crate::page::scale::{Scale, decimal_bytes};
use crate::page::svg::{Anchor, Path, Svg};
use crate::plan::report::{Choice, Report};
use crate::print;

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 84.0;
const TOP: f64 = 20.0;
const RIGHT: f64 = 30.0;
const BOTTOM: f64 = 54.0;

/// Values further apart than this are drawn on a logarithmic axis.
const FAR: f64 = 12.0;

/// Whether the second axis is energy; without any known it is bytes.
pub(super) fn has_energy(report: &Report) -> bool {
    report.choices.iter().all(|choice| choice.joules.is_some())
}

pub(super) fn draw(report: &Report) -> String {
    let energy = has_energy(report);
    let cost = |choice: &Choice| choice.joules.filter(|_| energy).unwrap_or(choice.bytes_up);
    let what = if energy { "energy per request" } else { "bytes sent per request" };
    let mut svg = Svg::new(WIDTH, HEIGHT, &format!("Latency and {what} of every choice"));
    let x = axis(report.choices.iter().map(Choice::mean_s), (LEFT, WIDTH - RIGHT));
    let y = axis(report.choices.iter().map(cost), (HEIGHT - BOTTOM, TOP));
    let show = |value: f64| if energy { print::joules(value) } else { print::bytes(value as u64) };
    for tick in x.ticks(7) {
        svg.line("grid", (x.at(tick), TOP), (x.at(tick), HEIGHT - BOTTOM));
        svg.text(
            "tick",
            (x.at(tick), HEIGHT - BOTTOM + 19.0),
            Anchor::Middle,
            &print::plain(&print::seconds(tick)),
        );
    }
    for tick in y.ticks(6) {
        svg.line("grid", (LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)));
        svg.text(
            "tick",
            (LEFT - 9.0, y.at(tick) + 4.0),
            Anchor::End,
            &if energy { print::plain(&print::joules(tick)) } else { decimal_bytes(tick) },
        );
    }
    svg.line("axis", (LEFT, TOP), (LEFT, HEIGHT - BOTTOM));
    svg.line("axis", (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM));
    svg.text("caption", ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0), Anchor::Middle, "expected latency");
    svg.turned("caption", (14.0, (TOP + HEIGHT - BOTTOM) / 2.0), Anchor::Middle, -90.0, what);

    staircase(&mut svg, report, |choice| (x.at(choice.mean_s()), y.at(cost(choice))));
    let most = report.choices.iter().map(|choice| choice.bytes_up).fold(1.0, f64::max);
    let (mut places, mut discs) = (Vec::new(), Vec::new());
    // Large ones first, so that small ones lie above them.
    let mut order: Vec<usize> = (0..report.choices.len()).collect();
    order.sort_by(|a, b| report.choices[*b].bytes_up.total_cmp(&report.choices[*a].bytes_up));
    for index in order {
        let choice = &report.choices[index];
        let at = (x.at(choice.mean_s()), y.at(cost(choice)));
        let radius = 3.5 + 13.0 * (choice.bytes_up / most).sqrt();
        let class = match (choice.on_front, choice.is_baseline) {
            (true, _) => "dot front",
            (false, true) => "dot base",
            (false, false) => "dot",
        };
        svg.circle(class, at, radius, &title(choice, &show(cost(choice))));
        discs.push((at.0 - radius, at.0 + radius, at.1 - radius, at.1 + radius));
        if index == report.chosen {
            svg.circle("ring", at, radius + 4.0, "");
        }
        if choice.on_front || choice.is_baseline || index == report.chosen {
            places.push((index, at, radius));
        }
    }
    places.sort_by_key(|(index, ..)| (*index != report.chosen, *index));
    label(&mut svg, report, &places, discs);
    svg.finish()
}

fn axis(values: impl Iterator<Item = f64>, places: (f64, f64)) -> Scale {
    let (low, high) = values.fold((f64::INFINITY, 0f64), |(low, high), v| (low.min(v), high.max(v)));
    if low > 0.0 && high / low > FAR {
        Scale::log((low / 1.25, high * 1.25), places)
    } else {
        Scale::linear((0.0, if high > 0.0 { high * 1.08 } else { 1.0 }), places)
    }
}

/// The front as steps: between two of its points only the worse of both can be had.
fn staircase(svg: &mut Svg, report: &Report, at: impl Fn(&Choice) -> (f64, f64)) {
    let mut points: Vec<(f64, f64)> =
        report.choices.iter().filter(|choice| choice.on_front).map(at).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Fewer bytes or better agreement put a choice on the front too; the line is of the two axes.
    let mut lowest = f64::NEG_INFINITY;
    points.retain(|(_, y)| {
        if *y > lowest {
            lowest = *y;
            true
        } else {
            false
        }
    });
    let Some(first) = points.first().copied() else { return };
    let mut path = Path::from((first.0, TOP));
    let mut before = first;
    path = path.to(first);
    for point in points.into_iter().skip(1) {
        path = path.to((point.0, before.1)).to(point);
        before = point;
    }
    svg.path("stairs", &path.to((WIDTH - RIGHT, before.1)), "");
}

/// Labels beside their points, where nothing else is yet; `taken` is left, right, top and bottom.
fn label(
    svg: &mut Svg,
    report: &Report,
    places: &[(usize, (f64, f64), f64)],
    mut taken: Vec<(f64, f64, f64, f64)>,
) {
    for (index, (x, y), radius) in places {
        let choice = &report.choices[*index];
        let name = print::elide(&choice.name, 24);
        let wide = name.chars().count() as f64 * 7.0;
        let gap = radius + 6.0;
        let spots = [
            (x + gap, y + 4.0, Anchor::Start, x + gap),
            (x - gap, y + 4.0, Anchor::End, x - gap - wide),
            (*x, y - gap, Anchor::Middle, x - wide / 2.0),
            (*x, y + gap + 9.0, Anchor::Middle, x - wide / 2.0),
            (x + gap, y - 12.0, Anchor::Start, x + gap),
            (x + gap, y + 20.0, Anchor::Start, x + gap),
        ];
        let is_free = |left: f64, base: f64| {
            left > LEFT
                && left + wide < WIDTH
                && base > TOP
                && base < HEIGHT - BOTTOM - 2.0
                && taken
                    .iter()
                    .all(|(l, r, t, b)| left > *r || left + wide < *l || base - 12.0 > *b || base + 3.0 < *t)
        };
        let class = if *index == report.chosen { "label strong halo" } else { "label halo" };
        let spot = spots.into_iter().find(|spot| is_free(spot.3, spot.1));
        // The choice has its label even where it is in the way.
        let spot = spot.or((*index == report.chosen).then_some(spots[0]));
        if let Some((at, base, anchor, left)) = spot {
            svg.text(class, (at, base), anchor, &name);
            taken.push((left, left + wide, base - 12.0, base + 3.0));
        }
    }
}

fn title(choice: &Choice, cost: &str) -> String {
    let mut text = format!(
        "{}: {}, {cost}, {} sent, agreement {:.1}%",
        choice.name,
        print::seconds(choice.mean_s()),
        print::bytes(choice.bytes_up as u64),
        choice.agreement * 100.0
    );
    if !choice.breaks.is_empty() {
        text.push_str(&format!("; breaks {}", choice.breaks.join(", ")));
    }
    text
}
