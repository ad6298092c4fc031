//! Every fault by name, all at once, and no panic on anything.

use super::*;
use crate::boundaries;
use crate::cut::CutModel;
use crate::onnx::type_proto::Value;
use crate::onnx::{SparseTensorProto, TypeProto};
use proptest::prelude::*;

fn good() -> File {
    File::new(13)
        .input("x", "N 4")
        .floats("w", &[4])
        .output("z", "N 4")
        .node("y = Mul x w")
        .node("z = Relu y")
}

#[test]
fn faults_are_named() {
    let sequence = || {
        let of = Value::SequenceType(Box::default());
        TypeProto { value: Some(of), ..TypeProto::default() }
    };
    type Damage<'a> = &'a dyn Fn(&mut File);
    let cases: [(Damage<'_>, &str); 24] = [
        (&|file| file.0.opset_import.clear(), "imports no opset"),
        (&|file| file.0.opset_import = vec![import("", 6)], "opset 6 of ai.onnx is not supported, 7 to "),
        (&|file| file.0.opset_import = vec![import("", 1000)], "opset 1000 of ai.onnx"),
        (&|file| file.0.opset_import.push(import("ai.onnx.ml", 99)), "opset 99 of ai.onnx.ml"),
        (
            &|file| file.graph().node[1].op_type = Some("Rellu".into()),
            "node `Rellu_1`: unknown operator Rellu",
        ),
        (&|file| file.graph().node[1].op_type = Some("Gelu".into()), "Gelu comes with opset 20"),
        (&|file| file.graph().node[1].op_type = Some("Upsample".into()), "Upsample was removed in opset 10"),
        (&|file| file.graph().node[1].domain = Some("my".into()), "uses domain my, which the model does not"),
        (
            &|file| file.graph().node[0].input[0] = "q".into(),
            "node `Mul_0`: reads `q`, which nothing produces",
        ),
        (&|file| file.graph().node[0].input[0] = "z".into(), "cycle: Mul_0 → Relu_1 → Mul_0"),
        (&|file| file.graph().node.push(node("x = Abs w", vec![])), "node `Abs_2`: `x` is produced twice"),
        (&|file| file.graph().node.push(node("y = Abs x", vec![])), "node `Abs_2`: `y` is produced twice"),
        (&|file| file.graph().output[0].name = Some("q".into()), "graph output `q` is produced by nothing"),
        (&|file| file.graph().output[0].name = None, "graph output without a name"),
        (&|file| file.graph().output.clear(), "no outputs"),
        (&|file| file.graph().input[0].r#type = None, "what type graph input `x` has"),
        (&|file| file.graph().input[0].r#type = Some(sequence()), "`x` is a sequence"),
        (&|file| file.graph().output[0].r#type = Some(sequence()), "`z` is a sequence"),
        (
            &|file| file.graph().node[1].op_type = Some("SplitToSequence".into()),
            "SplitToSequence works on a sequence",
        ),
        (&|file| file.graph().initializer[0].dims = vec![10 << 30], "tensor `w` declares 42949672960 bytes"),
        (&|file| file.graph().initializer[0].data_type = Some(22), "tensor `w` has elements of type INT4"),
        (&|file| file.graph().initializer[0].data_type = Some(14), "COMPLEX64"),
        (&|file| file.graph().sparse_initializer.push(SparseTensorProto::default()), "sparse tensor"),
        (&|file| file.0.graph = None, "holds no graph"),
    ];
    for (damage, wanted) in cases {
        let mut file = good();
        damage(&mut file);
        let error = file.load().unwrap_err();
        assert!(error.to_string().contains(wanted), "wanted {wanted:?}, got {error}");
        assert!(error.problems.len() == 1, "{error}");
    }
    good().load().unwrap();
}

#[test]
fn faults_come_together() {
    let mut file = good().node("a = Foo x").node("b = Add c b");
    file.graph().initializer[0].data_type = Some(17);
    let error = file.load().unwrap_err();
    let lines = error.to_string();
    let lines = lines.lines().collect::<Vec<_>>();
    assert_eq!(
        lines,
        [
            "tensor `w` has elements of type FLOAT8E4M3FN, which cannot be carried",
            "node `Foo_2`: unknown operator Foo",
            "node `Add_3`: reads `c`, which nothing produces",
            "cycle: Add_3 → Add_3",
        ]
    );
}

#[test]
fn many_faults_are_counted() {
    let file = (0..500).fold(good(), |file, index| file.node(&format!("v{index} = Foo x")));
    let error = file.load().unwrap_err();
    assert_eq!((error.problems.len(), error.more), (100, 400));
    assert!(error.to_string().ends_with("and 400 more"));
}

#[test]
fn faults_in_bodies_name_the_node() {
    let body = GraphProto {
        node: vec![node("out = Bar x", Vec::new())],
        output: vec![value("out", "1 4")],
        ..GraphProto::default()
    };
    let attributes = vec![graph_attribute("then_branch", body.clone()), graph_attribute("else_branch", body)];
    let error = good().node_with("a = If x", attributes).load().unwrap_err().to_string();
    assert_eq!(error, ["node `If_2`: unknown operator Bar"; 2].join("\n"));
}

#[test]
fn truncated_anywhere() {
    let bytes = good().bytes();
    for length in 0..bytes.len() {
        attempt(bytes.slice(..length));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn flipped_anywhere(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..4)) {
        let mut bytes = good().bytes().to_vec();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        attempt(bytes.into());
    }

    #[test]
    fn anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        attempt(bytes.into());
    }
}

/// Either an error or a model that can be cut.
fn attempt(bytes: Bytes) {
    let Ok(model) = Model::load(bytes, &NoExternalData) else { return };
    let boundaries = boundaries(&model, 8);
    let cut = CutModel::new(model, boundaries).unwrap();
    cut.segment(0, cut.last()).unwrap();
}
