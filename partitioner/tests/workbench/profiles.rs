//! `partitioner profile`: the file, going on with it, and what it refuses.

use crate::binary::partitioner;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Packs a tiny classifier under `name`; its folder.
fn packed(dir: &Path, name: &str) -> String {
    let model = dir.join("tiny.onnx");
    fs::write(&model, kerf_testbed::models::tiny_classifier()).unwrap();
    let into = dir.join("models");
    let (model, into) = (model.to_str().unwrap(), into.to_str().unwrap());
    partitioner(&["pack", model, "--name", name, "--into", into, "--resize", "16x16"]).succeeds();
    format!("{into}/{name}")
}

#[test]
fn a_profile_is_measured_continued_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path(), "tiny");
    let file = dir.path().join("edge.profile.json");
    let file = file.to_str().unwrap();
    let profile =
        |more: &[&str]| partitioner(&[&["profile", &folder, "--engine", "tract", "-o", file], more].concat());

    let shown = profile(&["--budget", "0s"]).succeeds();
    assert!(shown.contains("1 of ") && shown.contains("not complete"), "{shown}");
    let shown = profile(&["--budget", "60s", "--per-layer", "--batch", "2"]).succeeds();
    for part in ["head p50", "tail p50", "slowest nodes", "whole, batch", ": complete"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let read: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let last = read["boundaries"].as_array().unwrap().len() - 1;
    assert_eq!(read["ranges"].as_array().unwrap().len(), last * (last + 1) / 2 + last);
    assert_eq!((read["complete"].as_bool(), read["engine"]["name"].as_str()), (Some(true), Some("tract")));
    assert!(!read["layers"]["nodes"].as_array().unwrap().is_empty());

    let json: Value = serde_json::from_str(&profile(&["--json", "--check", "3"]).succeeds()).unwrap();
    assert_eq!(json["profile"]["model"], "tiny");
    assert_eq!(json["check"]["ranges"].as_array().unwrap().len(), 0, "all were timed, and are short");
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 3, "the model, the repository and the profile, and nothing beside them");
}

#[test]
fn sizes_come_from_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path(), "tiny");
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    image::RgbImage::from_pixel(20, 20, image::Rgb([9, 99, 199])).save(pictures.join("a.png")).unwrap();
    let file = dir.path().join("edge.profile.json");
    let (file, pictures) = (file.to_str().unwrap(), pictures.to_str().unwrap());
    let shown = partitioner(&[
        "profile", &folder, "--engine", "tract", "-o", file, "--budget", "0s", "--inputs", pictures,
    ])
    .succeeds();
    assert!(shown.contains("encoded)"), "{shown}");
    let read: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let first = &read["sizes"]["boundaries"][0];
    assert_eq!((first["codec"].as_str(), first["boundary"].as_u64()), (Some("encoded"), Some(0)));
    assert!(first["bytes_mean"].as_f64().unwrap() > 50.0 && first["decode_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn other_files_are_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let (tiny, other) = (packed(dir.path(), "tiny"), packed(dir.path(), "other"));
    let file = dir.path().join("edge.profile.json");
    let path = file.to_str().unwrap();
    let profile = |folder: &str, more: &[&str]| {
        partitioner(&[&["profile", folder, "--engine", "tract", "--budget", "0s", "-o", path], more].concat())
    };
    profile(&tiny, &[]).succeeds();
    let run = profile(&other, &[]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(
        run.stderr.contains("a profile of model tiny, not of other") && run.stderr.contains("--fresh"),
        "{run:?}"
    );
    fs::write(&file, "not a profile").unwrap();
    let run = profile(&tiny, &[]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("is there already") && run.stderr.contains("not a profile"), "{run:?}");
    profile(&tiny, &["--fresh"]).succeeds();
    let wrong = partitioner(&["profile", &tiny, "-o", path, "--budget", "120"]);
    assert_eq!(wrong.status, 2, "{wrong:?}");
}
