use super::*;

fn outcome(confidence: f64, wrong: bool) -> Outcome {
    Outcome { confidence: (confidence >= 0.0).then_some(confidence), wrong }
}

fn outcomes(rows: &[&[(f64, bool)]]) -> Outcomes {
    let mut all = Outcomes::new(rows.first().map_or(0, |row| row.len())).unwrap();
    for row in rows {
        all.push(&row.iter().map(|(confidence, wrong)| outcome(*confidence, *wrong)).collect::<Vec<_>>())
            .unwrap();
    }
    all
}

#[test]
fn any_head_that_is_confident_and_wrong_is_one_loss() {
    let all = outcomes(&[
        &[(0.9, false), (0.9, true)],
        &[(0.9, true), (0.9, true)],
        &[(0.2, true), (0.9, false)],
        &[(-1.0, true), (0.3, true)],
    ]);
    for (thresholds, losses, survivors) in [
        ([None, None], 0, vec![0, 1, 2, 3]),
        ([Some(0.5), None], 1, vec![2, 3]),
        // The first request is lost though its first head was right: a policy may skip that head.
        ([Some(0.5), Some(0.5)], 2, vec![2, 3]),
        ([Some(0.0), Some(0.0)], 4, vec![3]),
    ] {
        let thresholds = Thresholds::new(thresholds.to_vec()).unwrap();
        assert_eq!(all.losses(&thresholds), losses, "{thresholds:?}");
        assert_eq!(all.survivors(&thresholds, 1).collect::<Vec<_>>(), survivors, "{thresholds:?}");
    }
    let second = Thresholds::new(vec![Some(0.5), Some(0.5)]).unwrap();
    assert_eq!(all.answered_by(&second).collect::<Vec<_>>(), [Some(0), Some(0), Some(1), None]);
    assert_eq!(all.survivors(&second, 2).collect::<Vec<_>>(), [3]);
    assert_eq!(all.of(3, 0), Some(outcome(-1.0, true)));
    assert_eq!((all.of(0, 2), all.of(4, 0), all.of(usize::MAX, 1)), (None, None, None));
}

#[test]
fn outcomes_that_are_none() {
    let mut all = Outcomes::new(2).unwrap();
    all.push(&[outcome(0.5, false), outcome(1.0, true)]).unwrap();
    assert_eq!(
        all.push(&[outcome(0.5, false)]),
        Err(OutcomesError::Length { request: 1, exits: 2, found: 1 })
    );
    let two = |value| [outcome(0.0, false), Outcome { confidence: Some(value), wrong: false }];
    for value in [1.5, -0.5, f64::INFINITY] {
        assert_eq!(all.push(&two(value)), Err(OutcomesError::Confidence { request: 1, exit: 1, value }));
    }
    assert!(matches!(all.push(&two(f64::NAN)), Err(OutcomesError::Confidence { .. })));
    assert_eq!(all.len(), 1);
    assert_eq!(Outcomes::new(65), Err(OutcomesError::TooMany(65)));
}

#[test]
fn losses_of_answers() {
    let heads = [Some(1), Some(2), None, Some(0)];
    let wholes = [1, 1, 1, 1];
    let labels = [1, 0, 2, 1];
    let wrong = |loss: Loss, labels| loss.wrong(&heads, &wholes, labels, 3);
    assert_eq!(wrong(Loss::Disagreement, None), Ok(vec![false, true, true, true]));
    // The second: the whole model is wrong as well, so nothing is lost.
    assert_eq!(wrong(Loss::ErrorIncrease, Some(&labels[..])), Ok(vec![false, false, true, true]));
    assert_eq!(wrong(Loss::ErrorIncrease, None), Err(LossError::NoLabels));
    assert_eq!(
        wrong(Loss::ErrorIncrease, Some(&labels[..3])),
        Err(LossError::Lengths { heads: 4, wholes: 4, labels: 3 })
    );
    let error = wrong(Loss::ErrorIncrease, Some(&[1, 0, 3, 1][..])).unwrap_err();
    assert_eq!(error.to_string(), "label 3 of request 2: the classes are 0 to 2");
    assert_eq!(
        Loss::Disagreement.wrong(&heads, &wholes[..2], None, 3),
        Err(LossError::Lengths { heads: 4, wholes: 2, labels: 2 })
    );
}

#[test]
fn classes_that_no_answer_names() {
    assert_eq!(unseen(&[3, 1, 1, 9], 5), [0, 2, 4]);
    assert_eq!(unseen(&[], 2), [0, 1]);
}
