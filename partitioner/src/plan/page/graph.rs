//! The graph as an arc diagram: nodes in schedule order down one column, an arc for each tensor that
//! skips nodes, and boundaries as lines across. An order of the nodes is all that a cut needs, and
//! unlike a layout in two dimensions it stays readable for a thousand of them.

use crate::page::svg::{Anchor, Path, Rect, Svg};
use crate::plan::report::{Node, Report, Wire};
use crate::print;

const WIDTH: f64 = 1040.0;
/// Centre of the column of nodes; arcs are on its left.
const COLUMN: f64 = 330.0;
const TOP: f64 = 46.0;
/// Furthest that an arc reaches.
const REACH: f64 = 240.0;
const HALF: f64 = 6.0;

pub(super) fn draw(report: &Report) -> String {
    let (graph, cut) = (&report.graph, report.chosen().split);
    let row = if graph.nodes.len() > 200 { 15.0 } else { 20.0 };
    let rows = Rows { row, at: report.boundaries.iter().map(|place| place.nodes).collect() };
    let count = graph.nodes.len();
    let height = rows.y(count) + 40.0;
    let mut svg = Svg::new(WIDTH, height, "The graph in schedule order with its boundaries and the cut");
    let edge_nodes = report.boundaries.get(cut).map_or(0, |place| place.nodes);
    sides(&mut svg, &rows, edge_nodes, count);
    for (index, place) in report.boundaries.iter().enumerate() {
        boundary(&mut svg, report, &rows, index, index == cut, place.nodes);
    }
    arcs(&mut svg, &rows, &graph.wires, edge_nodes);
    for (index, node) in graph.nodes.iter().enumerate() {
        self::node(&mut svg, &rows, index, node, index < edge_nodes);
    }
    svg.finish()
}

/// Where nodes are; a boundary has a row of its own.
struct Rows {
    row: f64,
    /// Nodes before each boundary, ascending.
    at: Vec<usize>,
}

impl Rows {
    /// Centre of a node's row; of the row after the last node for their number.
    fn y(&self, node: usize) -> f64 {
        let lines = self.at.partition_point(|nodes| *nodes <= node);
        TOP + self.row * (node + lines) as f64
    }

    /// Where a boundary's line is.
    fn line(&self, boundary: usize) -> f64 {
        TOP + self.row * (self.at[boundary] + boundary) as f64
    }
}

fn sides(svg: &mut Svg, rows: &Rows, edge_nodes: usize, count: usize) {
    let middle = match edge_nodes {
        0 => rows.line(0),
        all if all == count => rows.y(count),
        nodes => rows.y(nodes) - rows.row,
    };
    let (top, bottom) = (TOP - rows.row * 0.5, rows.y(count));
    let left = COLUMN - REACH - 44.0;
    for (class, text, from, to, label) in [
        ("side edge", "on the edge ↑", top, middle, if middle < bottom { middle - 8.0 } else { top + 30.0 }),
        ("side cloud", "beyond the edge ↓", middle, bottom, middle + 18.0),
    ] {
        if to - from > rows.row {
            svg.rect(class, Rect { x: COLUMN - 16.0, y: from, width: 32.0, height: to - from }, text);
            svg.text("side-label", (left, label), Anchor::Start, text);
        }
    }
}

fn boundary(svg: &mut Svg, report: &Report, rows: &Rows, index: usize, is_cut: bool, nodes: usize) {
    let (place, y) = (&report.boundaries[index], rows.line(index));
    let what = match place.tensors.as_slice() {
        [one] => print::elide(&one.form, 34),
        many => format!("{} tensors", many.len()),
    };
    let bytes = place.bytes.map_or_else(|| "size unknown".into(), print::bytes);
    let role = match (index, nodes) {
        (0, _) => ", the inputs",
        _ if index + 1 == report.boundaries.len() => ", the outputs",
        _ => "",
    };
    let class = if is_cut { "cut" } else { "rule" };
    svg.line(class, (COLUMN - REACH - 44.0, y), (WIDTH - 330.0, y));
    let text = format!("b{index}{role}: {what}, {bytes}");
    let text = if is_cut { format!("✂ {text}") } else { text };
    svg.text(if is_cut { "label strong" } else { "faint" }, (WIDTH - 322.0, y + 4.0), Anchor::Start, &text);
}

fn arcs(svg: &mut Svg, rows: &Rows, wires: &[Wire], edge_nodes: usize) {
    for wire in wires {
        let Wire { from, to, tensor, bytes } = wire;
        let start = from.map_or(rows.line(0), |from| rows.y(from));
        let end = rows.y(*to);
        let skipped = to - from.map_or(0, |from| from + 1);
        let crosses = from.is_none_or(|from| from < edge_nodes) && *to >= edge_nodes;
        let class = if crosses { "arc crossing" } else { "arc" };
        let size = bytes.map_or_else(String::new, |bytes| format!(", {}", print::bytes(bytes)));
        let title = format!("{}{size}", print::elide(tensor, 80));
        if skipped == 0 {
            let path = Path::from((COLUMN, start)).to((COLUMN, end));
            svg.path(class, &path, &title);
        } else {
            let reach = (14.0 + 13.0 * (skipped as f64).sqrt()).min(REACH);
            // A cubic reaches three quarters of the way to its control points.
            let turn = COLUMN - HALF - reach * 4.0 / 3.0;
            let path =
                Path::from((COLUMN - HALF, start)).curve((turn, start), (turn, end), (COLUMN - HALF, end));
            svg.path(class, &path, &title);
        }
    }
}

fn node(svg: &mut Svg, rows: &Rows, index: usize, node: &Node, is_edge: bool) {
    let y = rows.y(index);
    let size = node.bytes.map_or_else(|| "?".into(), print::bytes);
    let title = format!("{index}: {} {}, {} {size}", node.op, node.name, node.form);
    let half = HALF.min(rows.row / 2.0 - 1.5);
    let rect = Rect { x: COLUMN - half, y: y - half, width: half * 2.0, height: half * 2.0 };
    svg.rect(if is_edge { "s-edge" } else { "s-cloud" }, rect, &title);
    svg.text("tick", (COLUMN + 48.0, y + 4.0), Anchor::End, &index.to_string());
    let text = format!("{}  {}", print::elide(&node.op, 22), print::elide(&node.name, 36));
    svg.text("node", (COLUMN + 56.0, y + 4.0), Anchor::Start, &text);
    svg.text("tick", (WIDTH - 130.0, y + 4.0), Anchor::End, &print::elide(&node.form, 28));
    svg.text("tick", (WIDTH - 50.0, y + 4.0), Anchor::End, &size);
}
