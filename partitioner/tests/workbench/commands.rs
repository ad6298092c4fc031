//! Each command, used right and wrong.

use crate::binary::{Run, partitioner};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn tiny(dir: &Path) -> String {
    let path = dir.join("tiny.onnx");
    fs::write(&path, kerf_testbed::models::tiny_classifier()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn models(dir: &Path) -> String {
    dir.join("models").to_str().unwrap().to_owned()
}

/// Packs the tiny classifier with pictures as input; the packed folder.
fn packed(dir: &Path) -> String {
    let (model, into) = (tiny(dir), models(dir));
    let pack = ["pack", &model, "--name", "tiny", "--into", &into, "--resize", "16x16", "--mean", "0.5"];
    partitioner(&pack).succeeds();
    format!("{into}/tiny")
}

#[test]
fn pack_inspect_verify_and_bench() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny(dir.path());
    let shown = partitioner(&["inspect", &model]).succeeds();
    for part in ["x: f32[N, 3, 16, 16]", "logits: f32[N, 10]", "opset", "Boundaries", "b0", "(the inputs)"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let folder = packed(dir.path());
    let card = fs::read_to_string(format!("{folder}/model.yaml")).unwrap();
    for part in ["encoded_input: x_encoded", "kind: independent", "metric: numeric", "exact: {width: 16"] {
        assert!(card.contains(part), "{part}\n{card}");
    }

    let about: Value =
        serde_json::from_str(&partitioner(&["inspect", &folder, "--json"]).succeeds()).unwrap();
    assert_eq!(about["nodes"].as_array().unwrap().len(), 8);
    assert_eq!(about["inputs"][0]["shape"], serde_json::json!(["N", 3, 16, 16]));
    let last = about["boundaries"].as_array().unwrap().len() - 1;
    assert!(last >= 3, "{about}");

    let verified = partitioner(&["verify", &folder, "--json"]).succeeds();
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(verified["passed"], true);
    for engine in verified["engines"].as_array().unwrap() {
        // Every boundary and the chain of segments.
        assert_eq!(engine["boundaries"].as_array().unwrap().len(), last + 2, "{engine}");
        assert!(engine["worst_error"].as_f64().unwrap() <= 1e-5, "{engine}");
    }
    let shown = partitioner(&["verify", &folder, "--engine", "tract"]).succeeds();
    assert!(shown.contains("verified: tract worst error"), "{shown}");

    let bench = partitioner(&["bench", &folder, "--engine", "tract", "--runs", "2", "--json"]).succeeds();
    let bench: Value = serde_json::from_str(&bench).unwrap();
    assert_eq!(bench["engines"][0]["boundaries"].as_array().unwrap().len(), last - 1);
    assert!(bench["engines"][0]["median_ratio"].as_f64().unwrap() > 0.0);
}

#[test]
fn an_impossible_tolerance_fails_with_status_1() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path());
    // Not even equal answers are within less than nothing.
    let run = partitioner(&["verify", &folder, "--engine", "tract", "--tolerance=-1"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("FAILED"), "{run:?}");
}

#[test]
fn pictures_can_be_the_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path());
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let none = partitioner(&["verify", &folder, "--inputs", pictures.to_str().unwrap()]);
    none.refuses("holds no .jpg, .jpeg, .png or .webp files");
    for (index, format) in ["jpg", "png", "webp"].iter().enumerate() {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 8) as u8, (index * 90) as u8])
        });
        picture.save(pictures.join(format!("{index}.{format}"))).unwrap();
    }
    let args = ["verify", &folder, "--engine", "tract", "--json", "--inputs", pictures.to_str().unwrap()];
    let report: Value = serde_json::from_str(&partitioner(&args).succeeds()).unwrap();
    assert_eq!(report["samples"], 3);
    fs::write(pictures.join("3.png"), b"no picture").unwrap();
    partitioner(&args).refuses("3.png: not a JPEG, PNG or WebP file");
}

