//! Any bytes are refused, or are a model whose every segment is one too.
#![no_main]

use bytes::Bytes;
use kerf_graph::{CutModel, ExternalData, Model, NoExternalData, boundaries};
use libfuzzer_sys::fuzz_target;

/// As much as is asked for, up to a limit, so that models with external data get past it.
struct Zeros;

impl ExternalData for Zeros {
    fn read(&self, location: &str, _offset: u64, length: Option<u64>) -> Result<Bytes, String> {
        assert!(!location.starts_with('/') && !location.contains(".."), "{location}");
        match length {
            Some(length) if length <= 1 << 16 => Ok(vec![0; length as usize].into()),
            _ => Err("too long".into()),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(model) = Model::load(Bytes::copy_from_slice(data), &Zeros) else { return };
    let found = boundaries(&model, 8);
    let cut = CutModel::new(model, found).expect("boundaries are the model's own");
    let middle = cut.last() / 2;
    for (from, to) in [(0, cut.last()), (0, middle), (middle, cut.last())] {
        if from < to {
            let segment = cut.segment(from, to).expect("small enough");
            let part = Model::load(segment.onnx, &NoExternalData).expect("a segment is a model");
            assert_eq!(part.inputs().len(), segment.inputs.len());
            assert_eq!(part.outputs().len(), segment.outputs.len());
        }
    }
    let again = Model::load(cut.model().to_onnx().expect("small enough"), &NoExternalData);
    assert_eq!(again.expect("the normal form is a model").nodes(), cut.model().nodes());
});
