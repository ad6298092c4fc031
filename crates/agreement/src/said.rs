//! A criterion as people write it: on a command line, or as a text or a map in a card.

use crate::{Boxes, Cosine, Criterion, Fraction, Layout, Metric, Pool, Positive, Relative, Top1};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A description of boxes is some hundred bytes.
const MAX_BYTES: usize = 1 << 16;

/// A criterion on a command line; a detector's boxes may be described in a file, which a pure crate
/// does not open.
///
/// `top1`, `top1:0.99` (share of rows), `cosine:0.99`, `cosine:0.99:first` (pool), `relative:0.01`,
/// `boxes:yolox` and the like (presets), `boxes:{…}` (YAML), `boxes:FILE`; each with `@OUTPUT,…`
/// to name the outputs that count.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// All there.
    Criterion(Criterion),
    /// The file at this path holds YAML for [`Boxes::from_yaml`].
    BoxesIn(String),
}

/// Why text is no criterion.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CriterionError {
    /// Another first word.
    #[error("{0:?} is no metric; there are top1, cosine:X, relative:X and boxes:LAYOUT")]
    Metric(String),
    /// A number is missing.
    #[error("{0} needs a number, for example {1}")]
    Missing(&'static str, &'static str),
    /// No number, or one out of range.
    #[error("{metric}: {reason}")]
    Number {
        /// The metric.
        metric: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Another way to pool.
    #[error("cosine: {0:?} is no way to pool; there are mean, first and none")]
    Pool(String),
    /// Nothing between `@` and `,`.
    #[error("an output after @ has no name")]
    Output,
    /// The description of boxes.
    #[error("boxes: {0}")]
    Boxes(String),
    /// A file where none can be opened.
    #[error("boxes: {0:?} is no preset; there are {presets}", presets = Layout::PRESETS.join(", "))]
    Preset(String),
}

impl FromStr for Said {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, CriterionError> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        // YAML and paths may hold an @ of their own.
        if word == "boxes" {
            return said_boxes(rest.unwrap_or_default());
        }
        let (word, _) = word.split_once('@').unwrap_or((word, ""));
        let (text, outputs) = match text.split_once('@') {
            Some((text, outputs)) => (text, outputs.split(',').map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        if outputs.iter().any(String::is_empty) {
            return Err(CriterionError::Output);
        }
        let mut given = text.split(':').skip(1);
        let by = match word {
            "top1" => {
                let at_least = given.next().map_or(Ok(Fraction::ONE), |text| fraction("top1", text))?;
                Metric::Top1(Top1 { at_least, ..Top1::default() })
            }
            "cosine" => {
                let text = given.next().ok_or(CriterionError::Missing("cosine", "cosine:0.99"))?;
                let pool = given.next().map_or(Ok(Pool::Mean), pool)?;
                Metric::Cosine(Cosine { at_least: fraction("cosine", text)?, pool })
            }
            "relative" => {
                let text = given.next().ok_or(CriterionError::Missing("relative", "relative:0.01"))?;
                let at_most = Positive::try_from(number("relative", text)?).map_err(|error| {
                    CriterionError::Number { metric: "relative", reason: error.to_string() }
                })?;
                Metric::Relative(Relative { at_most })
            }
            other => return Err(CriterionError::Metric(other.into())),
        };
        match given.next() {
            Some(more) => Err(CriterionError::Metric(format!("{word}:…:{more}"))),
            None => Ok(Self::Criterion(Criterion { by, outputs })),
        }
    }
}

impl FromStr for Criterion {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, CriterionError> {
        match text.parse()? {
            Said::Criterion(criterion) => Ok(criterion),
            Said::BoxesIn(path) => Err(CriterionError::Preset(path)),
        }
    }
}

impl Boxes {
    /// Reads a description as a card or a file holds it.
    ///
    /// # Errors
    /// Text that is no YAML, longer than 64 KiB, with unknown keys or values out of range.
    pub fn from_yaml(text: &str) -> Result<Self, CriterionError> {
        if text.len() > MAX_BYTES {
            let (long, most) = (text.len(), MAX_BYTES);
            return Err(CriterionError::Boxes(format!("{long} bytes, {most} are allowed")));
        }
        serde_saphyr::from_str(text).map_err(|error| CriterionError::Boxes(error.to_string()))
    }
}

impl<'de> Deserialize<'de> for Criterion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrMap)
    }
}

/// What a map of a criterion holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    by: Metric,
    #[serde(default)]
    outputs: Vec<String>,
}

struct TextOrMap;

impl<'de> Visitor<'de> for TextOrMap {
    type Value = Criterion;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a criterion such as `top1` or `cosine:0.99`, or a map with `by`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Criterion, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Criterion, A::Error> {
        let Raw { by, outputs } = Raw::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Criterion { by, outputs })
    }
}

