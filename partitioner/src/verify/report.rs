use super::judge::{AGREEMENT, Verdict};
use crate::print::{Align, Paint, Table, bytes, elide};
use kerf_bundle::{Bundle, Metric};
use kerf_graph::Boundary;
use serde_json::{Value, json};
use std::fmt::Write;

/// An engine's own words can go on for pages.
const REASON: usize = 400;

/// What verifying a model found.
pub(crate) struct Report {
    model: String,
    reference: &'static str,
    samples: usize,
    metric: Metric,
    tolerance: f64,
    absent: Option<String>,
    /// What the inputs were.
    pub(crate) inputs: &'static str,
    pub(crate) engines: Vec<EngineReport>,
}

/// One engine's part.
pub(crate) struct EngineReport {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// How many of the inputs were compared.
    pub(crate) samples: usize,
    pub(crate) rows: Vec<Row>,
}

/// One boundary, or the chain of all segments.
pub(crate) struct Row {
    place: String,
    after: String,
    tensors: usize,
    bytes: Option<u64>,
    /// Or why there is none: what could not be compiled or run.
    found: Result<Verdict, String>,
    passed: bool,
}

impl Report {
    pub(crate) fn new(
        bundle: &Bundle,
        reference: &'static str,
        samples: usize,
        tolerance: f64,
        absent: Option<&str>,
    ) -> Self {
        Self {
            model: bundle.card.name.clone(),
            reference,
            samples,
            metric: bundle.card.metric,
            tolerance,
            absent: absent.map(Into::into),
            inputs: "",
            engines: Vec::new(),
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.engines.iter().all(EngineReport::passed)
    }

    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut out = String::new();
        let rule = match self.metric {
            Metric::Numeric => format!("max|a-b| / max|ref| up to {:e}", self.tolerance),
            Metric::Top1 => format!("equal top-1 in {:.0}% (quantised model)", AGREEMENT * 100.0),
        };
        let _ = writeln!(
            out,
            "{}: split answers against the whole model on {}, {} {}, {rule}",
            paint.bold(&self.model),
            self.reference,
            self.samples,
            self.inputs,
        );
        if let Some(absent) = &self.absent {
            let _ = writeln!(out, "not verified: {absent}");
        }
        for engine in &self.engines {
            let _ = writeln!(out, "\n{}", engine.version);
            if engine.samples < self.samples {
                let (some, all) = (engine.samples, self.samples);
                let _ =
                    writeln!(out, "  {some} of {all} inputs, since it is slow here; --samples sets how many");
            }
            out.push_str(&engine.table(paint));
        }
        let verdict = if self.passed() { paint.good("verified") } else { paint.bad("FAILED") };
        let _ = writeln!(out, "\n{verdict}: {}", self.summary());
        out
    }

    fn summary(&self) -> String {
        let parts = self.engines.iter().map(|engine| {
            let agreement = engine.worst_agreement();
            let choices = agreement.map_or(String::new(), |share| format!(", top-1 {}", percent(share)));
            let failed = engine.rows.iter().filter(|row| !row.passed).count();
            let failed =
                if failed > 0 { format!(", {failed} of {} fail", engine.rows.len()) } else { String::new() };
            format!("{} worst error {:.1e}{choices}{failed}", engine.name, engine.worst_error())
        });
        parts.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn json(&self) -> Value {
        let engines = self.engines.iter().map(|engine| {
            let rows = engine.rows.iter().map(|row| {
                let found = row.found.as_ref().ok();
                json!({
                    "boundary": row.place,
                    "after": row.after,
                    "tensors": row.tensors,
                    "bytes": row.bytes,
                    "error": found.map(Verdict::error),
                    "agreement": found.and_then(Verdict::agreement),
                    "choices": found.map(Verdict::rows),
                    "passed": row.passed,
                    "reason": row.reason(),
                })
            });
            json!({
                "engine": engine.name,
                "version": engine.version,
                "samples": engine.samples,
                "passed": engine.passed(),
                "worst_error": engine.worst_error(),
                "worst_agreement": engine.worst_agreement(),
                "boundaries": rows.collect::<Vec<_>>(),
            })
        });
        json!({
            "model": self.model,
            "reference": self.reference,
            "samples": self.samples,
            "inputs": self.inputs,
            "metric": self.metric,
            "tolerance": self.tolerance,
            "passed": self.passed(),
            "absent": self.absent,
            "engines": engines.collect::<Vec<_>>(),
        })
    }
}

impl EngineReport {
    fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.passed)
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.rows.iter().filter_map(|row| row.found.as_ref().ok())
    }

    fn worst_error(&self) -> f64 {
        self.verdicts().map(Verdict::error).fold(0.0, f64::max)
    }

    fn worst_agreement(&self) -> Option<f64> {
        self.verdicts().filter_map(Verdict::agreement).reduce(f64::min)
    }

    fn table(&self, paint: Paint) -> String {
        let mut table = Table::new(&[
            ("boundary", Align::Left),
            ("after node", Align::Left),
            ("tensors", Align::Right),
            ("bytes", Align::Right),
            ("worst error", Align::Right),
            ("top-1", Align::Right),
            ("", Align::Left),
        ]);
        for row in &self.rows {
            let found = row.found.as_ref().ok();
            let agreement = found.and_then(Verdict::agreement).map_or_else(|| "-".into(), percent);
            let status = match (row.passed, &row.found) {
                (true, _) => paint.good("ok"),
                (false, Ok(_)) => paint.bad("FAILED"),
                (false, Err(_)) => paint.bad("cannot run"),
            };
            table.row([
                row.place.clone(),
                elide(&row.after, 40),
                row.tensors.to_string(),
                row.bytes.map_or_else(|| "?".into(), bytes),
                found.map_or_else(|| "-".into(), |verdict| format!("{:.1e}", verdict.error())),
                agreement,
                status,
            ]);
        }
        let mut out = table.render(paint);
        for row in &self.rows {
            if let Some(reason) = row.reason() {
                let _ = writeln!(out, "  {}: {}", row.place, elide(&reason, REASON));
            }
        }
        out
    }
}

impl Row {
    pub(crate) fn new(place: String, boundary: &Boundary, found: Result<Verdict, String>) -> Self {
        Self {
            place,
            after: boundary.after.clone().unwrap_or_else(|| "(the inputs)".into()),
            tensors: boundary.tensors.len(),
            bytes: boundary.bytes,
            found,
            passed: false,
        }
    }

    /// The same finding, said of another boundary.
    pub(crate) fn at(&self, place: String, boundary: &Boundary) -> Self {
        Self::new(place, boundary, self.found.clone())
    }

    /// The same row, said of all segments between neighbouring boundaries.
    pub(crate) fn chained(mut self, segments: usize) -> Self {
        self.after = format!("({segments} segments in a chain)");
        self
    }

    pub(crate) fn judge(mut self, metric: Metric, tolerance: f64) -> Self {
        self.passed = self.found.as_ref().is_ok_and(|verdict| verdict.passes(metric, tolerance));
        self
    }

    fn reason(&self) -> Option<String> {
        match &self.found {
            Ok(verdict) => verdict.misshapen.clone(),
            Err(reason) => Some(reason.clone()),
        }
    }
}

fn percent(share: f64) -> String {
    // Never rounds up to a full 100.
    format!("{:.1}%", (share * 1000.0).floor() / 10.0)
}
