//! The best choice over bandwidth and round-trip time: colour where cutting wins, grey and patterned
//! where a baseline does.

use crate::page::scale::Scale;
use crate::page::svg::{Anchor, Path, Rect, Svg};
use crate::plan::report::{Map, Region, Report};
use crate::print;

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 54.0;

/// What a cell without a region says.
pub(super) const NONE: &str = "no choice keeps the limits";

/// Steps of the ramp that the style sheet has.
pub(super) const RAMP: usize = 8;

/// A class for each region: of baselines by what they are, of the others by depth.
pub(super) fn classes(map: &Map, last: usize) -> Vec<String> {
    let splits: Vec<usize> = map.regions.iter().filter(|it| !it.is_baseline).map(|it| it.split).collect();
    let rank = |split: usize| splits.iter().filter(|other| **other < split).count();
    let class = |region: &Region| match region {
        Region { is_baseline: true, split, .. } if *split == last => "r-edge".to_owned(),
        Region { is_baseline: true, name, .. } if name.starts_with("raw") => "r-raw".to_owned(),
        Region { is_baseline: true, .. } => "r-cloud".to_owned(),
        Region { split, .. } => {
            let steps = splits.len().saturating_sub(1).max(1);
            format!("d{}", (rank(*split) * (RAMP - 1) / steps).min(RAMP - 1))
        }
    };
    map.regions.iter().map(class).collect()
}

/// Share of the cells that each region has.
pub(super) fn shares(map: &Map) -> Vec<f64> {
    let count = |region: usize| map.cells.iter().filter(|cell| **cell == Some(region)).count();
    (0..map.regions.len()).map(|region| count(region) as f64 / map.cells.len().max(1) as f64).collect()
}

pub(super) fn draw(report: &Report) -> String {
    let map = &report.map;
    let (wide, high) = (map.bandwidths.len(), map.rtts.len());
    let mut svg = Svg::new(WIDTH, HEIGHT, "Best choice over uplink bandwidth and round-trip time");
    if wide < 2 || high < 2 || map.cells.len() != wide * high {
        return svg.finish();
    }
    let (x, y) = (edges(&map.bandwidths, (LEFT, WIDTH - RIGHT)), edges(&map.rtts, (HEIGHT - BOTTOM, TOP)));
    let classes = classes(map, report.boundaries.len() - 1);
    for row in 0..high {
        let mut column = 0;
        while column < wide {
            let cell = map.cells[row * wide + column];
            let run = (column..wide).take_while(|at| map.cells[row * wide + at] == cell).count();
            let place = Rect {
                x: x[column],
                y: y[row + 1],
                width: x[column + run] - x[column],
                height: y[row] - y[row + 1],
            };
            match cell {
                Some(region) => {
                    svg.rect(&format!("cell {}", classes[region]), place, &map.regions[region].name)
                }
                None => svg.rect("cell r-none", place, NONE),
            }
            column += run;
        }
    }
    patterns(&mut svg, map, &classes, (&x, &y));
    outlines(&mut svg, map, (&x, &y));
    axes(&mut svg, report);
    labels(&mut svg, map, (&x, &y));
    marker(&mut svg, report);
    svg.finish()
}

/// Where cells begin and end: halfway between their values.
fn edges(values: &[f64], places: (f64, f64)) -> Vec<f64> {
    let step = (places.1 - places.0) / values.len() as f64;
    (0..=values.len()).map(|index| places.0 + step * index as f64).collect()
}

fn scale(values: &[f64], places: (f64, f64)) -> Scale {
    let (first, last) = (values[0], values[values.len() - 1]);
    let half = (last / first).powf(0.5 / (values.len() - 1) as f64);
    Scale::log((first / half, last * half), places)
}

/// Patterns lie above the cells as wholes, or they would start anew in each row.
fn patterns(svg: &mut Svg, map: &Map, classes: &[String], (x, y): (&[f64], &[f64])) {
    let wide = map.bandwidths.len();
    for (region, class) in classes.iter().enumerate().filter(|(_, class)| class.starts_with("r-")) {
        let mut path: Option<Path> = None;
        for row in 0..map.rtts.len() {
            let mut column = 0;
            while column < wide {
                let is_it = |at: usize| map.cells[row * wide + at] == Some(region);
                let run = (column..wide).take_while(|at| is_it(*at) == is_it(column)).count();
                if is_it(column) {
                    let corner = (x[column], y[row]);
                    let start = path.take().map_or_else(|| Path::from(corner), |path| path.jump(corner));
                    let right = x[column + run];
                    path =
                        Some(start.to((right, y[row])).to((right, y[row + 1])).to((x[column], y[row + 1])));
                }
                column += run;
            }
        }
        if let Some(path) = path {
            svg.path(&format!("over {class}-over"), &path, &map.regions[region].name);
        }
    }
}

