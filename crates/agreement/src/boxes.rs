//! Answers that are boxes around things.
//!
//! Detectors answer with thousands of candidates, most of them below any threshold, and with
//! neighbours that suppression will drop: raw outputs that differ everywhere may mean the same boxes,
//! and raw outputs that are close may not. So both answers are decoded, thresholded and suppressed as
//! the application would, and what is left is matched.

mod decode;
mod layout;
mod matching;

pub(crate) use decode::square;
pub use layout::{Activation, Background, Columns, Format, Grid, Layout, Scores};

use crate::{Fraction, JudgeError, Share, Verdict};
use kerf_tensor::NamedTensor;
use serde::{Deserialize, Serialize};

/// Which boxes there are, and when two answers have the same.
///
/// In YAML: `{score: 0.3, layout: {boxes: {output: boxes}, format: xyxy, scores: {output: scores,
/// background: first}}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boxes {
    /// Boxes of one class match where their intersection over union is as large as this.
    #[serde(default = "half")]
    pub iou: Fraction,
    /// The answers are the same where this share of the reference's boxes has a match (recall) and
    /// this share of the answer's (precision), in each picture of the request.
    #[serde(default = "most")]
    pub at_least: Fraction,
    /// The least score of a box.
    #[serde(default = "score")]
    pub score: Fraction,
    /// Of two boxes of one class with a larger intersection over union than this the one with the
    /// lower score is dropped; `null` where the model does so itself.
    #[serde(default = "nms")]
    pub nms: Option<Fraction>,
    /// Where boxes and scores lie in the outputs.
    pub layout: Layout,
}

impl Boxes {
    /// Score 0.3, suppression at 0.45 (none where the model has its own labels), match at IoU 0.5, nine
    /// boxes of ten.
    pub fn new(layout: Layout) -> Self {
        let nms = if layout.label.is_some() { None } else { nms() };
        Self { iou: half(), at_least: most(), score: score(), nms, layout }
    }
}

fn half() -> Fraction {
    Fraction::percent(50)
}

fn most() -> Fraction {
    Fraction::percent(90)
}

fn score() -> Fraction {
    Fraction::percent(30)
}

fn nms() -> Option<Fraction> {
    Some(Fraction::percent(45))
}

/// One box: corners in whatever unit the model has, x before y.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Detection {
    corners: [f64; 4],
    score: f64,
    class: usize,
}

pub(crate) fn judge(
    boxes: &Boxes,
    answer: &[NamedTensor],
    reference: &[NamedTensor],
) -> Result<Verdict, JudgeError> {
    let wanted = decode::decode(boxes, reference)?;
    let count = |pictures: &[Vec<Detection>]| pictures.iter().map(|p| p.len() as u64).sum::<u64>();
    if answer == reference {
        return Ok(Verdict::equal(2 * count(&wanted)));
    }
    let given = decode::decode(boxes, answer)?;
    if given.len() != wanted.len() {
        return Ok(Verdict::different(count(&given) + count(&wanted)));
    }
    let (mut same, mut parts, mut f1) = (true, Share::default(), 0.0);
    for (given, wanted) in given.iter().zip(&wanted) {
        let matched = matching::matches(given, wanted, boxes.iou.value());
        let enough = |of: usize| matched as f64 >= boxes.at_least.value() * of as f64;
        same &= enough(given.len()) && enough(wanted.len());
        let both = Share { same: 2 * matched as u64, of: (given.len() + wanted.len()) as u64 };
        // Where neither has a box they agree that there is nothing.
        f1 += both.value().unwrap_or(1.0);
        parts = parts.and(both);
    }
    let distance = if wanted.is_empty() { 0.0 } else { 1.0 - f1 / wanted.len() as f64 };
    Ok(Verdict { same, parts, distance })
}

#[cfg(test)]
mod tests;
