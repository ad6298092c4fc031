//! Single operators, and chains that compute shapes.

use super::*;
use crate::onnx::{GraphProto, NodeProto, ValueInfoProto};

fn image() -> Graph {
    Graph::default().input("x", DType::F32, "N 3 H 32").input("w", DType::F32, "16 3 3 3")
}

#[test]
fn operators() {
    use DType::{F32, I64, U8};
    let vector = || Graph::default().input("x", F32, "N 8");
    let window = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])];
    let ceil = vec![ints("kernel_shape", &[3]), ints("strides", &[2]), int("ceil_mode", 1)];
    let cases: Vec<(Graph, i64, &str)> = vec![
        (image().node("y = Conv x w", vec![ints("pads", &[1, 1, 1, 1])]), 13, "f32[N, 16, H, 32]"),
        (image().node("y = Conv x w", vec![text("auto_pad", "SAME_UPPER")]), 13, "f32[N, 16, H, 32]"),
        (image().node("y = Conv x w", vec![ints("dilations", &[2, 2])]), 13, "f32[N, 16, y.2, 28]"),
        (image().node("y = MaxPool x", window.clone()), 13, "f32[N, 3, y.2, 15]"),
        (Graph::default().input("x", F32, "1 1 6").node("y = AveragePool x", ceil), 19, "f32[1, 1, 3]"),
        (image().node("y = GlobalAveragePool x", vec![]), 13, "f32[N, 3, 1, 1]"),
        (image().node("y = ConvInteger x w", vec![]), 13, "i32[N, 16, y.2, 30]"),
        (
            Graph::default()
                .input("x", F32, "N 8 5 5")
                .input("w", F32, "8 4 3 3")
                .node("y = ConvTranspose x w", vec![ints("strides", &[2, 2]), int("group", 2)]),
            13,
            "f32[N, 8, 11, 11]",
        ),
        (vector().node("y = Add x x", vec![]), 13, "f32[N, 8]"),
        (vector().input("b", F32, "1 4 1 8").node("y = Add x b", vec![]), 13, "f32[1, 4, N, 8]"),
        (vector().input("b", F32, "7").node("y = Add x b", vec![]), 13, "f32[?]"),
        (vector().input("b", F32, "4 N 1").node("y = Less x b", vec![]), 13, "bool[4, N, 8]"),
        (vector().input("b", F32, "8 5").node("y = MatMul x b", vec![]), 13, "f32[N, 5]"),
        (vector().input("b", F32, "5 8").node("y = Gemm x b", vec![int("transB", 1)]), 13, "f32[N, 5]"),
        (
            Graph::default()
                .input("x", F32, "N 4 S 8")
                .input("b", F32, "N 4 8 S")
                .node("y = Einsum x b", vec![text("equation", "bhid,bhdj->bhij")]),
            13,
            "f32[N, 4, S, S]",
        ),
        (vector().node("y = ReduceMean x", vec![ints("axes", &[-1])]), 13, "f32[N, 1]"),
        (vector().ints("a", &[1]).node("y = ReduceSum x a", vec![int("keepdims", 0)]), 13, "f32[N]"),
        (vector().node("y = ArgMax x", vec![int("axis", 1), int("keepdims", 0)]), 13, "i64[N]"),
        (vector().node("y = Softmax x", vec![]), 13, "f32[N, 8]"),
        (image().node("y = Flatten x", vec![]), 13, "f32[N, y.1]"),
        (image().ints("s", &[0, -1, 32]).node("y = Reshape x s", vec![]), 13, "f32[N, y.1, 32]"),
        (image().ints("s", &[-1, 3, 32]).node("y = Reshape x s", vec![]), 13, "f32[y.0, 3, 32]"),
        (vector().node("y = Transpose x", vec![]), 13, "f32[8, N]"),
        (vector().node("y = Unsqueeze x", vec![ints("axes", &[0, -1])]), 11, "f32[1, N, 8, 1]"),
        (vector().ints("a", &[1]).node("y = Unsqueeze x a", vec![]), 13, "f32[N, 1, 8]"),
        (
            Graph::default().input("x", F32, "1 N 1").ints("a", &[0]).node("y = Squeeze x a", vec![]),
            13,
            "f32[N, 1]",
        ),
        (Graph::default().input("x", F32, "1 N 1").node("y = Squeeze x", vec![]), 13, "f32[?]"),
        (vector().node("y, z = Split x", vec![int("axis", 1)]), 13, "f32[N, 4]"),
        (vector().ints("s", &[3, 5]).node("z, y = Split x s", vec![int("axis", 1)]), 13, "f32[N, 5]"),
        (vector().node("z, y, q = Split x", vec![int("axis", 1), int("num_outputs", 3)]), 18, "f32[N, 3]"),
        (vector().node("y = Concat x x", vec![int("axis", 1)]), 13, "f32[N, 16]"),
        (vector().ints("r", &[2, 3]).node("y = Tile x r", vec![]), 13, "f32[y.0, 24]"),
        (vector().node("y = Pad x", vec![ints("pads", &[0, 1, 0, 2])]), 7, "f32[N, 11]"),
        (
            vector().node("y = Slice x", vec![ints("starts", &[1]), ints("ends", &[-1]), ints("axes", &[1])]),
            7,
            "f32[N, 6]",
        ),
        (vector().input("i", I64, "4 2").node("y = Gather x i", vec![int("axis", 1)]), 13, "f32[N, 4, 2]"),
        (vector().input("i", I64, "5 2").node("y = GatherND x i", vec![]), 13, "f32[5]"),
        (vector().ints("k", &[3]).node("y, i = TopK x k", vec![]), 13, "f32[N, 3]"),
        (vector().node("y = NonZero x", vec![]), 13, "i64[2, y.1]"),
        (vector().node("y, s, z = DynamicQuantizeLinear x", vec![]), 13, "u8[N, 8]"),
        (vector().input("z", U8, "").node("y = QuantizeLinear x x z", vec![]), 13, "u8[N, 8]"),
        (vector().node("y = Cast x", vec![int("to", 7)]), 13, "i64[N, 8]"),
        (
            image().floats("s", &[1.0, 1.0, 2.0, 1.5]).node("y = Resize x - s", vec![]),
            13,
            "f32[N, 3, y.2, 48]",
        ),
        (
            image().ints("s", &[4, 5]).node("y = Resize x - - s", vec![ints("axes", &[2, 3])]),
            19,
            "f32[N, 3, 4, 5]",
        ),
        (
            Graph::default()
                .input("x", F32, "T N 8")
                .input("w", F32, "2 64 8")
                .input("r", F32, "2 64 16")
                .node(
                    "y, h, c = LSTM x w r",
                    vec![int("hidden_size", 16), text("direction", "bidirectional")],
                ),
            13,
            "f32[T, 2, N, 16]",
        ),
        (vector().node("y = NoSuchOperator x", vec![]), 13, "?[?]"),
        (vector().node("y = Add x missing", vec![]), 13, "f32[?]"),
        (vector().node("y = MatMul x", vec![]), 13, "f32[?]"),
    ];
    for (graph, opset, expected) in cases {
        let node = &graph.nodes[0];
        let index = node.outputs.iter().position(|output| output == "y").unwrap();
        assert_eq!(graph.show(opset, &node.outputs[index]), expected, "{} {:?}", node.op, node.attributes);
    }
}

