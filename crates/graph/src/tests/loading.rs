use super::*;
use crate::ExternalData;
use crate::onnx::StringStringEntryProto;

#[test]
fn nodes_are_sorted_and_named() {
    let mut file = File::new(13).input("x", "1 4").output("y", "1 4").node("y = Relu a").node("a = Abs x");
    file = file.node("unused = Neg x");
    file.graph().node[0].name = Some("twice".into());
    file.graph().node[1].name = Some("twice".into());
    let model = file.load().unwrap();
    assert_eq!(ops(&model), ["Abs", "Relu"]);
    assert_eq!(model.nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["twice_2", "twice"]);
    let unnamed = File::new(13).input("x", "1").output("y", "1").node("y = Abs x").load().unwrap();
    assert_eq!(unnamed.nodes()[0].name, "Abs_0");
}

#[test]
fn initializers_are_no_inputs() {
    let mut file = File::new(9).input("w", "4").input("x", "N 4").output("y", "N 4").floats("w", &[4]);
    file.0.ir_version = Some(3);
    let model = file.node("y = Mul x w").load().unwrap();
    assert_eq!(names(model.inputs()), ["x"]);
    assert_eq!(model.symbols(), ["N"]);
    assert_eq!(model.outputs()[0].to_string(), "y: f32[N, 4]");
}

#[test]
fn outputs_that_nothing_computes_get_an_identity() {
    let file = File::new(13).input("x", "1 4").floats("w", &[4]).node("y = Relu x");
    let file = file.output("y", "1 4").output("y", "1 4").output("x", "1 4").output("w", "4");
    let model = file.load().unwrap();
    assert_eq!(names(model.outputs()), ["y", "y_output", "x_output", "w_output"]);
    assert_eq!(ops(&model).iter().filter(|op| **op == "Identity").count(), 3);
    assert_eq!(model.outputs()[2].to_string(), "x_output: f32[1, 4]");
}

#[test]
fn unnamed_dimensions_get_symbols() {
    let mut file = File::new(13).input("data/x:0", "1 4").output("y", "? 4").node("y = Relu data/x:0");
    let shape = file.graph().input[0].r#type.as_mut().and_then(|of| match of.value.as_mut()? {
        crate::onnx::type_proto::Value::TensorType(tensor) => tensor.shape.as_mut(),
        _ => None,
    });
    shape.unwrap().dim[0].value = None;
    let model = file.load().unwrap();
    assert_eq!(model.symbols(), ["data_x_0_dim_0"]);
    assert_eq!(model.outputs()[0].to_string(), "y: f32[data_x_0_dim_0, 4]");
}

#[test]
fn stale_output_shapes_are_inferred_anew() {
    let model = File::new(13).input("x", "N 4").output("y", "1 4").node("y = Relu x").load().unwrap();
    assert_eq!(model.outputs()[0].to_string(), "y: f32[N, 4]");
}

#[test]
fn bodies_capture() {
    let branch = |text: &str| GraphProto {
        name: Some("branch".into()),
        node: vec![node(text, Vec::new())],
        output: vec![value("out", "1 4")],
        ..GraphProto::default()
    };
    let inner = graph_attribute("then_branch", branch("out = Add w x"));
    let outer = GraphProto {
        node: vec![node("out = If flag", vec![inner, graph_attribute("else_branch", branch("out = Abs x"))])],
        ..branch("out = Abs x")
    };
    let attributes =
        vec![graph_attribute("then_branch", outer), graph_attribute("else_branch", branch("out = Neg q"))];
    let file = File::new(13).input("x", "1 4").input("flag", "1").floats("w", &[4]).output("y", "1 4");
    let file = file.node("q = Relu x").node_with("y = If flag", attributes);
    let model = file.load().unwrap();
    assert_eq!(model.nodes()[1].captures, ["flag", "q", "w", "x"]);
}

#[test]
fn foreign_operators_are_listed() {
    let mut file = File::new(17).input("x", "1 4").output("y", "1 4");
    file.0.opset_import.push(import("com.microsoft", 1));
    let model = file.node("a = com.microsoft::FastGelu x").node("y = Relu a").load().unwrap();
    assert_eq!(model.foreign_ops(), ["com.microsoft.FastGelu"]);
}

#[test]
fn external_data_is_read() {
    struct Weights;
    impl ExternalData for Weights {
        fn read(&self, location: &str, offset: u64, length: Option<u64>) -> Result<Bytes, String> {
            assert_eq!((location, offset, length), ("w.bin", 16, Some(16)));
            Ok(Bytes::from(vec![0; 16]))
        }
    }
    let mut file = File::new(13).input("x", "1 4").output("y", "1 4").node("y = Mul x w").floats("w", &[4]);
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    let tensor = &mut file.graph().initializer[0];
    tensor.float_data.clear();
    tensor.data_location = Some(1);
    tensor.external_data = vec![entry("location", "w.bin"), entry("offset", "16")];
    let model = Model::load(file.bytes(), &Weights).unwrap();
    let again = Model::load(model.to_onnx().unwrap(), &NoExternalData).unwrap();
    assert_eq!(again.to_onnx().unwrap(), model.to_onnx().unwrap());
    let refused = file.load().unwrap_err().to_string();
    assert!(refused.contains("tensor `w` in other file \"w.bin\""), "{refused}");
}

#[test]
fn types_of_any_spelling() {
    // ai.onnx is the default domain by another name.
    let mut file = File::new(13).input("x", "1 4").output("y", "1 4").node("y = ai.onnx::Relu x");
    file.0.opset_import = vec![import("ai.onnx", 13)];
    let model = file.load().unwrap();
    assert_eq!((model.opset(), model.nodes()[0].domain.as_str()), (13, ""));
}
