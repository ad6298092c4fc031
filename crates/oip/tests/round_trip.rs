//! What is formatted parses to the same, whatever the tensors, the encoding and the chunks.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use kerf_oip::codec::{
    Body, OutputEncoding, RequestTarget, format_request, format_response, parse_request, parse_response,
};
use kerf_oip::{InferRequest, InferResponse, Limits, Parameters, RequestedOutput};
use kerf_tensor::{DType, NamedTensor, Tensor};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn requests(
        tensors in tensors(),
        outputs in vec((".{0,8}", any::<Option<bool>>()), 0..4),
        id in any::<Option<String>>(),
        binary in any::<u8>(),
        default in any::<bool>(),
        cuts in vec(1usize..64, 0..8),
    ) {
        let inputs = named(&tensors, binary);
        let outputs: Vec<_> = outputs
            .into_iter()
            .enumerate()
            .map(|(index, (name, binary))| RequestedOutput {
                name: format!("{index}{name}"),
                binary,
                parameters: Parameters::new(),
            })
            .collect();
        let request = InferRequest {
            model: "m".to_owned(),
            version: None,
            id,
            inputs,
            outputs: outputs.clone(),
            parameters: parameters(),
            traceparent: None,
        };
        let encoding = OutputEncoding {
            binary: default,
            by_name: outputs.into_iter().filter_map(|output| Some((output.name, output.binary?))).collect(),
        };
        let body = format_request(&request, &encoding, is_binary).unwrap();
        let length = body.header_length();
        let target = RequestTarget { model: "m".to_owned(), version: None };
        let parsed = parse_request(target, cut(body, &cuts), length, &Limits::default()).unwrap();
        prop_assert_eq!(parsed, (request, encoding));
    }

    #[test]
    fn responses(tensors in tensors(), binary in any::<u8>(), cuts in vec(1usize..64, 0..8)) {
        let response = InferResponse {
            model: "m".to_owned(),
            version: Some("7".to_owned()),
            id: None,
            outputs: named(&tensors, binary),
            parameters: parameters(),
        };
        let by_name = response.outputs.iter().map(|each| (each.name.clone(), is_binary(&each.name))).collect();
        let body = format_response(&response, &OutputEncoding { binary: false, by_name }).unwrap();
        let length = body.header_length();
        prop_assert_eq!(parse_response(cut(body, &cuts), length, &Limits::default()).unwrap(), response);
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(body in vec(any::<u8>(), 0..200), length in any::<Option<u8>>()) {
        let length = length.map(usize::from);
        let _ = parse_request(RequestTarget::default(), vec![body.into()], length, &Limits::default());
    }
}

/// Tensors of any type; floats are finite and strings UTF-8, so that each may go out as JSON.
fn tensors() -> impl Strategy<Value = Vec<Tensor>> {
    let tensor = (0..DType::ALL.len(), vec(0usize..4, 0..4)).prop_flat_map(|(index, shape)| {
        let dtype = DType::ALL[index];
        let elements: usize = shape.iter().product();
        match dtype {
            DType::String => vec(any::<String>(), elements)
                .prop_map(move |values| Tensor::from_strings(&shape, &values).unwrap())
                .boxed(),
            _ => vec(any::<u8>(), elements * dtype.size().unwrap_or(0))
                .prop_map(move |mut bytes| {
                    tame(dtype, &mut bytes);
                    Tensor::new(dtype, shape.clone(), bytes.into()).unwrap()
                })
                .boxed(),
        }
    });
    vec(tensor, 0..5)
}

/// Keeps bools to 0 and 1 and clears an exponent bit of floats, which leaves no NaN nor infinity.
fn tame(dtype: DType, bytes: &mut [u8]) {
    for (index, byte) in bytes.iter_mut().enumerate() {
        match dtype {
            DType::Bool => *byte &= 1,
            DType::F32 if index % 4 == 3 => *byte &= 0xbf,
            DType::F64 if index % 8 == 7 => *byte &= 0xbf,
            _ => {}
        }
    }
}

/// Names that say by their first letter how the tensor travels; 16-bit floats have no choice.
fn named(tensors: &[Tensor], binary: u8) -> Vec<NamedTensor> {
    tensors
        .iter()
        .enumerate()
        .map(|(index, tensor)| {
            let forced = matches!(tensor.dtype(), DType::F16 | DType::Bf16);
            let letter = if forced || binary >> index & 1 == 1 { 'b' } else { 'j' };
            NamedTensor { name: format!("{letter}{index}\"é\n"), tensor: tensor.clone() }
        })
        .collect()
}

fn is_binary(name: &str) -> bool {
    name.starts_with('b')
}

fn parameters() -> Parameters {
    let value = serde_json::json!({ "priority": 3, "note": "a", "nested": { "list": [1, null] } });
    value.as_object().unwrap().clone()
}

fn cut(body: Body, sizes: &[usize]) -> Vec<Bytes> {
    let mut whole = Bytes::from(body.into_chunks().concat());
    let mut chunks: Vec<_> = sizes.iter().map(|size| whole.split_to((*size).min(whole.len()))).collect();
    chunks.push(whole);
    chunks
}
