//! The acceptance of the whole idea: models that nobody here made pack, and verify at every
//! boundary, with `ort` all of them and with `tract` all but those listed here.

use crate::binary::partitioner;
use serde_json::Value;

/// Models that tract does not run, and the operator that stops it.
const NOT_IN_TRACT: &[(&str, &str)] = &[];

#[test]
fn public_models_pack_and_verify() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().to_str().unwrap();
    for (name, path) in kerf_testbed::outside::public_models() {
        let name = name.to_lowercase();
        partitioner(&["pack", path.to_str().unwrap(), "--name", &name, "--into", into]).succeeds();
        let run = partitioner(&["verify", &format!("{into}/{name}"), "--json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{name}: {run:?}"));
        for engine in report["engines"].as_array().unwrap() {
            let is_known =
                engine["engine"] == "tract" && NOT_IN_TRACT.iter().any(|(model, _)| *model == name);
            assert!(engine["passed"] == true || is_known, "{name}: {engine:#}");
            eprintln!("{name}: {} worst error {}", engine["engine"], engine["worst_error"]);
        }
        if report["engines"].as_array().unwrap().iter().all(|engine| engine["engine"] != "ort") {
            kerf_testbed::outside::skip(
                "ort",
                &format!("{name} was verified with tract only, ONNX Runtime is absent"),
            );
        }
    }
}
