//! Text for people: aligned tables, human units, colours where they are welcome.

use anyhow::Context;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write as _};
use std::time::Duration;

/// How a command that ran to its end ended.
pub(crate) enum Outcome {
    Passed,
    /// A check failed, and the report says which.
    Failed,
}

/// Writes to standard output; a reader that has seen enough, as `head`, is no error.
pub(crate) fn emit(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// An error with its causes; a cause that the error before it already tells is told once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    })
}

/// A value as indented JSON on standard output.
pub(crate) fn emit_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    emit(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// One line on standard error that does not stop anything.
pub(crate) fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Colours, if standard output is a terminal and `NO_COLOR` is not set.
#[derive(Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn detect() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(!refused && std::io::stdout().is_terminal())
    }

    /// None, wherever the output goes.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self(false)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// A progress bar on standard error, silent where that is no terminal.
pub(crate) fn progress(steps: u64, what: &str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(steps);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) = indicatif::ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// `99.5%`, `100%`: to a hundredth.
pub(crate) fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2)
}

/// Which way a column leans.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under headings, each column as wide as its widest cell.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

enum Row {
    Cells(Vec<String>),
    /// Runs across all columns.
    Note(String),
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    pub(crate) fn note(&mut self, text: String) {
        self.rows.push(Row::Note(text));
    }

    /// The table as lines, indented by two.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let cells = |row: &Row| match row {
            Row::Cells(cells) => cells.iter().map(|cell| width(cell)).collect(),
            Row::Note(_) => Vec::new(),
        };
        let mut widths: Vec<usize> = self.columns.iter().map(|(title, _)| width(title)).collect();
        for row in &self.rows {
            for (known, cell) in widths.iter_mut().zip::<Vec<usize>>(cells(row)) {
                *known = (*known).max(cell);
            }
        }
        let mut out = String::new();
        let titles: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let _ = writeln!(out, "{}", paint.bold(&self.line(&titles, &widths)));
        for row in &self.rows {
            let _ = match row {
                Row::Cells(cells) => writeln!(out, "{}", self.line(cells, &widths)),
                Row::Note(text) => writeln!(out, "  {text}"),
            };
        }
        out
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, wide), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let pad = " ".repeat(wide.saturating_sub(width(cell)));
            let _ = match align {
                Align::Left => write!(line, "  {cell}{pad}"),
                Align::Right => write!(line, "  {pad}{cell}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Columns on a terminal, without the escapes of [`Paint`].
fn width(text: &str) -> usize {
    let mut inside = false;
    let visible = |c: &char| {
        let counted = !inside && *c != '\x1b';
        inside = if *c == '\x1b' { true } else { inside && *c != 'm' };
        counted
    };
    text.chars().filter(visible).count()
}

/// At most `most` characters: the middle goes, since names differ at both ends. Control
/// characters, which a hostile name may hold, are shown as `?`.
pub(crate) fn elide(text: &str, most: usize) -> String {
    let chars: Vec<char> = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if chars.len() <= most {
        return chars.into_iter().collect();
    }
    let keep = most.saturating_sub(1);
    let (head, tail) = (keep.div_ceil(2), keep / 2);
    chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect()
}

/// `301 M`, `17.3 k`, `12`.
pub(crate) fn count(value: u64) -> String {
    scaled(value as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// `588 KiB`, `13.3 MiB`.
pub(crate) fn bytes(value: u64) -> String {
    scaled(value as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// `3.42 ms`, `81 µs`.
pub(crate) fn duration(value: Duration) -> String {
    scaled(value.as_secs_f64() * 1e9, 1000.0, &["ns", "µs", "ms", "s"])
}

/// As [`duration`], of seconds.
pub(crate) fn seconds(value: f64) -> String {
    scaled(value * 1e9, 1000.0, &["ns", "µs", "ms", "s"])
}

/// `8 Mbps`, of bits per second.
pub(crate) fn rate(bps: f64) -> String {
    plain(&scaled(bps, 1000.0, &["bps", "kbps", "Mbps", "Gbps", "Tbps"]))
}

/// A quantity without zeros that say nothing: `8 Mbps` of `8.00 Mbps`.
pub(crate) fn plain(text: &str) -> String {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    if number == "0" { "0".into() } else { format!("{number} {unit}").trim_end().into() }
}

/// `48.2 mJ`.
pub(crate) fn joules(value: f64) -> String {
    scaled(value * 1e9, 1000.0, &["nJ", "µJ", "mJ", "J", "kJ"])
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value >= step * 0.9995 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = match value {
        v if unit == 0 || v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {}", units[unit]).trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (made, wanted) in [
            (count(0), "0"),
            (count(999), "999"),
            (count(1_000), "1.00 k"),
            (count(300_775_272), "301 M"),
            (count(u64::MAX), "18.4 E"),
            (bytes(602_112), "588 KiB"),
            (bytes(1_048_576), "1.00 MiB"),
            (duration(Duration::from_micros(3_420)), "3.42 ms"),
            (duration(Duration::from_nanos(81_000)), "81.0 µs"),
            (seconds(0.04), "40.0 ms"),
            (plain(&seconds(0.04)), "40 ms"),
            (plain(&seconds(0.0)), "0"),
            (rate(8e6), "8 Mbps"),
            (rate(7.25e5), "725 kbps"),
            (joules(0.0482), "48.2 mJ"),
        ] {
            assert_eq!(made, wanted);
        }
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(elide("abcdefghij", 10), "abcdefghij");
        assert_eq!(elide("abcdefghijk", 6), "abc…jk");
        assert_eq!(elide("a\x1b[2Jb", 10), "a?[2Jb");
    }

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("no such file").context("weights.bin: no such file").context("loading");
        assert_eq!(chain(&error), "loading: weights.bin: no such file");
    }

    #[test]
    fn columns_align() {
        let mut table = Table::new(&[("name", Align::Left), ("size", Align::Right)]);
        table.row(["a".into(), "1000".into()]);
        table.note("… more".into());
        table.row(["µ-long".into(), "\x1b[32m7\x1b[0m".into()]);
        let text = table.render(Paint(false));
        assert_eq!(text, "  name    size\n  a       1000\n  … more\n  µ-long     \x1b[32m7\x1b[0m\n");
    }
}
