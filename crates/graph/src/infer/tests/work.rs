//! Multiply-accumulates and weights of nodes whose counts are known by hand.

use super::*;
use crate::analysis::NodeCost;
use crate::costs::costs;
use crate::onnx::{GraphProto, NodeProto};

fn cost(graph: &Graph) -> Vec<NodeCost> {
    let (bindings, opsets) = (Bindings::ones(), BTreeMap::from([(String::new(), 13)]));
    let facts = graph.facts(13, &bindings);
    let input = InferInput {
        nodes: &graph.nodes,
        inputs: &graph.inputs,
        constants: &graph.constants,
        opsets: &opsets,
        declared: &Facts::new(),
        bindings: &bindings,
    };
    costs(&input, &facts)
}

fn weights(dims: &[i64]) -> TensorProto {
    TensorProto { data_type: Some(1), dims: dims.to_vec(), ..Default::default() }
}

#[test]
fn multiply_accumulates() {
    let with = |x: &str, w: &[i64]| Graph::default().input("x", DType::F32, x).constant("w", weights(w));
    let pads = || vec![ints("pads", &[1; 4])];
    let depthwise = vec![ints("pads", &[1; 4]), int("group", 8)];
    let cases = [
        (with("N 3 10 10", &[16, 3, 3, 3]).node("y = Conv x w", pads()), 10 * 10 * 16 * 27),
        (with("N 8 10 10", &[8, 1, 3, 3]).node("y = Conv x w", depthwise), 10 * 10 * 8 * 9),
        (with("N 8 5 5", &[8, 4, 2, 2]).node("y = ConvTranspose x w", vec![]), 5 * 5 * 8 * 16),
        (with("N 7 12", &[12, 5]).node("y = MatMul x w", vec![]), 7 * 12 * 5),
        (with("12 7", &[5, 12]).node("y = Gemm x w", vec![int("transA", 1), int("transB", 1)]), 7 * 12 * 5),
        (with("N 2 3", &[3, 4]).node("y = Einsum x w", vec![text("equation", "nij,jk->nik")]), 2 * 3 * 4),
        (
            with("6 N 8", &[1, 64, 8]).constant("r", weights(&[1, 64, 16])).node("y = LSTM x w r", vec![]),
            6 * 64 * (8 + 16),
        ),
        (with("N 8", &[8]).node("y = Add x w", vec![]), 0),
        (with("N 8 H", &[8]).node("y = Conv x missing", vec![]), 0),
    ];
    for (graph, macs) in cases {
        assert_eq!(cost(&graph)[0].macs, macs, "{}", graph.nodes[0].op);
    }
}

#[test]
fn shared_weights_count_once() {
    let graph = Graph::default()
        .input("x", DType::F32, "N 4")
        .constant("w", weights(&[4, 4]))
        .node("y = MatMul x w", vec![])
        .node("z = MatMul y w", vec![]);
    let found = cost(&graph);
    assert_eq!((found[0].params, found[0].weight_bytes, found[0].output_bytes), (16, 64, Some(16)));
    assert_eq!((found[1].params, found[1].weight_bytes, found[1].macs), (0, 0, 16));
}

#[test]
fn a_branch_costs_what_its_costlier_side_does_and_keeps_both_weights() {
    let branch = |columns: i64| GraphProto {
        node: vec![NodeProto {
            op_type: Some("MatMul".into()),
            input: vec!["x".into(), "w".into()],
            output: vec!["o".into()],
            ..Default::default()
        }],
        initializer: vec![TensorProto { name: Some("w".into()), ..weights(&[4, columns]) }],
        output: vec![crate::onnx::ValueInfoProto { name: Some("o".into()), ..Default::default() }],
        ..Default::default()
    };
    let branches = vec![graph("then_branch", branch(3)), graph("else_branch", branch(5))];
    let mut graph =
        Graph::default().input("x", DType::F32, "N 4").input("c", DType::Bool, "").node("y = If c", branches);
    graph.nodes[0].captures = vec!["x".into()];
    assert_eq!((cost(&graph)[0].macs, cost(&graph)[0].params), (4 * 5, 4 * 8));
}
