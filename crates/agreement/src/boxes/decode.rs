//! A detector's raw outputs to boxes.

use super::{Activation, Background, Boxes, Columns, Detection, Format, Grid, Layout, matching};
use crate::JudgeError;
use crate::judge::find;
use kerf_tensor::NamedTensor;

/// Candidates of a picture that suppression looks at, those with the best scores.
const MOST: usize = 1000;
/// Sides of a square picture that is looked for.
const MOST_PIXELS: u32 = 1 << 14;

/// The boxes of every picture, best first.
pub(super) fn decode(boxes: &Boxes, outputs: &[NamedTensor]) -> Result<Vec<Vec<Detection>>, JudgeError> {
    let layout = &boxes.layout;
    let source = Source::new(layout, outputs)?;
    let mut pictures = Vec::new();
    for picture in 0..source.pictures {
        let candidates = (0..source.candidates).filter_map(|at| source.candidate(picture, at));
        let mut found: Vec<Detection> = candidates
            .filter(|it| it.score >= boxes.score.value())
            .filter(|it| it.corners.iter().all(|corner| corner.is_finite()))
            .filter(|it| it.corners[2] > it.corners[0] && it.corners[3] > it.corners[1])
            .collect();
        // Stable: of equal scores the first stays first.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MOST);
        if let Some(iou) = boxes.nms {
            found = matching::suppress(found, iou.value());
        }
        pictures.push(found);
    }
    Ok(pictures)
}

/// The outputs that a layout names, checked against each other.
struct Source<'a> {
    layout: &'a Layout,
    pictures: usize,
    candidates: usize,
    boxes: View,
    scores: View,
    objectness: Option<View>,
    label: Option<View>,
    cells: Vec<Cell>,
}

/// Where a candidate is on the picture.
#[derive(Clone, Copy)]
struct Cell {
    x: f64,
    y: f64,
    stride: f64,
}

/// Some columns of an output, whichever way it lies.
struct View {
    values: Vec<f64>,
    pictures: usize,
    candidates: usize,
    width: usize,
    from: usize,
    count: usize,
    transposed: bool,
}

impl<'a> Source<'a> {
    fn new(layout: &'a Layout, outputs: &'a [NamedTensor]) -> Result<Self, JudgeError> {
        let bins = layout.grid.as_ref().map_or(0, |grid| grid.bins);
        let coordinates = if layout.format == Format::Ltrb { bins.saturating_mul(4) } else { 4 };
        let output = |name: &Option<String>| match name {
            Some(name) => find(outputs, name),
            None => outputs
                .first()
                .ok_or_else(|| JudgeError::Missing { name: "the first".into(), known: "none".into() }),
        };
        let first = output(&layout.boxes.output)?;
        if coordinates == 0 {
            return Err(JudgeError::unfit(first, "ltrb needs a grid, and a bin for each side"));
        }
        let rank = first.tensor.shape().len();
        let view = |columns: &Columns, count| {
            View::new(output(&columns.output)?, rank, columns.from, count, layout.transposed)
        };
        let boxes = view(&layout.boxes, Some(coordinates))?;
        let scores = &layout.scores;
        let named = Columns { output: scores.output.clone(), from: scores.from };
        let one =
            |columns: &Option<Columns>| columns.as_ref().map(|columns| view(columns, Some(1))).transpose();
        let count = if layout.label.is_some() { Some(1) } else { scores.count };
        let made = Self {
            layout,
            pictures: boxes.pictures,
            candidates: boxes.candidates,
            scores: view(&named, count)?,
            objectness: one(&layout.objectness)?,
            label: one(&layout.label)?,
            cells: match &layout.grid {
                Some(grid) => cells(grid, boxes.candidates)
                    .ok_or_else(|| JudgeError::unfit(first, grid_reason(grid, boxes.candidates)))?,
                None => Vec::new(),
            },
            boxes,
        };
        let others = [Some(&made.scores), made.objectness.as_ref(), made.label.as_ref()];
        let differs = |view: &View| (view.pictures, view.candidates) != (made.pictures, made.candidates);
        if others.into_iter().flatten().any(differs) {
            return Err(JudgeError::unfit(first, "another output has not as many candidates"));
        }
        Ok(made)
    }

