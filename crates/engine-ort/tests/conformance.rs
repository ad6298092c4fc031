//! The suite that every engine passes, on ONNX Runtime.

mod found;

use kerf_engine::conformance::check;

const IGNORED: &[(&str, &str)] = &[];

#[test]
fn conformance() {
    let Some(ort) = found::ort(1) else { return };
    let summary = check(&ort, IGNORED).unwrap_or_else(|failures| panic!("{failures}"));
    println!("{summary:?}");
}
