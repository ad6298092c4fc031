//! Whole messages: inference requests and responses.

use crate::codec::binary::{Body, divide};
use crate::codec::entry::{Entry, Few, Outgoing, raw_bytes, shown, take_bool, tensors};
use crate::{Failure, InferRequest, InferResponse, Limits, Parameters, RequestedOutput};
use bytes::Bytes;
use kerf_tensor::NamedTensor;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// What the path of a request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTarget {
    /// Model name.
    pub model: String,
    /// Version, where the path has one.
    pub version: Option<String>,
}

/// Which outputs of a response go out as raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputEncoding {
    /// Of outputs without an entry of their own.
    pub binary: bool,
    /// By output name.
    pub by_name: HashMap<String, bool>,
}

/// Reads a request body. `chunks` is the body as it came, and `header_length` what
/// `Inference-Header-Content-Length` said.
pub fn parse_request(
    target: RequestTarget,
    chunks: Vec<Bytes>,
    header_length: Option<usize>,
    limits: &Limits,
) -> Result<(InferRequest, OutputEncoding), Failure> {
    let (json, tail) = divide(chunks, header_length)?;
    let mut said: RequestJson<'_> = read_json(&json, header_length)?;
    let Some(Few(inputs)) = said.inputs else {
        return Err(Failure::invalid("the request has no `inputs`"));
    };
    let inputs = tensors(inputs, "input", tail, limits)?;
    let outputs = requested(said.outputs.map_or(Vec::new(), |few| few.0), limits)?;
    let binary = take_bool(&mut said.parameters, "binary_data_output", "request")?.unwrap_or(false);
    let by_name = outputs
        .iter()
        .filter_map(|output| output.binary.map(|binary| (output.name.clone(), binary)))
        .collect();
    let RequestTarget { model, version } = target;
    let request = InferRequest {
        model,
        version,
        id: said.id,
        inputs,
        outputs,
        parameters: said.parameters,
        traceparent: None,
    };
    Ok((request, OutputEncoding { binary, by_name }))
}

/// Writes a response body.
pub fn format_response(response: &InferResponse, encoding: &OutputEncoding) -> Result<Body, Failure> {
    let outputs = outgoing(&response.outputs, "output", |name| encoding.is_binary(name))?;
    let json = write_json(&ResponseOut {
        model_name: &response.model,
        model_version: response.version.as_deref(),
        id: response.id.as_deref(),
        parameters: &response.parameters,
        outputs: &outputs,
    })?;
    Ok(Body { json, tensors: raw_bytes(&outputs) })
}

/// Writes a request body, for clients and tests: inputs for which `binary` holds go out as raw bytes.
pub fn format_request(
    request: &InferRequest,
    encoding: &OutputEncoding,
    binary: impl Fn(&str) -> bool,
) -> Result<Body, Failure> {
    let inputs = outgoing(&request.inputs, "input", binary)?;
    let mut parameters = request.parameters.clone();
    if encoding.binary {
        parameters.insert("binary_data_output".to_owned(), true.into());
    }
    let outputs: Vec<_> = request
        .outputs
        .iter()
        .map(|output| {
            let mut parameters = output.parameters.clone();
            if let Some(binary) = output.binary {
                parameters.insert("binary_data".to_owned(), binary.into());
            }
            RequestedOut { name: &output.name, parameters }
        })
        .collect();
    let json = write_json(&RequestOut { id: request.id.as_deref(), parameters, inputs: &inputs, outputs })?;
    Ok(Body { json, tensors: raw_bytes(&inputs) })
}

/// Reads a response body, for clients and tests.
pub fn parse_response(
    chunks: Vec<Bytes>,
    header_length: Option<usize>,
    limits: &Limits,
) -> Result<InferResponse, Failure> {
    let (json, tail) = divide(chunks, header_length)?;
    let said: ResponseJson<'_> = read_json(&json, header_length)?;
    let Some(Few(outputs)) = said.outputs else {
        return Err(Failure::invalid("the response has no `outputs`"));
    };
    Ok(InferResponse {
        model: said.model_name,
        version: said.model_version,
        id: said.id,
        outputs: tensors(outputs, "output", tail, limits)?,
        parameters: said.parameters,
    })
}

impl OutputEncoding {
    /// Whether the output of this name goes out as raw bytes.
    pub fn is_binary(&self, name: &str) -> bool {
        self.by_name.get(name).copied().unwrap_or(self.binary)
    }
}

#[derive(Deserialize)]
struct RequestJson<'a> {
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Option<Few<Entry<'a>>>,
    outputs: Option<Few<RequestedJson>>,
}

#[derive(Deserialize)]
struct RequestedJson {
    name: Option<String>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct ResponseJson<'a> {
    model_name: String,
    model_version: Option<String>,
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    outputs: Option<Few<Entry<'a>>>,
}

#[derive(Serialize)]
struct RequestOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters,
    inputs: &'a [Outgoing<'a>],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<RequestedOut<'a>>,
}

#[derive(Serialize)]
struct RequestedOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters,
}

#[derive(Serialize)]
struct ResponseOut<'a> {
    model_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: &'a Parameters,
    outputs: &'a [Outgoing<'a>],
}

fn read_json<'a, T: Deserialize<'a>>(json: &'a [u8], header_length: Option<usize>) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| {
        let place = match header_length {
            Some(length) => format!("the {length} bytes that Inference-Header-Content-Length names are"),
            None => "the body is".to_owned(),
        };
        Failure::invalid(format!("{place} not a JSON message of the protocol: {}", shown(&error.to_string())))
    })
}

fn write_json(message: &impl Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec(message)
        .map(Bytes::from)
        .map_err(|error| Failure::internal(format!("writing JSON: {error}")))
}

fn requested(said: Vec<RequestedJson>, limits: &Limits) -> Result<Vec<RequestedOutput>, Failure> {
    if said.len() > limits.tensors {
        return Err(Failure::invalid(format!(
            "{} outputs, at most {} are accepted",
            said.len(),
            limits.tensors
        )));
    }
    let mut names = HashSet::new();
    said.into_iter()
        .enumerate()
        .map(|(index, RequestedJson { name, mut parameters })| {
            let name =
                name.ok_or_else(|| Failure::invalid(format!("requested output {index} has no `name`")))?;
            let owner = format!("requested output `{}`", shown(&name));
            if !names.insert(name.clone()) {
                return Err(Failure::invalid(format!("{owner} is there twice")));
            }
            for (key, feature) in
                [("classification", "classification"), ("shared_memory_region", "shared memory")]
            {
                if parameters.contains_key(key) {
                    return Err(Failure::invalid(format!("{owner}: {feature} is not supported")));
                }
            }
            let binary = take_bool(&mut parameters, "binary_data", &owner)?;
            Ok(RequestedOutput { name, binary, parameters })
        })
        .collect()
}

fn outgoing<'a>(
    tensors: &'a [NamedTensor],
    what: &str,
    binary: impl Fn(&str) -> bool,
) -> Result<Vec<Outgoing<'a>>, Failure> {
    tensors
        .iter()
        .map(|named| {
            let outgoing = Outgoing { named, binary: binary(&named.name) };
            outgoing.check(what).map(|()| outgoing)
        })
        .collect()
}
