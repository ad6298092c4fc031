//! Times of nodes, as ONNX Runtime's own profiler tells them.

mod found;

use kerf_engine::Engine;
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use kerf_testbed::models::tiny_classifier;
use kerf_testbed::outside::sample_inputs;
use std::num::NonZeroUsize;

#[test]
fn nodes_of_a_small_model_are_timed() {
    let Some(ort) = found::ort(1) else { return };
    let model = Model::load(tiny_classifier(), &NoExternalData).unwrap();
    let cuts = boundaries(&model, 16);
    let cut = CutModel::new(model, cuts).unwrap();
    let segment = cut.segment(0, cut.last()).unwrap();
    let inputs = sample_inputs(&segment.inputs, 1);
    let times = ort.node_times(&segment, &inputs, NonZeroUsize::new(20).unwrap()).unwrap().unwrap();
    assert!((3..=16).contains(&times.len()), "{times:?}");
    assert!(
        times.iter().all(|time| !time.name.is_empty() && (0.0..0.1).contains(&time.seconds)),
        "{times:?}"
    );
    assert!(times.iter().map(|time| time.seconds).sum::<f64>() > 0.0, "{times:?}");
    let misfit = ort.node_times(&segment, &[], NonZeroUsize::MIN).unwrap_err();
    assert!(misfit.to_string().contains("takes 1 inputs, got 0"), "{misfit}");
}