    fn candidate(&self, picture: usize, at: usize) -> Option<Detection> {
        let (class, score) = self.best_class(picture, at)?;
        let objectness = self.objectness.as_ref().map_or(1.0, |view| view.at(picture, at, 0));
        let score = score * objectness;
        if score.is_nan() {
            return None;
        }
        let corners = match self.cells.get(at) {
            Some(cell) => self.on_grid(picture, at, *cell),
            None => corners(self.layout.format, [0, 1, 2, 3].map(|side| self.boxes.at(picture, at, side))),
        };
        Some(Detection { corners, score, class })
    }

    fn best_class(&self, picture: usize, at: usize) -> Option<(usize, f64)> {
        let all = self.scores.count;
        let raw = |class: usize| self.scores.at(picture, at, class);
        let scores = &self.layout.scores;
        if let Some(label) = &self.label {
            let class = label.at(picture, at, 0);
            // Rows that an end-to-end model leaves empty have class -1.
            return (0.0..1e9)
                .contains(&class)
                .then(|| (class as usize, activate(scores.activation, raw(0))));
        }
        let classes = match scores.background {
            Background::None => 0..all,
            Background::First => 1..all,
            Background::Last => 0..all.saturating_sub(1),
        };
        let first = classes.start;
        let best = classes.fold(None, |best: Option<(usize, f64)>, class| match (best, raw(class)) {
            (_, score) if score.is_nan() => best,
            (Some((_, most)), score) if score <= most => best,
            (_, score) => Some((class, score)),
        });
        let (class, score) = best?;
        let score = match scores.activation {
            Activation::Softmax => 1.0 / (0..all).map(|other| (raw(other) - score).exp()).sum::<f64>(),
            other => activate(other, score),
        };
        Some((class - first, score))
    }

    fn on_grid(&self, picture: usize, at: usize, cell: Cell) -> [f64; 4] {
        let side = |side| self.boxes.at(picture, at, side);
        let Cell { x, y, stride } = cell;
        match self.layout.format {
            Format::Ltrb => {
                let away = [0, 1, 2, 3].map(|side| self.distance(picture, at, side));
                let [x, y] = [x + 0.5, y + 0.5];
                [x - away[0], y - away[1], x + away[2], y + away[3]].map(|corner| corner * stride)
            }
            Format::Cxcywh => {
                let centre = [side(0) + x, side(1) + y, side(2).exp(), side(3).exp()];
                corners(Format::Cxcywh, centre.map(|value| value * stride))
            }
            // Corners in cells from the cell's own.
            other => {
                let [left, top, right, bottom] = corners(other, [0, 1, 2, 3].map(side));
                [left + x, top + y, right + x, bottom + y].map(|corner| corner * stride)
            }
        }
    }

    fn distance(&self, picture: usize, at: usize, side: usize) -> f64 {
        let bins = self.layout.grid.as_ref().map_or(1, |grid| grid.bins);
        let bin = |index: usize| self.boxes.at(picture, at, side * bins + index);
        if bins == 1 {
            return bin(0);
        }
        let most = (0..bins).map(bin).fold(f64::NEG_INFINITY, f64::max);
        let weights = (0..bins).map(|index| (bin(index) - most).exp());
        let (sum, weighted) = weights.enumerate().fold((0.0, 0.0), |(sum, weighted), (index, weight)| {
            (sum + weight, weighted + weight * index as f64)
        });
        weighted / sum
    }
}