#[test]
fn several_tensors_outputs_on_the_way_and_control_flow_verify() {
    let dir = tempfile::tempdir().unwrap();
    let into = models(dir.path());
    for (name, model) in
        [("branchy", kerf_testbed::models::branchy()), ("with-if", kerf_testbed::models::with_if())]
    {
        let path = dir.path().join("model.onnx");
        fs::write(&path, model).unwrap();
        partitioner(&["pack", path.to_str().unwrap(), "--name", name, "--into", &into]).succeeds();
        let run = partitioner(&["verify", &format!("{into}/{name}"), "--json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        for engine in report["engines"].as_array().unwrap() {
            assert!(engine["passed"] == true || engine["engine"] == "tract", "{report:#}");
        }
        if name == "branchy" {
            run.succeeds();
        }
    }
}

#[test]
fn wrong_usage_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (model, into, folder) = (tiny(dir.path()), models(dir.path()), packed(dir.path()));
    let nowhere = dir.path().join("nowhere").to_str().unwrap().to_owned();
    let pack = |more: &[&str]| partitioner(&[&["pack", &model, "--into", &into][..], more].concat());
    for (run, message) in [
        (pack(&["--name", "tiny"]), "tiny exists; --force replaces it"),
        (pack(&["--name", "../tiny"]), "\"../tiny\" cannot name a model"),
        (pack(&["--name", "a", "--boundaries", "33"]), "expected a number from 2 to 32"),
        (pack(&["--name", "a", "--input", "x"]), "say how with --preprocess or --resize"),
        (
            pack(&["--name", "a", "--resize", "9x9", "--input", "y"]),
            "--input y: no such input; the model has x: f32",
        ),
        (
            pack(&["--name", "a", "--preprocess", "imagenet"]),
            "preprocess makes x: f32[N, 3, 224, 224], but the model takes x: f32[N, 3, 16, 16]",
        ),
        (pack(&["--name", "a", "--resize", "16x16", "--std", "0"]), "preprocessing: std: 0 cannot be used"),
        (
            pack(&["--name", "a", "--resize", "16x16", "--mean", "1,2"]),
            "preprocessing: mean has 2 values, expected 1 or 3",
        ),
        (
            pack(&["--name", "a", "--resize", "big"]),
            "\"big\" is neither a side like 224 nor a size like 320x240",
        ),
        (pack(&["--name", "a", "--tolerance", "0"]), "tolerance 0: expected a positive number"),
        (partitioner(&["verify", &model]), "is a file; give a packed model's folder"),
        (partitioner(&["verify", &nowhere]), "nowhere: No such file or directory"),
        (partitioner(&["verify", &into]), "is a repository, name one of its models: tiny"),
        (
            partitioner(&["verify", &folder, "--bind", "M=2"]),
            "--bind M: no such symbolic dimension; the model's inputs have N",
        ),
        (partitioner(&["verify", &folder, "--library", &nowhere]), "nowhere"),
        (partitioner(&["inspect", &nowhere]), "nowhere"),
        (partitioner(&["sharpen"]), "unrecognized subcommand"),
    ] {
        run.refuses(message);
    }
    pack(&["--name", "tiny", "--force"]).succeeds();
}

#[test]
fn a_touched_model_is_not_verified() {
    let dir = tempfile::tempdir().unwrap();
    let folder = packed(dir.path());
    let path = format!("{folder}/1/model.onnx");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    partitioner(&["verify", &folder]).refuses("1/model.onnx differs from its digest in 1/manifest.json");
}

#[test]
fn certificates_are_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("certs");
    let certs = |more: &[&str]| -> Run {
        partitioner(&[&["certs", "--into", into.to_str().unwrap()][..], more].concat())
    };
    certs(&[]).succeeds();
    let read = |name: &str| fs::read_to_string(into.join(name)).unwrap();
    let ca = read("ca.pem");
    for name in ["edge-1", "cloud-1"] {
        kerf_identity::Identity::from_pem(&ca, &read(&format!("{name}.pem")), &read(&format!("{name}.key")))
            .unwrap();
    }
    certs(&[]).refuses("edge-1.pem exists; --force replaces the nodes' certificates, never the CA");
    certs(&["--edge", "gw-7"]).succeeds();
    assert_eq!(read("ca.pem"), ca);
    let before = read("gw-7.pem");
    certs(&["--edge", "gw-7", "--force"]).succeeds();
    assert_ne!(read("gw-7.pem"), before);
    for (arguments, message) in [
        (&["--edge", "../up"][..], "\"../up\" cannot name a node"),
        (&["--edge", "ca"], "a node cannot be named ca"),
        (&["--edge", "a", "--cloud", "a"], "node a is named twice"),
        (&["--days", "0"], "0 is not in 1..=3650"),
    ] {
        certs(arguments).refuses(message);
    }
    #[cfg(unix)]
    for name in ["ca.key", "edge-1.key", "cloud-1.key"] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(into.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    fs::remove_file(into.join("ca.key")).unwrap();
    certs(&["--edge", "gw-8"]).refuses("ca.pem is there without");
}
