//! Heads on disk while others are still fitted.

use anyhow::Context;
use kerf_exits_fit::{Front, Head, Shape};
use std::fs;
use std::path::{Path, PathBuf};

/// Heads that were fitted before: an interrupted run goes on where it was.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Beside the model, hidden; gone when its exits are written.
    pub(crate) fn new(repository: &Path, model: &str) -> anyhow::Result<Self> {
        let folder = repository.join(format!(".{model}.exits"));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    pub(crate) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    pub(crate) fn restore(
        &self,
        key: &str,
        front: &Front,
        shape: &Shape,
        classes: usize,
    ) -> Option<(Head, f64)> {
        let bytes = fs::read(self.folder.join(key)).ok()?;
        let (agreement, numbers) = bytes.split_first_chunk::<8>()?;
        let numbers: Vec<f32> =
            numbers.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let head = Head::restore(front.clone(), shape.clone(), classes, &numbers).ok()?;
        Some((head, f64::from_le_bytes(*agreement)))
    }

    pub(crate) fn keep(&self, key: &str, head: &Head, agreement: f64) -> anyhow::Result<()> {
        let path = self.folder.join(key);
        let mut bytes = agreement.to_le_bytes().to_vec();
        bytes.extend(head.numbers().iter().flat_map(|number| number.to_le_bytes()));
        let beside = path.with_extension("new");
        fs::write(&beside, bytes)
            .and_then(|()| fs::rename(&beside, &path))
            .with_context(|| path.display().to_string())
    }
}
