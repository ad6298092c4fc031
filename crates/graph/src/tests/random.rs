//! Random graphs against the definition of a boundary.

use super::*;
use crate::boundaries::boundaries;
use crate::cut::CutModel;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Nodes that each read one or two earlier values, a few of them outputs; value 0 and 1 are the
/// inputs, value 2 a constant.
fn graphs() -> impl Strategy<Value = File> {
    let node = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8);
    (proptest::collection::vec(node, 1..40), proptest::collection::vec(any::<prop::sample::Index>(), 1..4))
        .prop_map(|(nodes, outputs)| {
            let mut file = File::new(13).input("v0", "N 4").input("v1", "N 4").floats("v2", &[1, 4]);
            let count = nodes.len() + 3;
            for (at, (a, b, op)) in nodes.into_iter().enumerate() {
                let at = at + 3;
                let (a, b) = (a.index(at), b.index(at));
                file = file.node(&match op {
                    0 => format!("v{at} = Relu v{a}"),
                    1 => format!("v{at}, side{at} = Split v{a}"),
                    _ => format!("v{at} = Add v{a} v{b}"),
                });
            }
            let outputs = outputs.into_iter().map(|output| output.index(count)).collect::<BTreeSet<_>>();
            outputs.into_iter().fold(file, |file, output| file.output(&format!("v{output}"), "? ?"))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn boundaries_are_nested_and_live(file in graphs(), max in 0..40usize) {
        let model = file.load().unwrap();
        let found = boundaries(&model, max);
        prop_assert!((2..=max.clamp(2, 32)).contains(&found.len()));
        prop_assert!(found.windows(2).all(|pair| pair[0].nodes < pair[1].nodes));
        prop_assert!(found.windows(2).all(|pair| pair[0].macs_before <= pair[1].macs_before));
        for boundary in &found[1..found.len() - 1] {
            let live = live(&model, boundary.nodes);
            prop_assert_eq!(names(&boundary.tensors).into_iter().collect::<BTreeSet<_>>(), live);
        }
        CutModel::new(model, found).unwrap();
    }

    #[test]
    fn segments_compose(file in graphs()) {
        let model = file.load().unwrap();
        let found = boundaries(&model, 32);
        let cut = CutModel::new(model, found).unwrap();
        for middle in 0..=cut.last() {
            for path in [vec![0, middle, cut.last()], (0..=cut.last()).collect()] {
                let mut values = names(cut.model().inputs()).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
                let outputs = cut.model().outputs().iter().map(|output| output.name.clone());
                let outputs = outputs.collect::<BTreeSet<_>>();
                for pair in path.windows(2).filter(|pair| pair[0] < pair[1]) {
                    let segment = cut.segment(pair[0], pair[1]).unwrap();
                    // Only what a boundary holds reaches the other machine.
                    let boundary = names(&cut.boundaries()[pair[0]].tensors);
                    values.retain(|value| boundary.contains(&value.as_str()) || outputs.contains(value));
                    for input in &segment.inputs {
                        prop_assert!(values.contains(&input.name) && boundary.contains(&input.name.as_str()));
                    }
                    let loaded = Model::load(segment.onnx.clone(), &NoExternalData).unwrap();
                    prop_assert_eq!(names(loaded.inputs()), names(&segment.inputs));
                    prop_assert_eq!(names(loaded.outputs()), names(&segment.outputs));
                    values.extend(segment.outputs.into_iter().map(|output| output.name));
                }
                prop_assert!(outputs.is_subset(&values), "{:?} of {:?}", values, outputs);
            }
        }
    }

    #[test]
    fn order_is_topological_and_stable(file in graphs()) {
        let model = file.load().unwrap();
        let mut known = names(model.inputs()).into_iter().collect::<BTreeSet<_>>();
        known.extend(model.parts().constants.keys().map(String::as_str));
        for node in model.nodes() {
            prop_assert!(node.reads().all(|value| known.contains(value)));
            known.extend(node.writes());
        }
        let again = Model::load(model.to_onnx().unwrap(), &NoExternalData).unwrap();
        prop_assert_eq!(again.nodes(), model.nodes());
        prop_assert_eq!(again.outputs(), model.outputs());
        prop_assert_eq!(boundaries(&again, 32), boundaries(&model, 32));
    }
}

/// Values of the first `prefix` nodes, or inputs, that later nodes on the way from an input to
/// an output read; by the definition, without any index.
fn live(model: &Model, prefix: usize) -> BTreeSet<&str> {
    let mut varying = names(model.inputs()).into_iter().collect::<BTreeSet<_>>();
    for node in model.nodes() {
        if node.reads().any(|value| varying.contains(value)) {
            varying.extend(node.writes());
        }
    }
    let mut needed = names(model.outputs()).into_iter().collect::<BTreeSet<_>>();
    let mut live = BTreeSet::new();
    for (index, node) in model.nodes().iter().enumerate().rev() {
        if node.writes().any(|value| needed.contains(value)) {
            needed.extend(node.reads().filter(|value| varying.contains(value)));
            if index >= prefix {
                live.extend(node.reads().filter(|value| varying.contains(value)));
            }
        }
    }
    let made = model.nodes()[prefix..].iter().flat_map(|node| node.writes()).collect::<BTreeSet<_>>();
    live.difference(&made).copied().collect()
}
