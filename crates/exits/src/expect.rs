//! What to expect of thresholds: who answers, at what cost, with what risk.

use crate::binomial::{lower_limit, upper_limit};
use crate::{Costs, Outcomes, Thresholds};
use kerf_agreement::{Interval, Share};
use serde::{Deserialize, Serialize};

/// Figures of one vector of thresholds on one set of requests, where every open head is asked in turn until
/// one answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Every exit in order, closed ones too.
    pub exits: Vec<ExitFigures>,
    /// Requests that some exit answered.
    pub answered: Share,
    /// Requests answered wrongly by the exit that answered them. Never more than `risk`.
    pub wrong: Share,
    /// Requests for which some open head is confident and wrong, whether or not an earlier one answers:
    /// what is promised, since a policy may skip heads.
    pub risk: Share,
    /// Mean cost of a request, in the unit of the costs, asked heads included.
    pub cost: f64,
    /// Of finishing without exits.
    pub whole: f64,
}

/// Figures of one exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitFigures {
    /// Requests that no earlier exit answered.
    pub reached: u64,
    /// Those of them that this one answers.
    pub answered: u64,
    /// Those of them that it answers wrongly.
    pub wrong: u64,
}

/// A point of a risk-coverage curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The share of requests that are answered.
    pub coverage: f64,
    /// The share of wrong ones among those answered.
    pub risk: f64,
    /// The least confidence among them.
    pub threshold: f64,
}

/// Why nothing can be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpectError {
    /// They are not about the same exits. Costs may be of fewer where the other exits are closed.
    #[error(
        "outcomes of {outcomes} exits, {thresholds} thresholds, costs of {costs}: expected as many of each"
    )]
    Exits {
        /// Exits of the outcomes.
        outcomes: usize,
        /// Thresholds.
        thresholds: usize,
        /// Exits of the costs.
        costs: usize,
    },
    /// There are no requests.
    #[error("no outcomes")]
    Empty,
    /// There are no costs.
    #[error("no costs")]
    NoCosts,
}

impl ExitFigures {
    /// How likely a request that comes here is answered here, earlier heads having failed.
    pub fn share(&self) -> Share {
        Share { same: self.answered, of: self.reached }
    }
}

impl Expectation {
    /// The part of the cost without exits that is saved; negative where heads cost more than they save.
    pub fn saved(&self) -> f64 {
        self.saved_of(self.whole)
    }

    /// The part that is saved of what requests would cost otherwise.
    pub fn saved_of(&self, otherwise: f64) -> f64 {
        if otherwise > 0.0 { 1.0 - self.cost / otherwise } else { 0.0 }
    }

    /// Where the true risk lies, two-sided and exact, at this confidence. Holds for thresholds that were
    /// not chosen on these requests.
    pub fn risk_interval(&self, confidence: f64) -> Interval {
        let tail = (1.0 - confidence.clamp(0.0, 1.0)) / 2.0;
        Interval {
            low: lower_limit(self.risk.same, self.risk.of, tail),
            high: upper_limit(self.risk.same, self.risk.of, tail),
        }
    }
}

/// Figures of `thresholds` on these requests.
pub fn expect(
    outcomes: &Outcomes,
    thresholds: &Thresholds,
    costs: &Costs,
) -> Result<Expectation, ExpectError> {
    let exits = outcomes.exits();
    let is_beyond = || (costs.exits()..exits).any(|exit| thresholds.is_open(exit));
    if exits != thresholds.len() || exits < costs.exits() || is_beyond() {
        return Err(ExpectError::Exits {
            outcomes: exits,
            thresholds: thresholds.len(),
            costs: costs.exits(),
        });
    }
    if outcomes.is_empty() {
        return Err(ExpectError::Empty);
    }
    let figures = figures(outcomes, thresholds);
    let of = outcomes.len() as u64;
    let (mut cost, mut asked) = (0.0, 0.0);
    let open = figures.iter().enumerate().filter(|(exit, _)| thresholds.is_open(*exit));
    for (exit, figures) in open {
        asked += costs.head(exit);
        cost += figures.answered as f64 * (costs.to_exit(exit) + asked);
        asked += costs.cut(exit);
    }
    let answered: u64 = figures.iter().map(|exit| exit.answered).sum();
    let wrong: u64 = figures.iter().map(|exit| exit.wrong).sum();
    cost += (of - answered) as f64 * (costs.whole() + asked);
    Ok(Expectation {
        exits: figures,
        answered: Share { same: answered, of },
        wrong: Share { same: wrong, of },
        risk: Share { same: outcomes.losses(thresholds), of },
        cost: cost / of as f64,
        whole: costs.whole(),
    })
}

/// Who comes to each exit, who is answered, who wrongly.
pub(crate) fn figures(outcomes: &Outcomes, thresholds: &Thresholds) -> Vec<ExitFigures> {
    let mut figures = vec![ExitFigures::default(); outcomes.exits()];
    for (by, (_, wrong)) in outcomes.answered_by(thresholds).zip(outcomes.rows()) {
        let asked = by.map_or(figures.len(), |by| by + 1);
        figures[..asked].iter_mut().for_each(|exit| exit.reached += 1);
        if let Some(by) = by {
            figures[by].answered += 1;
            figures[by].wrong += u64::from(wrong[by]);
        }
    }
    figures
}

