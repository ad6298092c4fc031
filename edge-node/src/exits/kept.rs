//! How far a model's exits were tightened, over restarts.
//!
//! Without it a node that found its promise broken would forget that with each start, and answer as before
//! until the audit has found it once more. The file is there only once thresholds were tightened, and
//! counts only for the very exits that it was written for: with others nothing is known yet.

use kerf_bundle::{Exits, ExitsError, hex};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The file of one model.
pub(crate) struct Kept {
    path: PathBuf,
    /// Of the exits.
    digest: String,
}

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// These exits were never tightened.
    Nothing,
    /// The rung in use; `None` where no exit may answer.
    Rung(Option<usize>),
    /// It cannot be told.
    Damaged(String),
}

/// The rung to begin with, of so many.
///
/// Where that cannot be told no exit answers: thresholds were tightened, to which is not known, and an answer
/// of the whole model breaks no promise.
pub(super) fn rung(kept: Option<&Kept>, count: usize) -> Option<usize> {
    let Some(kept) = kept else { return count.checked_sub(1) };
    match kept.read(count) {
        Found::Nothing => count.checked_sub(1),
        Found::Rung(rung) => {
            tracing::warn!(
                file = %kept.path.display(), ?rung, of = count,
                "thresholds are as tight as before the start; exits that are fitted anew begin afresh"
            );
            rung
        }
        Found::Damaged(reason) => {
            tracing::warn!(
                file = %kept.path.display(), reason,
                "thresholds were tightened, to which is not known: no exit answers until the file is removed or \
                 exits are fitted anew"
            );
            None
        }
    }
}

/// Keeps the rung in use. To be called where nobody else tightens meanwhile, so that the stricter of two is
/// written last; it happens a few times at most.
pub(super) fn keep(kept: Option<&Kept>, rung: Option<usize>) {
    let Some(kept) = kept else { return };
    if let Err(error) = kept.write(rung) {
        tracing::warn!(
            file = %kept.path.display(), %error,
            "the next start will not know of tightened thresholds"
        );
    }
}

impl Kept {
    /// `folder` is that of profiles; neither the names of models nor those of nodes have an `@`.
    pub(crate) fn new(folder: &Path, model: &str, exits: &Exits) -> Result<Self, ExitsError> {
        Ok(Self { path: folder.join(format!("{model}@@exits.json")), digest: hex(&exits.digest()?) })
    }

    /// What was kept; `rungs` is how many there are.
    fn read(&self, rungs: usize) -> Found {
        match std::fs::read(&self.path) {
            Ok(json) => parse(&json, &self.digest, rungs),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => Found::Damaged(error.to_string()),
        }
    }

    /// Keeps a rung, whole or not at all.
    fn write(&self, rung: Option<usize>) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        let text = json!({ "exits": self.digest, "rung": rung });
        self.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&beside, format!("{text:#}\n"))?;
        std::fs::rename(&beside, &self.path)
    }
}

fn parse(json: &[u8], digest: &str, rungs: usize) -> Found {
    let said: Value = match serde_json::from_slice(json) {
        Ok(said) => said,
        Err(error) => return Found::Damaged(error.to_string()),
    };
    match (&said["exits"], said.get("rung")) {
        (Value::String(exits), _) if exits != digest => Found::Nothing,
        (Value::String(_), Some(Value::Null)) => Found::Rung(None),
        (Value::String(_), Some(rung)) => match rung.as_u64().and_then(|rung| usize::try_from(rung).ok()) {
            Some(rung) if rung < rungs => Found::Rung(Some(rung)),
            _ => Found::Damaged(format!("rung is {rung}, there are 0 to {}", rungs.saturating_sub(1))),
        },
        _ => Found::Damaged("expected \"exits\" and \"rung\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says() {
        let found = |json: &str| parse(json.as_bytes(), "aa", 4);
        for (json, wanted) in [
            (r#"{"exits": "aa", "rung": 2}"#, Found::Rung(Some(2))),
            (r#"{"exits": "aa", "rung": null}"#, Found::Rung(None)),
            (r#"{"exits": "bb", "rung": 2}"#, Found::Nothing),
        ] {
            assert_eq!(found(json), wanted, "{json}");
        }
        for json in [
            "",
            "[]",
            "{}",
            r#"{"exits": "aa"}"#,
            r#"{"rung": 2}"#,
            r#"{"exits": "aa", "rung": 4}"#,
            r#"{"exits": "aa", "rung": -1}"#,
            r#"{"exits": "aa", "rung": "2"}"#,
        ] {
            assert!(matches!(found(json), Found::Damaged(_)), "{json}");
        }
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { path: folder.path().join("new/m@@exits.json"), digest: "aa".to_owned() };
        assert_eq!(kept.read(3), Found::Nothing);
        for rung in [Some(1), Some(0), None] {
            kept.write(rung).unwrap();
            assert_eq!(kept.read(3), Found::Rung(rung));
        }
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }
}
