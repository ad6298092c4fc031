use crate::folder::Folder;
use bytes::Bytes;
use kerf_graph::ExternalData;
use std::io::ErrorKind;
use std::path::Path;

/// A larger tensor could not be packed: an ONNX file ends at 2 GiB.
const MAX_TENSOR: u64 = 2 << 30;

/// Tensor data in files beside an ONNX model. Reads nothing outside of that folder, through
/// symbolic links neither.
#[derive(Debug)]
pub struct FileExternalData {
    folder: Folder,
}

impl FileExternalData {
    /// The data of a model in `dir`.
    pub fn new(dir: &Path) -> Result<Self, std::io::Error> {
        Ok(Self { folder: Folder::open(dir)? })
    }
}

impl ExternalData for FileExternalData {
    fn read(&self, location: &str, offset: u64, length: Option<u64>) -> Result<Bytes, String> {
        self.folder.read_range(location, offset, length, MAX_TENSOR).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "no such file beside the model".into(),
            _ => error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges_and_stays_in_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("model");
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        std::fs::write(dir.join("sub/data"), b"0123456789").unwrap();
        std::fs::write(outer.path().join("secret"), b"secret").unwrap();
        let data = FileExternalData::new(&dir).unwrap();
        for (location, offset, length, expected) in [
            ("sub/data", 0, None, Ok("0123456789")),
            ("sub/data", 8, None, Ok("89")),
            ("sub/data", 2, Some(3), Ok("234")),
            ("sub/data", 10, Some(0), Ok("")),
            ("sub/data", 8, Some(3), Err("has 10 bytes, but bytes 8 to 11")),
            ("sub/data", 11, None, Err("offset 11 is past its end")),
            ("sub/data", 1, Some(u64::MAX), Err("has 10 bytes")),
            ("sub", 0, None, Err("not a regular file")),
            ("gone", 0, None, Err("no such file beside the model")),
            ("../secret", 0, None, Err("leads out of the model's folder")),
        ] {
            match (data.read(location, offset, length), expected) {
                (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected.as_bytes(), "{location}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (other, expected) => panic!("{location}: {other:?}, expected {expected:?}"),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_may_not_leave_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("model");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(outer.path().join("secret"), b"secret").unwrap();
        std::fs::write(dir.join("data"), b"data").unwrap();
        std::os::unix::fs::symlink("../secret", dir.join("out")).unwrap();
        std::os::unix::fs::symlink("data", dir.join("inside")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join("zero")).unwrap();
        let data = FileExternalData::new(&dir).unwrap();
        assert_eq!(data.read("inside", 0, None).unwrap(), "data");
        for location in ["out", "zero"] {
            let error = data.read(location, 0, Some(3)).unwrap_err();
            assert!(error.contains("leads out"), "{error}");
        }
    }
}
