//! Real models of many origins: each loads, has boundaries, and comes apart at every one of them.

use bytes::Bytes;
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use std::path::PathBuf;

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

/// The models of the test data; `None`, and a line that says so, where there are none.
fn models() -> Option<Vec<PathBuf>> {
    let data = std::env::var_os("KERF_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let files = std::fs::read_dir(data.join("models"));
    let models = files.into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    let models = models.filter(|path| path.extension().is_some_and(|of| of == "onnx")).collect::<Vec<_>>();
    if models.is_empty() {
        let wanted = std::env::var("KERF_REQUIRE").unwrap_or_default();
        assert!(!wanted.split(',').any(|name| name == "data"), "no models in {}", data.display());
        eprintln!("skipped: no models in {}", data.display());
        return None;
    }
    Some(models)
}
