//! The form in which boundaries are kept beside a model.

use super::Boundary;
use kerf_tensor::{DType, Dim, TensorSpec};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    nodes: usize,
    tensors: Vec<StoredSpec>,
    bytes: Option<u64>,
    macs_before: u64,
    after: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSpec {
    name: String,
    dtype: String,
    shape: Option<Vec<StoredDim>>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredDim {
    Fixed(usize),
    Symbol(String),
}

impl Serialize for Boundary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(size) => StoredDim::Fixed(*size),
            Dim::Symbol(name) => StoredDim::Symbol(name.clone()),
        };
        let spec = |spec: &TensorSpec| StoredSpec {
            name: spec.name.clone(),
            dtype: spec.dtype.name().to_owned(),
            shape: spec.shape.as_ref().map(|dims| dims.iter().map(dim).collect()),
        };
        let stored = Stored {
            nodes: self.nodes,
            tensors: self.tensors.iter().map(spec).collect(),
            bytes: self.bytes,
            macs_before: self.macs_before,
            after: self.after.clone(),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Boundary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let dim = |dim| match dim {
            StoredDim::Fixed(size) => Dim::Fixed(size),
            StoredDim::Symbol(name) => Dim::Symbol(name),
        };
        let spec = |spec: StoredSpec| {
            let unknown = || D::Error::custom(format!("tensor {}: unknown type {:?}", spec.name, spec.dtype));
            Ok(TensorSpec {
                dtype: DType::from_name(&spec.dtype).ok_or_else(unknown)?,
                shape: spec.shape.map(|dims| dims.into_iter().map(dim).collect()),
                name: spec.name,
            })
        };
        Ok(Self {
            nodes: stored.nodes,
            tensors: stored.tensors.into_iter().map(spec).collect::<Result<_, _>>()?,
            bytes: stored.bytes,
            macs_before: stored.macs_before,
            after: stored.after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trip() {
        let shape = Some(vec![Dim::Symbol("N".into()), Dim::Fixed(64)]);
        let boundary = Boundary {
            nodes: 7,
            tensors: vec![
                TensorSpec { name: "x".into(), dtype: DType::F32, shape },
                TensorSpec { name: "y".into(), dtype: DType::String, shape: None },
            ],
            bytes: Some(256),
            macs_before: 1000,
            after: Some("Relu_6".into()),
        };
        let json = serde_json::to_string(&boundary).unwrap();
        assert!(json.contains(r#""dtype":"f32","shape":["N",64]"#), "{json}");
        assert_eq!(serde_json::from_str::<Boundary>(&json).unwrap(), boundary);
        let unknown = json.replace("f32", "f8");
        assert!(serde_json::from_str::<Boundary>(&unknown).unwrap_err().to_string().contains("f8"));
    }
}
