//! `model.yaml` as text. Written by hand for the comments' sake; strings are quoted, so
//! that no name can change the structure.

use crate::{Batching, Card, CardError, Encoded, Metric, Source};
use kerf_preprocess::{Channels, Filter, Layout, PixelType, Resize, Steps};
use kerf_tensor::{DType, Dim, TensorSpec};
use serde::Deserialize;
use std::fmt::Write;

/// A card of a sane model is a few kilobytes.
const MAX_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCard {
    name: String,
    version: u32,
    source: Source,
    inputs: Vec<RawTensor>,
    outputs: Vec<RawTensor>,
    #[serde(default)]
    preprocess: Option<Encoded>,
    metric: Metric,
    tolerance: f64,
    #[serde(default)]
    batching: Option<Batching>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    name: String,
    dtype: String,
    #[serde(default)]
    shape: Option<Vec<RawDim>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawDim {
    Fixed(usize),
    Symbol(String),
}

pub(crate) fn parse(yaml: &str) -> Result<Card, CardError> {
    if yaml.len() > MAX_BYTES {
        return Err(CardError::Syntax(format!("{} bytes, {MAX_BYTES} are allowed", yaml.len())));
    }
    let raw: RawCard = serde_saphyr::from_str(yaml).map_err(|error| CardError::Syntax(error.to_string()))?;
    let specs = |tensors: Vec<RawTensor>| tensors.into_iter().map(RawTensor::spec).collect::<Result<_, _>>();
    Ok(Card {
        name: raw.name,
        version: raw.version,
        source: raw.source,
        inputs: specs(raw.inputs).map_err(CardError::Syntax)?,
        outputs: specs(raw.outputs).map_err(CardError::Syntax)?,
        preprocess: raw.preprocess,
        metric: raw.metric,
        tolerance: raw.tolerance,
        batching: raw.batching,
    })
}

impl RawTensor {
    fn spec(self) -> Result<TensorSpec, String> {
        let dtype = DType::from_name(&self.dtype)
            .ok_or_else(|| format!("tensor {:?}: unknown dtype {:?}", self.name, self.dtype))?;
        let dim = |dim| match dim {
            RawDim::Fixed(size) => Dim::Fixed(size),
            RawDim::Symbol(name) => Dim::Symbol(name),
        };
        let shape = self.shape.map(|dims| dims.into_iter().map(dim).collect());
        Ok(TensorSpec { name: self.name, dtype, shape })
    }
}

pub(crate) fn write(card: &Card) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = try_write(card, &mut out);
    out
}

fn try_write(card: &Card, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "# A model packed for Kerf. 1/manifest.json holds the digests of this file and the others,"
    )?;
    writeln!(out, "# so edges and clouds agree on what they run: to change something, pack again.")?;
    writeln!(out, "name: {}\nversion: {}", text(&card.name), card.version)?;

    writeln!(out, "\n# The file that it was packed from.\nsource:")?;
    writeln!(out, "  file: {}", text(&card.source.file))?;
    writeln!(out, "  sha256: {}\n  opset: {}", text(&card.source.sha256), card.source.opset)?;

    writeln!(out, "\n# A word in a shape is a size that the request decides; equal words are equal sizes.")?;
    for (key, specs) in [("inputs", &card.inputs), ("outputs", &card.outputs)] {
        writeln!(out, "{key}:{}", if specs.is_empty() { " []" } else { "" })?;
        for spec in specs {
            writeln!(out, "  - {}", tensor(spec))?;
        }
    }

    if let Some(encoded) = &card.preprocess {
        writeln!(
            out,
            "\n# JPEG, PNG or WebP files are accepted as a BYTES tensor of shape [N] under the name of"
        )?;
        writeln!(out, "# encoded_input, in the place of input, and become it by these steps.\npreprocess:")?;
        writeln!(out, "  input: {}", text(&encoded.input))?;
        writeln!(out, "  encoded_input: {}\n  steps:", text(&encoded.encoded_input))?;
        write_steps(encoded.steps.steps(), out)?;
    }

    writeln!(
        out,
        "\n# How `partitioner verify` compares a split answer with the whole model's: numeric, by"
    )?;
    writeln!(out, "# max|a-b| / max|ref| within the tolerance; top1, by equal top classes.")?;
    let metric = match card.metric {
        Metric::Top1 => "top1",
        Metric::Numeric => "numeric",
    };
    writeln!(out, "metric: {metric}\ntolerance: {}", card.tolerance)?;

    if let Some(batching) = &card.batching {
        writeln!(
            out,
            "\n# Whether a batch answers as its members do alone: independent (requests may be joined),"
        )?;
        writeln!(out, "# coupled (they may not), fixed (the model's batch size is).\nbatching:")?;
        let kind = match batching.kind {
            crate::BatchingKind::Independent => "independent",
            crate::BatchingKind::Coupled => "coupled",
            crate::BatchingKind::Fixed => "fixed",
        };
        writeln!(out, "  kind: {kind}")?;
        if let Some(difference) = batching.difference {
            writeln!(out, "  difference: {difference}")?;
        }
        if let Some(tried) = batching.tried {
            writeln!(out, "  tried: {tried}")?;
        }
    }
    Ok(())
}

