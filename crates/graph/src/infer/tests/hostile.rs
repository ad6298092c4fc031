//! Graphs that make no sense: nothing may panic, hang or allocate without bound.

use super::*;
use crate::costs::costs;
use crate::onnx::{GraphProto, NodeProto};
use proptest::prelude::*;

const OPS: &str = "Abs Add AffineGrid And ArgMax Attention AveragePool BatchNormalization Bernoulli BitCast \
    BlackmanWindow Cast CastLike CausalConvWithState CenterCropPad Clip Col2Im Compress Concat Constant \
    ConstantOfShape Conv ConvInteger ConvTranspose CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div \
    Dropout DynamicQuantizeLinear Einsum Equal Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND \
    Gemm GlobalMaxPool GridSample Greater GroupNormalization Identity If ImageDecoder LSTM LayerNormalization \
    Less Loop LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool MelWeightMatrix Min Mod Mul \
    Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Pad QLinearConv \
    QLinearMatMul QuantizeLinear RNN RandomNormal RandomNormalLike Range ReduceMax ReduceProd ReduceSum \
    Reshape Resize RoiAlign RotaryEmbedding STFT Scan ScatterND Shape Size Slice SoftmaxCrossEntropyLoss \
    SpaceToDepth Split Squeeze StringNormalizer StringSplit Sub Sum TfIdfVectorizer Tile TopK Transpose \
    Unique Unsqueeze Upsample Where";

const ATTRIBUTES: &str = "allowzero auto_pad axes axis batch_dims blocksize body ceil_mode dilations direction \
    dtype else_branch end ends equation group hidden_size inverse k keep_aspect_ratio_policy keepdims \
    kernel_shape kv_num_heads layout ngram_indexes noop_with_empty_axes num_outputs num_scan_inputs onesided \
    output_datatype output_dtype output_height output_padding output_shape pads perm pooled_shape q_num_heads \
    reduction sample_size scales scan_input_axes scan_output_axes shape split start starts stash_type strides \
    then_branch to transA transB value value_float value_floats value_int value_ints";

fn number() -> impl Strategy<Value = i64> {
    let edges = [i64::MIN, i64::MIN + 1, i32::MIN.into(), i32::MAX.into(), i64::MAX - 1, i64::MAX];
    prop_oneof![8 => -3i64..6, 1 => prop::sample::select(edges.to_vec())]
}

fn attribute() -> impl Strategy<Value = AttributeProto> {
    let name = prop::sample::select(ATTRIBUTES.split_whitespace().collect::<Vec<_>>());
    let texts = [
        "SAME_UPPER",
        "VALID",
        "ij,jk",
        "...a,a->...",
        "->",
        "a,,b->c",
        "none",
        "bidirectional",
        "not_larger",
    ];
    (name, 0..6, number(), prop::collection::vec(number(), 0..6), prop::sample::select(texts.to_vec()))
        .prop_map(|(name, kind, int, ints, text)| {
            let mut attribute = AttributeProto { name: Some(name.into()), ..Default::default() };
            match kind {
                0 => attribute.i = Some(int),
                1 => attribute.ints = ints,
                2 => attribute.s = Some(text.as_bytes().to_vec().into()),
                3 => {
                    (attribute.f, attribute.floats) =
                        (Some(int as f32), ints.iter().map(|int| *int as f32).collect())
                }
                4 => attribute.t = Some(tensor(&ints, int)),
                _ => {
                    let node = NodeProto {
                        op_type: Some("Concat".into()),
                        input: vec!["v0".into(), "i".into()],
                        output: vec!["o".into()],
                        ..Default::default()
                    };
                    let named = |name: &str| crate::onnx::ValueInfoProto {
                        name: Some(name.into()),
                        ..Default::default()
                    };
                    attribute.g = Some(GraphProto {
                        node: vec![node],
                        input: vec![named("i"), named("j")],
                        output: vec![named("o"), named("j"), named("v1")],
                        ..Default::default()
                    });
                }
            }
            attribute
        })
}

/// A tensor whose data, type and dimensions need not agree.
fn tensor(data: &[i64], seed: i64) -> TensorProto {
    TensorProto {
        dims: if seed % 2 == 0 { vec![data.len() as i64] } else { vec![seed] },
        data_type: Some([7, 6, 1, 9, 7, 99][seed.rem_euclid(6) as usize]),
        int64_data: data.to_vec(),
        float_data: data.iter().map(|int| *int as f32).collect(),
        raw_data: (seed % 3 == 0).then(|| vec![seed as u8; 7].into()),
        ..Default::default()
    }
}

