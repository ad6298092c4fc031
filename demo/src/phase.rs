//! What is counted while a phase plays.

use kerf_settings::Split;
use serde::Serialize;
use std::time::Duration;

/// One part of the demo: a split, and whether the cloud goes away meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) split: Split,
    /// Boundary that the split stands for.
    pub(crate) boundary: usize,
    pub(crate) unplug: bool,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Edge,
    Cloud,
    Fallback,
}

/// Counts of a phase.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) edge: u64,
    pub(crate) cloud: u64,
    pub(crate) fallback: u64,
    /// Answers whose image has a label, and those that named it.
    pub(crate) labelled: u64,
    pub(crate) right: u64,
    /// Answers that are the whole model's.
    pub(crate) agreed: u64,
    pub(crate) shipped_bytes: u64,
    latencies: Vec<Duration>,
}

/// A phase's figures, as they are written to JSON.
#[derive(Serialize)]
pub(crate) struct Figures {
    pub(crate) phase: String,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    /// Share of labelled images named rightly; `null` without labels.
    pub(crate) accuracy: Option<f64>,
    /// Share of answers equal to the whole model's.
    pub(crate) agreement: f64,
    pub(crate) by_edge: u64,
    pub(crate) by_cloud: u64,
    pub(crate) by_fallback: u64,
    /// Mean over all answers.
    pub(crate) shipped_bytes_per_answer: f64,
}

/// One answer, judged.
pub(crate) struct Sample {
    pub(crate) latency: Duration,
    pub(crate) maker: Maker,
    pub(crate) right: Option<bool>,
    pub(crate) agreed: bool,
    pub(crate) shipped_bytes: u64,
}

impl Phase {
    pub(crate) fn title(&self, last: usize) -> String {
        let route = match self.boundary {
            0 => "all in the cloud".to_owned(),
            b if b == last => "all on the edge".to_owned(),
            b => format!("split at b{b}"),
        };
        if self.unplug { format!("{route}, cloud unplugged") } else { route }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, sample: &Sample) {
        *match sample.maker {
            Maker::Edge => &mut self.edge,
            Maker::Cloud => &mut self.cloud,
            Maker::Fallback => &mut self.fallback,
        } += 1;
        self.labelled += u64::from(sample.right.is_some());
        self.right += u64::from(sample.right == Some(true));
        self.agreed += u64::from(sample.agreed);
        self.shipped_bytes += sample.shipped_bytes;
        self.latencies.push(sample.latency);
    }

    pub(crate) fn fail(&mut self, reason: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(reason);
    }

    pub(crate) fn answered(&self) -> u64 {
        self.latencies.len() as u64
    }

    pub(crate) fn figures(&self, phase: String) -> Figures {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let quantile = |q: f64| {
            let rank = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1));
            sorted.get(rank - 1).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        let share = |part: u64, of: u64| part as f64 / of as f64;
        Figures {
            phase,
            sent: self.sent,
            answered: self.answered(),
            failed: self.failed,
            p50_ms: quantile(0.50),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            accuracy: (self.labelled > 0).then(|| share(self.right, self.labelled)),
            agreement: share(self.agreed, self.answered()),
            by_edge: self.edge,
            by_cloud: self.cloud,
            by_fallback: self.fallback,
            shipped_bytes_per_answer: share(self.shipped_bytes, self.answered()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_samples() {
        let mut tally = Tally { sent: 101, ..Tally::default() };
        for millis in 1..=100 {
            tally.add(&Sample {
                latency: Duration::from_millis(millis),
                maker: if millis <= 30 { Maker::Fallback } else { Maker::Cloud },
                right: Some(millis % 2 == 0),
                agreed: true,
                shipped_bytes: 10,
            });
        }
        tally.fail("gone".into());
        let figures = tally.figures("x".into());
        assert_eq!((figures.p50_ms, figures.p95_ms, figures.p99_ms), (50.0, 95.0, 99.0));
        assert_eq!((figures.by_cloud, figures.by_fallback, figures.failed), (70, 30, 1));
        assert_eq!((figures.accuracy, figures.agreement), (Some(0.5), 1.0));
        assert!(Tally::default().figures("x".into()).p50_ms.is_nan());
    }
}
