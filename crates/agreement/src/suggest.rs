//! A criterion for a model that says nothing of its answers.
//!
//! Shapes and names do not prove what an output means: `[N, 384]` may be classes or an embedding, and
//! boxes may be corners or centres. So the guess comes with its reason, to be shown, and a person who
//! knows better names a criterion.

use crate::boxes::square;
use crate::{
    Background, Boxes, Columns, Cosine, Criterion, Format, Fraction, Grid, Layout, Metric, Pool, Positive,
    Relative, Scores, Top1,
};
use kerf_tensor::{DType, Dim, TensorSpec};

/// A criterion and why it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// The criterion.
    pub criterion: Criterion,
    /// The reason, for people.
    pub why: Why,
}

/// Why a criterion was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Outputs of scores by class.
    Scores(Vec<String>),
    /// Outputs of integers, truth values or strings.
    Labels(Vec<String>),
    /// Outputs whose names or shapes are those of embeddings.
    Embeddings(Vec<String>),
    /// One output of four coordinates for each row of another.
    BoxesAndScores {
        /// The output of boxes.
        boxes: String,
        /// The output of scores.
        scores: String,
    },
    /// As many rows as feature maps of the picture have cells.
    Grid {
        /// The preset's name.
        preset: &'static str,
        /// Rows.
        candidates: usize,
    },
    /// At most 1000 rows of six.
    Rows(String),
    /// Nothing of these.
    Numbers,
}

