//! Any bytes: arrays or an error, never a panic, never more bytes than the limit.
//!
//! Input: a byte that says which file the rest is.

#![no_main]

use bytes::Bytes;
use kerf_npy::{Limits, npy, npz};
use libfuzzer_sys::fuzz_target;

const MOST: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    let file = Bytes::copy_from_slice(rest);
    if kind % 2 == 0 {
        if let Ok(tensor) = npy(&file) {
            assert!(tensor.data().len() <= rest.len());
        }
    } else if let Ok(arrays) = npz(&file, Limits { arrays: 8, bytes: MOST }) {
        assert!(arrays.iter().map(|array| array.tensor.data().len() as u64).sum::<u64>() <= MOST);
    }
});
