use super::*;
use crate::boundaries::{Boundary, boundaries};
use crate::cut::{CutError, CutModel};
use crate::network::OrderError;

fn cut(file: &File) -> CutModel {
    let model = file.load().unwrap();
    let boundaries = boundaries(&model, 32);
    CutModel::new(model, boundaries).unwrap()
}

fn tensors(cut: &CutModel) -> Vec<Vec<&str>> {
    cut.boundaries().iter().map(|boundary| names(&boundary.tensors)).collect()
}

/// x -> 1x1 convolutions, `c3 = c2 + c1` at the end.
fn residual() -> File {
    let conv = |file: File, text: &str, w: &str| file.floats(w, &[8, 8, 1, 1]).node(&format!("{text} {w}"));
    let file = File::new(13).input("x", "N 8 6 6").output("y", "N 8 6 6");
    let file = conv(file, "c1 = Conv x", "w1").node("r1 = Relu c1");
    let file = conv(file, "c2 = Conv r1", "w2").node("r2 = Relu c2");
    conv(file, "c3 = Conv r2", "w3").node("s = Add c3 r1").node("y = Relu s")
}

#[test]
fn branches_make_boundaries_of_several_tensors() {
    let cut = cut(&residual());
    // The activation goes with its convolution.
    assert_eq!(tensors(&cut), [vec!["x"], vec!["r1"], vec!["r1", "r2"], vec!["y"]]);
    assert_eq!(cut.boundaries()[2].bytes, Some(2 * 8 * 36 * 4));
    assert_eq!(cut.boundaries()[2].macs_before, 2 * 8 * 8 * 36);
    assert_eq!(cut.boundaries()[2].after.as_deref(), Some("Relu_3"));

    let middle = cut.segment(1, 2).unwrap();
    assert_eq!((names(&middle.inputs), names(&middle.outputs)), (vec!["r1"], vec!["r2"]));
    let middle = Model::load(middle.onnx, &NoExternalData).unwrap();
    assert_eq!(ops(&middle), ["Conv", "Relu"]);
    assert_eq!(middle.parts().constants.keys().collect::<Vec<_>>(), ["w2"]);
    assert_eq!(middle.inputs()[0].to_string(), "r1: f32[N, 8, 6, 6]");
    let tail = cut.segment(2, 3).unwrap();
    assert_eq!(names(&tail.inputs), ["r1", "r2"]);
}

#[test]
fn shape_plumbing_stays_at_home() {
    // What an exporter writes for `x.view(N, x.shape[1], -1)` where x has fixed sizes.
    let file = File::new(13).input("x", "1 8 6 6").output("y", "1 8 36").floats("w", &[8, 8, 1, 1]);
    let file = file.ints("one", &[1]).ints("rest", &[-1]).node("c = Conv x w").node("r = Relu c");
    let file = file.node("shape = Shape x").node("channels = Gather shape one");
    let file = file.node("first = Gather shape zero").ints("zero", &[0]);
    let file = file.node_with("to = Concat first channels rest", vec![int_attribute("axis", 0)]);
    let file = file.node("d = Conv r w").node("v = Reshape d to").node("y = Relu v");
    let cut = cut(&file);
    assert_eq!(tensors(&cut), [vec!["x"], vec!["r"], vec!["y"]]);
    let tail = Model::load(cut.segment(1, 2).unwrap().onnx, &NoExternalData).unwrap();
    assert_eq!(ops(&tail), ["Conv", "Reshape", "Relu"]);
    assert_eq!(tail.parts().constants.keys().collect::<Vec<_>>(), ["to", "w"]);
}

