//! Metadata in the protocol's form.

use crate::codec::datatype;
use crate::{ModelMetadata, ServerMetadata};
use kerf_tensor::{Dim, TensorSpec};
use serde_json::{Value, json};

/// The extension that this crate itself speaks.
const BINARY: &str = "binary_tensor_data";

pub(super) fn server(mut metadata: ServerMetadata) -> ServerMetadata {
    if !metadata.extensions.iter().any(|extension| extension == BINARY) {
        metadata.extensions.push(BINARY.to_owned());
    }
    metadata
}

pub(super) fn model(metadata: ModelMetadata) -> Value {
    let tensors = |specs: &[TensorSpec]| specs.iter().map(tensor).collect::<Vec<_>>();
    let mut value = json!({
        "name": metadata.name,
        "versions": metadata.versions,
        "platform": metadata.platform,
        "inputs": tensors(&metadata.inputs),
        "outputs": tensors(&metadata.outputs),
    });
    if !metadata.parameters.is_empty() {
        value["parameters"] = Value::Object(metadata.parameters);
    }
    value
}

/// A size that the request decides is −1; so is, for want of a better word, an unknown shape.
fn tensor(spec: &TensorSpec) -> Value {
    let dims = match &spec.shape {
        Some(dims) => dims.iter().map(|dim| match dim {
            Dim::Fixed(size) => json!(size),
            Dim::Symbol(_) => json!(-1),
        }),
        None => return json!({ "name": spec.name, "datatype": datatype(spec.dtype), "shape": [-1] }),
    };
    json!({ "name": spec.name, "datatype": datatype(spec.dtype), "shape": dims.collect::<Vec<_>>() })
}
