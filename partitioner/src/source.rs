//! The model that a command is about, from a file or from a repository.

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use kerf_bundle::Bundle;
use kerf_graph::Model;
use kerf_repository::{FileExternalData, Repository};
use std::path::Path;

/// An ONNX file cannot be larger: protobuf counts in 31 bits.
const MAX_BYTES: u64 = 2 << 30;

/// An ONNX file, loaded.
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) bytes: Bytes,
    pub(crate) model: Model,
}

/// Reads and checks an ONNX file, with the tensor data beside it.
pub(crate) fn onnx(path: &Path) -> anyhow::Result<Source> {
    let shown = path.display();
    let about = path.metadata().with_context(|| shown.to_string())?;
    if !about.is_file() {
        bail!("{shown} is not a file");
    }
    if about.len() > MAX_BYTES {
        bail!("{shown} has {} bytes; an ONNX file has at most {MAX_BYTES}", about.len());
    }
    let bytes = Bytes::from(std::fs::read(path).with_context(|| shown.to_string())?);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let data = FileExternalData::new(folder).with_context(|| folder.display().to_string())?;
    let model =
        Model::load(bytes.clone(), &data).map_err(|error| match error.problems.len() + error.more {
            0 | 1 => anyhow!("{shown}: {error}"),
            many => anyhow!("{shown}: {many} problems\n  {}", error.to_string().replace('\n', "\n  ")),
        })?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source { file, bytes, model })
}

/// Opens a packed model by its folder.
pub(crate) fn packed(path: &Path) -> anyhow::Result<Bundle> {
    if path.is_file() {
        bail!("{} is a file; give a packed model's folder: `partitioner pack` makes one", path.display());
    }
    // `.` and `..` have no name of their own.
    let real = path.canonicalize().with_context(|| path.display().to_string())?;
    let name = real.file_name().and_then(|name| name.to_str());
    let (Some(dir), Some(name)) = (real.parent(), name) else {
        bail!("{} is not a packed model's folder", path.display());
    };
    if !real.join(kerf_bundle::CARD).exists() {
        let models = Repository::new(&real).list().unwrap_or_default();
        if !models.is_empty() {
            bail!("{} is a repository, name one of its models: {}", path.display(), models.join(", "));
        }
    }
    Ok(Repository::new(dir).open(name)?)
}

/// The file's IR version: field 1 of the message, a varint. The model's normal form has another.
pub(crate) fn ir_version(mut file: &[u8]) -> Option<u64> {
    loop {
        let tag = varint(&mut file)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => return varint(&mut file),
            (_, 0) => {
                varint(&mut file)?;
            }
            (_, 2) => {
                let length = usize::try_from(varint(&mut file)?).ok()?;
                file = file.get(length..)?;
            }
            _ => return None,
        }
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ir_version_is_found_wherever_it_is() {
        for (file, version) in [
            (&b"\x08\x0a"[..], Some(10)),
            (b"\x12\x02hi\x28\x96\x01\x08\x03", Some(3)),
            (b"\x12\x20hi", None),
            (b"", None),
        ] {
            assert_eq!(ir_version(file), version, "{file:?}");
        }
    }
}
