//! Small values in small files.

use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// No value of sysfs is longer.
const MAX_BYTES: u64 = 4096;

/// No class has as many devices.
const MAX_ENTRIES: usize = 1024;

/// A file that tells nothing usable.
#[derive(Debug, thiserror::Error)]
#[error("{}: {failure}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub failure: ReadFailure,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not a plain file.
    #[error("not a file")]
    NotAFile,
    /// Longer than any value of sysfs.
    #[error("holds more than {MAX_BYTES} bytes")]
    TooLong,
    /// Not text.
    #[error("holds bytes that are no text")]
    NotText,
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// Text that is no number, or one beyond 64 bits.
    #[error("holds {0:?}, which is no whole number of 64 bits")]
    NotANumber(String),
    /// A number that the quantity cannot have.
    #[error("holds {value}, which is not from {least} to {most}")]
    OutOfRange {
        /// The number.
        value: i64,
        /// The least that is possible.
        least: i64,
        /// The most that is possible.
        most: i64,
    },
}

impl ReadError {
    /// Whether there is no such file.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(&self.failure, ReadFailure::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether this user may not read it.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(&self.failure, ReadFailure::Io(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// The text of a file without the white space around it; never empty.
pub(crate) fn text(path: &Path) -> Result<String, ReadError> {
    let contents = contents(path).and_then(|bytes| parse_text(&bytes));
    contents.map_err(|failure| ReadError { path: path.to_owned(), failure })
}

/// A whole number within a range.
pub(crate) fn number(path: &Path, range: RangeInclusive<i64>) -> Result<i64, ReadError> {
    let number = contents(path).and_then(|bytes| parse_number(&parse_text(&bytes)?, range));
    number.map_err(|failure| ReadError { path: path.to_owned(), failure })
}

/// None where there is no such file.
pub(crate) fn optional<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Err(error) if error.is_absent() => Ok(None),
        read => read.map(Some),
    }
}

/// The entries of a folder by name, sorted; none where there is no such folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, ReadError> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ReadError { path: folder.to_owned(), failure: error.into() }),
    };
    let entries = listed.flatten().take(MAX_ENTRIES);
    // A name that is no text is none of ours.
    let mut entries: Vec<_> =
        entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect();
    entries.sort();
    Ok(entries)
}

fn contents(path: &Path) -> Result<Vec<u8>, ReadFailure> {
    // Opening a pipe that nobody writes to would wait for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ReadFailure::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadFailure::TooLong);
    }
    Ok(bytes)
}

fn parse_text(bytes: &[u8]) -> Result<String, ReadFailure> {
    let text = std::str::from_utf8(bytes).map_err(|_| ReadFailure::NotText)?.trim();
    if text.is_empty() {
        return Err(ReadFailure::Empty);
    }
    Ok(text.to_owned())
}

fn parse_number(text: &str, range: RangeInclusive<i64>) -> Result<i64, ReadFailure> {
    let value = text.parse().map_err(|_| ReadFailure::NotANumber(text.chars().take(40).collect()))?;
    if !range.contains(&value) {
        return Err(ReadFailure::OutOfRange { value, least: *range.start(), most: *range.end() });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_numbers_or_say_why_not() {
        let cases: [(&[u8], Result<i64, &str>); 12] = [
            (b"42\n", Ok(42)),
            (b" 0 ", Ok(0)),
            (b"-5", Err("holds -5, which is not from 0 to 1000")),
            (b"1001", Err("holds 1001, which is not from 0 to 1000")),
            (b"", Err("is empty")),
            (b"\n \n", Err("is empty")),
            (b"99999999999999999999999", Err("no whole number of 64 bits")),
            (b"1.5", Err("holds \"1.5\"")),
            (b"nan", Err("holds \"nan\"")),
            (b"1 2", Err("holds \"1 2\"")),
            (b"\xff\xfe", Err("no text")),
            (b"\x1b[31m7", Err("holds \"\\u{1b}[31m7\"")),
        ];
        for (bytes, expected) in cases {
            let parsed = parse_text(bytes).and_then(|text| parse_number(&text, 0..=1000));
            match (parsed, expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected),
                (Err(failure), Err(expected)) => {
                    assert!(failure.to_string().contains(expected), "{failure} lacks {expected}");
                }
                (parsed, expected) => panic!("{bytes:?}: {parsed:?}, expected {expected:?}"),
            }
        }
    }
}
