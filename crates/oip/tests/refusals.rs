//! Each way in which a request can be wrong, and the one error that says so.

#![allow(missing_docs, reason = "a test")]

use bytes::Bytes;
use kerf_oip::codec::{RequestTarget, parse_request};
use kerf_oip::{FailureKind, Limits};
use std::time::Duration;

const LIMITS: Limits = Limits { body: 1 << 20, tensors: 3, rank: 4, pause: Duration::from_secs(1) };

/// JSON, raw bytes behind it, and the error.
const CASES: &[(&str, &[u8], &str)] = &[
    (r#"{"inputs":[]}"#, b"", ""),
    (r#"{}"#, b"", "the request has no `inputs`"),
    (r#"{"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]}"#, b"", "input 0 has no `name`"),
    (r#"{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}"#, b"", "input `x` has no `shape`"),
    (r#"{"inputs":[{"name":"x","shape":[1],"data":[1]}]}"#, b"", "input `x` has no `datatype`"),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP31","data":[1]}]}"#,
        b"",
        "input `x`: unknown datatype `FP31`; known are FP32, FP64, FP16, BF16, INT8, INT16, INT32, INT64, UINT8, \
         UINT16, UINT32, UINT64, BOOL, BYTES",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[-1],"datatype":"FP32","data":[1]}]}"#,
        b"",
        "input `x`: shape [-1] has a negative dimension",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1,1,1,1,1],"datatype":"FP32","data":[1]}]}"#,
        b"",
        "input `x` has 5 dimensions, at most 4 are accepted",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[4294967296,4294967296],"datatype":"FP32","data":[1]}]}"#,
        b"",
        "input `x`: shape [4294967296, 4294967296] has more elements than memory can address",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1000000000],"datatype":"FP32","data":[1]}]}"#,
        b"",
        "input `x`: shape [1000000000] has 1000000000 elements, `data` has 1",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}"#,
        b"",
        "input `x` has neither `data` nor binary_data_size",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":4}}]}"#,
        b"",
        "input `x` has both `data` and binary_data_size",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]},{"name":"x","shape":[0],"datatype":"BOOL","data":[]}]}"#,
        b"",
        "input `x` is there twice",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[3],"datatype":"FP32","parameters":{"binary_data_size":8}}]}"#,
        b"12345678",
        "input `x`: FP32 of shape [3] takes 12 bytes, binary_data_size is 8",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[3],"datatype":"FP32","parameters":{"binary_data_size":12}}]}"#,
        b"12345678",
        "input `x`: binary_data_size is 12, but only 8 bytes are left in the body",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}"#,
        b"12345678",
        "4 bytes follow the last tensor; the binary_data_size of the tensors must add up to the body behind the JSON",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}}]}"#,
        b"1234",
        "input `x`: binary_data_size is -4, not a number of bytes",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}}]}"#,
        b"\xff\xff\xff\xff1",
        "input `x`: string tensor of shape [1]: an element is longer than the data",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","parameters":{"binary_data_size":1}}]}"#,
        b"\x02",
        "input `x`: bool tensor holds byte 2, expected 0 or 1",
    ),
    (
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}}]}"#,
        b"",
        "input `x`: shared memory is not supported",
    ),
    (
        r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":3}}]}"#,
        b"",
        "requested output `y`: classification is not supported",
    ),
    (
        r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"binary_data":1}}]}"#,
        b"",
        "requested output `y`: parameter `binary_data` is 1, not true or false",
    ),
    (r#"{"inputs":[],"outputs":[{"name":"y"},{"name":"y"}]}"#, b"", "requested output `y` is there twice"),
    (r#"{"inputs":[],"outputs":[{}]}"#, b"", "requested output 0 has no `name`"),
    (r#"{"inputs":[],"outputs":[{},{},{},{}]}"#, b"", "4 outputs, at most 3 are accepted"),
    (r#"{"inputs":[{},{},{},{}]}"#, b"", "4 inputs, at most 3 are accepted"),
    (
        r#"{"inputs":7}"#,
        b"",
        "the 12 bytes that Inference-Header-Content-Length names are not a JSON message of the protocol: \
         invalid type: integer `7`, expected a list of at most 4096 entries at line 1 column 11",
    ),
];

#[test]
fn wrong_requests() {
    for (json, tail, expected) in CASES {
        let body = Bytes::from([json.as_bytes(), tail].concat());
        let parsed = parse_request(RequestTarget::default(), vec![body], Some(json.len()), &LIMITS);
        let failure = parsed.err();
        assert!(failure.iter().all(|failure| failure.kind == FailureKind::Invalid));
        assert_eq!(failure.map(|failure| failure.message).unwrap_or_default(), *expected, "{json}");
    }
}

#[test]
fn wrong_header_lengths() {
    let json =
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}]}"#;
    let body = Bytes::from(format!("{json}1"));
    for (length, expected) in [
        (Some(json.len()), ""),
        (None, "the body is not a JSON message of the protocol: trailing characters at line 1 column 93"),
        (
            Some(0),
            "Inference-Header-Content-Length is 0: raw requests without a JSON header are not supported",
        ),
        (Some(500), "Inference-Header-Content-Length is 500, but the body has 93 bytes"),
        (
            Some(10),
            "the 10 bytes that Inference-Header-Content-Length names are not a JSON message of the protocol: \
             EOF while parsing a value at line 1 column 10",
        ),
    ] {
        let parsed = parse_request(RequestTarget::default(), vec![body.clone()], length, &LIMITS);
        assert_eq!(parsed.err().map(|failure| failure.message).unwrap_or_default(), expected, "{length:?}");
    }
    let parsed = parse_request(RequestTarget::default(), vec![body.slice(..json.len())], None, &LIMITS);
    let message = parsed.unwrap_err().message;
    assert_eq!(
        message,
        "input `x` has binary_data_size, but the request has no Inference-Header-Content-Length"
    );
}

#[test]
fn hostile_json_is_refused() {
    let deep =
        format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":{}1"#, "[".repeat(500_000));
    let closed = format!("{deep}{}}}]}}", "]".repeat(500_000));
    let parameters = format!(r#"{{"parameters":{{"a":{}"#, "[".repeat(500_000));
    let many = format!(r#"{{"inputs":[{}{{}}]}}"#, "{},".repeat(300_000));
    for json in [deep, closed, parameters, many] {
        assert!(parse_request(RequestTarget::default(), vec![json.into()], None, &LIMITS).is_err());
    }
}