fn said_boxes(text: &str) -> Result<Said, CriterionError> {
    let boxes = |boxes: Boxes| Ok(Said::Criterion(Criterion::new(Metric::Boxes(Box::new(boxes)))));
    match text {
        "" => Err(CriterionError::Preset(String::new())),
        yaml if yaml.starts_with('{') => boxes(Boxes::from_yaml(yaml)?),
        name => match Layout::preset(name) {
            Some(layout) => boxes(Boxes::new(layout)),
            None => Ok(Said::BoxesIn(name.into())),
        },
    }
}

fn fraction(metric: &'static str, text: &str) -> Result<Fraction, CriterionError> {
    Fraction::try_from(number(metric, text)?)
        .map_err(|error| CriterionError::Number { metric, reason: error.to_string() })
}

fn number(metric: &'static str, text: &str) -> Result<f64, CriterionError> {
    text.parse().map_err(|_| CriterionError::Number { metric, reason: format!("{text:?} is no number") })
}

fn pool(text: &str) -> Result<Pool, CriterionError> {
    match text {
        "mean" => Ok(Pool::Mean),
        "first" => Ok(Pool::First),
        "none" => Ok(Pool::None),
        other => Err(CriterionError::Pool(other.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_line_says() {
        for (text, words) in [
            ("top1", "top-1"),
            ("top1:0.99", "top-1 in ≥ 99% of rows"),
            ("top1@exit1,final", "top-1 of exit1, final"),
            ("top1@Identity:0", "top-1 of Identity:0"),
            ("cosine:0.99", "cosine ≥ 0.99"),
            ("cosine:0.99:first@embedding", "cosine ≥ 0.99 of embedding"),
            ("relative:1e-2", "max|a-ref| / max|ref| ≤ 0.01"),
            ("boxes:yolox", "≥ 90% of boxes at IoU ≥ 0.5, score ≥ 0.3"),
        ] {
            let criterion: Criterion = text.parse().unwrap();
            assert_eq!(criterion.to_string(), words, "{text}");
            let json = serde_json::to_string(&criterion).unwrap();
            assert_eq!(serde_json::from_str::<Criterion>(&json).unwrap(), criterion, "{json}");
            assert_eq!(
                serde_saphyr::from_str::<Criterion>(&json).unwrap(),
                criterion,
                "JSON is YAML: {json}"
            );
            assert_eq!(serde_saphyr::from_str::<Criterion>(&format!("\"{text}\"")).unwrap(), criterion);
        }
        assert_eq!("boxes:my/b@x.yaml".parse(), Ok(Said::BoxesIn("my/b@x.yaml".into())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, message) in [
            ("top2", "\"top2\" is no metric"),
            ("", "\"\" is no metric"),
            ("top1:0", "top1: 0: expected a number above 0 and at most 1"),
            ("top1:1:2", "is no metric"),
            ("top1@", "an output after @ has no name"),
            ("top1@a,,b", "an output after @ has no name"),
            ("cosine", "cosine needs a number, for example cosine:0.99"),
            ("cosine:1.01", "expected a number above 0 and at most 1"),
            ("cosine:NaN", "expected a number above 0 and at most 1"),
            ("cosine:0.9:max", "\"max\" is no way to pool"),
            ("relative:inf", "expected a number above 0"),
            ("relative:x", "\"x\" is no number"),
            ("boxes", "is no preset; there are yolox"),
            ("boxes:nothing", "\"nothing\" is no preset"),
            ("boxes:{iou: 2}", "expected a number above 0 and at most 1"),
            ("boxes:{ious: 0.5}", "ious"),
        ] {
            let error = text.parse::<Criterion>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn cards_hold_maps() {
        let yaml = "by: {cosine: {at_least: 0.98, pool: none}}\noutputs: [x]\n";
        let criterion: Criterion = serde_saphyr::from_str(yaml).unwrap();
        let cosine = Cosine { at_least: Fraction::percent(98), pool: Pool::None };
        assert_eq!(criterion, Criterion::new(Metric::Cosine(cosine)).of(["x"]));
        for (yaml, message) in [
            ("by: {cosine: {at_least: 0.98, pol: none}}", "pol"),
            ("by: {cosine: {at_least: 0.98}}\noutput: [x]", "output"),
            ("by: {cosine: {}}", "at_least"),
            ("7", "a criterion such as `top1`"),
        ] {
            let error = serde_saphyr::from_str::<Criterion>(yaml).unwrap_err().to_string();
            assert!(error.contains(message), "{yaml}: {error}");
        }
    }
}