/// From the declared inputs and outputs of a model.
pub fn suggest(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Suggestion {
    let names = |specs: &[&TensorSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    if let Some((boxes, why)) = detector(inputs, outputs) {
        return Suggestion { criterion: Criterion::new(Metric::Boxes(Box::new(boxes))), why };
    }
    let that = |is: fn(&TensorSpec) -> bool| outputs.iter().filter(|spec| is(spec)).collect::<Vec<_>>();
    let (labels, embeddings, scores) = (that(is_label), that(is_embedding), that(is_scores));
    let top1 = || Metric::Top1(Top1::default());
    let (by, counted, why): (_, _, fn(Vec<String>) -> Why) = if !scores.is_empty() {
        (top1(), scores, Why::Scores)
    } else if !embeddings.is_empty() {
        let at_least = Fraction::percent(99);
        (Metric::Cosine(Cosine { at_least, pool: Pool::Mean }), embeddings, Why::Embeddings)
    } else if !labels.is_empty() {
        (top1(), labels, Why::Labels)
    } else {
        (Metric::Relative(Relative { at_most: Positive::HUNDREDTH }), Vec::new(), |_| Why::Numbers)
    };
    let (all, why) = (counted.len() == outputs.len(), why(names(&counted)));
    let criterion = Criterion { by, outputs: if all { Vec::new() } else { names(&counted) } };
    Suggestion { criterion, why }
}

fn detector(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Option<(Boxes, Why)> {
    // A detector looks at a picture.
    let picture = inputs.iter().find_map(picture)?;
    if let [one] = outputs {
        return single(picture, one);
    }
    let boxes = outputs.iter().find(|spec| columns(spec) == Some(4) && is_float(spec))?;
    let rows = boxes.shape.as_ref()?.get(1)?;
    let same_rows = |spec: &&TensorSpec| {
        spec.name != boxes.name
            && is_float(spec)
            && rank(spec) == 3
            && spec.shape.as_ref().is_some_and(|s| s.get(1) == Some(rows))
    };
    let scores = outputs.iter().find(same_rows)?;
    // DETR: no class is the last, and its boxes are centres.
    let is_detr = scores.name.contains("logits");
    let background = match columns(scores) {
        _ if is_detr => Background::Last,
        Some(2) => Background::First,
        _ => Background::None,
    };
    let layout = Layout {
        boxes: Columns::of(&boxes.name, 0),
        format: if is_detr { Format::Cxcywh } else { Format::Xyxy },
        grid: None,
        scores: Scores {
            output: Some(scores.name.clone()),
            background,
            activation: if is_detr { crate::Activation::Softmax } else { crate::Activation::None },
            ..Scores::default()
        },
        objectness: None,
        label: None,
        transposed: false,
    };
    let why = Why::BoxesAndScores { boxes: boxes.name.clone(), scores: scores.name.clone() };
    Some((Boxes::new(layout), why))
}

fn single(picture: [u32; 2], output: &TensorSpec) -> Option<(Boxes, Why)> {
    let [_, Dim::Fixed(rows), Dim::Fixed(columns)] = output.shape.as_deref()? else { return None };
    let (rows, columns) = (*rows, *columns);
    let preset = |name| Layout::preset(name).map(Boxes::new);
    if rows <= 1000 && columns == 6 {
        return Some((preset("rows")?, Why::Rows(output.name.clone())));
    }
    let cells = |strides: &[u32]| {
        let each = strides
            .iter()
            .map(|stride| picture.iter().map(|side| side.div_ceil(*stride) as usize).product::<usize>());
        each.sum::<usize>()
    };
    let (three, four) = (cells(&[8, 16, 32]), cells(&[8, 16, 32, 64]));
    let (name, candidates) = match (rows, columns) {
        (rows, columns) if rows == three && columns > 5 => ("yolox", rows),
        (rows, columns) if rows == 3 * three && columns > 5 => ("yolov5", rows),
        (rows, columns) if columns == three && rows > 4 => ("yolov8", columns),
        (rows, 112) if rows == four => ("nanodet", rows),
        _ => return None,
    };
    let mut boxes = preset(name)?;
    if let Some(grid) = boxes.layout.grid.as_mut().filter(|grid| square(grid, rows) != Some(picture)) {
        *grid = Grid { size: Some(picture), ..grid.clone() };
    }
    Some((boxes, Why::Grid { preset: name, candidates }))
}

/// Width and height of an input of pictures.
fn picture(spec: &TensorSpec) -> Option<[u32; 2]> {
    let side = |dim: &Dim| match dim {
        Dim::Fixed(size) => u32::try_from(*size).ok().filter(|size| *size >= 8),
        Dim::Symbol(_) => Some(0),
    };
    let is_channels = |dim: &Dim| matches!(dim, Dim::Fixed(1..=4));
    match spec.shape.as_deref()? {
        [_, channels, height, width] if is_channels(channels) => Some([side(width)?, side(height)?]),
        [_, height, width, channels] if is_channels(channels) => Some([side(width)?, side(height)?]),
        _ => None,
    }
}

fn is_scores(spec: &TensorSpec) -> bool {
    is_float(spec)
        && !is_embedding(spec)
        && match (rank(spec), columns(spec)) {
            (1 | 2, Some(classes)) => classes > 1,
            (3, Some(classes)) => classes > 1 && has(spec, &["logit", "score", "prob", "class"]),
            _ => false,
        }
}

fn is_embedding(spec: &TensorSpec) -> bool {
    const NAMES: [&str; 6] = ["embed", "hidden", "feature", "pooler", "pooled", "encod"];
    let named = has(spec, &NAMES) && rank(spec) >= 2;
    // Tokens of a width that encoders have; classes of tokens are seldom a multiple of 64.
    let wide = rank(spec) == 3 && columns(spec).is_some_and(|width| width >= 64 && width % 64 == 0);
    is_float(spec) && (named || wide) && !has(spec, &["logit", "score", "prob"])
}

fn is_label(spec: &TensorSpec) -> bool {
    !is_float(spec)
}

fn is_float(spec: &TensorSpec) -> bool {
    spec.dtype.is_float() && spec.dtype != DType::String
}

fn rank(spec: &TensorSpec) -> usize {
    spec.shape.as_ref().map_or(0, Vec::len)
}

/// The last dimension, where it is known.
fn columns(spec: &TensorSpec) -> Option<usize> {
    match spec.shape.as_ref()?.last()? {
        Dim::Fixed(size) => Some(*size),
        Dim::Symbol(_) => None,
    }
}

fn has(spec: &TensorSpec, parts: &[&str]) -> bool {
    let name = spec.name.to_ascii_lowercase();
    parts.iter().any(|part| name.contains(part))
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scores(names) => write!(f, "{} has scores by class", names.join(", ")),
            Self::Labels(names) => write!(f, "{} holds no floats", names.join(", ")),
            Self::Embeddings(names) => {
                write!(f, "{} is called or shaped as embeddings are", names.join(", "))
            }
            Self::BoxesAndScores { boxes, scores } => {
                write!(f, "{boxes} has four coordinates for each row of {scores}, taken as corners")
            }
            Self::Grid { preset, candidates } => {
                write!(f, "{candidates} candidates are those of {preset} for this picture")
            }
            Self::Rows(name) => write!(f, "{name} has rows of six: corners, score, class"),
            Self::Numbers => f.write_str("no output looks like scores, boxes or an embedding"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dtype: DType, dims: &[i64]) -> TensorSpec {
        let dim = |dim: &i64| usize::try_from(*dim).map_or_else(|_| Dim::Symbol("N".into()), Dim::Fixed);
        TensorSpec { name: name.into(), dtype, shape: Some(dims.iter().map(dim).collect()) }
    }

    /// Inputs and outputs as the models that people have declare them; -1 is a symbol.
    #[test]
    fn known_models() {
        const F: DType = DType::F32;
        let picture = |height, width| vec![spec("x", F, &[1, 3, height, width])];
        let tokens = vec![spec("input_ids", DType::I64, &[-1, -1])];
        for (inputs, outputs, words, why) in [
            (picture(224, 224), vec![spec("output", F, &[-1, 1000])], "top-1", "output has scores by class"),
            (
                picture(32, 32),
                vec![spec("exit1", F, &[-1, 10]), spec("final", F, &[-1, 10])],
                "top-1",
                "exit1, final has scores by class",
            ),
            (
                vec![spec("bytes", DType::I32, &[-1, 2048])],
                vec![spec("target_label", F, &[-1, 214])],
                "top-1",
                "target_label has scores",
            ),
            (
                vec![spec("input", F, &[-1, -1])],
                vec![spec("output", F, &[-1, 1]), spec("stateN", F, &[-1, -1, -1])],
                "max|a-ref| / max|ref| ≤ 0.01",
                "no output looks",
            ),
            (
                tokens.clone(),
                vec![spec("last_hidden_state", F, &[-1, -1, 384])],
                "cosine ≥ 0.99",
                "shaped as embeddings",
            ),
            (
                tokens.clone(),
                vec![spec("token_embeddings", F, &[-1, -1, 384]), spec("tokens", DType::I64, &[-1, -1])],
                "cosine ≥ 0.99 of token_embeddings",
                "token_embeddings is called",
            ),
            (tokens.clone(), vec![spec("logits", F, &[-1, -1, 9])], "top-1", "logits has scores"),
            (
                vec![spec("x", F, &[-1, 4])],
                vec![spec("label", DType::I64, &[-1]), spec("probabilities", F, &[-1, 3])],
                "top-1 of probabilities",
                "probabilities has",
            ),
            (
                vec![spec("x", F, &[-1, 4])],
                vec![spec("label", DType::String, &[-1])],
                "top-1",
                "holds no floats",
            ),
            (
                picture(240, 320),
                vec![spec("scores", F, &[1, 4420, 2]), spec("boxes", F, &[1, 4420, 4])],
                "≥ 90% of boxes at IoU ≥ 0.5, score ≥ 0.3",
                "boxes has four coordinates for each row of scores",
            ),
            (picture(416, 416), vec![spec("output", F, &[1, 3549, 85])], "≥ 90% of boxes", "those of yolox"),
            (
                picture(640, 640),
                vec![spec("output0", F, &[1, 84, 8400])],
                "≥ 90% of boxes",
                "those of yolov8",
            ),
            (
                picture(640, 640),
                vec![spec("output0", F, &[1, 25200, 85])],
                "≥ 90% of boxes",
                "those of yolov5",
            ),
            (
                picture(320, 320),
                vec![spec("output", F, &[1, 2125, 112])],
                "≥ 90% of boxes",
                "those of nanodet",
            ),
            (picture(640, 640), vec![spec("output0", F, &[1, 300, 6])], "≥ 90% of boxes", "rows of six"),
            (
                picture(800, 800),
                vec![spec("logits", F, &[1, 100, 92]), spec("pred_boxes", F, &[1, 100, 4])],
                "≥ 90% of boxes",
                "pred_boxes has four",
            ),
            (picture(256, 256), vec![spec("depth", F, &[1, 1, 256, 256])], "max|a-ref|", "no output looks"),
        ] {
            let found = suggest(&inputs, &outputs);
            let (chosen, reason) = (found.criterion.to_string(), found.why.to_string());
            assert!(
                chosen.starts_with(words) && reason.contains(why),
                "{outputs:?}: {chosen}, since {reason}"
            );
        }
    }

    #[test]
    fn grids_of_pictures_that_are_not_square_say_their_size() {
        let input = spec("x", DType::F32, &[1, 3, 256, 416]);
        let found = suggest(&[input], &[spec("y", DType::F32, &[1, 52 * 32 + 26 * 16 + 13 * 8, 85])]);
        let Metric::Boxes(boxes) = found.criterion.by else { panic!("{found:?}") };
        assert_eq!(boxes.layout.grid.and_then(|grid| grid.size), Some([416, 256]));
    }
}
