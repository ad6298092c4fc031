//! `tritonclient.http` against the `echo` example, in both encodings.
//!
//! The interpreter is `KERF_PYTHON`, else `python3`; without one that has the package the test is
//! skipped, unless `KERF_REQUIRE` lists `triton`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "../examples/echo/service.rs"]
mod service;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

#[test]
fn triton_client() {
    let python = std::env::var("KERF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import tritonclient.http"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        let required =
            std::env::var("KERF_REQUIRE").is_ok_and(|list| list.split(',').any(|each| each == "triton"));
        assert!(!required, "{python} has no tritonclient.http, and KERF_REQUIRE lists triton");
        eprintln!("skipped: {python} has no tritonclient.http (set KERF_PYTHON)");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = kerf_oip::router(Arc::new(service::Identity), kerf_oip::Limits::default());
    runtime.spawn(async move { axum::serve(listener, router).await });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/triton_client.py");
    let output = Command::new(&python).arg(script).arg(address).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}{}", said[0], said[1]);
    eprint!("{}", said[0]);
}
