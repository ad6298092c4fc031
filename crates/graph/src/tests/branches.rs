use super::*;
use crate::boundaries::boundaries;
use crate::branch::BranchError;
use crate::cut::CutModel;

/// Convolutions x -> r1 -> r2 -> y, each on a smaller map, an early output `e1` of r1, and one `e2` of the
/// convolution within the next.
fn exits() -> Model {
    let conv = |file: File, text: &str, w: &str| {
        file.floats(w, &[8, 8, 3, 3]).node_with(&format!("{text} {w}"), vec![strides(2)])
    };
    let file = File::new(13).input("x", "N 8 64 64");
    let file = file.output("e1", "N 8 1 1").output("e2", "N 8 1 1").output("y", "N 8 1 1");
    let file = conv(conv(conv(file, "c1 = Conv x", "w1"), "c2 = Conv r1", "w2"), "c3 = Conv r2", "w3");
    let file =
        file.node("r1 = Relu c1").node("r2 = Relu c2").node("r3 = Relu c3").node("y = GlobalAveragePool r3");
    let file = file.floats("v1", &[8, 8, 1, 1]).node("d1 = Conv r1 v1").node("e1 = GlobalAveragePool d1");
    file.floats("v2", &[8, 8, 1, 1]).node("d2 = Conv c2 v2").node("e2 = GlobalAveragePool d2").load().unwrap()
}

fn strides(by: i64) -> AttributeProto {
    AttributeProto {
        name: Some("strides".into()),
        r#type: Some(7),
        ints: vec![by; 2],
        ..AttributeProto::default()
    }
}

fn cut(model: Model) -> CutModel {
    let places = boundaries(&model, 16);
    CutModel::new(model, places).unwrap()
}

fn weights(model: &Model) -> Vec<&str> {
    model.parts().constants.keys().map(String::as_str).collect()
}

#[test]
fn a_model_without_some_of_its_outputs() {
    let whole = exits();
    let last = whole.only(&["y"]).unwrap();
    assert_eq!(names(last.outputs()), ["y"]);
    assert_eq!(last.inputs(), whole.inputs());
    assert_eq!(weights(&last), ["w1", "w2", "w3"]);
    // In the order that is asked for.
    let two = whole.only(&["y", "e1"]).unwrap();
    assert_eq!((names(two.outputs()), weights(&two)), (vec!["y", "e1"], vec!["v1", "w1", "w2", "w3"]));
    let error = whole.only(&["y", "z"]).unwrap_err().to_string();
    assert_eq!(error, "no output \"z\"; there are e1, e2, y");
}

#[test]
fn branches_start_where_they_leave() {
    let whole = exits();
    let answer = whole.outputs().iter().find(|spec| spec.name == "y").unwrap().clone();
    // Cut out of the whole, or out of what is left when the other outputs are gone.
    for cut in [cut(whole.clone()), cut(whole.only(&["y"]).unwrap())] {
        let branch = cut.branch(&whole, "e1", &answer).unwrap();
        assert!(names(&cut.boundaries()[branch.boundary].tensors).contains(&"r1"));
        assert_eq!((names(branch.model.inputs()), weights(&branch.model)), (vec!["r1"], vec!["v1"]));
        assert_eq!(branch.model.outputs(), std::slice::from_ref(&answer));
        assert_eq!(branch.macs, 8 * 8 * 31 * 31);
        assert!(
            branch.model.inputs().iter().all(|spec| cut.boundaries()[branch.boundary].tensors.contains(spec))
        );
    }
}

/// What lies between the boundary and the branch is computed once more.
#[test]
fn branches_may_start_before_they_leave() {
    let whole = exits();
    let cut = cut(whole.only(&["y"]).unwrap());
    let branch = cut.branch(&whole, "e2", &whole.outputs()[2]).unwrap();
    assert_eq!((names(branch.model.inputs()), weights(&branch.model)), (vec!["r1"], vec!["v2", "w2"]));
}

#[test]
fn branches_that_are_none() {
    let whole = exits();
    let answer = whole.outputs()[2].clone();
    let cut = cut(whole.only(&["y"]).unwrap());
    assert!(matches!(cut.branch(&whole, "z", &answer), Err(BranchError::NoOutput { .. })));
    // Of the inputs alone: nothing behind b0 holds them.
    let file = File::new(13).input("x", "N 8").output("y", "N 8").output("e", "N 8");
    let file = file.floats("w", &[8, 8]).node("a = MatMul x w").node("b = Relu a").node("y = MatMul b w");
    let whole = file.node("e = Relu x").load().unwrap();
    let cut =
        CutModel::new(whole.only(&["y"]).unwrap(), boundaries(&whole.only(&["y"]).unwrap(), 16)).unwrap();
    let error = cut.branch(&whole, "e", &whole.outputs()[0]).unwrap_err().to_string();
    assert_eq!(error, "e cannot be computed behind b1: it needs x, which no boundary holds");
}
