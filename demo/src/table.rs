//! The live table: a line for each phase, redrawn in place on a terminal, and
//! printed once per phase where there is none.

use crate::phase::Figures;
use console::{Term, style};

const BAR: usize = 12;

pub(crate) struct Table {
    term: Term,
    titles: Vec<String>,
    done: Vec<String>,
    width: usize,
    drawn: usize,
}

impl Table {
    pub(crate) fn new(titles: Vec<String>) -> Self {
        let width = titles.iter().map(String::len).max().unwrap_or(0);
        let table = Self { term: Term::stdout(), titles, done: Vec::new(), width, drawn: 0 };
        println!("{}", style(table.heading()).bold());
        table
    }

    /// Shows the phase that plays; `share` of it is over.
    pub(crate) fn draw(&mut self, figures: &Figures, share: f64) {
        if !self.term.is_term() {
            return;
        }
        let mut lines = vec![self.line(figures, Some(share))];
        let waiting = self.titles.iter().skip(self.done.len() + 1);
        lines.extend(
            waiting.map(|title| style(format!("{title:<width$}", width = self.width)).dim().to_string()),
        );
        self.clear();
        for line in &lines {
            println!("{line}");
        }
        self.drawn = lines.len();
    }

    /// The phase is over; its line stays.
    pub(crate) fn finish(&mut self, figures: &Figures, failure: Option<&str>) {
        self.clear();
        let line = self.line(figures, None);
        println!("{line}");
        if let Some(failure) = failure {
            println!("  {}", style(format!("first failure: {failure}")).red());
        }
        self.done.push(line);
    }

    fn clear(&mut self) {
        // A terminal that cannot be cleared shows more lines; nothing else is lost.
        let _ = self.term.clear_last_lines(self.drawn);
        self.drawn = 0;
    }

    fn heading(&self) -> String {
        format!(
            "{:<width$}  {:<BAR$}  {:>8} {:>7}  {:>8} {:>8} {:>8}  {:>8} {:>7}  {:>6} {:>6} {:>8}  {:>8}",
            "route",
            "",
            "answers",
            "failed",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "accuracy",
            "agree",
            "edge",
            "cloud",
            "fallback",
            "B/answer",
            width = self.width
        )
    }

    fn line(&self, figures: &Figures, share: Option<f64>) -> String {
        let bar = share.map_or_else(|| "done".to_owned(), bar);
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        let failed = format!("{:>7}", figures.failed);
        let failed = if figures.failed > 0 { style(failed).red().to_string() } else { failed };
        format!(
            "{:<width$}  {bar:<BAR$}  {:>8} {failed}  {:>8.2} {:>8.2} {:>8.2}  {:>8} {:>7}  {:>6} {:>6} {:>8}  {:>8.0}",
            figures.phase,
            figures.answered,
            figures.p50_ms,
            figures.p95_ms,
            figures.p99_ms,
            figures.accuracy.map_or_else(|| "-".to_owned(), percent),
            percent(figures.agreement),
            figures.by_edge,
            figures.by_cloud,
            figures.by_fallback,
            figures.shipped_bytes_per_answer,
            width = self.width
        )
    }
}

fn bar(share: f64) -> String {
    let full = ((share * BAR as f64) as usize).min(BAR);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}
