//! The acceptance of the whole idea: models that nobody here made pack, and verify at every
//! boundary, with `ort` all of them and with `tract` all but those listed here.

use crate::binary::partitioner;
use serde_json::Value;

/// Models that tract does not run, and the operator that stops it: an `If` whose branches differ
/// in rank.
const NOT_IN_TRACT: &[(&str, &str)] = &[("silero_vad_16k_op15", "If")];

#[test]
fn public_models_pack_and_verify() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().to_str().unwrap();
    for (name, path) in kerf_testbed::outside::public_models() {
        let name = name.to_lowercase();
        partitioner(&["pack", path.to_str().unwrap(), "--name", &name, "--into", into]).succeeds();
        // The quantised one takes tract more than a second for each answer.
        let run = partitioner(&["verify", &format!("{into}/{name}"), "--json", "--samples", "4"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{name}: {run:?}"));
        for engine in report["engines"].as_array().unwrap() {
            let stopped =
                NOT_IN_TRACT.iter().find(|(model, _)| *model == name && engine["engine"] == "tract");
            match stopped {
                None => assert!(engine["passed"] == true, "{name}: {engine:#}"),
                Some((_, op)) => {
                    let reason = &engine["boundaries"][0]["reason"];
                    let stops = format!("tract cannot run {op} ");
                    assert!(
                        reason.as_str().is_some_and(|reason| reason.starts_with(&stops)),
                        "{name}: {reason}"
                    );
                }
            }
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
