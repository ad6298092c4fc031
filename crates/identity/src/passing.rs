//! A mesh of its own for one process: a demonstration, a measurement, a test.

use crate::{Authority, AuthorityError, Role};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Longer than any of them runs.
const VALIDITY: Duration = Duration::from_secs(86_400);

/// Why certificates are not there.
#[derive(Debug, thiserror::Error)]
pub enum PassingError {
    /// One cannot be made.
    #[error(transparent)]
    Make(#[from] AuthorityError),
    /// A file cannot be written.
    #[error("{}: {source}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
}

/// Certificates for `nodes` from a CA whose key is forgotten at once: good for a day, by the names
/// that `partitioner certs` gives them (`ca.pem`, `NODE.pem`, `NODE.key`).
///
/// # Errors
/// A name is none, or a file cannot be written.
pub fn passing_certificates(folder: &Path, nodes: &[(Role, &str)]) -> Result<(), PassingError> {
    let authority = Authority::generate("Kerf, for a moment")?;
    let write = |name: String, pem: &str| {
        let path = folder.join(name);
        std::fs::write(&path, pem).map_err(|source| PassingError::Write { path, source })
    };
    write("ca.pem".to_owned(), authority.cert_pem())?;
    for (role, node) in nodes {
        let made = authority.issue(*role, node, &[], VALIDITY, SystemTime::now())?;
        write(format!("{node}.pem"), &made.cert_pem)?;
        write(format!("{node}.key"), &made.key_pem)?;
    }
    Ok(())
}
