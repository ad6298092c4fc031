//! What is written can be opened, and what was touched since cannot.
#![allow(clippy::unwrap_used, reason = "tests")]

use kerf_bundle::{BOUNDARIES, CARD, MANIFEST, MODEL, Manifest, Metric, Pack, PackRequest};
use kerf_graph::{Model, NoExternalData};
use kerf_preprocess::{Preprocess, Resize, Size, Steps};
use kerf_repository::{Overwrite, Repository};
use std::fs;
use std::path::Path;

fn pack(name: &str) -> Pack {
    let source = kerf_testbed::models::tiny_classifier();
    let model = Model::load(source.clone(), &NoExternalData).unwrap();
    let side = Size { width: 16, height: 16 };
    let steps = Steps { resize: Some(Resize::Exact(side)), crop: None, ..Steps::imagenet() };
    Pack::new(PackRequest {
        name,
        source_file: "tiny.onnx",
        source: &source,
        model: &model,
        boundaries: 16,
        preprocess: Some(("x", Preprocess::new(steps).unwrap())),
        metric: Metric::Numeric,
        tolerance: 1e-4,
    })
    .unwrap()
}

fn written(dir: &Path) -> Repository {
    let repository = Repository::new(dir.join("models"));
    repository.write(&pack("tiny"), Overwrite::Refuse).unwrap();
    repository
}

#[test]
fn a_model_comes_back_as_it_was_packed() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(dir.path().join("models"));
    let packed = pack("tiny");
    let (folder, digest) = repository.write(&packed, Overwrite::Refuse).unwrap();
    assert_eq!(folder, dir.path().join("models/tiny"));
    let bundle = repository.open("tiny").unwrap();
    assert_eq!(bundle.digest, digest);
    assert_eq!(&bundle.card, packed.card());
    assert_eq!(bundle.model.boundaries(), packed.model().boundaries());
    assert!(bundle.model.last() >= 3, "{:?}", bundle.model.boundaries());
    assert_eq!(bundle.card.preprocess.unwrap().encoded_input, "x_encoded");
    assert_eq!(repository.list().unwrap(), ["tiny"]);
    assert_eq!(pack("tiny").files().unwrap().digest, digest, "packing again gives the same version");
}

#[test]
fn a_model_is_replaced_only_when_told_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let repository = written(dir.path());
    let error = repository.write(&pack("tiny"), Overwrite::Refuse).unwrap_err().to_string();
    assert!(error.contains("tiny exists; --force replaces it"), "{error}");
    fs::write(repository.dir().join("tiny/model.yaml"), "broken").unwrap();
    repository.write(&pack("tiny"), Overwrite::Replace).unwrap();
    repository.open("tiny").unwrap();
    let left: Vec<_> =
        fs::read_dir(repository.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["tiny"]);

    fs::remove_file(repository.dir().join("tiny/model.yaml")).unwrap();
    let error = repository.write(&pack("tiny"), Overwrite::Replace).unwrap_err().to_string();
    assert!(error.contains("tiny exists and is no packed model"), "{error}");
    assert!(repository.dir().join("tiny/1/model.onnx").exists());
}

#[test]
fn touched_files_are_named() {
    let append = |path: &Path| fs::write(path, [fs::read(path).unwrap(), b"\n".to_vec()].concat()).unwrap();
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let create = |path: &Path| fs::write(path, "").unwrap();
    type Damage<'a> = &'a dyn Fn(&Path);
    let cases: &[(&str, Damage, &str)] = &[
        (CARD, &append, "model.yaml differs from its digest"),
        (MODEL, &flip, "1/model.onnx differs from its digest"),
        (BOUNDARIES, &append, "1/boundaries.json differs from its digest"),
        (CARD, &remove, "model.yaml is missing"),
        (MODEL, &remove, "1/model.onnx is missing"),
        (BOUNDARIES, &remove, "1/boundaries.json is missing"),
        (MANIFEST, &remove, "1/manifest.json is missing"),
        (MANIFEST, &create, "1/manifest.json: not a manifest"),
        ("1/weights.bin", &create, "1/weights.bin does not belong to the model"),
        ("notes.txt", &create, "notes.txt does not belong to the model"),
    ];
    for (path, damage, message) in cases {
        let dir = tempfile::tempdir().unwrap();
        let repository = written(dir.path());
        damage(&repository.dir().join("tiny").join(path));
        let error = repository.open("tiny").err().unwrap().to_string();
        assert!(error.starts_with("model tiny in ") && error.contains(message), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let repository = written(dir.path());
    create(&repository.dir().join("tiny/.DS_Store"));
    repository.open("tiny").unwrap();
}

/// Someone who can also write the manifest still cannot make a node run what does not fit.
#[test]
fn consistent_lies_are_refused_too() {
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            CARD,
            "name: logits",
            "name: probabilities",
            "model.yaml says probabilities: f32[N, 10], but 1/model.onnx",
        ),
        (CARD, "metric: numeric", "metric: vibes", "model.yaml: "),
        (BOUNDARIES, "\"nodes\": 0", "\"nodes\": 1", "1/boundaries.json: boundary b0"),
        (BOUNDARIES, "\"boundaries\"", "\"places\"", "1/boundaries.json: "),
    ];
    for (path, from, to, message) in cases {
        let dir = tempfile::tempdir().unwrap();
        let repository = written(dir.path());
        let folder = repository.dir().join("tiny");
        let text = fs::read_to_string(folder.join(path)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(folder.join(path), text.replacen(from, to, 1)).unwrap();
        let files = [CARD, MODEL, BOUNDARIES].map(|path| (path, fs::read(folder.join(path)).unwrap()));
        let manifest = Manifest::of(files.iter().map(|(path, bytes)| (*path, bytes.as_slice())));
        fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        let error = repository.open("tiny").err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn names_are_checked_and_offered() {
    let dir = tempfile::tempdir().unwrap();
    let repository = written(dir.path());
    for (name, message) in [
        ("../tiny", "\"../tiny\" cannot name a model"),
        ("", "\"\" cannot name a model"),
        ("other", "no model other in"),
        ("other", "; it has tiny"),
    ] {
        let error = repository.open(name).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
    let nowhere = Repository::new(dir.path().join("nowhere"));
    assert!(nowhere.open("tiny").err().unwrap().to_string().contains("nowhere"));
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let repository = written(dir.path());
    let (inside, outside) = (repository.dir().join("tiny/1/model.onnx"), dir.path().join("model.onnx"));
    fs::rename(&inside, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &inside).unwrap();
    let error = repository.open("tiny").err().unwrap().to_string();
    assert!(error.contains("1/model.onnx: a link leads out of the model's folder"), "{error}");
}
