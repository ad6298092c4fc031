//! A plan, and what it is made of.

use super::dist::Dist;
use super::problem::Problem;
use super::walk::Walk;

/// What one tier does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// Which tier.
    pub tier: usize,
    /// The boundary that it starts from.
    pub from: usize,
    /// The boundary that it gets to; `from`, on the first tier only, where it runs nothing.
    pub to: usize,
    /// What it passes on to the next stage's tier.
    pub ship: Option<Ship>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ship {
    /// Which boundary: the stage's `to`, or an earlier one that is cheaper to send after an exit
    /// between the two did not answer.
    pub boundary: usize,
    /// Which of the boundary's shipments.
    pub codec: usize,
}

/// Who does what, and what that comes to. Latency, energy, bytes and money are expected values per
/// request.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// From the first tier to the one that finishes; the tiers between that have no stage relay.
    pub stages: Vec<Stage>,
    /// What the objective makes of it; less is better.
    pub score: f64,
    /// Seconds, over all outcomes.
    pub latency: Dist,
    /// Each exit that may answer, and the end of the plan: how likely, and when.
    pub outcomes: Vec<Outcome>,
    /// Where the time goes, the way back last.
    pub parts: Vec<Part>,
    /// Joules of all tiers and links.
    pub energy: f64,
    /// Bytes sent upward, summed over the links that they cross.
    pub egress_bytes: f64,
    /// Units of currency.
    pub money: f64,
    /// Share of answers that equal the whole model's, at least: losses of exits and codecs add up.
    pub agreement: f64,
}

/// One way for a request to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The boundary of the head that answers; `None` at the end of the plan.
    pub exit: Option<usize>,
    /// How likely it is.
    pub probability: f64,
    /// Seconds until then.
    pub latency: Dist,
}

/// A piece of the latency. The means of all parts, each times its probability, add up to the mean
/// latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What takes the time.
    pub kind: PartKind,
    /// How likely a request gets there.
    pub probability: f64,
    /// Seconds, where one does.
    pub time: Dist,
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Waiting for a tier to begin.
    Queue {
        /// Which one.
        tier: usize,
    },
    /// A range.
    Compute {
        /// Where.
        tier: usize,
        /// From this boundary.
        from: usize,
        /// To this one.
        to: usize,
    },
    /// An exit head.
    Head {
        /// Where it is.
        boundary: usize,
    },
    /// Encoding a shipment.
    Encode {
        /// Where.
        tier: usize,
    },
    /// A request on a link.
    Up {
        /// Which one.
        link: usize,
    },
    /// Decoding a shipment.
    Decode {
        /// Where.
        tier: usize,
    },
    /// Encoding the result.
    EncodeResult {
        /// Where.
        tier: usize,
    },
    /// A result on a link.
    Back {
        /// Which one.
        link: usize,
    },
    /// Decoding the result on the first tier.
    DecodeResult,
}

impl Plan {
    /// What stages amount to; `None` where a tier cannot run its range.
    pub(super) fn new(problem: &Problem, stages: Vec<Stage>, score: impl Fn(&Plan) -> f64) -> Option<Self> {
        let Walk { totals, record, .. } = Walk::all(problem, &stages)?;
        let record = record.unwrap_or_default();
        let mut outcomes = record.exits;
        outcomes.push(Outcome { exit: None, probability: totals.reach, latency: totals.path() });
        let mut parts = record.parts;
        parts.extend(record.back.into_iter().rev());
        let mut plan = Self {
            stages,
            score: 0.0,
            latency: mixture(&outcomes),
            outcomes,
            parts,
            energy: totals.energy,
            egress_bytes: totals.bytes,
            money: totals.money,
            agreement: (1.0 - totals.loss).max(0.0),
        };
        plan.score = score(&plan);
        Some(plan)
    }

    /// How likely an answer is there in time: see [`Deadline`](super::Deadline).
    pub fn within(&self, seconds: f64) -> f64 {
        within(&self.outcomes, seconds)
    }

    /// The least time within which an answer is there that likely.
    pub fn quantile(&self, quantile: f64) -> f64 {
        time_within(&self.outcomes, quantile)
    }

    /// Expected seconds of the parts that `is_wanted`.
    pub fn seconds(&self, is_wanted: impl Fn(&PartKind) -> bool) -> f64 {
        self.parts
            .iter()
            .filter(|part| is_wanted(&part.kind))
            .map(|part| part.probability * part.time.mean)
            .sum()
    }

    /// The boundary and codec at which the request leaves the first tier, if it does.
    pub fn split(&self) -> Option<Ship> {
        self.stages.first().and_then(|stage| stage.ship)
    }
}

pub(super) fn within(outcomes: &[Outcome], seconds: f64) -> f64 {
    outcomes.iter().map(|outcome| outcome.probability * outcome.latency.within(seconds)).sum()
}

pub(super) fn time_within(outcomes: &[Outcome], quantile: f64) -> f64 {
    let ends = outcomes.iter().filter(|outcome| outcome.probability > 0.0);
    let mut high = ends.map(|outcome| outcome.latency.mean + 40.0 * outcome.latency.sd).fold(0.0, f64::max);
    let mut low = 0.0;
    // To the last bits of an f64.
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if within(outcomes, middle) >= quantile { high = middle } else { low = middle }
    }
    high
}

/// Mean and spread over all outcomes, by the law of total variance.
fn mixture(outcomes: &[Outcome]) -> Dist {
    let mean: f64 = outcomes.iter().map(|outcome| outcome.probability * outcome.latency.mean).sum();
    let variance = outcomes.iter().map(|Outcome { probability, latency, .. }| {
        probability * (latency.sd * latency.sd + (latency.mean - mean).powi(2))
    });
    Dist { mean, sd: variance.sum::<f64>().sqrt() }
}
