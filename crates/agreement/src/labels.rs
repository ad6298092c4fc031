//! The right answers, as a text file gives them.

use std::collections::BTreeMap;

/// Files of labels are shorter than this.
const MAX_BYTES: usize = 64 << 20;
const MAX_LABELS: usize = 1_000_000;

/// The class of inputs by their name (of the file, or of the row).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, u32>);

/// Why text is no labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelsError {
    /// More than 64 MiB.
    #[error("{0} bytes of labels, {MAX_BYTES} are allowed")]
    TooLong(usize),
    /// More than a million.
    #[error("more than {MAX_LABELS} labels")]
    TooMany,
    /// One column.
    #[error("line {0}: expected a name and a class with a tab or a comma between")]
    Columns(usize),
    /// A class that is none.
    #[error("line {line}: {text:?} is no class; expected a number from 0")]
    Class {
        /// Counted from 1.
        line: usize,
        /// The second column, shortened.
        text: String,
    },
    /// The same name with another class.
    #[error("line {line}: {name:?} has class {class} here and {before} before")]
    Contradiction {
        /// Counted from 1.
        line: usize,
        /// Which.
        name: String,
        /// Here.
        class: u32,
        /// On an earlier line.
        before: u32,
    },
}

impl Labels {
    /// One label a line: name, class, then whatever; tabs between them where the line holds one,
    /// commas otherwise. Empty lines and those that begin with `#` are skipped, and so is a first line
    /// whose second column is no number: the titles.
    ///
    /// # Errors
    /// Each with its line.
    pub fn parse(text: &str) -> Result<Self, LabelsError> {
        if text.len() > MAX_BYTES {
            return Err(LabelsError::TooLong(text.len()));
        }
        let mut labels = BTreeMap::new();
        let mut is_first = true;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, content) in text.lines().enumerate().map(|(index, content)| (index + 1, content)) {
            if content.trim().is_empty() || content.starts_with('#') {
                continue;
            }
            let between = if content.contains('\t') { '\t' } else { ',' };
            let mut columns = content.split(between).map(str::trim);
            let (Some(name), Some(class)) = (columns.next().filter(|name| !name.is_empty()), columns.next())
            else {
                return Err(LabelsError::Columns(line));
            };
            let is_title = std::mem::take(&mut is_first);
            let class = match class.parse::<u32>() {
                Ok(class) => class,
                Err(_) if is_title => continue,
                Err(_) => return Err(LabelsError::Class { line, text: class.chars().take(40).collect() }),
            };
            match labels.insert(name.to_owned(), class) {
                Some(before) if before != class => {
                    return Err(LabelsError::Contradiction { line, name: name.into(), class, before });
                }
                _ if labels.len() > MAX_LABELS => return Err(LabelsError::TooMany),
                _ => {}
            }
        }
        Ok(Self(labels))
    }

    /// The class of an input.
    pub fn class(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    /// Inputs that have one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_separators_titles_and_comments() {
        let text = "\u{feff}name\tclass\tsplit\n# a comment\n\na, b.jpg\t3\tpublic\r\nc.jpg,7\nc.jpg,7\n";
        let labels = Labels::parse(text).unwrap();
        assert_eq!((labels.len(), labels.class("a, b.jpg"), labels.class("c.jpg")), (2, Some(3), Some(7)));
        assert_eq!(labels.class("name"), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, message) in [
            ("a\n", "line 1: expected a name and a class"),
            ("\n\t1", "line 2: expected a name and a class"),
            ("a\t1\nb\tcat", "line 2: \"cat\" is no class"),
            ("a,1\nb,-1", "line 2: \"-1\" is no class"),
            ("a,1\nb,2\na,3", "line 3: \"a\" has class 3 here and 1 before"),
        ] {
            let error = Labels::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_is_labels_or_an_error(text in "[\\PC\n\t,0-9]{0,200}") {
            if let Ok(labels) = Labels::parse(&text) {
                prop_assert!(labels.len() <= text.lines().count());
            }
        }
    }
}