impl View {
    fn new(
        output: &NamedTensor,
        rank: usize,
        from: usize,
        count: Option<usize>,
        transposed: bool,
    ) -> Result<Self, JudgeError> {
        let unfit = |reason: &str| JudgeError::unfit(output, reason);
        let shape = output.tensor.shape();
        let (leading, candidates, width) = match *shape {
            [rows, columns] if rank == 2 => (1, rows, columns),
            [pictures, rows, columns] if rank == 3 => (pictures, rows, columns),
            // A single column without its axis.
            [rows] if rank == 2 => (1, rows, 1),
            [pictures, rows] if rank == 3 => (pictures, rows, 1),
            _ => return Err(unfit("expected [N, candidates, columns]")),
        };
        let is_turned = transposed && shape.len() == rank;
        let (candidates, width) = if is_turned { (width, candidates) } else { (candidates, width) };
        let count = count.or_else(|| width.checked_sub(from)).unwrap_or(0);
        if count == 0 || from.checked_add(count).is_none_or(|end| end > width) {
            return Err(unfit(&format!("columns {from} and on are not there: it has {width}")));
        }
        let values = output.tensor.to_f64().map_err(|error| unfit(&error.to_string()))?;
        Ok(Self { values, pictures: leading, candidates, width, from, count, transposed: is_turned })
    }

    fn at(&self, picture: usize, candidate: usize, column: usize) -> f64 {
        let column = self.from + column;
        let row = if self.transposed {
            (picture * self.width + column) * self.candidates + candidate
        } else {
            (picture * self.candidates + candidate) * self.width + column
        };
        self.values.get(row).copied().unwrap_or(f64::NAN)
    }
}

fn corners(format: Format, [a, b, c, d]: [f64; 4]) -> [f64; 4] {
    match format {
        Format::Xyxy | Format::Ltrb => [a, b, c, d],
        Format::Yxyx => [b, a, d, c],
        Format::Xywh => [a, b, a + c, b + d],
        Format::Cxcywh => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
    }
}

fn activate(activation: Activation, score: f64) -> f64 {
    match activation {
        Activation::None => score,
        // Of one class there is nothing to share with.
        Activation::Sigmoid | Activation::Softmax => 1.0 / (1.0 + (-score).exp()),
    }
}

/// A cell for each candidate; `None` where the grid has not as many.
fn cells(grid: &Grid, candidates: usize) -> Option<Vec<Cell>> {
    let [width, height] = grid.size.or_else(|| square(grid, candidates))?;
    if count(grid, width, height)? != candidates as u64 {
        return None;
    }
    let each = |stride: u32| {
        (0..height.div_ceil(stride)).flat_map(move |y| {
            (0..width.div_ceil(stride)).map(move |x| Cell { x: x.into(), y: y.into(), stride: stride.into() })
        })
    };
    Some(grid.strides.iter().flat_map(|stride| each(*stride)).collect())
}

/// The square picture with so many cells, its side a multiple of the largest stride.
pub(crate) fn square(grid: &Grid, candidates: usize) -> Option<[u32; 2]> {
    let step = *grid.strides.iter().max().filter(|step| **step > 0)?;
    let sides = (1..=MOST_PIXELS / step).map(|by| by * step);
    sides.map(|side| [side; 2]).find(|[w, h]| count(grid, *w, *h) == Some(candidates as u64))
}

fn count(grid: &Grid, width: u32, height: u32) -> Option<u64> {
    grid.strides.iter().try_fold(0u64, |sum, stride| {
        let cells = u64::from(width.checked_next_multiple_of(*stride)? / stride)
            * u64::from(height.checked_next_multiple_of(*stride)? / stride);
        sum.checked_add(cells)
    })
}

fn grid_reason(grid: &Grid, candidates: usize) -> String {
    match grid.size {
        Some([width, height]) => {
            format!("a picture of {width}×{height} has not {candidates} cells at strides {:?}", grid.strides)
        }
        None => format!(
            "no square picture has {candidates} cells at strides {:?}; grid.size says which it is",
            grid.strides
        ),
    }
}
