use super::*;
use crate::{Loss, Outcome};
use kerf_random::Random;
use proptest::prelude::*;

fn promise() -> Promise {
    Promise::new(0.02, 0.95, Loss::Disagreement).unwrap()
}

/// Heads that are right as often as they say, from a guess up to sure, for requests of which some are easier
/// for all.
fn tuning(inputs: usize, heads: usize, seed: u64) -> Outcomes {
    let mut random = Random::new(seed);
    let mut outcomes = Outcomes::new(heads).unwrap();
    for _ in 0..inputs {
        let ease = random.unit();
        let row: Vec<Outcome> = (0..heads)
            .map(|_| {
                let confidence = 1.0 - (1.0 - ease) * random.unit();
                Outcome { confidence: Some(confidence), wrong: random.unit() > confidence }
            })
            .collect();
        outcomes.push(&row).unwrap();
    }
    outcomes
}

fn costs(to_exit: &[f64], head: f64) -> Costs {
    Costs::new(to_exit.to_vec(), vec![head; to_exit.len()], 100.0).unwrap()
}

#[test]
fn exits_that_lose_are_not_kept() {
    let all = tuning(3000, 3, 4);
    let kept = |costs: &Costs| place(&all, std::slice::from_ref(costs), &promise()).unwrap().exits;
    for (to_exit, head, exits) in [
        // Three equal heads: the earliest is worth most, but the others answer what it does not.
        ([20.0, 40.0, 60.0], 0.5, &[0, 1, 2][..]),
        // So dear that only the first saves more than it costs; then not even that.
        ([20.0, 40.0, 60.0], 12.0, &[0]),
        ([20.0, 40.0, 60.0], 60.0, &[]),
        // Nothing is left to save.
        ([100.0, 100.0, 100.0], 0.5, &[]),
        ([20.0, 99.0, 100.0], 1.0, &[0]),
    ] {
        assert_eq!(kept(&costs(&to_exit, head)), exits, "{to_exit:?}, {head}");
    }
}

#[test]
fn heads_that_know_nothing_are_not_kept() {
    let mut random = Random::new(5);
    let good = tuning(2000, 1, 2);
    let mut all = Outcomes::new(3).unwrap();
    for request in 0..good.len() {
        let idle = Outcome { confidence: Some(random.unit()), wrong: random.unit() < 0.5 };
        let mute = Outcome { confidence: None, wrong: true };
        all.push(&[idle, good.of(request, 0).unwrap(), mute]).unwrap();
    }
    let found = place(&all, &[costs(&[10.0, 40.0, 50.0], 0.1)], &promise()).unwrap();
    assert_eq!(found.exits, [1]);
    assert!(found.path.iter().all(|thresholds| !thresholds.is_open(0) && !thresholds.is_open(2)));
}

#[test]
fn expected_is_what_the_walk_found() {
    let (all, costs) = (tuning(3000, 3, 3), costs(&[20.0, 40.0, 60.0], 2.0));
    let found = place(&all, std::slice::from_ref(&costs), &promise()).unwrap();
    let expected = found.expected.unwrap();
    let budget = budget(&all, &promise());
    assert!(expected.risk.same <= budget && expected.risk.same + 3 >= budget, "{expected:?} {budget}");
    let walked = mean(&Walk::new(&all, &costs).costs_of(&found.exits, budget));
    assert!((walked - expected.cost).abs() < 0.5, "{walked} {}", expected.cost);
    assert!(expected.saved() > 0.15, "{}", expected.saved());
}

/// Joint thresholds do at least as well as the best single exit, and as one threshold for all.
#[test]
fn joint_thresholds_beat_simple_ones() {
    let (all, costs) = (tuning(3000, 3, 4), costs(&[20.0, 40.0, 60.0], 1.0));
    let found = place(&all, std::slice::from_ref(&costs), &promise()).unwrap().expected.unwrap();
    let budget = budget(&all, &promise());
    let best = |open: &dyn Fn(f64) -> Thresholds| {
        let all_of = (0..=1000).map(|at| open(f64::from(at) / 1000.0));
        let kept = all_of.filter(|thresholds| all.losses(thresholds) <= budget);
        kept.map(|thresholds| expect(&all, &thresholds, &costs).unwrap().cost).fold(100.0, f64::min)
    };
    let equal = best(&|least| Thresholds::new(vec![Some(least); 3]).unwrap());
    let single = best(&|least| Thresholds::new(vec![Some(least), None, None]).unwrap());
    println!("joint {:.2}, one threshold for all {equal:.2}, first exit alone {single:.2}", found.cost);
    assert!(found.cost < equal && found.cost < single, "{} {equal} {single}", found.cost);
}

