//! What people see of a profile: heads and tails at each boundary, the slowest nodes, and how far
//! what was not timed may be off.

use super::Checked;
use crate::print::{Align, Paint, Table, bytes, duration, elide};
use kerf_profile::{Codec, Estimate, Predictor, Profile};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Nodes that the table shows.
const SLOWEST: usize = 10;
/// Standard deviations from the mean to the 90th percentile, where nothing was timed.
const P90: f64 = 1.28;

pub(super) struct Report<'a> {
    pub(super) profile: &'a Profile,
    pub(super) predictor: &'a Predictor,
    pub(super) checked: Option<&'a [Checked]>,
    pub(super) file: &'a Path,
}

impl Report<'_> {
    pub(super) fn render(&self, paint: Paint) -> String {
        let Profile { model, engine, device, .. } = self.profile;
        let mut out = format!(
            "{model} on {} ({} cores): {}, {} thread{}\n",
            device.cpu,
            device.cores,
            engine.version,
            engine.threads,
            if engine.threads == 1 { "" } else { "s" },
        );
        self.steadiness(&mut out);
        out.push('\n');
        self.boundaries(&mut out, paint);
        self.batches(&mut out, paint);
        self.layers(&mut out, paint);
        self.trust(&mut out, paint);
        out
    }

    fn steadiness(&self, out: &mut String) {
        let last = self.profile.last();
        let timed = self.profile.ranges.iter().filter(|range| range.batch == 1).count();
        let _ = write!(out, "{timed} of {} ranges timed", last * (last + 1) / 2);
        match self.profile.failed.len() {
            0 => {}
            failed => {
                let _ = write!(out, ", {failed} failed");
            }
        }
        if let Some(reference) = &self.profile.reference {
            let _ = write!(
                out,
                "; the machine took {:.2} to {:.2} of its median time, which is taken out",
                reference.fast, reference.slow
            );
        }
        if let Some(peak) = self.profile.peak_rss_bytes {
            let _ = write!(out, "; peak memory {} with all programs", bytes(peak));
        }
        out.push('\n');
    }

    fn boundaries(&self, out: &mut String, paint: Paint) {
        let last = self.profile.last();
        let mut table = Table::new(&[
            ("boundary", Align::Left),
            ("after node", Align::Left),
            ("bytes", Align::Right),
            ("head p50", Align::Right),
            ("p90", Align::Right),
            ("tail p50", Align::Right),
            ("p90", Align::Right),
            ("cut", Align::Right),
        ]);
        let whole = self.predictor.time(0, last).map(|time| time.p50);
        for (boundary, place) in self.profile.boundaries.iter().enumerate() {
            let (head, tail) = (self.times(0, boundary), self.times(boundary, last));
            let cost = match (self.predictor.time(0, boundary), self.predictor.time(boundary, last), whole) {
                (Some(head), Some(tail), Some(whole)) if whole > 0.0 && 0 < boundary && boundary < last => {
                    format!("x{:.3}", (head.p50 + tail.p50) / whole)
                }
                _ => String::new(),
            };
            let [head, tail] =
                [head, tail].map(|times| times.unwrap_or_else(|| ["fails".into(), String::new()]));
            let after =
                place.after.as_deref().map_or_else(|| "(the inputs)".into(), |after| elide(after, 36));
            let cells = [format!("b{boundary}"), after, self.size(boundary)];
            table.row(cells.into_iter().chain(head).chain(tail).chain([cost]));
        }
        out.push_str(&table.render(paint));
    }

    /// Median and 90th percentile; with a `~` where they are predicted.
    fn times(&self, from: usize, to: usize) -> Option<[String; 2]> {
        if from == to {
            return Some([String::new(), String::new()]);
        }
        let Estimate { p50, mean, sd, .. } = self.predictor.time(from, to)?;
        Some(match self.profile.range(from, to, 1) {
            Some(range) => [seconds(range.p50), seconds(range.p90)],
            None => [format!("~{}", seconds(p50)), format!("~{}", seconds(mean + P90 * sd))],
        })
    }

    fn size(&self, boundary: usize) -> String {
        let rows = self.profile.sizes.iter().flat_map(|sizes| &sizes.boundaries);
        let of = |codec| {
            let mut rows = rows.clone().filter(move |row| row.boundary == boundary && row.codec == codec);
            rows.next().map(|row| bytes(row.bytes_mean as u64))
        };
        match (of(Codec::Raw), of(Codec::Encoded)) {
            (Some(raw), Some(encoded)) => format!("{raw} ({encoded} encoded)"),
            (raw, _) => raw.unwrap_or_default(),
        }
    }

    fn batches(&self, out: &mut String, paint: Paint) {
        let last = self.profile.last();
        let mut table = Table::new(&[
            ("whole, batch", Align::Right),
            ("p50", Align::Right),
            ("per request", Align::Right),
        ]);
        let mut wholes: Vec<_> =
            self.profile.ranges.iter().filter(|range| (range.from, range.to) == (0, last)).collect();
        if wholes.len() < 2 {
            return;
        }
        wholes.sort_by_key(|range| range.batch);
        for range in wholes {
            table.row([range.batch.to_string(), seconds(range.p50), seconds(range.p50 / range.batch as f64)]);
        }
        let _ = write!(out, "\n{}", table.render(paint));
    }

    fn layers(&self, out: &mut String, paint: Paint) {
        let Some(layers) = &self.profile.layers else { return };
        let total = layers.nodes.iter().map(|layer| layer.seconds).sum::<f64>() + layers.unattributed;
        let share = |seconds: f64| format!("{:.1} %", 100.0 * seconds / total.max(f64::MIN_POSITIVE));
        let mut slowest: Vec<_> = layers.nodes.iter().collect();
        slowest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let mut table =
            Table::new(&[("slowest nodes", Align::Left), ("mean", Align::Right), ("share", Align::Right)]);
        for layer in slowest.into_iter().take(SLOWEST) {
            table.row([elide(&layer.node, 48), seconds(layer.seconds), share(layer.seconds)]);
        }
        let _ = write!(out, "\n{}", table.render(paint));
        let _ = writeln!(out, "  not traced to a node: {}", share(layers.unattributed));
    }

    fn trust(&self, out: &mut String, paint: Paint) {
        let error = self.predictor.error();
        out.push('\n');
        if let Some((median, p90)) = self.check_error() {
            for range in self.checked.unwrap_or_default() {
                let _ = writeln!(
                    out,
                    "  {}..{}: predicted {}, measured {}, {:+.1} %",
                    range.from,
                    range.to,
                    seconds(range.predicted),
                    seconds(range.measured),
                    100.0 * (range.predicted / range.measured - 1.0)
                );
            }
            let text = format!(
                "predicted against measured: median error {:.1} %, p90 {:.1} %",
                100.0 * median,
                100.0 * p90
            );
            let is_good = median <= super::ACCURATE;
            let _ = writeln!(out, "{}", if is_good { paint.good(&text) } else { paint.bad(&text) });
        }
        if error.ranges > 0 {
            let _ = writeln!(
                out,
                "leaving each of the {} timed ranges of 1 ms or more out: median error {:.1} %, p90 {:.1} %",
                error.ranges,
                100.0 * error.median,
                100.0 * error.p90
            );
        }
        let state = if self.profile.complete { "complete" } else { "not complete: run it again to go on" };
        let _ = writeln!(out, "{}: {}", self.file.display(), paint.bold(state));
    }

    /// Median and 90th percentile of the relative errors of what was checked.
    pub(super) fn check_error(&self) -> Option<(f64, f64)> {
        let relative = |range: &Checked| (range.predicted / range.measured - 1.0).abs();
        let mut errors: Vec<f64> = self.checked?.iter().map(relative).collect();
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| errors.get((errors.len() as f64 * share) as usize).copied();
        at(0.5).zip(at(0.9))
    }

    pub(super) fn json(&self) -> Value {
        let error = self.predictor.error();
        let checked = self.checked.map(|checked| {
            let range = |range: &Checked| {
                json!({"from": range.from, "to": range.to, "predicted": range.predicted, "measured": range.measured})
            };
            let (median, p90) = self.check_error().unzip();
            json!({"ranges": checked.iter().map(range).collect::<Vec<_>>(), "median": median, "p90": p90})
        });
        json!({
            "file": self.file.display().to_string(),
            "complete": self.profile.complete,
            "leave_out": {"ranges": error.ranges, "median": error.median, "p90": error.p90},
            "check": checked,
            "profile": self.profile,
        })
    }
}

fn seconds(value: f64) -> String {
    duration(Duration::try_from_secs_f64(value).unwrap_or_default())
}
