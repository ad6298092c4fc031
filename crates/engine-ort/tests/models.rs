//! Whole public models on ONNX Runtime.

mod found;

use kerf_engine::Engine;
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use kerf_testbed::outside::{public_models, sample_inputs};

#[test]
fn public_models_run() {
    let Some(ort) = found::ort(1) else { return };
    for (name, path) in public_models() {
        let model = Model::load(std::fs::read(path).unwrap().into(), &NoExternalData).unwrap();
        let cuts = boundaries(&model, 16);
        let cut = CutModel::new(model, cuts).unwrap();
        let segment = cut.segment(0, cut.last()).unwrap();
        let program = ort.compile(&segment).unwrap_or_else(|error| panic!("{name}: {error}"));
        let outputs = program.run(&sample_inputs(&segment.inputs, 1));
        let outputs = outputs.unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {outputs:?}");
        for (output, spec) in outputs.iter().zip(&segment.outputs) {
            assert!(spec.accepts(output), "{name}: {output:?} for {spec}");
        }
    }
}