#[test]
fn shapes_that_follow_the_request_are_read_off_tensors() {
    // `x.view(N, x.shape[1], -1)` again, twice, with a batch that the request decides.
    let file = File::new(13).input("x", "N 8 6 6").output("y", "N 8 36").floats("w", &[8, 8, 1, 1]);
    let file = file.ints("zero", &[0]).ints("one", &[1]).ints("rest", &[-1]).ints("six", &[6]);
    let file = file.node("shape = Shape x").node("channels = Gather shape one").node("n = Gather shape zero");
    let axis = || vec![int_attribute("axis", 0)];
    let file = file.node_with("flat = Concat n channels rest", axis());
    let file = file.node_with("square = Concat n channels six six", axis());
    let file = file.node("c = Conv x w").node("r = Relu c").node("f = Reshape r flat");
    let file = file.node("q = Reshape f square").node("d = Conv q w").node("s = Relu d");
    let file = file.node("y = Reshape s flat");
    let cut = cut(&file);
    assert!(cut.last() >= 2);
    for boundary in 1..cut.last() {
        assert_eq!(tensors(&cut)[boundary].len(), 1, "{:?}", tensors(&cut));
        let tail = cut.segment(boundary, cut.last()).unwrap();
        let tail = Model::load(tail.onnx, &NoExternalData).unwrap();
        assert!(ops(&tail).starts_with(&["Shape", "Gather", "Concat"]), "{:?}", ops(&tail));
        assert_eq!(tail.outputs()[0].to_string(), "y: f32[N, 8, 36]");
    }
    // The head reads the input's shape as the model does.
    let head = Model::load(cut.segment(0, cut.last()).unwrap().onnx, &NoExternalData).unwrap();
    assert_eq!(ops(&head).iter().filter(|op| **op == "Shape").count(), 1);
    // A size that nothing else shows has to travel.
    let hidden = File::new(13).input("x", "N 4").input("z", "M 4").output("y", "? ?").ints("zero", &[0]);
    let hidden = hidden.node("shape = Shape z").node("m = Gather shape zero").ints("to", &[4]);
    let hidden = hidden.node_with("size = Concat m to", axis()).node("a = Relu x").node("b = Relu a");
    let hidden = hidden.node("c = Relu b").node("y = Expand c size");
    let cut = self::cut(&hidden);
    let crossing = tensors(&cut)[1..cut.last()].concat();
    assert!(crossing.iter().any(|name| ["z", "shape", "m", "size"].contains(name)), "{crossing:?}");
}

#[test]
fn constant_nodes_are_repeated_and_random_ones_are_not() {
    let file = File::new(13).input("x", "1 8 6 6").output("y", "1 8 6 6").floats("w", &[8, 8, 1, 1]);
    let random =
        AttributeProto { name: Some("shape".into()), ints: vec![8, 8, 1, 1], ..AttributeProto::default() };
    let file = file.node("v = Neg w").node_with("q = RandomNormal", vec![random]);
    let file = file.node("a = Conv x v").node("b = Conv a v").node("c = Conv b q").node("y = Conv c q");
    let cut = cut(&file);
    assert_eq!(tensors(&cut), [vec!["x"], vec!["a"], vec!["b"], vec!["q", "c"], vec!["y"]]);
    for (segment, wanted) in [((0, 1), &["Neg", "Conv"][..]), ((1, 2), &["Neg", "Conv"]), ((3, 4), &["Conv"])]
    {
        let segment = cut.segment(segment.0, segment.1).unwrap();
        assert_eq!(ops(&Model::load(segment.onnx, &NoExternalData).unwrap()), wanted);
    }
}

#[test]
fn exits_are_kept_aside() {
    let file = residual().output("exit", "N 8 1 1").node("exit = GlobalAveragePool r1");
    let cut = cut(&file);
    // The head of the exit runs before the backbone goes on, though it stands last in the file.
    assert_eq!(ops(cut.model())[..3], ["Conv", "Relu", "GlobalAveragePool"]);
    assert_eq!(tensors(&cut)[1], ["r1"]);
    assert_eq!(names(&cut.segment(0, 1).unwrap().outputs), ["r1", "exit"]);
    assert_eq!(names(&cut.segment(1, cut.last()).unwrap().outputs), ["y"]);
    assert_eq!(tensors(&cut)[cut.last()], ["y", "exit"]);
}

