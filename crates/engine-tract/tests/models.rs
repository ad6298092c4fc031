//! Whole public models on tract: what it compiles and runs, and what stops it at the others.

use kerf_engine::{CompileError, Engine, RunError};
use kerf_engine_tract::Tract;
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use kerf_testbed::outside::{public_models, sample_inputs};

/// Models that tract cannot do, and the operator that stops it.
const STOPPED: &[(&str, &str)] = &[
    // The branches of `/model/decoder/If` differ in rank, which tract refuses.
    ("silero_vad_16k_op15", "If"),
];

#[test]
fn public_models_run() {
    let mut failures = Vec::new();
    for (name, path) in public_models() {
        let model = Model::load(std::fs::read(path).unwrap().into(), &NoExternalData).unwrap();
        let cuts = boundaries(&model, 16);
        let cut = CutModel::new(model, cuts).unwrap();
        let segment = cut.segment(0, cut.last()).unwrap();
        let inputs = sample_inputs(&segment.inputs, 1);
        let result = Tract::new().compile(&segment).map_err(RunError::from).and_then(|program| {
            let outputs = program.run(&inputs)?;
            println!(
                "{name}: {outputs:?}, {} bytes resident {}",
                program.resident_bytes(),
                program.remark().unwrap_or_default()
            );
            Ok(())
        });
        let stopped = STOPPED.iter().find(|(model, _)| *model == name).map(|(_, op)| *op);
        match (result, stopped) {
            (Ok(()), None) => {}
            (Err(RunError::Compile(CompileError::Unsupported { op, .. })), Some(stop)) if op == stop => {}
            (Ok(()), Some(_)) => failures.push(format!("{name} runs, but is listed as stopped")),
            (Err(error), _) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
