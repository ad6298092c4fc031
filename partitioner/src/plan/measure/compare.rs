//! Predicted against measured, part by part.

use super::nodes::Setting;
use crate::plan::report::{Choice, Stage};
use crate::print::{self, Align, Paint, Table, elide};
use kerf_planner::{MESSAGE, PACKETS};
use kerf_profile::Profile;
use serde::Serialize;
use std::fmt::Write as _;

/// Parts that take less, in seconds, do not count in the error: a scheduler's tick is longer.
const COUNTS_FROM: f64 = 1e-3;
/// What predictions shall keep: median and 90th percentile of the relative error.
const ACCURATE: (f64, f64) = (0.10, 0.20);

/// What one request took, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// From the edge's sending to the answer's being there, less what the cloud says that it took.
    pub(super) network: f64,
    /// The cloud's computing.
    pub(super) cloud: f64,
    /// From the application's request to its answer.
    pub(super) total: f64,
    /// Bytes of tensors that left the edge.
    pub(super) sent: f64,
}

/// Everything that was run.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// What lay between the nodes.
    pub(crate) link: String,
    pub(crate) choices: Vec<Compared>,
    /// Packets that the link's queue had no room for.
    pub(crate) lost: u64,
    /// Requests that do not count, since other programs held the processors meanwhile.
    pub(crate) disturbed: usize,
    pub(crate) notes: Vec<String>,
}

/// One choice.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    /// Index among the report's choices.
    choice: usize,
    name: String,
    requests: usize,
    /// Computing there, with preprocessing and what comes and goes over HTTP.
    edge: Pair,
    /// The link, packets, and the nodes' handling of them.
    network: Pair,
    cloud: Pair,
    total: Pair,
    sent: Sent,
}

/// Seconds; the measured ones are means of the middle four fifths: pictures differ in size, and a
/// machine that is busy for a moment shall not count.
#[derive(Clone, Copy, Debug, Serialize)]
struct Pair {
    predicted_s: f64,
    measured_s: f64,
}

/// Bytes of tensors that leave the edge, without what packets and messages add; the measured ones are
/// the middle of the requests, as times are.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sent {
    predicted: f64,
    measured: f64,
}

/// Relative errors |predicted − measured| / measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Errors {
    /// How many figures.
    pub(crate) of: usize,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Compared {
    pub(super) fn new(index: usize, choice: &Choice, seen: &[Seen]) -> Self {
        // A sum of nothing is −0.
        let predicted = |stages: &[Stage]| stages.iter().fold(0.0, |sum, stage| sum + choice.of(*stage));
        let pair = |stages: &[Stage], of: &dyn Fn(&Seen) -> f64| Pair {
            predicted_s: predicted(stages),
            measured_s: middle(seen.iter().map(of).collect()),
        };
        Self {
            choice: index,
            name: choice.name.clone(),
            requests: seen.len(),
            edge: pair(&[Stage::Edge, Stage::Encode], &|seen| seen.total - seen.network - seen.cloud),
            network: pair(&[Stage::Up, Stage::Down], &|seen| seen.network),
            cloud: pair(&[Stage::Queue, Stage::Decode, Stage::Cloud], &|seen| seen.cloud),
            total: pair(&Stage::ALL, &|seen| seen.total),
            sent: Sent {
                predicted: (choice.bytes_up / PACKETS - MESSAGE).max(0.0),
                measured: middle(seen.iter().map(|seen| seen.sent).collect()),
            },
        }
    }

    fn parts(&self) -> [Pair; 3] {
        [self.edge, self.network, self.cloud]
    }
}

impl Pair {
    fn error(&self) -> f64 {
        self.predicted_s / self.measured_s - 1.0
    }

    fn counts(&self) -> bool {
        self.predicted_s.max(self.measured_s) >= COUNTS_FROM && self.measured_s > 0.0
    }
}

impl Errors {
    fn of(pairs: impl Iterator<Item = Pair>) -> Option<Self> {
        let mut errors: Vec<f64> = pairs.filter(Pair::counts).map(|pair| pair.error().abs()).collect();
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| errors.get((errors.len() as f64 * share) as usize).copied();
        Some(Self { of: errors.len(), median: at(0.5)?, p90: at(0.9)? })
    }

    fn is_accurate(&self) -> bool {
        self.median <= ACCURATE.0 && self.p90 <= ACCURATE.1
    }

    fn text(&self, what: &str) -> String {
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        format!(
            "{what}: median error {}, p90 {} ({} figures)",
            percent(self.median),
            percent(self.p90),
            self.of
        )
    }
}

impl Measured {
    pub(super) fn new(setting: &Setting, profiles: [&Profile; 2]) -> Self {
        let (up, down) = (&setting.link.up, &setting.link.down);
        let link = format!(
            "emulated link: {} up, {} down, {} round trip, {} of queue up",
            print::rate(up.rate() * 8.0),
            print::rate(down.rate() * 8.0),
            print::plain(&print::seconds((up.delay() + down.delay()).as_secs_f64())),
            print::plain(&print::bytes(up.queue())),
        );
        let here = kerf_profiler::device();
        let mut notes = vec![format!(
            "both nodes ran on this machine, {}, and so did the link and the application; one request at a time, each after 100 ms without work",
            here.host
        )];
        for (role, profile) in ["edge", "cloud"].into_iter().zip(profiles) {
            if (&profile.device.host, &profile.device.cpu) != (&here.host, &here.cpu) {
                notes.push(format!(
                    "the {role}'s profile is of {} ({}): its computing is not what is measured here",
                    profile.device.host, profile.device.cpu
                ));
            }
        }
        Self { link, choices: Vec::new(), lost: 0, disturbed: 0, notes }
    }