fn outlines(svg: &mut Svg, map: &Map, (x, y): (&[f64], &[f64])) {
    let (wide, high) = (map.bandwidths.len(), map.rtts.len());
    let cell = |row: usize, column: usize| map.cells[row * wide + column];
    let mut path: Option<Path> = None;
    let mut add = |from: (f64, f64), to: (f64, f64)| {
        let start = path.take().map_or_else(|| Path::from(from), |path| path.jump(from));
        path = Some(start.to(to));
    };
    for row in 0..high {
        for column in 0..wide {
            if column + 1 < wide && cell(row, column) != cell(row, column + 1) {
                add((x[column + 1], y[row]), (x[column + 1], y[row + 1]));
            }
            if row + 1 < high && cell(row, column) != cell(row + 1, column) {
                add((x[column], y[row + 1]), (x[column + 1], y[row + 1]));
            }
        }
    }
    if let Some(path) = path {
        svg.path("outline", &path, "");
    }
}

fn axes(svg: &mut Svg, report: &Report) {
    let map = &report.map;
    let x = scale(&map.bandwidths, (LEFT, WIDTH - RIGHT));
    let y = scale(&map.rtts, (HEIGHT - BOTTOM, TOP));
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    svg.rect("frame", Rect { x: LEFT, y: TOP, width, height }, "");
    for tick in x.ticks(8) {
        svg.line("axis", (x.at(tick), HEIGHT - BOTTOM), (x.at(tick), HEIGHT - BOTTOM + 5.0));
        svg.text("tick", (x.at(tick), HEIGHT - BOTTOM + 19.0), Anchor::Middle, &print::rate(tick));
    }
    for tick in y.ticks(8) {
        svg.line("axis", (LEFT - 5.0, y.at(tick)), (LEFT, y.at(tick)));
        svg.text("tick", (LEFT - 9.0, y.at(tick) + 4.0), Anchor::End, &print::plain(&print::seconds(tick)));
    }
    let middle = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0);
    svg.text("caption", middle, Anchor::Middle, "uplink bandwidth (downlink in proportion)");
    svg.turned("caption", (14.0, (TOP + HEIGHT - BOTTOM) / 2.0), Anchor::Middle, -90.0, "round-trip time");
}

/// A region's name where it is widest; small ones have theirs in the legend only.
fn labels(svg: &mut Svg, map: &Map, (x, y): (&[f64], &[f64])) {
    let regions = map.regions.iter().enumerate().map(|(index, region)| {
        let kind: &[&str] = if region.is_baseline { &["(baseline)"] } else { &[] };
        (Some(index), region.name.as_str(), kind)
    });
    for (cell, name, more) in regions.chain([(None, NONE, &[][..])]) {
        let Some((row, column, cells)) = roomiest(map, cell) else { continue };
        let room = cells as f64 * (x[1] - x[0]);
        let at = ((x[column] + x[column + 1]) / 2.0, (y[row] + y[row + 1]) / 2.0 + 4.0);
        let name = print::elide(name, 30);
        let lines: Vec<&str> = [name.as_str()].into_iter().chain(more.iter().copied()).collect();
        let needed = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as f64 * 7.2 + 8.0;
        if room >= needed {
            for (line, text) in lines.iter().enumerate() {
                svg.text("onmap", (at.0, at.1 + 15.0 * line as f64), Anchor::Middle, text);
            }
        }
    }
}

/// The cell that is furthest inside a region, by row and column, and how many cells are free about it
/// in its row. A text is several times as wide as high, and so are the steps that count.
fn roomiest(map: &Map, wanted: Option<usize>) -> Option<(usize, usize, usize)> {
    let (wide, high) = (map.bandwidths.len(), map.rtts.len());
    let is_it = |row: usize, column: usize| map.cells[row * wide + column] == wanted;
    let inside = |row: usize, column: usize| {
        let left = (0..column).rev().take_while(|at| is_it(row, *at)).count();
        let right = (column + 1..wide).take_while(|at| is_it(row, *at)).count();
        let down = (0..row).rev().take_while(|at| is_it(*at, column)).count();
        let up = (row + 1..high).take_while(|at| is_it(*at, column)).count();
        (left.min(right), down.min(up))
    };
    let places = (0..high).flat_map(|row| (0..wide).map(move |column| (row, column)));
    let places = places.filter(|(row, column)| is_it(*row, *column)).map(|(row, column)| {
        let (across, along) = inside(row, column);
        ((across.min(along * 4), across + along), row, column, across * 2 + 1)
    });
    // Of equals the first, whatever the order of floats.
    let best = places.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    Some((best.1, best.2, best.3))
}

fn marker(svg: &mut Svg, report: &Report) {
    let (asked, map) = (&report.asked, &report.map);
    let x = scale(&map.bandwidths, (LEFT, WIDTH - RIGHT)).within(asked.uplink_bps);
    let y = scale(&map.rtts, (HEIGHT - BOTTOM, TOP)).within(asked.rtt_s);
    let text = format!("{}, {}", print::rate(asked.uplink_bps), print::plain(&print::seconds(asked.rtt_s)));
    svg.line("cross", (x, TOP), (x, HEIGHT - BOTTOM));
    svg.line("cross", (LEFT, y), (WIDTH - RIGHT, y));
    svg.circle("here", (x, y), 7.0, &format!("the given conditions: {text}"));
    let (shift, anchor) = if x > WIDTH * 0.7 { (-12.0, Anchor::End) } else { (12.0, Anchor::Start) };
    let lift = if y < TOP + 30.0 { 20.0 } else { -11.0 };
    svg.text("onmap strong", (x + shift, y + lift), anchor, &format!("here: {text}"));
}
