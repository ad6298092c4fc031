use super::*;
use crate::{Loss, Outcome};
use proptest::prelude::*;

fn promise(risk: f64) -> Promise {
    Promise::new(risk, 0.95, Loss::Disagreement).unwrap()
}

fn one(least: f64) -> Thresholds {
    Thresholds::new(vec![Some(least)]).unwrap()
}

/// Confidences from 1 down to 0 in even steps, wrong at these places.
fn calibration(inputs: usize, wrong: &[usize]) -> Outcomes {
    let mut outcomes = Outcomes::new(1).unwrap();
    for at in 0..inputs {
        let confidence = Some(1.0 - at as f64 / inputs as f64);
        outcomes.push(&[Outcome { confidence, wrong: wrong.contains(&at) }]).unwrap();
    }
    outcomes
}

fn path() -> Vec<Thresholds> {
    [0.9, 0.7, 0.5, 0.3, 0.1].map(one).to_vec()
}

#[test]
fn the_last_vector_that_passes() {
    // 473 inputs carry one error at 1% and 95%, 472 none but no more: their places decide.
    for (inputs, wrong, least, errors) in [
        (299, vec![], 0.1, 0),
        (472, vec![250], 0.5, 0),
        (473, vec![250], 0.1, 1),
        (473, vec![250, 400], 0.3, 1),
        (628, vec![250, 400], 0.1, 2),
        (1000, vec![0, 1, 2, 3, 4], 0.1, 4),
    ] {
        let wrong = if inputs == 1000 { vec![0, 400, 500, 600] } else { wrong };
        let found = certify(&path(), &calibration(inputs, &wrong), &promise(0.01)).unwrap();
        let loosest = found.loosest();
        assert_eq!((loosest.thresholds.of(0), loosest.errors), (Some(least), errors), "{inputs}, {wrong:?}");
        assert!(loosest.upper <= 0.01, "{inputs}: {}", loosest.upper);
        assert_eq!(found.inputs(), inputs as u64);
    }
}

#[test]
fn refusals_say_what_would_help() {
    let words = |inputs, wrong: &[usize], risk: f64| {
        let error = certify(&path(), &calibration(inputs, wrong), &promise(risk)).unwrap_err();
        (error.needed(), error.to_string())
    };
    let (needed, text) = words(250, &[], 0.01);
    assert_eq!(needed, Some(299));
    assert_eq!(
        text,
        "1% at 95% needs 299 calibration inputs even if not one shows an error; there are 250, which carry \
         1.19% at most"
    );
    let (needed, text) = words(0, &[], 0.01);
    assert_eq!(needed, Some(299));
    assert!(text.ends_with("there are 0, which carry 100% at most"), "{text}");
    let (needed, text) = words(400, &[0, 1], 0.01);
    assert_eq!(needed, Some(1182), "{text}");
    assert_eq!(
        text,
        "1% at 95%: even at the strictest thresholds 2 of 400 calibration inputs are answered wrongly with \
         confidence, which carries 1.57%; at this rate about 1182 inputs are needed"
    );
    let (needed, text) = words(400, &[0, 1, 2, 3], 0.01);
    assert_eq!(needed, None);
    assert!(text.contains("4 of 400") && text.contains("more inputs would not help"), "{text}");
    // The counts that are named do.
    for (inputs, wrong, risk) in [(400usize, 2usize, 0.01), (80, 1, 0.05), (3000, 1, 0.001)] {
        let needed = words(inputs, &(0..wrong).collect::<Vec<_>>(), risk).0.unwrap() as usize;
        let rate = wrong as f64 / inputs as f64;
        let errors: Vec<usize> = (0..(rate * needed as f64).ceil() as usize).collect();
        let found = certify(&path(), &calibration(needed, &errors), &promise(risk));
        assert!(found.is_ok(), "{inputs}: {needed} {found:?}");
    }
}

#[test]
fn paths_that_are_none() {
    let calibration = calibration(400, &[]);
    let of = |path: &[Thresholds]| certify(path, &calibration, &promise(0.01));
    assert_eq!(of(&[]), Err(Refusal::NoExit));
    assert_eq!(of(&[one(0.5), one(0.6)]), Err(Refusal::NotNested { at: 1 }));
    let error = of(&[one(0.5), Thresholds::closed(2)]).unwrap_err();
    assert_eq!(error.to_string(), "vector 1 of the path has 2 thresholds, the outcomes are of 1 exits");
}

