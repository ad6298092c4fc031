use crate::{Boxes, Fraction, Positive};
use serde::{Deserialize, Serialize};

/// What makes two answers to a request the same.
///
/// Read from a map, `{by: {cosine: {at_least: 0.99}}, outputs: [embedding]}`, or from the text that a
/// command line takes, `cosine:0.99@embedding`; written as a map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criterion {
    /// How outputs are compared.
    pub by: Metric,
    /// The outputs that count; all that the metric fits where this is empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

/// A way of comparing outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Classifiers: the same choices.
    Top1(Top1),
    /// Embeddings: nearly the same direction.
    Cosine(Cosine),
    /// Detectors: the same boxes of the same classes, nearly at the same places.
    Boxes(Box<Boxes>),
    /// Regression: nearly the same values.
    Relative(Relative),
}

/// Equal choices: of the class with the largest score where an output holds floats, the value
/// itself where it holds integers, truth values or strings.
///
/// The first of equal scores is chosen, as `numpy.argmax` does; NaN is never chosen, and a row of
/// nothing else has no choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top1 {
    /// The axis of the classes, counted from the end where negative: -1 for `[N, classes]`, 1 for a
    /// segmentation `[N, classes, H, W]`.
    #[serde(default = "last")]
    pub axis: i32,
    /// The share of a request's rows (samples, tokens, pixels) that must choose the same.
    #[serde(default = "one")]
    pub at_least: Fraction,
}

/// The least cosine between the vectors of both answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// As large as this, or larger.
    pub at_least: Fraction,
    /// What becomes of the axes between the first and the last.
    #[serde(default)]
    pub pool: Pool,
}

/// How an output `[N, …, D]` becomes vectors. Trailing dimensions of 1 are dropped first, so that
/// `[N, D, 1, 1]` is `[N, D]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// Their mean over all positions: how sentence encoders are mostly used.
    #[default]
    Mean,
    /// The first position: `[CLS]`.
    First,
    /// Every position by itself; the least cosine counts.
    None,
}

/// The largest max|a − ref| / max|ref| of an output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relative {
    /// As small as this, or smaller.
    pub at_most: Positive,
}

impl Criterion {
    /// Compares all outputs that fit.
    pub fn new(by: Metric) -> Self {
        Self { by, outputs: Vec::new() }
    }

    /// The same on these outputs only.
    pub fn of(self, outputs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { outputs: outputs.into_iter().map(Into::into).collect(), ..self }
    }
}

impl Default for Top1 {
    fn default() -> Self {
        Self { axis: last(), at_least: one() }
    }
}

fn last() -> i32 {
    -1
}

fn one() -> Fraction {
    Fraction::ONE
}

impl std::fmt::Display for Criterion {
    /// In words: `top-1`, `cosine ≥ 0.99 of embedding`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.by {
            Metric::Top1(Top1 { at_least, .. }) if *at_least == Fraction::ONE => f.write_str("top-1"),
            Metric::Top1(Top1 { at_least, .. }) => {
                write!(f, "top-1 in ≥ {}% of rows", at_least.value() * 100.0)
            }
            Metric::Cosine(Cosine { at_least, .. }) => write!(f, "cosine ≥ {}", at_least.value()),
            Metric::Boxes(boxes) => write!(
                f,
                "≥ {}% of boxes at IoU ≥ {}, score ≥ {}",
                boxes.at_least.value() * 100.0,
                boxes.iou.value(),
                boxes.score.value()
            ),
            Metric::Relative(Relative { at_most }) => {
                write!(f, "max|a-ref| / max|ref| ≤ {}", at_most.value())
            }
        }?;
        if self.outputs.is_empty() { Ok(()) } else { write!(f, " of {}", self.outputs.join(", ")) }
    }
}
