//! Inference against the tests that define ONNX's operators: wherever a type or a dimension is
//! inferred, it is the one of the reference implementation's result.
//!
//! `KERF_ONNX_NODE_TESTS` names a folder of such tests: `onnx/backend/test/data/node` of a wheel of
//! `onnx` that holds them, as 1.17 does, or what `onnx.backend.test.case.node` of a newer one makes.

use bytes::Bytes;
use kerf_graph::{Bindings, Model, NoExternalData};
use kerf_tensor::{DType, Dim, TensorSpec};
use prost::Message;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// As much of a `TensorProto` as its header.
#[derive(Message)]
struct Header {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
}

#[derive(Message)]
struct ModelPatch {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphPatch>,
}

/// Appended to a model's bytes, adds to its graph.
#[derive(Message)]
struct GraphPatch {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    initializer: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorKind>,
}

#[derive(Message)]
struct TensorKind {
    #[prost(int32, tag = "1")]
    elem_type: i32,
}

#[derive(Default)]
struct Tally {
    refused: usize,
    outputs: usize,
    full: usize,
    wrong: Vec<String>,
    /// Outputs not fully inferred, by operators of the model.
    open: BTreeMap<String, usize>,
}

#[test]
fn inferred_facts_are_those_of_the_results() {
    let Some(folder) = std::env::var_os("KERF_ONNX_NODE_TESTS") else {
        let required = std::env::var("KERF_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|name| name == "onnx-node-tests"),
            "KERF_ONNX_NODE_TESTS is not set"
        );
        eprintln!("skipped: KERF_ONNX_NODE_TESTS is not set");
        return;
    };
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for (title, with_inputs) in [("inputs unknown", false), ("small inputs known", true)] {
        let mut tally = Tally::default();
        for case in &cases {
            check(case, with_inputs, &mut tally);
        }
        let Tally { refused, outputs, full, wrong, open } = tally;
        println!(
            "{title}: of {} models {refused} refused; of {outputs} outputs {full} fully inferred",
            cases.len()
        );
        println!("  open: {open:?}");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(outputs > 0, "no model in the folder");
    }
}

fn check(case: &Path, with_inputs: bool, tally: &mut Tally) {
    let Ok(mut onnx) = std::fs::read(case.join("model.onnx")) else { return };
    let data = case.join("test_data_set_0");
    let tensor = |kind: &str, index: usize| std::fs::read(data.join(format!("{kind}_{index}.pb"))).ok();
    let results: Vec<Header> = (0..)
        .map_while(|index| tensor("output", index))
        .filter_map(|result| Header::decode(result.as_slice()).ok())
        .filter(|result| DType::from_onnx_code(result.data_type).is_some() && !result.name.is_empty())
        .collect();
    let mut patch = GraphPatch::default();
    if with_inputs {
        let inputs = (0..).map_while(|index| tensor("input", index));
        patch.initializer = inputs.filter(|input| is_small(input)).collect();
    }
    // What a file declares of its outputs fills what inference leaves open; of a copy of an
    // output it declares nothing but the type.
    for result in &results {
        let (input, output) = (vec![result.name.clone()], vec![copy(result)]);
        patch.node.push(Node { input, output, op_type: "Identity".into() });
        let tensor = TensorKind { elem_type: result.data_type };
        patch.output.push(Value { name: copy(result), kind: Some(Kind { tensor: Some(tensor) }) });
    }
    onnx.extend(ModelPatch { graph: Some(patch) }.encode_to_vec());
    let Ok(model) = Model::load(Bytes::from(onnx), &NoExternalData) else {
        tally.refused += 1;
        return;
    };
    let analysis = model.analyse(&Bindings::default());
    for result in results {
        tally.outputs += 1;
        match analysis.spec(&copy(&result)).map_or(Agreement::Open, |spec| agreement(&spec, &result)) {
            Agreement::Full => tally.full += 1,
            Agreement::Wrong(spec) => {
                tally.wrong.push(format!("{}: {spec}, really {result:?}", case.display()))
            }
            Agreement::Open => {
                let op = model.nodes().iter().rev().find(|node| node.op != "Identity");
                *tally.open.entry(op.map_or("Identity".into(), |node| node.op.clone())).or_default() += 1;
            }
        }
    }
}

fn copy(result: &Header) -> String {
    format!("{}.copy", result.name)
}

enum Agreement {
    Full,
    /// Nothing wrong, something not known.
    Open,
    Wrong(String),
}

fn agreement(spec: &TensorSpec, result: &Header) -> Agreement {
    let (Some(shape), dims) = (&spec.shape, &result.dims) else { return Agreement::Open };
    // Some versions of the tests hold bf16 as u16.
    let is_type =
        spec.dtype.onnx_code() == result.data_type || (spec.dtype, result.data_type) == (DType::Bf16, 4);
    let fits = |(dim, size): (&Dim, &i64)| match dim {
        Dim::Fixed(fixed) => *fixed as i64 == *size,
        Dim::Symbol(_) => true,
    };
    if !is_type || shape.len() != dims.len() || !shape.iter().zip(dims).all(fits) {
        return Agreement::Wrong(spec.to_string());
    }
    match shape.iter().all(|dim| matches!(dim, Dim::Fixed(_))) {
        true => Agreement::Full,
        false => Agreement::Open,
    }
}

/// Whether a tensor looks like sizes, axes or scales rather than like data.
fn is_small(tensor: &[u8]) -> bool {
    let Ok(header) = Header::decode(tensor) else { return false };
    let elements = header.dims.iter().fold(1i64, |product, dim| product.saturating_mul(*dim));
    match DType::from_onnx_code(header.data_type) {
        Some(DType::I64 | DType::I32 | DType::Bool) => elements <= 1024,
        Some(DType::F32) => elements <= 8,
        _ => false,
    }
}
