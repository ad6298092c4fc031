//! A request body as a client sends it: two bytes of header length (the top bit leaves the header
//! out), one byte of chunk size, then the body. What parses must format, and parse to the same.
//!
//! `cargo fuzz run -s none infer_request fuzz/corpus/infer_request fuzz/seeds -- -dict=fuzz/infer_request.dict`

#![no_main]

use bytes::Bytes;
use kerf_oip::Limits;
use kerf_oip::codec::{RequestTarget, format_request, parse_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(([low, high, chunk], body)) = data.split_first_chunk::<3>() else { return };
    let length = u16::from_le_bytes([*low, *high]);
    let length = (length >> 15 == 0).then_some(usize::from(length));
    let chunks: Vec<Bytes> = body.chunks(usize::from(*chunk).max(1)).map(Bytes::copy_from_slice).collect();
    let limits = Limits::default();
    let Ok((request, encoding)) = parse_request(RequestTarget::default(), chunks, length, &limits) else { return };
    let body = format_request(&request, &encoding, |_| true).expect("what parsed can be said");
    let length = body.header_length();
    let again = parse_request(RequestTarget::default(), body.into_chunks(), length, &limits);
    assert_eq!(again.expect("what was formatted parses"), (request, encoding));
});
