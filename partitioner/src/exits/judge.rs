//! Which exits are kept, and how far their promise goes.

use super::candidates::Candidates;
use super::collect::{Collected, Seen};
use super::heads::{Exit, wrong};
use super::route::Routes;
use crate::plan::Way;
use kerf_exits::{
    Calibration, Certified, Costs, Expectation, Outcome, Outcomes, Placement, Promise, Refusal, Reliability,
    Thresholds, certify, expect, place,
};

/// Everything that was found of the exits.
pub(crate) struct Judged {
    /// At every candidate place.
    pub(crate) exits: Vec<Exit>,
    /// Where requests go that no exit answers.
    pub(crate) costs: Costs,
    /// Of a request without exits, wherever that is the least.
    pub(crate) without: f64,
    /// In what costs are.
    pub(crate) unit: &'static str,
    /// What the planner makes of it with the exits that are served and without, where it was asked.
    pub(crate) ways: Option<Ways>,
    pub(crate) tune: Outcomes,
    pub(crate) calibrate: Outcomes,
    pub(crate) report: Option<Outcomes>,
    pub(crate) placement: Placement,
    /// Over all candidates; those that are not kept are closed.
    certified: Result<Certified, Refusal>,
}

/// Where requests go, as a plan has it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Ways {
    /// What shall be least, over which link.
    pub(crate) asked: String,
    pub(crate) without: Way,
    /// With the exits that are served; none where no promise is made.
    pub(crate) with: Option<Way>,
}

/// How an exit would answer, from thresholds on.
pub(crate) struct Rating {
    pub(crate) expected: Expectation,
    /// Answers that were right, with the exits and without, where there are labels.
    pub(crate) accuracy: Option<Accuracy>,
}

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Accuracy {
    pub(crate) with: u64,
    pub(crate) whole: u64,
    pub(crate) of: u64,
}

impl Judged {
    pub(crate) fn new(
        candidates: &Candidates,
        collected: &Collected,
        exits: Vec<Exit>,
        routes: &Routes<'_>,
        promise: &Promise,
    ) -> anyhow::Result<Self> {
        let costs = routes.costs(candidates, &exits)?;
        let outcomes = |seen: &Seen| outcomes(candidates, seen, &exits, promise);
        let (tune, calibrate) = (outcomes(&collected.tune)?, outcomes(&collected.calibrate)?);
        let report = collected.report.as_ref().map(outcomes).transpose()?;
        let placement = place(&tune, &costs, promise)?;
        let (costs, without) = (costs[placement.route].clone(), placement.without);
        let plain = routes.way(candidates, None, promise)?;
        let mut certified = certify(&placement.path, &calibrate, promise);
        let mut with = None;
        if let Ok(found) = &certified {
            let loosest = found.loosest();
            with = routes.way(candidates, Some(loosest), promise)?;
            // The thresholds that carry the promise may be too strict to save anything.
            let saves = match (&plain, &with) {
                (Some(plain), Some(with)) => with.expected < plain.expected,
                _ => expect(&calibrate, &loosest.thresholds, &costs)?.saved_of(without) > 0.0,
            };
            if !saves {
                (certified, with) = (Err(Refusal::NoExit), None);
            }
        }
        let ways =
            plain.zip(routes.asked()).map(|(without, asked)| Ways { asked: asked.to_owned(), without, with });
        let unit = routes.unit();
        Ok(Self { exits, costs, without, unit, ways, tune, calibrate, report, placement, certified })
    }

    pub(crate) fn certified(&self) -> Result<&Certified, &Refusal> {
        self.certified.as_ref()
    }

    /// Which exits the served thresholds leave open.
    pub(crate) fn open(&self) -> Vec<usize> {
        let Ok(certified) = &self.certified else { return Vec::new() };
        (0..self.exits.len()).filter(|exit| certified.loosest().thresholds.is_open(*exit)).collect()
    }

    /// What thresholds come to on a set.
    pub(crate) fn rate(
        &self,
        candidates: &Candidates,
        seen: &Seen,
        outcomes: &Outcomes,
        thresholds: &Thresholds,
    ) -> anyhow::Result<Rating> {
        let expected = expect(outcomes, thresholds, &self.costs)?;
        let accuracy = match &seen.labels {
            Some(labels) => Some(self.accuracy(candidates, seen, outcomes, thresholds, labels)?),
            None => None,
        };
        Ok(Rating { expected, accuracy })
    }

    fn accuracy(
        &self,
        candidates: &Candidates,
        seen: &Seen,
        outcomes: &Outcomes,
        thresholds: &Thresholds,
        labels: &[u32],
    ) -> anyhow::Result<Accuracy> {
        let whole = seen.classes();
        let mut answers = whole.clone();
        // From the last exit to the first: the earliest that is sure has the word.
        for (at, exit) in self.exits.iter().enumerate().rev().filter(|(at, _)| thresholds.is_open(*at)) {
            let scores = exit.scores(seen, at, candidates.kind)?;
            for (row, scores) in scores.chunks_exact(candidates.classes).enumerate() {
                let sure = outcomes.of(row, at).and_then(|outcome| outcome.confidence);
                let sure = sure.is_some_and(|confidence| thresholds.admits(at, confidence));
                if let Some(said) = exit.gate.judge(scores).filter(|_| sure) {
                    answers[row] = said.class;
                }
            }
        }
        let right =
            |answers: &[u32]| answers.iter().zip(labels).filter(|(answer, label)| answer == label).count();
        Ok(Accuracy { with: right(&answers) as u64, whole: right(&whole) as u64, of: labels.len() as u64 })
    }

    /// How likely an exit's answer agrees, by its confidence: from the tuning set.
    pub(crate) fn calibration(&self, exit: usize) -> Option<Calibration> {
        Calibration::fit(&self.tune, exit, self.survivors(&self.tune, exit)).ok()
    }

    /// How far confidences may be believed, on the calibration set.
    pub(crate) fn reliability(&self, exit: usize) -> Reliability {
        let calibration = self.calibration(exit);
        let right = |confidence: f64| calibration.as_ref().map_or(confidence, |it| it.right(confidence));
        Reliability::of(&self.calibrate, exit, self.survivors(&self.calibrate, exit), 10, right)
    }

    /// Requests of a set that come to an exit, by the thresholds that would be served.
    pub(crate) fn survivors(&self, outcomes: &Outcomes, exit: usize) -> Vec<usize> {
        let closed = Thresholds::closed(outcomes.exits());
        let thresholds = self.certified.as_ref().map_or(&closed, |certified| &certified.loosest().thresholds);
        outcomes.survivors(thresholds, exit).collect()
    }
}

fn outcomes(
    candidates: &Candidates,
    seen: &Seen,
    exits: &[Exit],
    promise: &Promise,
) -> anyhow::Result<Outcomes> {
    let mut columns = Vec::new();
    for (at, exit) in exits.iter().enumerate() {
        let scores = exit.scores(seen, at, candidates.kind)?;
        let wrong = wrong(seen, &scores, &exit.gate, candidates.classes, promise)?;
        let rows = scores.chunks_exact(candidates.classes);
        let confidences = rows.map(|row| exit.gate.judge(row).map(|said| said.confidence));
        let column = confidences.zip(wrong).map(|(confidence, wrong)| Outcome { confidence, wrong });
        columns.push(column.collect::<Vec<_>>());
    }
    let mut outcomes = Outcomes::new(exits.len())?;
    for row in 0..seen.rows() {
        outcomes.push(&columns.iter().map(|column| column[row]).collect::<Vec<_>>())?;
    }
    Ok(outcomes)
}
