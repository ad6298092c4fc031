//! How well confidences tell right answers from wrong ones, whatever their scale.

/// The area under the risk-coverage curve: the mean over all coverages of the share of errors among the
/// requests that are that much the most confident. Equal confidences count as if shuffled. `None` of
/// nothing. Each pair is a confidence and whether the answer was wrong.
pub fn aurc(answers: &[(f64, bool)]) -> Option<f64> {
    let (mut before, mut errors, mut area) = (0usize, 0.0, 0.0);
    for group in ranked(answers).chunk_by(is_equal) {
        let (size, wrong) = (group.len(), group.iter().filter(|(_, wrong)| *wrong).count() as f64);
        for at in 1..=size {
            area += (errors + wrong * at as f64 / size as f64) / (before + at) as f64;
        }
        (before, errors) = (before + size, errors + wrong);
    }
    (before > 0).then(|| area / before as f64)
}

/// The share of pairs of a right and a wrong answer in which the right one is the more confident; half
/// for equals. `None` where there is no such pair.
pub fn auroc(answers: &[(f64, bool)]) -> Option<f64> {
    let (mut wrong, mut right, mut won) = (0.0, 0.0, 0.0);
    for group in ranked(answers).chunk_by(is_equal) {
        let lost = group.iter().filter(|(_, wrong)| *wrong).count() as f64;
        let held = group.len() as f64 - lost;
        // Those before are more confident: each right one among them beats each wrong one here.
        won += lost * (right + held / 2.0);
        (wrong, right) = (wrong + lost, right + held);
    }
    (wrong > 0.0 && right > 0.0).then(|| won / (wrong * right))
}

/// The most confident first.
fn ranked(answers: &[(f64, bool)]) -> Vec<(f64, bool)> {
    let mut sorted = answers.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    sorted
}

fn is_equal(a: &(f64, bool), b: &(f64, bool)) -> bool {
    a.0 == b.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas() {
        const R: bool = false;
        const W: bool = true;
        for (answers, area, pairs) in [
            (&[][..], None, None),
            (&[(0.9, R), (0.8, R)][..], Some(0.0), None),
            (&[(0.9, W)], Some(1.0), None),
            // Risks 0, 0, 1/3.
            (&[(0.9, R), (0.8, R), (0.1, W)], Some(1.0 / 9.0), Some(1.0)),
            // Risks 1, 1/2, 1/3.
            (&[(0.1, R), (0.2, R), (0.9, W)], Some(11.0 / 18.0), Some(0.0)),
            // All alike: a third is wrong wherever one stops.
            (&[(0.5, R), (0.5, W), (0.5, R)], Some(1.0 / 3.0), Some(0.5)),
            (&[(0.9, R), (0.5, W), (0.5, R), (0.1, W)], Some((0.25 + 1.0 / 3.0 + 0.5) / 4.0), Some(0.875)),
        ] {
            let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a == b,
            };
            assert!(close(aurc(answers), area), "{answers:?}: {:?}", aurc(answers));
            assert!(close(auroc(answers), pairs), "{answers:?}: {:?}", auroc(answers));
        }
    }
}
