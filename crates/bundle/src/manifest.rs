use crate::{BOUNDARIES, CARD, CODECS, EXITS, MEASURED, MODEL, exits};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::collections::BTreeMap;

/// The paths of every packed model, in order.
const ALWAYS: [&str; 3] = [BOUNDARIES, MODEL, CARD];
/// Those that one with fitted codecs has besides, both or neither.
const CODED: [&str; 2] = [CODECS, MEASURED];

/// A SHA-256.
pub type Digest = [u8; 32];

/// The digest of every file of a packed model but itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Path in the model's folder to SHA-256 in lower-case hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON that it should be.
    #[error("not a manifest: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Another set of files than a packed model has.
    #[error(
        "lists {found:?}, expected {ALWAYS:?}, {CODED:?} where codecs were fitted, and {EXITS:?} with heads where exits were"
    )]
    Files {
        /// Paths listed.
        found: Vec<String>,
    },
}

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    sha2::Sha256::digest(bytes).into()
}

impl Manifest {
    /// The digests of `files`.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let files = files.into_iter().map(|(path, bytes)| (path.into(), hex(&sha256(bytes)))).collect();
        Self { files }
    }

    /// Reads a manifest and checks that it lists exactly the files of a packed model, those of its
    /// codecs and of its exits among them or not.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(json)?;
        let found = || manifest.shared().map(|(path, _)| path);
        let mut all = [ALWAYS.as_slice(), &CODED].concat();
        all.sort_unstable();
        let heads = manifest.files.keys().any(|path| exits::is_head(path));
        if found().ne(ALWAYS) && found().ne(all) || heads && !manifest.has_exits() {
            return Err(ManifestError::Files { found: manifest.files.into_keys().collect() });
        }
        Ok(manifest)
    }

    /// Whether codecs were packed with the model.
    pub fn has_codecs(&self) -> bool {
        self.files.contains_key(CODECS)
    }

    /// Whether exits were fitted to the model.
    pub fn has_exits(&self) -> bool {
        self.files.contains_key(EXITS)
    }

    /// The files that both nodes need, and their digests. Exits are the edge's own: they may be fitted
    /// anew without a word to the cloud.
    pub(crate) fn shared(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.files.iter().map(|(path, digest)| (path.as_str(), digest.as_str()));
        all.filter(|(path, _)| *path != EXITS && !exits::is_head(path))
    }

    /// The file's text: indented, for people.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }

    /// The version digest: SHA-256 over one `path`, NUL, `digest`, newline for each file that both
    /// nodes need, in order of its path, so that neither indentation nor key order matters.
    pub fn digest(&self) -> Digest {
        let lines: Vec<String> = self.shared().map(|(path, digest)| format!("{path}\0{digest}\n")).collect();
        sha256(lines.concat().as_bytes())
    }

    /// Whether `bytes` are those of `path` when it was packed.
    pub(crate) fn holds(&self, path: &str, bytes: &[u8]) -> bool {
        self.files.get(path).is_some_and(|digest| *digest == hex(&sha256(bytes)))
    }
}

/// Lower-case hexadecimal: how people and files write a digest.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ignores_layout_but_not_content() {
        let of = |model: &[u8]| Manifest::of([(CARD, &b"a"[..]), (MODEL, model), (BOUNDARIES, b"c")]);
        let manifest = of(b"b");
        let compact = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::parse(&compact).unwrap().digest(), manifest.digest());
        assert_eq!(Manifest::parse(manifest.to_json().as_bytes()).unwrap().digest(), manifest.digest());
        assert_ne!(of(b"B").digest(), manifest.digest());
        assert!(manifest.holds(MODEL, b"b") && !manifest.holds(MODEL, b"B") && !manifest.holds("x", b"b"));
    }

    #[test]
    fn other_sets_of_files_are_refused() {
        for (json, message) in [
            (r#"{"files": {}}"#, "lists [], expected"),
            (r#"{"files": {"../x": "00", "1/model.onnx": "00", "model.yaml": "00"}}"#, "lists [\"../x\""),
            (r#"{"files": {}, "more": 1}"#, "not a manifest: unknown field `more`"),
            ("", "not a manifest: EOF"),
        ] {
            let error = Manifest::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
