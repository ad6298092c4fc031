use super::*;
use crate::onnx::FunctionProto;

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("local".into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        node: nodes,
        opset_import: vec![import("", 17), import("local", 1)],
        ..FunctionProto::default()
    }
}

fn file(functions: Vec<FunctionProto>) -> File {
    let mut file = File::new(17).input("x", "1 4").output("y", "1 4");
    file.0.opset_import.push(import("local", 1));
    file.0.functions = functions;
    file
}

#[test]
fn calls_are_replaced() {
    let referring = AttributeProto {
        name: Some("axis".into()),
        ref_attr_name: Some("dim".into()),
        ..AttributeProto::default()
    };
    let inner = FunctionProto {
        attribute_proto: vec![int_attribute("dim", -1)],
        ..function("Inner", &["a"], &["b"], vec![node("b = Softmax a", vec![referring])])
    };
    let calls = vec![
        node("t = local::Inner p", vec![int_attribute("dim", 0)]),
        node("u = local::Inner t", Vec::new()),
        node("q = Add u x", Vec::new()),
    ];
    // Its `x` is its own, not the graph's.
    let outer = function("Outer", &["p", "x"], &["q"], calls);
    let file = file(vec![outer, inner]).node("v = local::Outer x x").node("y = local::Outer v v");
    let model = file.load().unwrap();
    assert_eq!(ops(&model), ["Softmax", "Softmax", "Add", "Softmax", "Softmax", "Add"]);
    assert_eq!([0, 1].map(|node| model.nodes()[node].int("axis")), [Some(0), Some(-1)]);
    assert_eq!(model.nodes()[2].inputs[1], "x");
    assert_eq!(model.nodes()[5].inputs[1], "v");
    let text = format!("{:?}", Model::load(model.to_onnx().unwrap(), &NoExternalData).unwrap().nodes());
    assert!(!text.contains("local"), "{text}");
}

#[test]
fn bodies_inside_functions_get_new_names() {
    let branch = |text: &str| GraphProto {
        node: vec![node(text, Vec::new())],
        output: vec![value("r", "1 4")],
        ..GraphProto::default()
    };
    let attributes = vec![
        graph_attribute("then_branch", branch("r = Abs a")),
        graph_attribute("else_branch", branch("r = Neg a")),
    ];
    let choose = function("Choose", &["c", "a"], &["b"], vec![node("b = If c", attributes)]);
    let file = file(vec![choose]).input("c", "1").node("t = Relu x").node("y = local::Choose c t");
    assert_eq!(file.load().unwrap().nodes()[1].captures, ["t"]);
}

#[test]
fn bad_functions() {
    let endless = function("F", &["a"], &["b"], vec![node("b = local::F a", Vec::new())]);
    let error = file(vec![endless]).node("y = local::F x").load().unwrap_err().to_string();
    assert!(error.contains("function F calls itself"), "{error}");

    let old = |op: &str| FunctionProto {
        opset_import: vec![import("", 9)],
        ..function("F", &["a"], &["b"], vec![node(&format!("b = {op} a"), Vec::new())])
    };
    let error = file(vec![old("Softmax")]).node("y = local::F x").load().unwrap_err().to_string();
    assert!(
        error.contains("function F is written for version 9 of ai.onnx, the model imports 17"),
        "{error}"
    );
    file(vec![old("Tan")]).node("y = local::F x").load().unwrap();

    // Thirty functions that each call the next one twice.
    let bomb = (0..30).map(|index| {
        let call = |text: String| node(&text, Vec::new());
        let next = index + 1;
        let calls = vec![call(format!("t = local::F{next} a")), call(format!("b = local::F{next} t"))];
        function(&format!("F{index}"), &["a"], &["b"], calls)
    });
    let mut functions = bomb.collect::<Vec<_>>();
    functions.push(function("F30", &["a"], &["b"], vec![node("b = Abs a", Vec::new())]));
    let error = file(functions).node("y = local::F0 x").load().unwrap_err().to_string();
    assert!(error.contains("nodes once model-local functions are inlined"), "{error}");
}
