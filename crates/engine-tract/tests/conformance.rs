//! The suite that every engine passes, on tract.

use kerf_engine::conformance::check;
use kerf_engine_tract::Tract;

const IGNORED: &[(&str, &str)] =
    &[("identity bf16", "tract has no bf16"), ("loop with a captured value", "tract has no Loop")];

#[test]
fn conformance() {
    let summary = check(&Tract::new(), IGNORED).unwrap_or_else(|failures| panic!("{failures}"));
    println!("{summary:?}");
}
