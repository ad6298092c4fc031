//! Pins which crate may import which. A crate boundary exists to make an import impossible; this
//! test is what keeps it so. When it fails, either the import is wrong or the architecture
//! changed: then change the table here and the picture in `docs/architecture.md`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// No tokio, no sockets, no clock, no files.
const PURE: &[&str] = &[
    "agreement",
    "bundle",
    "codec",
    "codec-fit",
    "exits",
    "exits-fit",
    "graph",
    "inputs",
    "npy",
    "planner",
    "preprocess",
    "profile",
    "random",
    "settings",
    "steer",
    "tensor",
    "wire",
];
const ENGINES: &[&str] = &["engine", "engine-ort", "engine-tract", "engines", "profiler"];
const IO: &[&str] =
    &["identity", "mesh", "oip", "power", "repository", "samples", "serving", "telemetry", "transport"];
const BINARIES: &[&str] = &["cloud-node", "demo", "edge-node", "partitioner"];
const TESTBED: &str = "testbed";

/// What a pure crate must not reach, however indirectly.
const IMPURE: &[&str] = &["tokio", "quinn", "hyper", "axum", "socket2", "mio", "ort", "tract-onnx"];

#[test]
fn every_crate_has_a_layer() {
    let known: BTreeSet<_> = [PURE, ENGINES, IO, BINARIES, &[TESTBED]].concat().into_iter().collect();
    let found: BTreeSet<String> = workspace().keys().cloned().collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn layers_import_downwards_only() {
    let allowed = |layer: &[&[&'static str]]| layer.concat();
    for (krate, imports) in workspace() {
        let may = match krate.as_str() {
            name if PURE.contains(&name) => allowed(&[PURE]),
            name if ENGINES.contains(&name) => allowed(&[PURE, ENGINES]),
            name if IO.contains(&name) => allowed(&[PURE, ENGINES, IO]),
            TESTBED => allowed(&[PURE, ENGINES, IO]),
            _ => allowed(&[PURE, ENGINES, IO, BINARIES, &[TESTBED]]),
        };
        for import in imports {
            assert!(may.contains(&import.as_str()), "{krate} may not import {import}");
        }
    }
}

#[test]
fn nodes_do_not_link_the_testbed() {
    for node in ["edge-node", "cloud-node"] {
        assert!(!reachable(node).contains("kerf-testbed"), "{node} links the testbed");
    }
}

#[test]
fn pure_crates_reach_no_runtime_and_no_engine() {
    for krate in PURE {
        let reached = reachable(&format!("kerf-{krate}"));
        for impure in IMPURE {
            assert!(!reached.contains(*impure), "kerf-{krate} reaches {impure}");
        }
    }
}

/// Workspace crates (without the `kerf-` prefix) and the workspace crates that each imports,
/// dev-dependencies left out.
fn workspace() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let short = |name: &str| name.trim_start_matches("kerf-").to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    packages
        .iter()
        .map(|package| {
            let imports = package["dependencies"].as_array().unwrap().iter();
            let imports = imports
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap())
                .filter(|name| names.contains(name))
                .map(short)
                .collect();
            (short(package["name"].as_str().unwrap()), imports)
        })
        .collect()
}

/// Every crate that a normal build of `package` links.
fn reachable(package: &str) -> BTreeSet<String> {
    let tree =
        cargo(&["tree", "--offline", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn metadata() -> serde_json::Value {
    serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"])).unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
