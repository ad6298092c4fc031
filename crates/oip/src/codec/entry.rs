//! Tensor entries, those of `inputs` and `outputs`, and the tensors that they describe.

use crate::codec::binary::Tail;
use crate::codec::data::{self, Data};
use crate::codec::datatype::{datatype, dtype};
use crate::{Failure, Limits, Parameters};
use bytes::Bytes;
use kerf_tensor::{DType, NamedTensor, Tensor, element_count};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::marker::PhantomData;

/// One tensor as a message describes it; what is missing is reported by name, not by serde.
#[derive(serde::Deserialize)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    datatype: Option<Cow<'a, str>>,
    shape: Option<Few<i64>>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// A list that a message may not make long at no cost: each entry takes far more memory than text.
pub(super) struct Few<T>(pub(super) Vec<T>);

const FEW: usize = 4096;

/// Makes tensors of entries, in order, drawing raw bytes from `tail` as the protocol orders them.
pub(super) fn tensors(
    entries: Vec<Entry<'_>>,
    what: &str,
    mut tail: Tail,
    limits: &Limits,
) -> Result<Vec<NamedTensor>, Failure> {
    if entries.len() > limits.tensors {
        return Err(Failure::invalid(format!(
            "{} {what}s, at most {} are accepted",
            entries.len(),
            limits.tensors
        )));
    }
    let mut names = HashSet::new();
    let mut made = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let Some(name) = &entry.name else {
            return Err(Failure::invalid(format!("{what} {index} has no `name`")));
        };
        let name = name.clone().into_owned();
        let owner = format!("{what} `{}`", shown(&name));
        let tensor = entry.tensor(&owner, &mut tail, limits)?;
        if !names.insert(name.clone()) {
            return Err(Failure::invalid(format!("{owner} is there twice")));
        }
        made.push(NamedTensor { name, tensor });
    }
    tail.finish()?;
    Ok(made)
}

impl Entry<'_> {
    fn tensor(&self, owner: &str, tail: &mut Tail, limits: &Limits) -> Result<Tensor, Failure> {
        let invalid = |message: String| Failure::invalid(format!("{owner}: {message}"));
        let Some(datatype_name) = &self.datatype else {
            return Err(Failure::invalid(format!("{owner} has no `datatype`")));
        };
        let Some(dtype) = dtype(datatype_name) else {
            let known = DType::ALL.map(datatype).join(", ");
            return Err(invalid(format!("unknown datatype `{}`; known are {known}", shown(datatype_name))));
        };
        let shape = self.shape(owner, limits)?;
        if self.parameters.contains_key("shared_memory_region") {
            return Err(invalid("shared memory is not supported".to_owned()));
        }
        match (self.data, self.parameters.get("binary_data_size")) {
            (Some(_), Some(_)) => {
                Err(Failure::invalid(format!("{owner} has both `data` and binary_data_size")))
            }
            (None, None) => Err(Failure::invalid(format!("{owner} has neither `data` nor binary_data_size"))),
            (Some(data), None) => data::parse(dtype, &shape, data).map_err(invalid),
            (None, Some(size)) => {
                let size = size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
                    invalid(format!(
                        "binary_data_size is {}, not a number of bytes",
                        shown(&size.to_string())
                    ))
                })?;
                check_size(dtype, &shape, size).map_err(invalid)?;
                let bytes = tail.take(size, owner)?;
                Tensor::new(dtype, shape, bytes).map_err(|error| invalid(error.to_string()))
            }
        }
    }

    fn shape(&self, owner: &str, limits: &Limits) -> Result<Vec<usize>, Failure> {
        let Some(Few(shape)) = &self.shape else {
            return Err(Failure::invalid(format!("{owner} has no `shape`")));
        };
        if shape.len() > limits.rank {
            let message =
                format!("{owner} has {} dimensions, at most {} are accepted", shape.len(), limits.rank);
            return Err(Failure::invalid(message));
        }
        shape
            .iter()
            .map(|dim| usize::try_from(*dim))
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::invalid(format!("{owner}: shape {shape:?} has a negative dimension")))
    }
}

/// Says in the protocol's words what raw bytes of this type and shape must measure.
fn check_size(dtype: DType, shape: &[usize], size: usize) -> Result<(), String> {
    let elements = element_count(shape).map_err(|error| error.to_string())?;
    let Some(each) = dtype.size() else { return Ok(()) };
    match elements.checked_mul(each) {
        Some(needed) if needed == size => Ok(()),
        Some(needed) => Err(format!(
            "{} of shape {shape:?} takes {needed} bytes, binary_data_size is {size}",
            datatype(dtype)
        )),
        None => Err(format!("shape {shape:?} has more bytes than memory can address")),
    }
}

/// A tensor as an entry to be sent: with its data, or with the size of its raw bytes.
pub(super) struct Outgoing<'a> {
    pub(super) named: &'a NamedTensor,
    pub(super) binary: bool,
}

impl Outgoing<'_> {
    /// Whether it can go out this way.
    pub(super) fn check(&self, what: &str) -> Result<(), Failure> {
        if self.binary {
            return Ok(());
        }
        data::check_json(&self.named.tensor)
            .map_err(|reason| Failure::invalid(format!("{what} `{}`: {reason}", self.named.name)))
    }
}

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let NamedTensor { name, tensor } = self.named;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", name)?;
        map.serialize_entry("datatype", datatype(tensor.dtype()))?;
        map.serialize_entry("shape", tensor.shape())?;
        if self.binary {
            map.serialize_entry(
                "parameters",
                &serde_json::json!({ "binary_data_size": tensor.data().len() }),
            )?;
        } else {
            map.serialize_entry("data", &Data(tensor))?;
        }
        map.end()
    }
}

/// The raw bytes of the tensors that go out so; `None` where none does.
pub(super) fn raw_bytes(outgoing: &[Outgoing<'_>]) -> Option<Vec<Bytes>> {
    outgoing.iter().any(|each| each.binary).then(|| {
        outgoing.iter().filter(|each| each.binary).map(|each| each.named.tensor.data().clone()).collect()
    })
}

/// `key` as a boolean, taken out of `parameters`.
pub(super) fn take_bool(
    parameters: &mut Parameters,
    key: &str,
    owner: &str,
) -> Result<Option<bool>, Failure> {
    match parameters.remove(key) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(other) => {
            let other = shown(&other.to_string());
            Err(Failure::invalid(format!("{owner}: parameter `{key}` is {other}, not true or false")))
        }
    }
}

/// Enough of a client's text to recognise it, on one line.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(160).flat_map(char::escape_debug).collect();
    if text.chars().nth(160).is_some() { format!("{short}…") } else { short }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FewVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {FEW} entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    if list.len() == FEW {
                        return Err(A::Error::invalid_length(FEW + 1, &self));
                    }
                    list.push(entry);
                }
                Ok(Few(list))
            }
        }

        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}
