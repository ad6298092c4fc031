//! Minimum cuts against all closed sets.

use crate::graphs::{bits, closed_sets, dag, price};
use kerf_planner::cut::{Dag, DagError, Node, Price, PriceError, Side, Tensor, Tie};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(4000))]

    #[test]
    fn a_cut_costs_what_the_cheapest_closed_set_costs(dag in dag(), price in price()) {
        let sets = closed_sets(&dag);
        let least = sets.iter().map(|(_, measure)| measure.cost(&price)).fold(f64::INFINITY, f64::min);
        let sum: f64 = dag.nodes().iter().map(|node| node.edge + node.cloud).sum::<f64>()
            + dag.tensors().iter().map(|tensor| tensor.bytes * (price.up + price.down)).sum::<f64>();
        for tie in [Tie::Smallest, Tie::Largest] {
            let cut = dag.min_cut_with(&price, tie).unwrap();
            let measure = dag.measure(&cut.edge);
            prop_assert!(measure.is_some(), "{:?} may not run on the edge", cut.edge);
            prop_assert_eq!(measure.unwrap().cost(&price), cut.cost);
            prop_assert!((cut.cost - least).abs() <= sum * 1e-14, "{} is not {least}", cut.cost);
        }
    }

    #[test]
    fn ties_go_to_the_smallest_or_the_largest(dag in dag()) {
        // Integers, so that equal is equal.
        let round = |amount: f64| (amount % 5.0).round();
        let mut nodes = dag.nodes().to_vec();
        let mut tensors = dag.tensors().to_vec();
        nodes.iter_mut().for_each(|node| (node.edge, node.cloud) = (round(node.edge), round(node.cloud)));
        tensors.iter_mut().for_each(|tensor| tensor.bytes = round(tensor.bytes));
        let dag = Dag::new(nodes, tensors).unwrap();
        let price = Price { up: 1.0, down: 2.0 };
        let sets = closed_sets(&dag);
        let least = sets.iter().map(|(_, measure)| measure.cost(&price)).fold(f64::INFINITY, f64::min);
        let cheapest: Vec<u32> =
            sets.iter().filter(|(_, measure)| measure.cost(&price) == least).map(|(set, _)| *set).collect();
        let smallest = cheapest.iter().fold(u32::MAX, |all, set| all & set);
        let largest = cheapest.iter().fold(0, |all, set| all | set);
        prop_assert_eq!(bits(&dag.min_cut_with(&price, Tie::Smallest).unwrap().edge), smallest);
        prop_assert_eq!(bits(&dag.min_cut_with(&price, Tie::Largest).unwrap().edge), largest);
    }

    #[test]
    fn permits_is_the_definition(dag in dag()) {
        let sets: Vec<u32> = closed_sets(&dag).into_iter().map(|(set, _)| set).collect();
        let mut edge = kerf_planner::FixedBitSet::with_capacity(dag.nodes().len());
        for set in 0..1u32 << dag.nodes().len().min(8) {
            for node in 0..dag.nodes().len() {
                edge.set(node, set >> node & 1 == 1);
            }
            prop_assert_eq!(dag.permits(&edge), sets.binary_search(&set).is_ok());
        }
    }
}

fn chain(costs: &[(f64, f64)], bytes: &[f64]) -> (Vec<Node>, Vec<Tensor>) {
    let nodes = costs.iter().map(|(edge, cloud)| Node { edge: *edge, cloud: *cloud, pin: None });
    let tensors = bytes.iter().enumerate().map(|(index, bytes)| Tensor {
        producer: index.checked_sub(1),
        consumers: (index < costs.len()).then_some(index).into_iter().collect(),
        bytes: *bytes,
        is_output: index == costs.len(),
        must_stay: false,
    });
    (nodes.collect(), tensors.collect())
}

#[test]
fn chains() {
    let costs = [(4.0, 1.0), (4.0, 1.0), (4.0, 1.0)];
    for (bytes, up, down, wanted) in [
        // Everything in the cloud, the result comes back.
        ([3.0, 9.0, 9.0, 1.0], 1.0, 1.0, 0b000),
        // The second tensor is small enough to pay for two nodes.
        ([30.0, 9.0, 2.0, 1.0], 1.0, 1.0, 0b011),
        // The result is larger than all that was saved.
        ([3.0, 9.0, 2.0, 20.0], 1.0, 1.0, 0b111),
        ([3.0, 9.0, 2.0, 20.0], 0.1, 0.0, 0b000),
    ] {
        let (nodes, tensors) = chain(&costs, &bytes);
        let cut = Dag::new(nodes, tensors).unwrap().min_cut(&Price { up, down }).unwrap();
        assert_eq!(bits(&cut.edge), wanted, "{bytes:?} at {up}, {down}");
    }
}

#[test]
fn empty_graphs_have_an_empty_cut() {
    let dag = Dag::new(Vec::new(), Vec::new()).unwrap();
    assert_eq!(dag.min_cut(&Price { up: 1.0, down: 1.0 }).unwrap().cost, 0.0);
}

#[test]
fn what_is_wrong_is_named() {
    type Spoil = fn(&mut Vec<Node>, &mut Vec<Tensor>);
    let cases: [(Spoil, &str); 8] = [
        (|nodes, _| nodes[1].edge = f64::NAN, "node 1: Edge cost NaN"),
        (|nodes, _| nodes[2].cloud = -1.0, "node 2: Cloud cost -1"),
        (|_, tensors| tensors[3].bytes = f64::INFINITY, "tensor 3: inf bytes"),
        (|_, tensors| tensors[1].consumers.push(7), "tensor 1 names node 7, there are 3 nodes"),
        (|_, tensors| tensors[2].consumers.push(1), "node 1 lies on a cycle"),
        (|_, tensors| tensors[3].consumers.push(2), "node 2 lies on a cycle"),
        (
            |nodes, _| {
                nodes[0].pin = Some(Side::Cloud);
                nodes[2].pin = Some(Side::Edge);
            },
            "node 0 must run on both sides",
        ),
        (
            |nodes, tensors| {
                nodes[2].pin = Some(Side::Cloud);
                tensors.iter_mut().for_each(|tensor| tensor.must_stay = true);
            },
            "node 2 must run on both sides",
        ),
    ];
    for (spoil, wanted) in cases {
        let (mut nodes, mut tensors) = chain(&[(1.0, 1.0); 3], &[1.0; 4]);
        spoil(&mut nodes, &mut tensors);
        let error: DagError = Dag::new(nodes, tensors).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error} is not {wanted}");
    }
    let (nodes, tensors) = chain(&[(1.0, 1.0); 3], &[1.0; 4]);
    let dag = Dag::new(nodes, tensors).unwrap();
    for price in [Price { up: f64::NAN, down: 0.0 }, Price { up: 0.0, down: -1.0 }] {
        let _: PriceError = dag.min_cut(&price).unwrap_err();
    }
}
