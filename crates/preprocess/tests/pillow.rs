//! Pixel by pixel against Pillow: `pillow.py` makes files and references, here they are compared.
//!
//! Run with `--nocapture` for the measured differences.

#![allow(clippy::unwrap_used, reason = "tests")]

use kerf_preprocess::{Preprocess, Steps};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Largest accepted difference in levels of 255: anywhere, and on average over a picture.
struct Bound {
    max: f32,
    mean: f32,
}

/// Kinds of cases by the start of their name; the first that fits counts.
///
/// Lossless files must be equal before resizing, and but for rare roundings after it. JPEG has no one
/// right answer: zune-jpeg's inverse DCT and chroma upsampling round differently from libjpeg-turbo's.
const BOUNDS: &[(&str, &str, Bound)] = &[
    ("png-", "none", Bound { max: 0.0, mean: 0.0 }),
    ("webp-lossless", "none", Bound { max: 0.0, mean: 0.0 }),
    ("webp-lossy", "none", Bound { max: 4.0, mean: 0.5 }),
    ("jpeg-", "none", Bound { max: 4.0, mean: 0.5 }),
    ("photo-png", "imagenet", Bound { max: 1.0, mean: 0.01 }),
    ("photo-jpeg", "none", Bound { max: 12.0, mean: 0.6 }),
    ("photo-jpeg", "imagenet", Bound { max: 8.0, mean: 0.4 }),
];

#[test]
fn pixels_are_those_of_pillow() {
    let python = std::env::var_os("KERF_PYTHON").unwrap_or_else(|| "python3".into());
    let out = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(out.path());
    match photos() {
        Some(tar) => {
            command.arg(tar);
        }
        None => missing("data", "the photos of KERF_DATA are absent, only generated pictures are compared"),
    }
    match command.output() {
        Ok(done) if done.status.success() => {}
        Ok(done) => {
            return missing("python", &format!("{python:?}: {}", String::from_utf8_lossy(&done.stderr)));
        }
        Err(error) => return missing("python", &format!("{python:?}: {error}")),
    }
    let mut seen: BTreeMap<String, (usize, f32, f32)> = BTreeMap::new();
    for line in std::fs::read_to_string(out.path().join("cases.tsv")).unwrap().lines() {
        let [name, steps, width, height] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let (max, mean) = difference(out.path(), name, steps, width, height);
        let kind = kind(name);
        let (_, _, bound) =
            BOUNDS.iter().find(|(prefix, of, _)| kind.starts_with(prefix) && *of == steps).unwrap();
        assert!(max <= bound.max && mean <= bound.mean, "{name}, {steps}: max {max}, mean {mean}");
        let entry = seen.entry(format!("{kind}, steps {steps}")).or_default();
        *entry = (entry.0 + 1, entry.1.max(max), entry.2 + mean);
    }
    for (kind, (count, max, mean)) in seen {
        eprintln!("{kind}: {count} pictures, max |a-b| {max}, mean |a-b| {:.4}", mean / count as f32);
    }
}

fn difference(out: &Path, name: &str, steps: &str, width: &str, height: &str) -> (f32, f32) {
    let steps = match steps {
        "imagenet" => levels(Steps::imagenet()),
        _ => levels(Steps { resize: None, crop: None, ..Steps::imagenet() }),
    };
    let encoded = std::fs::read(out.join(name)).unwrap();
    let made = steps.apply(&encoded).unwrap_or_else(|error| panic!("{name}: {error}"));
    let wanted: Vec<f32> = std::fs::read(out.join(format!("{name}.f32")))
        .unwrap()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(made.shape(), [1, height.parse().unwrap(), width.parse().unwrap(), 3], "{name}");
    let made = made.elements::<f32>().unwrap();
    let differences = made.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
    let (max, sum) = differences.fold((0f32, 0f64), |(max, sum), d| (max.max(d), sum + f64::from(d)));
    (max, (sum / wanted.len() as f64) as f32)
}

/// The same geometry, with the levels left as they are and interleaved as numpy has them.
fn levels(steps: Steps) -> Preprocess {
    let layout = kerf_preprocess::Layout::Nhwc;
    Preprocess::new(Steps { scale: 1.0, mean: vec![0.0], std: vec![1.0], layout, ..steps }).unwrap()
}

/// `photo-7-png-fit` is one of many `photo-png`.
fn kind(name: &str) -> String {
    match name.strip_prefix("photo-").and_then(|rest| rest.split('-').nth(1)) {
        Some(format) => format!("photo-{format}"),
        None => name.into(),
    }
}

fn photos() -> Option<PathBuf> {
    let data = std::env::var_os("KERF_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let tar = data.join("images/imagenet_sample_public_500.tar");
    tar.is_file().then_some(tar)
}

fn missing(what: &str, reason: &str) {
    let required = std::env::var("KERF_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == what), "{what} is required: {reason}");
    eprintln!("skipped: {reason}");
}
