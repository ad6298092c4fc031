//! Any bytes: a book or an error, never a panic. A book has one encoding, and its codecs can be
//! made and used.
//!
//! Input: the book behind its magic number.

#![no_main]

use bytes::Bytes;
use kerf_codec::{Book, Codec, Limits, Spec};
use kerf_tensor::DType;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let bytes = [b"KCB\x01", input].concat();
    let Ok(book) = Book::decode(&bytes) else { return };
    assert_eq!(book.encode(), bytes, "two encodings of one book");
    for (_, spec) in book.entries().iter().flat_map(|entry| &entry.tensors).take(4) {
        let Spec::Fitted(fitted) = spec else { continue };
        let Ok(codec) = Codec::new(spec) else { panic!("a decoded spec is checked") };
        let mut shape = vec![1; usize::from(fitted.axis).min(3) + 1];
        if let Some(channels) = shape.get_mut(usize::from(fitted.axis)) {
            *channels = fitted.channels;
        }
        if let Some(spatial) = &fitted.spatial {
            shape.extend([spatial.rows, spatial.columns]);
        }
        if let Ok(coder) = codec.coder(DType::F32, &shape, Limits { bytes: 1 << 20 }) {
            let _ = coder.decode(&Bytes::copy_from_slice(input));
        }
    }
});
