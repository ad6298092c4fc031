//! Any bytes in chunks of any size: an error or a message, never a panic, and the same in
//! whatever pieces they come. What decodes encodes again, to what decodes the same.
//!
//! Input: a byte that says which message, a byte that sizes the chunks, the frame.

#![no_main]

use bytes::Bytes;
use kerf_wire::{
    DecodeError, Decoder, Limits, Message, Request, Response, encode_request, encode_response,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [kind, seed, frame @ ..] = input else { return };
    let frame = Bytes::copy_from_slice(frame);
    let limits = Limits { payload: 1 << 20, ..Limits::default() };
    if kind % 2 == 0 {
        check::<Request>(&frame, *seed, limits, |request| encode_request(request, &limits));
    } else {
        check::<Response>(&frame, *seed, limits, |response| encode_response(response, &limits));
    }
});

fn check<M: Message + PartialEq + std::fmt::Debug>(
    frame: &Bytes,
    seed: u8,
    limits: Limits,
    encode: impl Fn(&M) -> Result<Vec<Bytes>, kerf_wire::EncodeError>,
) {
    let whole = decode::<M>(frame, limits, std::iter::once(usize::MAX));
    // A small linear congruential generator: the chunks are as odd as the seed.
    let mut state = u32::from(seed);
    let sizes = std::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(1 + (state >> 20) as usize % (1 + usize::from(seed)))
    });
    let pieces = decode::<M>(frame, limits, sizes);
    assert_eq!(whole, pieces);
    let Ok(message) = whole else { return };
    // A name that fills the header leaves no room for what this version would add to it.
    let Ok(again) = encode(&message) else { return };
    let again = Bytes::from(again.concat());
    assert_eq!(decode::<M>(&again, limits, std::iter::once(usize::MAX)), Ok(message));
}

fn decode<M: Message>(
    frame: &Bytes,
    limits: Limits,
    sizes: impl Iterator<Item = usize>,
) -> Result<M, DecodeError> {
    let mut decoder = Decoder::<M>::new(limits);
    let mut rest = frame.clone();
    for size in sizes {
        if rest.is_empty() {
            break;
        }
        decoder.push(rest.split_to(size.min(rest.len())))?;
    }
    decoder.finish()
}