/// Where requests are shipped and which exits are worth their head is one question: a link that is so good
/// that nothing else pays takes the exits with it, one that is worse makes the same exits pay.
#[test]
fn exits_and_the_place_to_ship_are_chosen_together() {
    let all = tuning(3000, 3, 4);
    // Exits after 20, 40 and 60; shipping costs so much from b0, from behind the second exit, or one runs it all.
    let routes = |from_inputs: f64, from_behind: f64| {
        [
            Costs::new(vec![], vec![], from_inputs).unwrap(),
            Costs::new(vec![20.0, 40.0], vec![0.5; 2], 42.0 + from_behind).unwrap(),
            costs(&[20.0, 40.0, 60.0], 0.5),
        ]
    };
    for (from_inputs, from_behind, route, without, most) in
        [(5.0, 30.0, 0, 5.0, 0), (60.0, 30.0, 1, 60.0, 2), (90.0, 200.0, 2, 90.0, 3)]
    {
        let routes = routes(from_inputs, from_behind);
        let found = place(&all, &routes, &promise()).unwrap();
        assert_eq!((found.route, found.without), (route, without), "{from_inputs} {from_behind}: {found:?}");
        assert!(found.exits.len() <= most && (most == 0) == found.exits.is_empty(), "{:?}", found.exits);
        let Some(expected) = found.expected else { continue };
        assert!(expected.cost < without && expected.saved_of(found.without) > 0.0, "{expected:?}");
        // No route does better by itself.
        for other in &routes {
            let alone = place(&all, std::slice::from_ref(other), &promise()).unwrap().expected;
            assert!(alone.is_none_or(|alone| alone.cost >= expected.cost - 1e-9));
        }
    }
}

/// Cutting the model costs those that go on: enough of it and only the exit at which most leave is kept.
#[test]
fn cuts_are_weighed() {
    let all = tuning(3000, 3, 4);
    let kept = |cut: f64| {
        let costs = costs(&[20.0, 40.0, 60.0], 0.5).with_cuts(vec![cut; 3]).unwrap();
        let found = place(&all, std::slice::from_ref(&costs), &promise()).unwrap();
        let walked = mean(&Walk::new(&all, &costs).costs_of(&found.exits, budget(&all, &promise())));
        let expected = found.expected.map_or(100.0, |expected| expected.cost);
        assert!((walked - expected).abs() < 0.5, "{walked} {expected}");
        found.exits
    };
    assert_eq!(kept(0.0), [0, 1, 2]);
    assert_eq!(kept(14.0), [0]);
    assert_eq!(kept(80.0).len(), 0);
}

/// Confidences that are all the same cannot be taken apart: all requests or none.
#[test]
fn equal_confidences_move_together() {
    let all_of = |inputs: usize, wrong: usize| {
        let mut all = Outcomes::new(1).unwrap();
        for at in 0..inputs {
            all.push(&[Outcome { confidence: Some(1.0), wrong: at < wrong }]).unwrap();
        }
        all
    };
    let free = costs(&[0.0], 0.0);
    for (inputs, wrong, saved) in [(400, 0, Some(1.0)), (400, 2, Some(1.0)), (400, 4, None), (100, 1, None)] {
        let found = place(&all_of(inputs, wrong), std::slice::from_ref(&free), &promise()).unwrap();
        assert_eq!(found.expected.map(|expected| expected.saved()), saved, "{wrong} of {inputs}");
    }
}

#[test]
fn nothing_to_place() {
    let none = Outcomes::new(1).unwrap();
    assert_eq!(place(&none, &[costs(&[10.0], 1.0)], &promise()), Err(ExpectError::Empty));
    assert_eq!(place(&tuning(10, 1, 1), &[], &promise()), Err(ExpectError::NoCosts));
    let error = place(&tuning(10, 1, 1), &[costs(&[10.0, 20.0], 1.0)], &promise());
    assert_eq!(error, Err(ExpectError::Exits { outcomes: 1, thresholds: 1, costs: 2 }));
    let empty = place(&tuning(10, 1, 1), &[costs(&[100.0], 1.0)], &promise()).unwrap();
    assert_eq!((empty.exits.len(), empty.path.len(), empty.expected), (0, 0, None));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever heads say, with however many equal confidences.
    #[test]
    fn paths_loosen_step_by_step(
        rows in prop::collection::vec(prop::collection::vec((0u8..30, prop::bool::weighted(0.2)), 3), 1..200),
        head in 0.0f64..5.0,
    ) {
        let mut all = Outcomes::new(3).unwrap();
        for row in rows {
            let outcome = |(said, wrong): &(u8, bool)| {
                let confidence = (*said > 0).then_some(f64::from(said.saturating_sub(1)) / 28.0);
                Outcome { confidence, wrong: *wrong }
            };
            all.push(&row.iter().map(outcome).collect::<Vec<_>>()).unwrap();
        }
        let costs = costs(&[20.0, 40.0, 60.0], head);
        let found = place(&all, std::slice::from_ref(&costs), &promise()).unwrap();
        prop_assert!(found.path.windows(2).all(|pair| pair[0].is_within(&pair[1]) && pair[0] != pair[1]));
        prop_assert_eq!(found.exits.is_empty(), found.path.is_empty());
        let most = 2 * budget(&all, &promise()) + 5;
        prop_assert!(found.path.iter().all(|thresholds| all.losses(thresholds) <= most));
        let open = |exit| found.path.last().is_some_and(|last| last.is_open(exit));
        prop_assert!((0..3).all(|exit| !open(exit) || found.exits.contains(&exit)));
        if let Some(expected) = found.expected {
            prop_assert!(expected.cost < 100.0 && expected.risk.same <= budget(&all, &promise()));
        }
    }
}
