//! Frames from someone who means harm: an error each, and no memory for what only they claim.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bincode::Encode;
use bytes::Bytes;
use kerf_wire::{DecodeError, Decoder, Limits, Reason, Request, Response};

/// Version 1's request, as a hostile peer would build it.
#[derive(Encode, Clone)]
struct Raw {
    id: [u8; 16],
    model: Vec<u8>,
    digest: [u8; 32],
    boundary: u16,
    deadline_ns: u64,
    tensors: Vec<RawTensor>,
    outputs: Vec<Vec<u8>>,
    extensions: Vec<(u16, Vec<u8>)>,
}

#[derive(Encode, Clone)]
struct RawTensor {
    name: Vec<u8>,
    dtype: u8,
    shape: Vec<u64>,
    codec: u16,
    bytes: u64,
}

fn tensor(name: &str, dtype: u8, shape: &[u64], bytes: u64) -> RawTensor {
    RawTensor { name: name.into(), dtype, shape: shape.to_vec(), codec: 0, bytes }
}

fn raw(tensors: Vec<RawTensor>) -> Raw {
    Raw {
        id: [9; 16],
        model: b"m".to_vec(),
        digest: [0; 32],
        boundary: 1,
        deadline_ns: 1,
        tensors,
        outputs: vec![],
        extensions: vec![],
    }
}

fn frame(raw: &Raw, payload: &[u8]) -> Vec<u8> {
    let header = bincode::encode_to_vec((1u8, raw), bincode::config::standard()).unwrap();
    [&(header.len() as u32).to_le_bytes()[..], &header, payload].concat()
}

fn read(frame: Vec<u8>) -> Result<Request, DecodeError> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from(frame))?;
    decoder.finish()
}

const F32: u8 = 1;
const STRING: u8 = 8;
const BOOL: u8 = 9;

#[test]
fn headers_that_lie() {
    let one = |tensor| raw(vec![tensor]);
    let cases: Vec<(&str, Raw, &str)> = vec![
        ("longer than the shape", one(tensor("x", F32, &[2], 9)), "cannot take 9 bytes"),
        ("shorter than the shape", one(tensor("x", F32, &[2], 7)), "cannot take 7 bytes"),
        ("a shape past memory", one(tensor("x", F32, &[1 << 40, 1 << 40], 0)), "cannot take 0 bytes"),
        ("a dimension past usize", one(tensor("x", F32, &[u64::MAX], 4)), "cannot take 4 bytes"),
        (
            "a payload past the limit",
            one(tensor("x", F32, &[1 << 30], 1 << 32)),
            "4294967296 bytes of tensors",
        ),
        (
            "payloads that overflow together",
            raw(vec![tensor("x", STRING, &[], u64::MAX), tensor("y", STRING, &[], u64::MAX)]),
            "bytes of tensors",
        ),
        ("strings without room for their lengths", one(tensor("x", STRING, &[3], 8)), "cannot take 8 bytes"),
        ("a rank bomb", one(tensor("x", F32, &[1; 300], 4)), "300 dimensions, 16 allowed"),
        (
            "many tensors",
            raw((0..300).map(|n| tensor(&n.to_string(), F32, &[0], 0)).collect()),
            "300 tensors",
        ),
        (
            "many outputs",
            Raw { outputs: vec![vec![b'o']; 300], ..raw(vec![]) },
            "300 tensors or output names",
        ),
        (
            "one name twice",
            raw(vec![tensor("x", F32, &[0], 0), tensor("x", F32, &[0], 0)]),
            "tensor \"x\" is there twice",
        ),
        ("an unknown type", one(tensor("x", 99, &[], 0)), "element type 99"),
        ("coded strings", one(RawTensor { codec: 7, ..tensor("x", STRING, &[1], 4) }), "codec 7"),
        (
            "few bytes that would decode to more than the limit",
            one(RawTensor { codec: 7, ..tensor("x", F32, &[1 << 30], 4) }),
            "4294967296 bytes of tensors",
        ),
        (
            "bytes that would decode to more than memory",
            one(RawTensor { codec: 7, ..tensor("x", F32, &[1 << 40, 1 << 40], 4) }),
            "cannot take 4 bytes",
        ),
        (
            "a name that is no text",
            one(RawTensor { name: vec![0xff], ..tensor("", F32, &[], 4) }),
            "malformed",
        ),
        ("a model that is no text", Raw { model: vec![0xc0, 0x80], ..raw(vec![]) }, "malformed"),
        ("a bad traceparent", Raw { extensions: vec![(1, b"00-x".to_vec())], ..raw(vec![]) }, "traceparent"),
        ("an extension twice", Raw { extensions: vec![(9, vec![]); 2], ..raw(vec![]) }, "twice"),
    ];
    for (what, raw, complaint) in cases {
        let error = read(frame(&raw, &[])).expect_err(what);
        assert!(error.to_string().contains(complaint), "{what}: {error}");
        let unsupported = matches!(error, DecodeError::DType { .. } | DecodeError::Codec { .. });
        assert_eq!(error.reason() == Reason::Unsupported, unsupported, "{what}");
    }
}