#[test]
fn rungs_halve() {
    let wrong: Vec<usize> = (0..2500).step_by(140).collect();
    let path: Vec<Thresholds> = (1..100).rev().map(|at| one(f64::from(at) / 100.0)).collect();
    let found = certify(&path, &calibration(2500, &wrong), &promise(0.01)).unwrap();
    let errors: Vec<u64> = found.rungs().iter().map(|rung| rung.errors).collect();
    assert_eq!(errors, [1, 2, 4, 8, 16]);
    // Where there are no errors, answers do.
    let found = certify(&path, &calibration(1000, &[]), &promise(0.01)).unwrap();
    let answered: Vec<u64> = found.rungs().iter().map(Rung::answered).collect();
    assert_eq!(answered, [21, 51, 111, 241, 491, 991]);
    assert!(found.rungs().iter().all(|rung| rung.exits[0].reached == 1000 && rung.exits[0].wrong == 0));
}

#[test]
fn certificates_in_files() {
    let wrong: Vec<usize> = (0..2500).step_by(140).collect();
    let found = certify(&path(), &calibration(2500, &wrong), &promise(0.01)).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Certified>(&text).unwrap(), found);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (at, odd, why) in [
        ("/rungs", serde_json::json!([]), "0 rungs"),
        ("/inputs", 100.into(), "do not carry the promise"),
        ("/inputs", 2501.into(), "answer more requests than come"),
        ("/rungs/0/errors", 900.into(), "do not carry the promise"),
        ("/rungs/0/upper", 1.5.into(), "no share"),
        ("/rungs/0/exits", serde_json::json!([]), "as many figures as thresholds"),
        ("/rungs/0/exits/0/answered", 2501.into(), "answer more requests than come"),
        ("/rungs/0/thresholds", serde_json::json!([0.01]), "admits what the next one does not"),
        ("/rungs/0/thresholds", serde_json::json!([1.01]), "threshold 1.01"),
        ("/promise/risk", 0.0.into(), "risk 0"),
    ] {
        let mut broken = value.clone();
        *broken.pointer_mut(at).unwrap() = odd;
        let error = serde_json::from_value::<Certified>(broken).unwrap_err().to_string();
        assert!(error.contains(why), "{at}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// By search what a walk from the strictest vector on finds.
    #[test]
    fn the_search_is_the_sequence(
        rows in prop::collection::vec((0u8..20, any::<bool>(), 0u8..20, prop::bool::weighted(0.1)), 1..300),
        steps in prop::collection::vec((0u8..3, 0u8..3), 1..12),
    ) {
        let mut calibration = Outcomes::new(2).unwrap();
        let outcome = |said: u8, wrong| Outcome { confidence: (said > 0).then_some(f64::from(said) / 20.0), wrong };
        for (first, one, second, other) in rows {
            calibration.push(&[outcome(first, one && other), outcome(second, other)]).unwrap();
        }
        let mut at = (21u8, 21u8);
        let path: Vec<Thresholds> = steps
            .into_iter()
            .map(|step| {
                at = (at.0.saturating_sub(step.0), at.1.saturating_sub(step.1));
                let threshold = |at: u8| (at <= 20).then_some(f64::from(at) / 20.0);
                Thresholds::new(vec![threshold(at.0), threshold(at.1)]).unwrap()
            })
            .collect();
        let promise = promise(0.1);
        let tail = |thresholds: &&Thresholds| {
            binomial::at_most(calibration.losses(thresholds), calibration.len() as u64, promise.risk())
        };
        let walked = path.iter().take_while(|thresholds| tail(thresholds) <= 1.0 - 0.95).last();
        match certify(&path, &calibration, &promise) {
            Ok(found) => prop_assert_eq!(Some(&found.loosest().thresholds), walked),
            Err(refusal) => {
                prop_assert!(walked.is_none());
                let is_too_few = calibration.len() < 29;
                prop_assert_eq!(matches!(refusal, Refusal::TooFew { .. }), is_too_few, "{}", refusal);
            }
        }
    }
}
