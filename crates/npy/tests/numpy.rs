//! Files that NumPy itself wrote, and what becomes of them when they are damaged.
//!
//! `stored.npz` and `deflated.npz` are by numpy 2.4, `savez` and `savez_compressed` of
//! `a = arange(6, dtype=f4).reshape(2, 3)`, `b = asfortranarray(arange(6, dtype='>i8').reshape(3, 2))`,
//! `c = zeros(4096, u1)` and `d/e = array(True)`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use bytes::Bytes;
use kerf_npy::{Limits, npz};
use kerf_tensor::DType;
use proptest::prelude::*;

const STORED: &[u8] = include_bytes!("stored.npz");
const DEFLATED: &[u8] = include_bytes!("deflated.npz");

#[test]
fn what_numpy_wrote() {
    for file in [STORED, DEFLATED] {
        let arrays = npz(&Bytes::from_static(file), Limits::default()).unwrap();
        let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d/e"]);
        let [a, b, c, d] = &arrays[..] else { panic!("{arrays:?}") };
        assert_eq!((a.tensor.dtype(), a.tensor.shape()), (DType::F32, &[2, 3][..]));
        assert_eq!(a.tensor.to_f64().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((b.tensor.dtype(), b.tensor.shape()), (DType::I64, &[3, 2][..]));
        assert_eq!(b.tensor.to_f64().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((c.tensor.shape(), c.tensor.data().iter().all(|byte| *byte == 0)), (&[4096][..], true));
        assert_eq!((d.tensor.dtype(), d.tensor.shape(), d.tensor.data()[0]), (DType::Bool, &[][..], 1));
    }
}

#[test]
fn limits_hold() {
    for file in [STORED, DEFLATED] {
        let read = |arrays, bytes| npz(&Bytes::from_static(file), Limits { arrays, bytes });
        assert_eq!(read(3, 1 << 20).unwrap_err().to_string(), "more than 3 arrays");
        assert_eq!(read(4, 4096).unwrap_err().to_string(), "its arrays take more than 4096 bytes");
        // Four headers of 128 bytes, and the elements.
        assert_eq!(read(4, 4 * 128 + 24 + 48 + 4096 + 1).unwrap().len(), 4);
        assert!(read(4, 4 * 128 + 24 + 48 + 4096).is_err());
    }
}

#[test]
fn other_files_are_refused() {
    for (file, message) in [
        (&b""[..], "no .npz file"),
        (b"PK\x05\x06", "no .npz file"),
        (&STORED[..STORED.len() - 1], "no .npz file"),
    ] {
        let error = npz(&Bytes::copy_from_slice(file), Limits::default()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    // The same name in the local header and the directory.
    let renamed = replaced(STORED, b"c.npy", b"a.npy");
    assert_eq!(npz(&renamed, Limits::default()).unwrap_err().to_string(), "\"a\" is in it twice");
    let foreign = replaced(STORED, b"c.npy", b"c.txt");
    assert_eq!(npz(&foreign, Limits::default()).unwrap_err().to_string(), "\"c.txt\" in it is no .npy file");
    let changed = replaced(STORED, b"'|u1'", b"'|i1'");
    let error = npz(&changed, Limits::default()).unwrap_err().to_string();
    assert!(error.starts_with("\"c\" in it: ") && error.contains("checksum"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damaged_files_are_arrays_or_errors(which: bool, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        let mut file = if which { STORED } else { DEFLATED }.to_vec();
        for (at, byte) in changes {
            let at = usize::from(at) % file.len();
            file[at] = byte;
        }
        if let Ok(arrays) = npz(&file.into(), Limits { arrays: 8, bytes: 1 << 16 }) {
            let bytes: usize = arrays.iter().map(|array| array.tensor.data().len()).sum();
            prop_assert!(bytes <= 1 << 16);
        }
    }
}

fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Bytes {
    let mut out = file.to_vec();
    for at in 0..out.len() - from.len() {
        if out[at..].starts_with(from) {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out.into()
}