#[test]
fn sizes_survive_shape_plumbing() {
    // What exporters write for `x.reshape(n, c, h * w).transpose(1, 2)` and back.
    let graph = Graph::default()
        .input("x", DType::F32, "N 64 H W")
        .ints("i0", &[0])
        .ints("i1", &[1])
        .ints("i2", &[2])
        .ints("i3", &[3])
        .ints("minus", &[-1])
        .ints("perm", &[0, 2, 1])
        .node("s = Shape x", vec![])
        .node("n = Gather s i0", vec![])
        .node("c = Gather s i1", vec![])
        .node("h = Gather s i2", vec![])
        .node("w = Gather s i3", vec![])
        .node("hw = Mul h w", vec![])
        .node("flat_shape = Concat n c hw", vec![int("axis", 0)])
        .node("flat = Reshape x flat_shape", vec![])
        .node("inferred_shape = Concat n c minus", vec![int("axis", 0)])
        .node("inferred = Reshape x inferred_shape", vec![])
        .node("sum = Add flat inferred", vec![])
        .node("back_shape = Concat n c h w", vec![int("axis", 0)])
        .node("back = Reshape sum back_shape", vec![])
        .node("half = Div h i2", vec![])
        .node("rest = Sub h half", vec![])
        .node("again = Add rest half", vec![])
        .node("whole_shape = Concat n c again w", vec![int("axis", 0)])
        .node("whole = Expand back whole_shape", vec![]);
    assert_eq!(graph.show(13, "flat"), "f32[N, 64, hw.0]");
    assert_eq!(graph.show(13, "sum"), graph.show(13, "flat"));
    assert_eq!(graph.show(13, "back"), "f32[N, 64, H, W]");
    assert_eq!(graph.show(13, "whole"), "f32[N, 64, H, W]");
    let bound = graph.facts(13, &Bindings::ones().with("H", 6).with("W", 5));
    assert_eq!(bound["flat"].shape, Some(vec![Dim::Fixed(1), Dim::Fixed(64), Dim::Fixed(30)]));
    assert_eq!(bound["hw"].value.as_ref().unwrap().elements::<i64>().unwrap().as_ref(), [30]);
    assert_eq!(bound["rest"].value.as_ref().unwrap().elements::<i64>().unwrap().as_ref(), [3]);
}

