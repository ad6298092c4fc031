//! The figures: one of what is worth having, and a small one for each boundary.

use crate::pack::codecs::report::{self, Place, Report, Tried};
use crate::page::scale::{Scale, decimal_bytes};
use crate::page::svg::{Anchor, Path, Svg};
use crate::print;

const WIDTH: f64 = 1040.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
/// Shares at which the vertical axis may have a label.
const TICKS: [f64; 12] = [1.0, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5, 0.25, 0.0];

/// A mark, its place in the report and on the figure.
type Mark<'a> = (usize, usize, &'a Tried, (f64, f64));

/// Every codec that is kept, and the steps of those that none beats anywhere.
pub(super) fn overview(report: &Report) -> String {
    const HEIGHT: f64 = 460.0;
    let area = Area { left: LEFT, right: WIDTH - RIGHT, top: 34.0, bottom: HEIGHT - 50.0 };
    let mut svg = Svg::new(WIDTH, HEIGHT, "Bytes against agreement of every codec worth having");
    let axes = Axes::new(report, area);
    axes.draw(&mut svg, true, true);
    let middle = f64::midpoint(area.left, area.right);
    svg.text("caption", (middle, HEIGHT - 8.0), Anchor::Middle, "bytes of a request");
    svg.turned("caption", (14.0, f64::midpoint(area.top, area.bottom)), Anchor::Middle, -90.0, "agreement");
    references(&mut svg, report, &axes, true);
    let kept = |place: usize, at: usize, tried: &Tried| tried.kept || report.is_chosen(place, at);
    let marks: Vec<Mark<'_>> = report
        .places
        .iter()
        .enumerate()
        .flat_map(|(place, it)| it.tried.iter().enumerate().map(move |(at, tried)| (place, at, tried)))
        .filter(|(place, at, tried)| kept(*place, *at, tried))
        .map(|(place, at, tried)| (place, at, tried, axes.at(tried)))
        .collect();
    steps(&mut svg, &axes, marks.iter().map(|(.., at)| *at).collect());
    for (_, _, tried, at) in &marks {
        whisker(&mut svg, report, &axes, tried, *at);
    }
    for (place, at, tried, spot) in &marks {
        mark(&mut svg, report, (*place, *at), tried, *spot, "");
    }
    label(&mut svg, report, area, &marks);
    svg.finish()
}

/// All codecs of each boundary.
pub(super) fn by_boundary(report: &Report) -> String {
    const COLUMNS: usize = 3;
    const STEP: f64 = 226.0;
    let rows = report.places.len().div_ceil(COLUMNS).max(1);
    let mut svg = Svg::new(WIDTH, rows as f64 * STEP + 6.0, "Bytes against agreement at each boundary");
    let wide = (WIDTH - LEFT - RIGHT) / COLUMNS as f64;
    for (index, place) in report.places.iter().enumerate() {
        let (row, column) = (index / COLUMNS, index % COLUMNS);
        let (left, top) = (LEFT + column as f64 * wide, row as f64 * STEP);
        let area = Area { left, right: left + wide - 22.0, top: top + 28.0, bottom: top + STEP - 30.0 };
        let axes = Axes::new(report, area);
        axes.draw(&mut svg, column == 0, false);
        let title = format!("b{} · {} raw", place.boundary, print::bytes(place.raw as u64));
        svg.text("strong", (area.left, area.top - 11.0), Anchor::Start, &title);
        references(&mut svg, report, &axes, false);
        if let Some(bytes) = place.eight_bit.filter(|bytes| axes.holds(*bytes)) {
            svg.line("baseline", (axes.x.at(bytes), area.top), (axes.x.at(bytes), area.bottom));
        }
        panel(&mut svg, report, &axes, index, place);
    }
    svg.finish()
}

fn panel(svg: &mut Svg, report: &Report, axes: &Axes, index: usize, place: &Place) {
    for tried in &place.tried {
        whisker(svg, report, axes, tried, axes.at(tried));
    }
    let kept = place.tried.iter().filter(|tried| tried.kept);
    steps(svg, axes, kept.map(|tried| axes.at(tried)).collect());
    // Kept ones last, above the others.
    let mut order: Vec<usize> = (0..place.tried.len()).collect();
    order.sort_by_key(|at| place.tried[*at].kept);
    for at in order {
        let tried = &place.tried[at];
        let class = if tried.kept || report.is_chosen(index, at) { "" } else { " weak" };
        mark(svg, report, (index, at), tried, axes.at(tried), class);
    }
}

