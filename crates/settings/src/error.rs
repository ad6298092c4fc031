//! Everything that is wrong with a settings file.

use std::cell::RefCell;

/// A settings file that cannot be used, with every problem that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The file, as the caller named it.
    pub file: String,
    /// At least one problem, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The key concerned, such as `models[0].split`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// A position in a file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

/// More than this many lines help nobody, and a hostile file could ask for any number.
const MAX_SHOWN: usize = 50;

impl std::error::Error for SettingsError {}

impl std::fmt::Display for SettingsError {
    /// One line a problem: `edge.yaml:3:9: engine.kind: unknown value …`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.problems.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: ", self.file, problem.place.line, problem.place.column)?;
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            f.write_str(&problem.message)?;
        }
        match self.problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more problems", self.file),
        }
    }
}

/// Problems found so far; shared by everyone who reads parts of one file.
#[derive(Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(crate) fn add(&self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.0.borrow_mut().push(Problem { place, key: key.into(), message: message.into() });
    }

    /// `value`, if there is one and nothing at all was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>, file: &str) -> Result<T, SettingsError> {
        let mut problems = self.0.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => {
                problems.sort();
                Err(SettingsError { file: file.to_owned(), problems })
            }
        }
    }
}