#[test]
fn the_order_outlives_the_file() {
    let model = residual().output("exit", "N 8 1 1").node("exit = GlobalAveragePool r1").load().unwrap();
    let onnx = model.to_onnx().unwrap();
    let again = Model::load(onnx.clone(), &NoExternalData).unwrap();
    assert_eq!(again.nodes(), model.nodes());
    assert_eq!(boundaries(&again, 16), boundaries(&model, 16));
    assert_eq!(again.to_onnx().unwrap(), onnx);
}

#[test]
fn nodes_take_any_order_in_which_they_can_run() {
    let model = residual().load().unwrap();
    let same: Vec<usize> = (0..model.nodes().len()).collect();
    assert_eq!(model.reordered(&same).unwrap().to_onnx().unwrap(), model.to_onnx().unwrap());
    let backwards: Vec<usize> = same.iter().rev().copied().collect();
    assert!(matches!(model.reordered(&backwards), Err(OrderError::Early { .. })));
    let [short, twice] = [same[..1].to_vec(), [&same[..], &[0]].concat()];
    for order in [short, twice, Vec::new()] {
        assert!(matches!(model.reordered(&order), Err(OrderError::Incomplete { .. })), "{order:?}");
    }
}

#[test]
fn the_network_is_what_flows() {
    let model = residual().load().unwrap();
    let network = model.network();
    assert_eq!(network.macs.len(), model.nodes().len());
    for (node, it) in model.nodes().iter().enumerate() {
        for output in &it.outputs {
            let value = network.values.iter().find(|value| value.name == *output).unwrap();
            assert_eq!(value.producer, Some(node), "{output}");
            assert!(value.consumers.iter().all(|consumer| *consumer > node), "{output}");
        }
    }
    let inputs = network.values.iter().filter(|value| value.producer.is_none());
    assert!(inputs.map(|value| value.name.as_str()).eq(model.inputs().iter().map(|spec| spec.name.as_str())));
}

#[test]
fn boundaries_of_another_model_are_refused() {
    let model = residual().load().unwrap();
    let good = boundaries(&model, 32);
    type Damage<'a> = &'a dyn Fn(&mut Vec<Boundary>);
    let cases: [(Damage<'_>, &str); 7] = [
        (&|all| all.truncate(1), "1 boundaries"),
        (&|all| all.swap(1, 2), "does not fit"),
        (&|all| all[1].nodes = 0, "more than 0"),
        (&|all| all[2].nodes = usize::MAX, "less than 7"),
        (&|all| drop(all.pop()), "the outputs"),
        (&|all| all[2].nodes += 1, "b2 holds r1: f32[N, 8, 6, 6], r2: f32[N, 8, 6, 6], the model has"),
        (&|all| all[1].tensors.clear(), "b1 holds nothing"),
    ];
    for (damage, wanted) in cases {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = CutModel::new(model.clone(), bad).unwrap_err().to_string();
        assert!(error.contains(wanted), "wanted {wanted:?}, got {error}");
    }
    let cut = CutModel::new(model, good).unwrap();
    for (from, to) in [(1, 1), (2, 1), (0, 9), (9, 10)] {
        assert_eq!(cut.segment(from, to), Err(CutError::Range { from, to, last: 3 }));
    }
}

#[test]
fn quantised_operators() {
    let file = File::new(13).input("x", "N 8 6 6").output("y", "N 8 6 6").floats("w", &[8, 8, 1, 1]);
    let file =
        file.node("q, scale, zero = DynamicQuantizeLinear x").node("wq, ws, wz = DynamicQuantizeLinear w");
    let file = file.node("c = ConvInteger q wq zero wz");
    let file = file.node_with("f = Cast c", vec![int_attribute("to", 1)]).node("y = Mul f scale");
    let cut = cut(&file);
    assert_eq!(tensors(&cut)[1], ["q", "scale", "zero"]);
    assert_eq!(cut.boundaries()[1].bytes, Some(8 * 36 + 4 + 1));
    let tail = cut.segment(1, cut.last()).unwrap();
    assert_eq!(tail.inputs[0].dtype, DType::U8);
}