/// Where a figure is drawn.
#[derive(Clone, Copy)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The same for every figure of a report.
struct Axes {
    area: Area,
    x: Scale,
    y: Scale,
}

impl Axes {
    fn new(report: &Report, area: Area) -> Self {
        let tried = || report.places.iter().flat_map(|place| &place.tried);
        let sizes = tried().map(|it| it.mean).chain(report.references.iter().map(|it| it.bytes));
        let sizes = sizes.filter(|bytes| bytes.is_finite() && *bytes > 0.0);
        let (low, high) = sizes.fold((f64::INFINITY, 1f64), |(low, high), b| (low.min(b), high.max(b)));
        let low = if low.is_finite() { low } else { 1.0 };
        // As far down as what is kept reaches; what is beaten may lie below.
        let kept = tried().filter(|it| it.kept && it.agreement.of > 0);
        let worst = kept.map(|it| report.interval(it.agreement).low).fold(0.95, f64::min);
        Self {
            area,
            x: Scale::log((low / 1.3, high * 1.3), (area.left, area.right)),
            y: Scale::linear((0.0, stretched(worst)), (area.top, area.bottom)),
        }
    }

    fn at(&self, tried: &Tried) -> (f64, f64) {
        (self.x.within(tried.mean), self.height(tried.agreement.value().unwrap_or(0.0)))
    }

    fn height(&self, share: f64) -> f64 {
        self.y.within(stretched(share))
    }

    fn holds(&self, bytes: f64) -> bool {
        let (low, high) = self.x.range();
        (low..=high).contains(&bytes)
    }

    fn draw(&self, svg: &mut Svg, shares: bool, large: bool) {
        let Area { left, right, top, bottom } = self.area;
        for tick in self.x.ticks(6) {
            svg.line("grid", (self.x.at(tick), top), (self.x.at(tick), bottom));
            svg.text("tick", (self.x.at(tick), bottom + 17.0), Anchor::Middle, &decimal_bytes(tick));
        }
        let room = if large { 22.0 } else { 17.0 };
        let mut last = f64::NEG_INFINITY;
        for share in TICKS.into_iter().filter(|share| stretched(*share) <= self.y.range().1) {
            let at = self.y.at(stretched(share));
            if at - last >= room {
                svg.line("grid", (left, at), (right, at));
                if shares {
                    let text = print::plain(&format!("{:.1} ", share * 100.0));
                    svg.text("tick", (left - 8.0, at + 4.0), Anchor::End, &format!("{text}%"));
                }
                last = at;
            }
        }
        svg.line("axis", (left, top), (left, bottom));
        svg.line("axis", (left, bottom), (right, bottom));
    }
}

/// A twentieth changed and a thousandth changed are both to be seen: lengths are the square root of
/// what changed.
fn stretched(share: f64) -> f64 {
    (1.0 - share.clamp(0.0, 1.0)).sqrt()
}

fn references(svg: &mut Svg, report: &Report, axes: &Axes, named: bool) {
    let Area { top, bottom, right, .. } = axes.area;
    let mut free = top - 20.0;
    for reference in report.references.iter().filter(|it| axes.holds(it.bytes)) {
        let at = axes.x.at(reference.bytes);
        svg.line("reference", (at, top), (at, bottom));
        if named {
            let text =
                format!("{}, {}", print::elide(&reference.name, 30), print::bytes(reference.bytes as u64));
            let anchor = if at > right - 180.0 { Anchor::End } else { Anchor::Start };
            svg.text("named halo", (at, free), anchor, &text);
            free += 13.0;
        }
    }
}

fn whisker(svg: &mut Svg, report: &Report, axes: &Axes, tried: &Tried, (x, y): (f64, f64)) {
    if tried.agreement.of == 0 || y >= axes.area.bottom {
        return;
    }
    let interval = report.interval(tried.agreement);
    let (high, low) = (axes.height(interval.high), axes.height(interval.low));
    svg.line("error", (x, high), (x, low));
    for end in [high, low] {
        svg.line("error", (x - 3.0, end), (x + 3.0, end));
    }
}

