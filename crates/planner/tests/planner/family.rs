//! Families of cuts against all closed sets and all chains.

use crate::graphs::{bits, closed_sets, dag, free_dag};
use kerf_planner::cut::{Dag, Measure, Node, Tensor, Tie};
use kerf_planner::family::{Aim, Family, Nesting, Proposals, Range, nest, order, sweep};
use proptest::prelude::*;

fn range() -> impl Strategy<Value = (f64, f64, f64)> {
    prop_oneof![Just((0.0, 1e3, 0.0)), Just((0.0, 1e3, 1.0)), (1e-3..1.0, 1.0..1e3, 0.0..2.0),]
}

fn found(dag: &Dag, (from, to, down): (f64, f64, f64), tie: Tie) -> Proposals {
    sweep(dag, Range { from, to, down, tie, max_cuts: 512 }).unwrap()
}

fn least(sets: &[(u32, Measure)], range: &Range, price: f64) -> f64 {
    sets.iter().map(|(_, measure)| measure.cost(&range.price(price))).fold(f64::INFINITY, f64::min)
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

/// Four layers of which the middle ones pay at nearly the same price, between others that pay at
/// prices twelve orders of magnitude apart.
#[test]
fn a_set_that_serves_few_prices_is_kept_where_there_is_room() {
    let work = [1e-6, 1.0, 1.01, 1e6];
    let nodes = work.map(|edge| Node { edge, ..Node::default() }).to_vec();
    let tensor = |index: usize| Tensor {
        producer: index.checked_sub(1),
        consumers: if index < 4 { vec![index] } else { vec![] },
        bytes: 5.0 - index as f64,
        is_output: index == 4,
        must_stay: false,
    };
    let dag = Dag::new(nodes, (0..5).map(tensor).collect()).unwrap();
    let proposals = found(&dag, (1e-9, 1e9, 0.0), Tie::Smallest);
    assert_eq!(proposals.all.len(), 5);
    for aim in [Aim::Worst, Aim::Mean] {
        let family = nest(&dag, &proposals, Nesting { max: 5, aim }).unwrap();
        assert_eq!((family.chain.len(), family.regret.worst), (5, 0.0));
    }
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn every_cut_of_the_hull_is_found(dag in dag(), ends in range(), large in any::<bool>()) {
        let proposals = found(&dag, ends, if large { Tie::Largest } else { Tie::Smallest });
        prop_assert!(proposals.is_complete);
        let sets = closed_sets(&dag);
        let (range, all) = (&proposals.range, &proposals.all);
        prop_assert_eq!((all[0].from, all[all.len() - 1].to), (range.from, range.to));
        for pair in all.windows(2) {
            prop_assert_eq!(pair[0].to, pair[1].from);
        }
        // A piece that were missing would lie below the curve somewhere between two others:
        // most below at a crossing of known ones, but any price must do.
        for proposal in all {
            prop_assert!(dag.permits(&proposal.edge));
            for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
                let price = proposal.from + share * (proposal.to - proposal.from);
                let wanted = least(&sets, range, price);
                let cost = proposal.measure.cost(&range.price(price));
                prop_assert!(is_close(cost, wanted), "{cost} at {price}, not {wanted}");
            }
        }
    }

    /// As when a model is packed: no times, only operations and bytes.
    #[test]
    fn the_whole_range_spans_the_hull_of_work_and_bytes(dag in free_dag()) {
        let mut nodes = dag.nodes().to_vec();
        let mut tensors = dag.tensors().to_vec();
        nodes.iter_mut().for_each(|node| (node.edge, node.cloud) = (node.edge.round(), 0.0));
        tensors.iter_mut().for_each(|tensor| tensor.bytes = tensor.bytes.round());
        let dag = Dag::new(nodes, tensors).unwrap();
        let proposals = sweep(&dag, Range::whole(&dag, 0.0)).unwrap();
        prop_assert!(proposals.is_complete);
        let sets = closed_sets(&dag);
        let first_by = |key: fn(&Measure) -> (f64, f64)| {
            sets.iter().map(|(_, measure)| key(measure)).min_by(|a, b| a.partial_cmp(b).unwrap()).unwrap()
        };
        let (first, last) = (&proposals.all[0].measure, &proposals.all[proposals.all.len() - 1].measure);
        prop_assert_eq!((first.work, first.up), first_by(|measure| (measure.work, measure.up)));
        prop_assert_eq!((last.up, last.work), first_by(|measure| (measure.up, measure.work)));
        for pair in proposals.all.windows(2) {
            let (a, b) = (pair[0].measure, pair[1].measure);
            prop_assert!(a.work < b.work && a.up > b.up);
            // No set lies below the line through two neighbours.
            for (_, it) in &sets {
                let above = (it.up - a.up) * (b.work - a.work) - (b.up - a.up) * (it.work - a.work);
                prop_assert!(above >= -1e-9 * a.up.max(1.0) * b.work.max(1.0));
            }
        }
    }

    #[test]
    fn families_are_nested_and_their_regret_is_true(
        dag in dag(), ends in range(), max in 1usize..6, mean in any::<bool>(),
    ) {
        let proposals = found(&dag, ends, Tie::Smallest);
        let aim = if mean { Aim::Mean } else { Aim::Worst };
        let Family { chain, measures, regret } = nest(&dag, &proposals, Nesting { max, aim }).unwrap();
        prop_assert!((1..=max).contains(&chain.len()));
        for pair in chain.windows(2) {
            prop_assert!(pair[0].is_subset(&pair[1]) && pair[0] != pair[1]);
        }
        let sets = closed_sets(&dag);
        for (set, measure) in chain.iter().zip(&measures) {
            let (_, wanted) = sets.iter().find(|(other, _)| *other == bits(set)).unwrap();
            prop_assert!(is_close(measure.work, wanted.work) && is_close(measure.up, wanted.up));
        }
        let range = &proposals.range;
        let at = |price: f64| {
            let wanted = least(&sets, range, price);
            let cost = measures.iter().map(|it| it.cost(&range.price(price))).fold(f64::INFINITY, f64::min);
            if wanted > 0.0 { cost / wanted - 1.0 } else { 0.0 }
        };
        prop_assert!(regret.worst <= 1e-9 || is_close(at(regret.at_price), regret.worst));
        let mean = regret.prices.iter().map(|price| at(*price)).sum::<f64>() / regret.prices.len() as f64;
        prop_assert!(is_close(mean, regret.mean), "{mean}, not {}", regret.mean);
        let is_free = least(&sets, range, range.from) == 0.0;
        let first = regret.prices.iter().copied().find(|price| !is_free || *price > 0.0).unwrap();
        for share in 0..50 {
            let price = first + (range.to - first) * (f64::from(share) / 49.0).powi(4);
            prop_assert!(at(price) <= regret.worst * (1.0 + 1e-9) + 1e-9, "{} at {price}", at(price));
        }
        // With room for all, sets that nest lose nothing.
        let nests = proposals.all.windows(2).all(|pair| pair[0].edge.is_subset(&pair[1].edge));
        if nests && max >= proposals.all.len() {
            prop_assert!(regret.worst <= 1e-9);
        }
    }

    #[test]
    fn every_set_of_a_chain_is_a_prefix_of_its_order(dag in free_dag()) {
        let proposals = found(&dag, (0.0, 1e3, 1.0), Tie::Largest);
        let family = nest(&dag, &proposals, Nesting { max: 4, aim: Aim::Worst }).unwrap();
        let nodes: Vec<usize> = (0..dag.nodes().len()).collect();
        let order = order(&family.chain, &nodes);
        for set in &family.chain {
            let prefix: u32 = order[..set.count_ones(..)].iter().map(|node| 1 << node).sum();
            prop_assert_eq!(prefix, bits(set));
        }
        let place = |node: usize| order.iter().position(|other| *other == node).unwrap();
        for tensor in dag.tensors() {
            for consumer in &tensor.consumers {
                prop_assert!(tensor.producer.is_none_or(|producer| place(producer) < place(*consumer)));
            }
        }
    }

    /// Where a rising or falling chain is the best one, it is found: no chain of the proposals
    /// themselves that serves prices in order is better.
    #[test]
    fn no_chain_of_proposals_in_order_of_price_is_better(dag in free_dag(), max in 1usize..4) {
        let proposals = found(&dag, (0.0, 1e3, 0.5), Tie::Smallest);
        let family = nest(&dag, &proposals, Nesting { max, aim: Aim::Mean }).unwrap();
        let range = &proposals.range;
        let regret = |measures: &[Measure]| {
            let at = |price: &f64| {
                let price = range.price(*price);
                let of = |all: &mut dyn Iterator<Item = &Measure>| all.map(|it| it.cost(&price)).fold(f64::INFINITY, f64::min);
                let wanted = of(&mut proposals.all.iter().map(|proposal| &proposal.measure));
                if wanted > 0.0 { of(&mut measures.iter()) / wanted - 1.0 } else { 0.0 }
            };
            family.regret.prices.iter().map(at).sum::<f64>() / family.regret.prices.len() as f64
        };
        let count = proposals.all.len().min(12);
        for chosen in 1u32..1 << count {
            let chain: Vec<_> = (0..count).filter(|at| chosen >> at & 1 == 1).map(|at| &proposals.all[at]).collect();
            let grows = chain.windows(2).all(|pair| pair[0].edge.is_subset(&pair[1].edge));
            let falls = chain.windows(2).all(|pair| pair[1].edge.is_subset(&pair[0].edge));
            if chain.len() <= max && (grows || falls) {
                let measures: Vec<Measure> = chain.iter().map(|it| it.measure).collect();
                prop_assert!(family.regret.mean <= regret(&measures) + 1e-9);
            }
        }
    }
}
