//! Real models of many origins: each loads, has boundaries, and comes apart at every one of them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use bytes::Bytes;
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Checks every file that is named on a line of standard input, as the ONNX project does.
const CHECK: &str = "
import sys, onnx
for line in sys.stdin:
    try:
        onnx.checker.check_model(line.strip(), full_check=True)
    except Exception as error:
        print(line.strip(), type(error).__name__, error)
";

#[test]
fn every_public_model_comes_apart() {
    let Some(models) = models() else { return };
    for path in models {
        let name = path.display();
        let onnx = Bytes::from(std::fs::read(&path).unwrap());
        let model = Model::load(onnx, &NoExternalData).unwrap_or_else(|error| panic!("{name}: {error}"));
        let normal = model.to_onnx().unwrap();
        let again = Model::load(normal.clone(), &NoExternalData).unwrap();
        assert_eq!(again.nodes(), model.nodes(), "{name}");
        assert_eq!(again.to_onnx().unwrap(), normal, "{name}");
        let found = boundaries(&model, 16);
        assert_eq!(found, boundaries(&again, 16), "{name}");
        assert!((3..=16).contains(&found.len()), "{name}: {found:?}");
        let cut = CutModel::new(model, found).unwrap();
        let last = cut.last();
        let neighbours = (0..last).map(|from| (from, from + 1));
        let heads = (1..=last).map(|to| (0, to));
        let tails = (0..last).map(|from| (from, last));
        for (from, to) in neighbours.chain(heads).chain(tails) {
            let segment = cut.segment(from, to).unwrap();
            let part = Model::load(segment.onnx, &NoExternalData);
            let part = part.unwrap_or_else(|error| panic!("{name} {from}..{to}: {error}"));
            assert_eq!(part.inputs().len(), segment.inputs.len(), "{name} {from}..{to}");
            assert!(!segment.outputs.is_empty(), "{name} {from}..{to}");
        }
    }
}

/// Every segment `a..b`, so that each of the forms that a cut can take is met.
#[test]
fn segments_pass_the_official_checker() {
    let Some(models) = models() else { return };
    let python = std::env::var("KERF_PYTHON").unwrap_or_else(|_| "python3".into());
    if !Command::new(&python).args(["-c", "import onnx"]).output().is_ok_and(|done| done.status.success()) {
        return skip("python", &format!("{python} has no package onnx (set KERF_PYTHON)"));
    }
    for path in models {
        let name = path.display();
        let model = Model::load(Bytes::from(std::fs::read(&path).unwrap()), &NoExternalData).unwrap();
        // What only an engine that has them can tell.
        if !model.foreign_ops().is_empty() {
            eprintln!("{name}: not checked, it has {}", model.foreign_ops().join(", "));
            continue;
        }
        let found = boundaries(&model, 8);
        let cut = CutModel::new(model, found).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut files = String::new();
        for (from, to) in (0..cut.last()).flat_map(|from| (from + 1..=cut.last()).map(move |to| (from, to))) {
            let file = folder.path().join(format!("{from}-{to}.onnx"));
            std::fs::write(&file, cut.segment(from, to).unwrap().onnx).unwrap();
            files.push_str(&format!("{}\n", file.display()));
        }
        let complaints = said(&python, folder.path(), &files);
        assert!(complaints.is_empty(), "{name}:\n{complaints}");
    }
}

/// What the checker says of the files.
fn said(python: &str, folder: &Path, files: &str) -> String {
    let list = folder.join("files");
    std::fs::write(&list, files).unwrap();
    let input = std::fs::File::open(list).unwrap();
    let done = Command::new(python).args(["-c", CHECK]).stdin(input).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Says what is missing; fails where `KERF_REQUIRE` lists it.
fn skip(requirement: &str, reason: &str) {
    let wanted = std::env::var("KERF_REQUIRE").unwrap_or_default();
    assert!(!wanted.split(',').any(|name| name == requirement), "{reason}");
    eprintln!("skipped: {reason}");
}

/// The models of the test data; `None`, and a line that says so, where there are none.
fn models() -> Option<Vec<PathBuf>> {
    let data = std::env::var_os("KERF_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    // Another folder of models is tried in the same way.
    let folder = std::env::var_os("KERF_MODELS").map_or_else(|| data.join("models"), PathBuf::from);
    let files = std::fs::read_dir(&folder);
    let models = files.into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    let models = models.filter(|path| path.extension().is_some_and(|of| of == "onnx")).collect::<Vec<_>>();
    if models.is_empty() {
        skip("data", &format!("no models in {}", folder.display()));
        return None;
    }
    Some(models)
}