/// The risk-coverage curve of one exit among the requests given, from the most confident on, with at most
/// `points` points. Equal confidences are one point; a head that could not say is never covered.
pub fn risk_coverage(
    outcomes: &Outcomes,
    exit: usize,
    requests: impl IntoIterator<Item = usize>,
    points: usize,
) -> Vec<Point> {
    let (mut all, mut answers) = (0usize, Vec::new());
    for outcome in requests.into_iter().filter_map(|request| outcomes.of(request, exit)) {
        all += 1;
        answers.extend(outcome.confidence.map(|confidence| (confidence, outcome.wrong)));
    }
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut covered, mut wrong) = (0usize, 0usize);
    let mut curve = Vec::new();
    for group in answers.chunk_by(|a, b| a.0 == b.0) {
        covered += group.len();
        wrong += group.iter().filter(|(_, wrong)| *wrong).count();
        let (coverage, risk) = (covered as f64 / all as f64, wrong as f64 / covered as f64);
        curve.push(Point { coverage, risk, threshold: group[0].0 });
    }
    thin(&curve, points)
}

/// At most `most` of them, evenly taken, the last one kept.
pub(crate) fn thin<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    if all.len() <= most || most == 0 {
        return all[..all.len().min(most)].to_vec();
    }
    (1..=most).map(|at| all[at * all.len() / most - 1].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn outcomes(rows: &[[(f64, bool); 2]]) -> Outcomes {
        let mut all = Outcomes::new(2).unwrap();
        for row in rows {
            all.push(&row.map(|(confidence, wrong)| Outcome { confidence: Some(confidence), wrong }))
                .unwrap();
        }
        all
    }

    #[test]
    fn shares_are_of_those_that_come() {
        let all = outcomes(&[
            [(0.9, false), (0.9, true)],
            [(0.9, true), (0.1, false)],
            [(0.1, false), (0.9, true)],
            [(0.1, true), (0.1, false)],
        ]);
        let costs = Costs::new(vec![10.0, 20.0], vec![1.0, 2.0], 100.0).unwrap();
        let open = |first, second| Thresholds::new(vec![first, second]).unwrap();
        let found = expect(&all, &open(Some(0.5), Some(0.5)), &costs).unwrap();
        let figures = |reached, answered, wrong| ExitFigures { reached, answered, wrong };
        assert_eq!(found.exits, [figures(4, 2, 1), figures(2, 1, 1)]);
        let share = |same| Share { same, of: 4 };
        assert_eq!((found.answered, found.wrong, found.risk), (share(3), share(2), share(3)));
        assert!((found.cost - (11.0 * 2.0 + 23.0 + 103.0) / 4.0).abs() < 1e-12);
        assert!((found.saved() - (1.0 - found.cost / 100.0)).abs() < 1e-12);
        // The closed head costs nothing.
        let found = expect(&all, &open(None, Some(0.5)), &costs).unwrap();
        assert!((found.cost - (22.0 * 2.0 + 102.0 * 2.0) / 4.0).abs() < 1e-12);
        // Cuts are paid by those that go on.
        let cuts = costs.clone().with_cuts(vec![4.0, 5.0]).unwrap();
        let found = expect(&all, &open(Some(0.5), Some(0.5)), &cuts).unwrap();
        assert!((found.cost - (11.0 * 2.0 + 27.0 + 112.0) / 4.0).abs() < 1e-12);
        assert!((found.saved_of(50.0) - (1.0 - found.cost / 50.0)).abs() < 1e-12);
        let closed = expect(&all, &Thresholds::closed(2), &costs).unwrap();
        assert_eq!((closed.cost, closed.saved(), closed.risk), (100.0, 0.0, share(0)));
    }

    #[test]
    fn nothing_to_expect() {
        let (none, costs) = (outcomes(&[]), Costs::new(vec![1.0], vec![0.0], 2.0).unwrap());
        let wrong = Err(ExpectError::Exits { outcomes: 2, thresholds: 2, costs: 1 });
        let open = |exit: usize| Thresholds::new((0..2).map(|at| (at == exit).then_some(0.5)).collect());
        assert_eq!(expect(&none, &open(1).unwrap(), &costs), wrong, "beyond where requests leave");
        let one = outcomes(&[[(0.9, false), (0.9, false)]]);
        assert_eq!(expect(&one, &open(0).unwrap(), &costs).unwrap().cost, 1.0);
        let costs = Costs::new(vec![1.0; 2], vec![0.0; 2], 2.0).unwrap();
        assert_eq!(expect(&none, &Thresholds::closed(2), &costs), Err(ExpectError::Empty));
    }

    #[test]
    fn curves() {
        let all = outcomes(&[
            [(0.9, false), (0.0, false)],
            [(0.8, true), (0.0, false)],
            [(0.8, false), (0.0, false)],
            [(0.1, true), (0.0, false)],
        ]);
        let curve = risk_coverage(&all, 0, 0..4, 100);
        let point = |coverage, risk, threshold| Point { coverage, risk, threshold };
        assert_eq!(curve, [point(0.25, 0.0, 0.9), point(0.75, 1.0 / 3.0, 0.8), point(1.0, 0.5, 0.1)]);
        assert_eq!(risk_coverage(&all, 0, 0..4, 2), [point(0.25, 0.0, 0.9), point(1.0, 0.5, 0.1)]);
        assert!(risk_coverage(&all, 0, 0..4, 0).is_empty() && risk_coverage(&all, 2, 0..4, 9).is_empty());
    }
}