#[test]
fn branches_that_treat_a_size_alike_agree() {
    let stride = || vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1; 4])];
    let graph = image()
        .node("a = MaxPool x", stride())
        .node("b = AveragePool x", stride())
        .node("sum = Add a b", vec![]);
    assert_eq!(graph.show(13, "sum"), "f32[N, 3, a.2, 16]");
}

#[test]
fn a_table_cut_to_the_sequence_has_its_length() {
    let graph = Graph::default()
        .input("x", DType::F32, "N S 8")
        .input("table", DType::F32, "1 512 8")
        .ints("zero", &[0])
        .ints("one", &[1])
        .node("shape = Shape x", vec![])
        .node("length = Gather shape one", vec![])
        .node("cut = Slice table zero length one", vec![])
        .node("sum = Add x cut", vec![]);
    assert_eq!(graph.show(13, "sum"), "f32[N, S, 8]");
}

fn body(inputs: &[&str], nodes: &[(&str, &[&str], &str)], outputs: &[&str]) -> GraphProto {
    let values = |names: &[&str]| {
        names.iter().map(|name| ValueInfoProto { name: Some((*name).into()), ..Default::default() }).collect()
    };
    let node = |(op, inputs, output): &(&str, &[&str], &str)| NodeProto {
        op_type: Some((*op).into()),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![(*output).into()],
        ..Default::default()
    };
    GraphProto {
        node: nodes.iter().map(node).collect(),
        input: values(inputs),
        output: values(outputs),
        ..Default::default()
    }
}

#[test]
fn branches_give_what_both_give() {
    let base = || {
        Graph::default().input("x", DType::F32, "N 8").input("z", DType::F32, "N 9").input(
            "c",
            DType::Bool,
            "",
        )
    };
    let branch = |name, from| body(&[], &[("Relu", &[from], name)], &[name]);
    let cases = [("x", "x", "f32[N, 8]"), ("x", "z", "f32[N, y.1]"), ("x", "c", "?[?]")];
    for (yes, no, expected) in cases {
        let branches = vec![graph("then_branch", branch("a", yes)), graph("else_branch", branch("b", no))];
        assert_eq!(base().node("y = If c", branches).show(13, "y"), expected);
    }
}

#[test]
fn loops_keep_what_no_iteration_changes() {
    let base = || {
        Graph::default().input("x", DType::F32, "N 8").input("m", DType::I64, "").input("c", DType::Bool, "")
    };
    let cases: [(&str, &[&str], &str, &str); 3] = [
        ("Relu", &["v"], "f32[N, 8]", "f32[s.0, N, 8]"),
        // Grows along its first axis, which `Concat` without an axis attribute cannot: unknown.
        ("NoSuchOperator", &["v"], "?[?]", "?[?]"),
        ("MatMul", &["v", "v"], "f32[N, 8]", "f32[s.0, N, 8]"),
    ];
    for (op, inputs, carried, scanned) in cases {
        let body = body(&["i", "go", "v"], &[(op, inputs, "next")], &["go", "next", "next"]);
        let graph = base().node("y, s = Loop m c x", vec![graph("body", body)]);
        assert_eq!(graph.show(13, "y"), carried, "{op}");
        assert_eq!(graph.show(13, "s"), scanned, "{op}");
    }
}
