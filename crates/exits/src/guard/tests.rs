use super::*;
use crate::{Loss, Outcome, Outcomes, Thresholds, certify};

/// Errors 0, 1, 2, 4 and 16 of 2,500 along a path of one exit.
fn certified() -> Certified {
    let mut calibration = Outcomes::new(1).unwrap();
    for at in 0..2500u32 {
        let confidence = Some(1.0 - f64::from(at) / 2500.0);
        let wrong = [100, 200, 400, 410].contains(&at) || (500..512).contains(&at);
        calibration.push(&[Outcome { confidence, wrong }]).unwrap();
    }
    let path: Vec<Thresholds> =
        [0.97, 0.95, 0.9, 0.81, 0.7].map(|least| Thresholds::new(vec![Some(least)]).unwrap()).to_vec();
    certify(&path, &calibration, &Promise::new(0.01, 0.95, Loss::Disagreement).unwrap()).unwrap()
}

#[test]
fn the_worse_it_is_the_further_it_goes() {
    let certified = certified();
    let errors: Vec<u64> = certified.rungs().iter().map(|rung| rung.errors).collect();
    assert_eq!(errors, [0, 1, 2, 4, 16]);
    // A loss in so many audited requests, and the rung that follows.
    for (every, to) in [(1, Some(0)), (2, Some(0)), (40, Some(3))] {
        let mut guard = Guard::new(&certified, 0.05).unwrap();
        assert_eq!(guard.rung(), Some(4));
        let tightened = (0..100_000).find_map(|at| guard.observe(at % every == 0)).unwrap();
        assert_eq!((tightened.from, tightened.to, guard.rung()), (4, to, to), "{every}: {tightened:?}");
        assert!(tightened.found.level >= 1.0 && tightened.suspected > 0.01);
        assert_eq!(guard.audit().losses().of, 0, "the audit starts anew");
    }
}

#[test]
fn at_last_nothing_exits() {
    let mut guard = Guard::resume(&certified(), 0.05, Some(1)).unwrap();
    let rungs: Vec<Option<usize>> =
        (0..1000).filter_map(|_| guard.observe(true)).map(|tightened| tightened.to).collect();
    assert_eq!(rungs, [Some(0), None]);
    assert_eq!((guard.rung(), guard.observe(true)), (None, None));
    assert_eq!(Guard::resume(&certified(), 0.05, Some(99)).unwrap().rung(), Some(4));
    assert!(Guard::new(&certified(), 0.0).is_err());
}

#[test]
fn every_rung_has_its_part_of_the_budget() {
    let certified = certified();
    let guard = Guard::new(&certified, 0.05).unwrap();
    let alone = Audit::new(certified.promise(), 0.01).unwrap();
    assert_eq!(guard.audit(), &alone);
    assert_eq!(guard.delay(0.03, 0), alone.delay(0.03, 0));
    assert!(guard.delay(0.03, 1000).unwrap().mean > guard.delay(0.03, 0).unwrap().mean);
}

#[test]
fn caution_goes_one_rung_and_never_closes() {
    let mut guard = Guard::new(&certified(), 0.05).unwrap();
    guard.observe(true);
    let rungs: Vec<_> = (0..6).filter_map(|_| guard.caution()).map(|step| (step.from, step.to)).collect();
    assert_eq!(rungs, [(4, Some(3)), (3, Some(2)), (2, Some(1)), (1, Some(0))]);
    assert_eq!((guard.rung(), guard.audit().losses().of), (Some(0), 0));
}