fn mark(
    svg: &mut Svg,
    report: &Report,
    (place, at): (usize, usize),
    tried: &Tried,
    spot: (f64, f64),
    class: &str,
) {
    let last = report.places.len().saturating_sub(1).max(1);
    // Eight colours from the first boundary to the last.
    let class = format!("mark d{}{class}", (place * 7 / last).min(7));
    svg.circle(&class, spot, if tried.kept { 5.5 } else { 4.0 }, &title(report, place, tried));
    if report.is_chosen(place, at) {
        svg.circle("ring", spot, 9.0, "");
    }
}

fn title(report: &Report, place: usize, tried: &Tried) -> String {
    let at = report.places.get(place).map_or(0, |place| place.boundary);
    let agreement = report::share(tried.agreement, report.interval(tried.agreement));
    let mut text = format!(
        "b{at} {}: {} (p90 {}), {agreement}, encode {}, decode {}",
        tried.name,
        print::bytes(tried.mean as u64),
        print::bytes(tried.p90 as u64),
        print::seconds(tried.encode),
        print::seconds(tried.decode)
    );
    if let Some(change) = tried.accuracy {
        text.push_str(&format!(", accuracy {}", report::change(change)));
    }
    text
}

/// From few bytes to many, up where more bytes agree more often.
fn steps(svg: &mut Svg, axes: &Axes, mut points: Vec<(f64, f64)>) {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut highest = f64::INFINITY;
    points.retain(|(_, y)| {
        let is_better = *y < highest;
        highest = highest.min(*y);
        is_better
    });
    let Some(first) = points.first().copied() else { return };
    let mut path = Path::from((first.0, axes.area.bottom)).to(first);
    let mut before = first;
    for point in points.into_iter().skip(1) {
        path = path.to((point.0, before.1)).to(point);
        before = point;
    }
    svg.path("stairs", &path.to((axes.area.right, before.1)), "");
}

/// Names of the chosen marks and of those that no other beats, beside them where nothing else is yet.
fn label(svg: &mut Svg, report: &Report, area: Area, marks: &[Mark<'_>]) {
    let mut taken: Vec<(f64, f64, f64, f64)> =
        marks.iter().map(|(.., (x, y))| (x - 7.0, x + 7.0, y - 7.0, y + 7.0)).collect();
    let is_beaten = |it: &Mark<'_>| {
        marks.iter().any(|other| other.3 != it.3 && other.3.0 <= it.3.0 && other.3.1 <= it.3.1)
    };
    let is_named = |it: &&Mark<'_>| report.is_chosen(it.0, it.1) || !is_beaten(it);
    let mut order: Vec<&Mark<'_>> = marks.iter().filter(is_named).collect();
    order.sort_by_key(|(place, at, ..)| !report.is_chosen(*place, *at));
    for (place, at, tried, (x, y)) in order {
        let boundary = report.places.get(*place).map_or(0, |place| place.boundary);
        let name = format!("b{boundary} {}", print::elide(&tried.name, 16));
        let wide = name.chars().count() as f64 * 6.8;
        let spots = [
            (x + 12.0, y + 4.0, Anchor::Start, x + 12.0),
            (x - 12.0, y + 4.0, Anchor::End, x - 12.0 - wide),
            (*x, y - 13.0, Anchor::Middle, x - wide / 2.0),
            (*x, y + 22.0, Anchor::Middle, x - wide / 2.0),
        ];
        let is_free = |left: f64, base: f64| {
            let (right, top, bottom) = (left + wide, base - 12.0, base + 3.0);
            let is_within =
                left > area.left && right < WIDTH && top > area.top - 14.0 && bottom < area.bottom;
            is_within && taken.iter().all(|(l, r, t, b)| left > *r || right < *l || top > *b || bottom < *t)
        };
        let is_chosen = report.is_chosen(*place, *at);
        let spot = spots.into_iter().find(|spot| is_free(spot.3, spot.1));
        // A chosen one has its label even where it is in the way.
        if let Some((at, base, anchor, left)) = spot.or(is_chosen.then_some(spots[2])) {
            svg.text(if is_chosen { "strong halo" } else { "halo" }, (at, base), anchor, &name);
            taken.push((left, left + wide, base - 12.0, base + 3.0));
        }
    }
}
