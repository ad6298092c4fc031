//! Where boxes and scores lie in a detector's outputs.

use serde::{Deserialize, Serialize};

/// The outputs hold `K` candidates as rows, `[N, K, columns]` or `[K, columns]`; an output of one
/// column may lack its axis, `[N, K]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Four columns of coordinates (for [`Format::Ltrb`] four times the grid's bins).
    pub boxes: Columns,
    /// What the coordinates are.
    pub format: Format,
    /// Where coordinates are relative to cells of feature maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// Scores by class.
    pub scores: Scores,
    /// A column that scores are multiplied by: whether there is anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectness: Option<Columns>,
    /// A column with the number of the class, where `scores` is one column of that class's score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Columns>,
    /// Candidates are columns and what is said of them rows, `[N, columns, K]`, in all outputs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transposed: bool,
}

/// Some columns of an output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Its name; the model's first output where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The first of them.
    #[serde(default)]
    pub from: usize,
}

/// Columns of scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// The output's name; the model's first output where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The first column.
    #[serde(default)]
    pub from: usize,
    /// How many; all that follow where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// The column that means that there is nothing.
    #[serde(default)]
    pub background: Background,
    /// What makes them probabilities.
    #[serde(default)]
    pub activation: Activation,
}

/// Which class is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants are the names")]
pub enum Background {
    #[default]
    None,
    First,
    Last,
}

/// What the model left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants are the names")]
pub enum Activation {
    #[default]
    None,
    Sigmoid,
    /// Over the columns of `scores`, the background included.
    Softmax,
}

/// What four coordinates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Two corners, x first.
    Xyxy,
    /// Two corners, y first.
    Yxyx,
    /// The first corner, width and height.
    Xywh,
    /// The centre, width and height. On a grid as YOLOX has it: the centre from the cell's corner in
    /// cells, logarithms of width and height in cells.
    Cxcywh,
    /// On a grid only: how far left, top, right and bottom are from the cell's centre, in cells (FCOS);
    /// with bins the mean of a distribution over 0, 1, … for each (generalised focal loss, NanoDet).
    Ltrb,
}

/// Feature maps, one after the other, row by row: a candidate for each cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Pixels from cell to cell, by feature map.
    pub strides: Vec<u32>,
    /// Width and height of the model's picture in pixels; a square that has as many cells as there are
    /// candidates where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
    /// Columns for each of the four sides of [`Format::Ltrb`]; 1 is the distance itself.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub bins: usize,
}

impl Layout {
    /// Names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&'static str; 5] = ["yolox", "yolov5", "yolov8", "nanodet", "rows"];

    /// How well-known detectors are exported, all in one output: `yolox` without decoding in the
    /// model, `yolov5` (x, y, w, h, object, classes), `yolov8` (the same transposed, without object),
    /// `nanodet` (classes, then 8 bins a side, four strides), `rows` (corners, score, class, after
    /// suppression).
    pub fn preset(name: &str) -> Option<Self> {
        let one = |format, grid, from| Self {
            boxes: Columns::default(),
            format,
            grid,
            scores: Scores { from, ..Scores::default() },
            objectness: None,
            label: None,
            transposed: false,
        };
        let at = |from| Some(Columns { output: None, from });
        let grid = |strides: &[u32], bins| Some(Grid { strides: strides.to_vec(), size: None, bins });
        Some(match name {
            "yolox" => Self { objectness: at(4), ..one(Format::Cxcywh, grid(&[8, 16, 32], 1), 5) },
            "yolov5" => Self { objectness: at(4), ..one(Format::Cxcywh, None, 5) },
            "yolov8" => Self { transposed: true, ..one(Format::Cxcywh, None, 4) },
            "nanodet" => {
                // 80 classes, of COCO; others say so with a description of their own.
                let made = one(Format::Ltrb, grid(&[8, 16, 32, 64], 8), 0);
                let boxes = Columns { output: None, from: 80 };
                Self { boxes, scores: Scores { count: Some(80), ..Scores::default() }, ..made }
            }
            "rows" => {
                let made = one(Format::Xyxy, None, 4);
                Self { label: at(5), scores: Scores { count: Some(1), ..made.scores.clone() }, ..made }
            }
            _ => return None,
        })
    }
}

impl Columns {
    /// Columns of a named output.
    pub fn of(output: impl Into<String>, from: usize) -> Self {
        Self { output: Some(output.into()), from }
    }
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_one(bins: &usize) -> bool {
    *bins == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