    /// Of whole requests.
    pub(crate) fn totals(&self) -> Option<Errors> {
        Errors::of(self.choices.iter().map(|choice| choice.total))
    }

    /// Of their parts.
    pub(crate) fn parts(&self) -> Option<Errors> {
        Errors::of(self.choices.iter().flat_map(Compared::parts))
    }

    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut table = Table::new(&[
            ("choice", Align::Left),
            ("edge", Align::Right),
            ("network", Align::Right),
            ("cloud", Align::Right),
            ("total", Align::Right),
            ("off by", Align::Right),
            ("requests", Align::Right),
        ]);
        for choice in &self.choices {
            let cells = choice.parts().into_iter().chain([choice.total]).map(both);
            table.row(
                [elide(&choice.name, 40)]
                    .into_iter()
                    .chain(cells)
                    .chain([format!("{:+.1}%", 100.0 * choice.total.error()), choice.requests.to_string()]),
            );
        }
        let mut out = format!("\n{}\n", paint.bold("Predicted → measured"));
        out.push_str(&table.render(paint));
        for (what, errors) in [("whole requests", self.totals()), ("parts of 1 ms or more", self.parts())] {
            let Some(errors) = errors else { continue };
            let text = errors.text(what);
            let _ = writeln!(
                out,
                "  {}",
                if errors.is_accurate() { paint.good(&text) } else { paint.bad(&text) }
            );
        }
        let lost = if self.lost > 0 {
            format!("; {} packets found its queue full", self.lost)
        } else {
            String::new()
        };
        let _ = writeln!(out, "  note      {}{lost}", self.link);
        if self.disturbed > 0 {
            let count = self.disturbed;
            let _ = writeln!(
                out,
                "  note      {count} requests do not count: other programs held the processors meanwhile"
            );
        }
        for note in &self.notes {
            let _ = writeln!(out, "  note      {note}");
        }
        out
    }
}

fn both(pair: Pair) -> String {
    if pair.predicted_s == 0.0 && pair.measured_s < COUNTS_FROM {
        return "–".into();
    }
    format!("{} → {}", print::seconds(pair.predicted_s), print::seconds(pair.measured_s))
}

/// Mean without the lowest and the highest tenth; 0 of nothing.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let cut = values.len().div_ceil(10).min(values.len().saturating_sub(1) / 2);
    let kept = &values[cut..values.len() - cut];
    kept.iter().sum::<f64>() / kept.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::report::Part;

    #[test]
    fn the_ends_do_not_count() {
        for (values, wanted) in [
            (vec![], 0.0),
            (vec![3.0], 3.0),
            (vec![4.0, 1.0], 2.5),
            (vec![9.0, 1.0, 2.0], 2.0),
            (vec![0.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 100.0], 2.0),
        ] {
            assert_eq!(middle(values), wanted);
        }
    }

    #[test]
    fn errors_leave_out_what_is_too_short_to_measure() {
        let pair = |predicted_s, measured_s| Pair { predicted_s, measured_s };
        assert_eq!(Errors::of([pair(0.0, 1e-4)].into_iter()), None);
        let errors = Errors::of([pair(1e-4, 9e-4), pair(0.09, 0.1), pair(0.3, 0.2)].into_iter()).unwrap();
        assert_eq!(errors.of, 2);
        assert!((errors.median - 0.5).abs() < 1e-9, "{errors:?}");
        assert!(!errors.is_accurate());
    }

    #[test]
    fn what_is_neither_network_nor_cloud_is_the_edge() {
        let part = |stage, seconds| Part { stage, seconds };
        let choice = Choice {
            name: "b3".into(),
            split: 3,
            route: Vec::new(),
            payload: "raw".into(),
            parts: vec![
                part(Stage::Edge, 0.01),
                part(Stage::Up, 0.03),
                part(Stage::Decode, 0.001),
                part(Stage::Cloud, 0.002),
                part(Stage::Down, 0.02),
            ],
            p50_s: 0.063,
            p95_s: 0.063,
            bytes_up: 1e4,
            bytes_down: 1e2,
            joules: None,
            money: None,
            agreement: 1.0,
            objective: 0.063,
            timed: true,
            on_front: true,
            is_baseline: false,
            breaks: Vec::new(),
        };
        let seen = Seen { network: 0.038, cloud: 0.002, total: 0.050, sent: 0.0 };
        let compared = Compared::new(0, &choice, &[seen; 3]);
        assert!((compared.edge.measured_s - 0.010).abs() < 1e-12);
        let parts: f64 = compared.parts().iter().map(|pair| pair.predicted_s).sum();
        assert!((parts - compared.total.predicted_s).abs() < 1e-12);
    }
}
