//! What is sent: the embedded frames with their labels, or the user's pictures.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/frames.rs"));

/// Most pictures taken from a folder.
const MOST: usize = 1000;

/// The embedded camera model.
pub(crate) static CAMERA: &[u8] = include_bytes!("../../assets/camera.onnx");
/// What `partitioner pack --inputs` fitted to it and measured; see assets/README.md.
pub(crate) static CAMERA_BOOK: &[u8] = include_bytes!("../../assets/camera.codecs.bin");
pub(crate) static CAMERA_CODECS: &[u8] = include_bytes!("../../assets/camera.codecs.json");

/// An encoded image and, where it is known, what it shows.
pub(crate) struct Input {
    pub(crate) image: Bytes,
    pub(crate) label: Option<usize>,
}

/// The frames that come with the demo.
pub(crate) fn embedded() -> Vec<Input> {
    let frame = |(image, label): &(&'static [u8], usize)| Input {
        image: Bytes::from_static(image),
        label: Some(*label),
    };
    FRAMES.iter().map(frame).collect()
}

/// The pictures of a folder, in order of name, at most [`MOST`].
pub(crate) fn from_folder(folder: &Path) -> anyhow::Result<Vec<Input>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        ["jpg", "jpeg", "png", "webp"].contains(&extension.to_ascii_lowercase().as_str())
    });
    paths.sort();
    paths.truncate(MOST);
    ensure!(!paths.is_empty(), "{} holds no .jpg, .jpeg, .png or .webp file", folder.display());
    let read = |path: &std::path::PathBuf| {
        let image = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Input { image: image.into(), label: None })
    };
    paths.iter().map(read).collect()
}
