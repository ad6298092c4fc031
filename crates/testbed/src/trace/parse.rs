//! From a file to a trace. Files are outside data: lines and their number are bounded.

use super::{MAX_PERIOD, MAX_RATE, MILLISECOND, PACKET, SECOND, Trace};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const MAX_LINE: usize = 256;

const MAX_LINES: usize = 4_000_000;

/// Bytes per second of 1 Mbit/s.
const MEGABIT: f64 = 125_000.0;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line is not as it must be.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// No line at all, or none that carries anything before the end.
    #[error("nothing would ever arrive: no line carries anything before the trace starts over")]
    Nothing,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// Longer than any number.
    #[error("longer than {MAX_LINE} bytes")]
    Long,
    /// More lines than are read.
    #[error("a trace has at most {MAX_LINES} lines")]
    Many,
    /// Bytes that are no text.
    #[error("no text")]
    Text,
    /// Not as many fields as the first line has, or more than two there.
    #[error("{found} fields; a line is `milliseconds` or `seconds Mbit/s`, the same throughout")]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// Not a time, or too late.
    #[error("{0:?} is not a time since the start, or beyond a year")]
    Time(String),
    /// Not a rate that can be emulated.
    #[error("{0:?} is not a rate from 0 to 100,000 Mbit/s")]
    Rate(String),
    /// Time runs backwards, or stands still between two rates.
    #[error("{0} is not later than the line before")]
    Order(String),
}

impl Trace {
    /// Reads a file; see [`Trace::parse`].
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        Self::parse(BufReader::new(File::open(path)?))
    }

    /// Reads either form; which one it is the first line tells. Empty lines say nothing. Rates are
    /// rounded to bytes per second, times to nanoseconds; rates need not start at 0 s.
    pub fn parse(mut text: impl BufRead) -> Result<Self, TraceError> {
        let mut reading = Reading { fields: None, steps: Vec::new() };
        let mut buffer = Vec::with_capacity(MAX_LINE + 1);
        for line in 1.. {
            buffer.clear();
            text.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut buffer)?;
            if buffer.is_empty() {
                break;
            }
            let taken = if line > MAX_LINES { Err(LineProblem::Many) } else { reading.take(&buffer) };
            taken.map_err(|problem| TraceError::Line { line, problem })?;
        }
        reading.finish().ok_or(TraceError::Nothing)
    }
}

/// What was read so far.
struct Reading {
    /// Of each line.
    fields: Option<usize>,
    /// Nanoseconds, and bytes or bytes per second.
    steps: Vec<(u64, u64)>,
}

impl Reading {
    fn take(&mut self, line: &[u8]) -> Result<(), LineProblem> {
        if line.len() > MAX_LINE {
            return Err(LineProblem::Long);
        }
        let line = str::from_utf8(line).map_err(|_| LineProblem::Text)?;
        let mut words = line.split_ascii_whitespace();
        let (Some(at), rate, rest) = (words.next(), words.next(), words.count()) else { return Ok(()) };
        let found = 1 + usize::from(rate.is_some()) + rest;
        if found != *self.fields.get_or_insert(found) || rest > 0 {
            return Err(LineProblem::Fields { found });
        }
        match rate {
            None => self.opportunity(at),
            Some(rate) => self.rate(at, rate),
        }
    }

    fn opportunity(&mut self, word: &str) -> Result<(), LineProblem> {
        let at = word.parse::<u64>().ok().and_then(|at| at.checked_mul(MILLISECOND));
        let at = at.filter(|at| *at <= MAX_PERIOD).ok_or_else(|| LineProblem::Time(word.into()))?;
        match self.steps.last_mut() {
            Some(last) if last.0 == at => last.1 += PACKET,
            Some(last) if last.0 > at => return Err(LineProblem::Order(word.into())),
            _ => self.steps.push((at, PACKET)),
        }
        Ok(())
    }

    fn rate(&mut self, time: &str, rate: &str) -> Result<(), LineProblem> {
        let number = |word: &str, scale: f64, most: u64| {
            let value = word.parse::<f64>().ok()? * scale;
            (0.0..=most as f64).contains(&value).then(|| value.round() as u64)
        };
        let at = number(time, SECOND as f64, MAX_PERIOD).ok_or_else(|| LineProblem::Time(time.into()))?;
        if self.steps.last().is_some_and(|last| last.0 >= at) {
            return Err(LineProblem::Order(time.into()));
        }
        let rate = number(rate, MEGABIT, MAX_RATE).ok_or_else(|| LineProblem::Rate(rate.into()))?;
        self.steps.push((at, rate));
        Ok(())
    }

    fn finish(mut self) -> Option<Trace> {
        let last = self.steps.last()?.0;
        if self.fields == Some(1) {
            return Trace::opportunities(&self.steps, last);
        }
        let start = self.steps[0].0;
        let before = self.steps.len().checked_sub(2).map(|before| self.steps[before].0);
        for (at, _) in &mut self.steps {
            *at -= start;
        }
        Trace::rates(&self.steps, last - start + before.map_or(SECOND, |before| last - before))
    }
}