#[test]
fn frames_that_do_not_end_where_they_should() {
    let good = raw(vec![tensor("x", F32, &[2], 8)]);
    let whole = frame(&good, &[0; 8]);
    assert!(read(whole.clone()).is_ok());
    for cut in 0..whole.len() {
        assert_eq!(read(whole[..cut].to_vec()).unwrap_err(), DecodeError::Truncated, "cut at {cut}");
    }
    assert_eq!(read(frame(&good, &[0; 9])).unwrap_err(), DecodeError::Trailing);
    assert_eq!(read(frame(&raw(vec![]), &[0])).unwrap_err(), DecodeError::Trailing);

    // The header's own length lies, both ways.
    for (more, message) in [(-1i32, "malformed"), (1, "after its last field")] {
        let mut lying = frame(&raw(vec![]), &[0]);
        let length = u32::from_le_bytes(lying[..4].try_into().unwrap()).wrapping_add_signed(more);
        lying[..4].copy_from_slice(&length.to_le_bytes());
        assert!(read(lying).unwrap_err().to_string().contains(message));
    }
    for (start, error) in [
        (&[0, 0, 0, 0, 0][..], DecodeError::Kind(None)),
        (&[1, 0, 0, 0, 2], DecodeError::Kind(Some(2))),
        (&[0xff, 0xff, 0xff, 0xff], DecodeError::HeaderTooLarge { bytes: 0xffff_ffff, limit: 65536 }),
    ] {
        assert_eq!(read(start.to_vec()).unwrap_err(), error);
    }
    let mut response = Decoder::<Response>::new(Limits::default());
    assert_eq!(response.push(Bytes::from(whole)), Err(DecodeError::Kind(Some(1))));
}

#[test]
fn payloads_that_are_not_of_their_type() {
    for (tensor, payload) in [
        (tensor("x", BOOL, &[2], 2), &[1, 2][..]),
        (tensor("x", STRING, &[1], 6), &[9, 0, 0, 0, b'a', b'b']),
        (tensor("x", STRING, &[2], 9), &[5, 0, 0, 0, b'a', b'b', b'c', b'd', b'e']),
    ] {
        let error = read(frame(&raw(vec![tensor]), payload)).unwrap_err();
        assert!(matches!(&error, DecodeError::Tensor { name, .. } if name == "x"), "{error}");
    }
}

#[test]
fn counts_in_the_header_are_not_believed() {
    // Version 1 up to the tensors' count, and then a count that lies. An allocation for
    // the first two would abort the process.
    let head = ([9u8; 16], "m", [0u8; 32], 1u16, 1u64);
    let head = bincode::encode_to_vec((1u8, head), bincode::config::standard()).unwrap();
    for count in [u64::MAX, 1 << 40, 1 << 20, 20_000] {
        let mut header = head.clone();
        header.push(253);
        header.extend(count.to_le_bytes());
        let frame = [&(header.len() as u32).to_le_bytes()[..], &header].concat();
        let error = read(frame).unwrap_err();
        assert!(error.to_string().contains("LimitExceeded"), "{count}: {error}");
    }
}