fn spec(name: usize) -> impl Strategy<Value = TensorSpec> {
    let sizes = prop_oneof![
        6 => (0usize..5).prop_map(Dim::Fixed),
        3 => prop::sample::select(vec!["N", "H", "v0.0"]).prop_map(|name| Dim::Symbol(name.into())),
        1 => prop::sample::select(vec![usize::MAX, usize::MAX / 2, 1 << 40, 1 << 62]).prop_map(Dim::Fixed),
    ];
    let shape = prop::option::weighted(0.9, prop::collection::vec(sizes, 0..5));
    (prop::sample::select(DType::ALL.to_vec()), shape).prop_map(move |(dtype, shape)| TensorSpec {
        name: format!("v{name}"),
        dtype,
        shape,
    })
}

fn node(index: usize) -> impl Strategy<Value = Node> {
    let op = prop::sample::select(OPS.split_whitespace().collect::<Vec<_>>());
    // Any value from before, a constant, or none.
    let input = prop_oneof![
        6 => (0..index + 3).prop_map(|value| format!("v{value}")),
        3 => (0..3).prop_map(|constant| format!("c{constant}")),
        1 => Just(String::new()),
    ];
    (op, prop::collection::vec(input, 0..6), prop::collection::vec(attribute(), 0..5), 1usize..4).prop_map(
        move |(op, inputs, attributes, outputs)| Node {
            name: format!("n{index}"),
            op: op.into(),
            domain: String::new(),
            inputs,
            outputs: (0..outputs)
                .map(
                    |output| {
                        if output == 0 { format!("v{}", index + 3) } else { format!("v{index}.{output}") }
                    },
                )
                .collect(),
            captures: vec!["v0".into(), "v1".into()],
            attributes,
        },
    )
}

fn any_graph() -> impl Strategy<Value = Graph> {
    let nodes: Vec<_> = (0..8).map(node).collect();
    let constant = || (prop::collection::vec(number(), 0..5), number());
    ([spec(0), spec(1), spec(2)], nodes, [constant(), constant(), constant()]).prop_map(
        |(inputs, nodes, constants)| Graph {
            nodes,
            inputs: inputs.into(),
            constants: constants
                .iter()
                .enumerate()
                .map(|(index, (data, seed))| (format!("c{index}"), tensor(data, *seed)))
                .collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn nonsense_is_unknown(graph in any_graph(), opset in 7i64..27) {
        for bindings in [Bindings::default(), Bindings::ones(), Bindings::ones().with("N", usize::MAX)] {
            let facts = graph.facts(opset, &bindings);
            let found = costs(&InferInput {
                nodes: &graph.nodes,
                inputs: &graph.inputs,
                constants: &graph.constants,
                opsets: &BTreeMap::from([(String::new(), opset)]),
                declared: &Facts::new(),
                bindings: &bindings,
            }, &facts);
            prop_assert_eq!(found.len(), graph.nodes.len());
        }
    }
}

#[test]
fn nested_loops_end() {
    let mut body = GraphProto {
        node: vec![NodeProto {
            op_type: Some("Relu".into()),
            output: vec!["o".into()],
            ..Default::default()
        }],
        ..Default::default()
    };
    // The decoder refuses deeper ones.
    for _ in 0..32 {
        let node = NodeProto {
            op_type: Some("Loop".into()),
            input: vec![String::new(), String::new(), "x".into()],
            output: vec!["o".into()],
            attribute: vec![graph("body", body)],
            ..Default::default()
        };
        body = GraphProto { node: vec![node], ..Default::default() };
    }
    let graph =
        Graph::default().input("x", DType::F32, "N").node("y = Loop - - x", vec![graph("body", body)]);
    assert_eq!(graph.show(13, "y"), "f32[?]");
}

#[test]
fn repeated_doubling_stays_small() {
    // Each step doubles the elements, the rank, or the terms of a size.
    let mut graph = Graph::default().input("x", DType::F32, "N H").node("v0 = Shape x", vec![]);
    for step in 0..200 {
        graph = graph.node(&format!("v{} = Concat v{step} v{step}", step + 1), vec![int("axis", 0)]);
    }
    assert_eq!(graph.show(13, "v3"), "i64[16]");
    let mut graph = Graph::default().input("v0", DType::F32, "N H");
    for step in 0..200 {
        let next = step + 1;
        graph = graph
            .node(&format!("s{next} = Shape v{step}"), vec![])
            .node(&format!("p{next} = Mul s{next} s{next}"), vec![])
            .node(&format!("q{next} = Add p{next} s{next}"), vec![])
            .node(&format!("v{next} = Expand v{step} q{next}"), vec![]);
    }
    assert!(graph.facts(13, &Bindings::default())["v200"].shape.is_some());
}