fn write_steps(steps: &Steps, out: &mut String) -> std::fmt::Result {
    match steps.resize {
        Some(Resize::ShorterSide(side)) => writeln!(out, "    resize: {{shorter_side: {side}}}")?,
        Some(Resize::Exact(size)) => {
            writeln!(out, "    resize: {{exact: {{width: {}, height: {}}}}}", size.width, size.height)?;
        }
        None => {}
    }
    let filter = match steps.filter {
        Filter::Bilinear => "bilinear",
        Filter::Bicubic => "bicubic",
    };
    writeln!(out, "    filter: {filter}")?;
    if let Some(size) = steps.crop {
        writeln!(out, "    crop: {{width: {}, height: {}}}", size.width, size.height)?;
    }
    let layout = match steps.layout {
        Layout::Nchw => "nchw",
        Layout::Nhwc => "nhwc",
    };
    let channels = match steps.channels {
        Channels::Rgb => "rgb",
        Channels::Bgr => "bgr",
        Channels::Grey => "grey",
    };
    let dtype = match steps.dtype {
        PixelType::F32 => "f32",
        PixelType::U8 => "u8",
    };
    writeln!(out, "    scale: {}\n    mean: {:?}\n    std: {:?}", steps.scale, steps.mean, steps.std)?;
    writeln!(out, "    layout: {layout}\n    channels: {channels}\n    dtype: {dtype}")
}

fn tensor(spec: &TensorSpec) -> String {
    let mut out = format!("{{name: {}, dtype: {}", text(&spec.name), spec.dtype);
    if let Some(dims) = &spec.shape {
        let dims: Vec<String> = dims
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(size) => size.to_string(),
                Dim::Symbol(name) => text(name),
            })
            .collect();
        let _ = write!(out, ", shape: [{}]", dims.join(", "));
    }
    out.push('}');
    out
}

fn text(value: &str) -> String {
    let plain = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
        && !RESERVED.contains(&value.to_ascii_lowercase().as_str());
    if plain { value.into() } else { quoted(value) }
}

/// A YAML string in double quotes; what is neither a letter nor visible ASCII is escaped, since
/// YAML forbids some characters and JSON quoting lets them pass.
fn quoted(value: &str) -> String {
    let mut out = String::from('"');
    for c in value.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            c if c.is_alphanumeric() || c == ' ' || c.is_ascii_graphic() => write!(out, "{c}"),
            c => write!(out, "\\U{:08X}", u32::from(c)),
        };
    }
    out.push('"');
    out
}

/// Words that some YAML reader takes for something else than a string.
const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchingKind;
    use kerf_preprocess::Preprocess;
    use proptest::prelude::*;

    fn card(name: &str, shape: Option<Vec<Dim>>) -> Card {
        Card {
            name: "m".into(),
            version: 1,
            source: Source { file: name.into(), sha256: "00ff".into(), opset: 13 },
            inputs: vec![TensorSpec { name: name.into(), dtype: DType::F32, shape }],
            outputs: vec![],
            preprocess: None,
            metric: Metric::Numeric,
            tolerance: 1e-4,
            batching: Some(Batching { kind: BatchingKind::Coupled, difference: Some(0.05), tried: Some(3) }),
        }
    }

    #[test]
    fn preprocessing_survives_text() {
        let shape = [Dim::Symbol("N".into()), Dim::Fixed(3), Dim::Fixed(224), Dim::Fixed(224)];
        let mut card = card("input.1", Some(shape.to_vec()));
        card.preprocess = Some(Encoded::new("input.1", Preprocess::imagenet()));
        let yaml = card.to_yaml();
        assert_eq!(Card::parse(&yaml).unwrap(), card, "{yaml}");
        assert!(yaml.contains("encoded_input: input.1_encoded"), "{yaml}");
    }

    #[test]
    fn broken_cards_say_what_is_wrong() {
        let good = card("x", Some(vec![Dim::Fixed(1)])).to_yaml();
        let encoded = "preprocess: {input: y, encoded_input: z, steps: {scale: 1, mean: [0], std: [1]}}\n";
        for (yaml, message) in [
            (good.replace("name: m\n", "name: ../m\n"), "\"../m\" cannot name a model"),
            (good.replace("version: 1", "version: 2"), "version 2"),
            (good.replace("dtype: f32", "dtype: f31"), "unknown dtype \"f31\""),
            (good.replace("tolerance: ", "tolerance: -"), "tolerance -0.0001"),
            (good.replace("opset", "opsets"), "opsets"),
            (format!("{good}{encoded}"), "preprocess.input \"y\" is not an input of the model; it has \"x\""),
            (format!("{good}{}", encoded.replace(": y", ": x").replace(": z", ": x")), "choose another name"),
            (
                format!("{good}{}", encoded.replace(": y", ": x")),
                "preprocess makes x: f32[N, 3, height, width], but the model takes x: f32[1]",
            ),
            ("[".into(), ""),
        ] {
            let error = Card::parse(&yaml).unwrap_err().to_string();
            assert!(error.contains(message), "{error}\nin\n{yaml}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_name_changes_the_structure(name in "\\PC{0,12}|[\\x00-\\x7f]{0,8}", symbol in "\\PC{0,6}") {
            let card = card(&name, Some(vec![Dim::Symbol(symbol), Dim::Fixed(3)]));
            let yaml = card.to_yaml();
            prop_assert_eq!(Card::parse(&yaml).map_err(|e| format!("{e}\n{yaml}")).unwrap(), card);
        }
    }
}
