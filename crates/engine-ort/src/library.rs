//! Where is ONNX Runtime, and is it one that we can use?
//!
//! People install it from a distribution, from an archive under `/opt` or `/usr/local`, or
//! with `pip`, which hides it in `site-packages`. Each candidate is opened and asked its
//! version before the binding sees it; what was tried and why it was refused is the error.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs;
use std::path::{Path, PathBuf};

/// Environment variable that names the library, as the `ort` crate and others read it.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// A library that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself: `1.31.1`.
    pub version: String,
    /// The kind of place: `found in Python site-packages`.
    pub place: &'static str,
}

/// No usable library.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no usable ONNX Runtime library ({} or newer): {}", minimum(), list(.tried))]
pub struct FindError {
    /// Every place that was tried.
    pub tried: Vec<Tried>,
}

/// A place that was tried, and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The file, or a folder that holds no such file.
    pub path: PathBuf,
    /// What was wrong.
    pub reason: String,
}

/// Finds the library: `explicit` if given, else what `ORT_DYLIB_PATH` names, else the first
/// usable one in the library folders of the system and then of Python.
///
/// A path that someone named is the only one tried: falling back to another library would hide
/// the mistake. A folder stands for the libraries in it.
pub fn find(explicit: Option<&Path>) -> Result<Library, FindError> {
    let variable = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let places = match (explicit, variable) {
        (Some(path), _) => vec![("as configured", path.to_owned())],
        (None, Some(path)) => vec![("named by ORT_DYLIB_PATH", path)],
        (None, None) => usual_places(),
    };
    let mut tried = Vec::new();
    for (place, path) in places {
        match search(&path) {
            Ok((path, version)) => return Ok(Library { path, version, place }),
            Err(reasons) => tried.extend(reasons),
        }
    }
    Err(FindError { tried })
}

/// The first usable library at `path`, a file or a folder.
fn search(path: &Path) -> Result<(PathBuf, String), Vec<Tried>> {
    let files = if path.is_dir() { libraries_in(path) } else { vec![path.to_owned()] };
    if files.is_empty() {
        return Err(vec![Tried { path: path.to_owned(), reason: "no libonnxruntime there".to_owned() }]);
    }
    let mut tried = Vec::new();
    for path in files {
        match probe(&path) {
            Ok(version) => return Ok((path, version)),
            Err(reason) => tried.push(Tried { path, reason }),
        }
    }
    Err(tried)
}

/// Opens a file as ONNX Runtime and returns its version.
///
/// Opening runs whatever the file does when loaded; the places are those from which the
/// system's own loader takes libraries, or named by whoever runs the node.
fn probe(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    #[allow(
        unsafe_code,
        reason = "loading a library, and its C entry points, cannot be checked by the compiler"
    )]
    // SAFETY: the entry points have had these signatures since ONNX Runtime 1.0, and both the table
    // and the version string are static in the library, which is never unloaded (see below).
    let version = unsafe {
        let library = libloading::Library::new(path).map_err(|error| format!("not a library: {error}"))?;
        let entry: Result<libloading::Symbol<'_, unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>, _> =
            library.get(b"OrtGetApiBase\0");
        let Ok(base) = entry.map(|entry| entry()) else {
            return Err("a library, but not ONNX Runtime: no OrtGetApiBase".to_owned());
        };
        let version =
            base.as_ref().map(|base| (base.GetVersionString)()).filter(|version| !version.is_null());
        let version = version.map(|version| CStr::from_ptr(version).to_string_lossy().into_owned());
        let usable = version.as_deref().and_then(api_of).is_some_and(|api| api >= ort::MINOR_VERSION)
            && base.as_ref().is_some_and(|base| !(base.GetApi)(ort::MINOR_VERSION).is_null());
        // Unloading would run destructors of a library that is about to be loaded again.
        std::mem::forget(library);
        match version {
            Some(version) if usable => version,
            Some(version) => return Err(format!("ONNX Runtime {version}, too old")),
            None => return Err("a library that does not tell its version".to_owned()),
        }
    };
    Ok(version)
}

/// `1.24.1` has API 24.
fn api_of(version: &str) -> Option<u32> {
    let mut parts = version.split('.');
    match (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse().ok()?) {
        (1, minor) => Some(minor),
        (0, _) => None,
        (_, _) => Some(u32::MAX),
    }
}

fn usual_places() -> Vec<(&'static str, PathBuf)> {
    let mut places = Vec::new();
    if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.push(("beside the executable", beside.to_owned()));
    }
    for variable in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        let paths = std::env::var_os(variable).unwrap_or_default();
        let folders = std::env::split_paths(&paths).filter(|folder| folder.is_absolute());
        places.extend(folders.map(|folder| ("found in the library path", folder)));
    }
    let system = ["/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64", "/opt/homebrew/lib"];
    let triple = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let system = system.map(PathBuf::from).into_iter().chain([PathBuf::from(triple)]);
    let archives = children(Path::new("/opt"), |name| name.starts_with("onnxruntime"));
    let archives = archives.into_iter().map(|path| path.join("lib"));
    places.extend(system.chain(archives).map(|folder| ("found in a system folder", folder)));
    places.extend(
        python_prefixes()
            .into_iter()
            .flat_map(|prefix| wheels_under(&prefix))
            .map(|folder| ("found in Python site-packages", folder)),
    );
    let mut seen = HashSet::new();
    places.retain(|(_, folder)| seen.insert(folder.clone()));
    places
}

/// Where Python may have packages: the environment in use, those whose `python3` is on the
/// path, the user's, the system's, environments under `/opt`.
fn python_prefixes() -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> =
        ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(std::env::var_os).map(PathBuf::from).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    prefixes.extend(
        std::env::split_paths(&path)
            .filter(|folder| folder.join("python3").exists())
            .filter_map(|folder| folder.parent().map(Path::to_owned)),
    );
    prefixes.extend(std::env::home_dir().map(|home| home.join(".local")));
    prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
    prefixes.extend(children(Path::new("/opt"), |_| true));
    prefixes
}

/// Folders of ONNX Runtime wheels that are there.
fn wheels_under(prefix: &Path) -> Vec<PathBuf> {
    let pythons = ["lib", "lib64"]
        .into_iter()
        .flat_map(|lib| children(&prefix.join(lib), |name| name.starts_with("python3")));
    let packages =
        pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|kind| python.join(kind)));
    packages.map(|packages| packages.join("onnxruntime/capi")).filter(|folder| folder.is_dir()).collect()
}

/// `libonnxruntime.so` and its versioned names in a folder, the plain name first, then newest first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let stem = format!("{}onnxruntime", std::env::consts::DLL_PREFIX);
    let suffix = std::env::consts::DLL_SUFFIX;
    let is_library = |name: &str| {
        // Not `libonnxruntime_providers_shared.so` and the like.
        name.strip_prefix(&stem).is_some_and(|rest| rest.starts_with('.') && rest.contains(suffix))
    };
    let mut files = children(folder, is_library);
    files.sort_by_key(|path| (path.as_os_str().len(), std::cmp::Reverse(path.clone())));
    files
}

fn children(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(&wanted);
    let mut paths: Vec<PathBuf> = entries.filter(named).collect();
    paths.sort();
    paths
}

fn minimum() -> String {
    format!("1.{}", ort::MINOR_VERSION)
}

fn list(tried: &[Tried]) -> String {
    let lines = tried.iter().map(|tried| format!("{}: {}", tried.path.display(), tried.reason));
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_path_that_is_no_library_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("libonnxruntime.so");
        fs::write(&text, "not an ELF file").unwrap();
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        for (path, reason) in [
            (folder.path().join("missing.so"), "No such file"),
            (text.clone(), "not a library"),
            (folder.path().to_owned(), "not a library"),
            (empty, "no libonnxruntime there"),
            (PathBuf::from("/dev/null"), "not a file"),
        ] {
            let error = find(Some(&path)).unwrap_err();
            assert_eq!(error.tried.len(), 1);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_library_is_not_onnx_runtime() {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.split_whitespace().find(|word| word.contains("/libc.so")).map(Path::new);
        let Some(libc) = libc else { return eprintln!("skipped: libc is not a shared library here") };
        assert!(find(Some(libc)).unwrap_err().to_string().contains("no OrtGetApiBase"));
    }

    #[test]
    fn plain_name_first_then_newest() {
        let folder = tempfile::tempdir().unwrap();
        let suffix = std::env::consts::DLL_SUFFIX;
        let stem = format!("{}onnxruntime", std::env::consts::DLL_PREFIX);
        for name in [format!("{stem}{suffix}"), format!("{stem}_providers_shared{suffix}"), "x".to_owned()] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        for version in [".1.24.0", ".1.31.1"] {
            fs::write(folder.path().join(format!("{stem}{suffix}{version}")), "").unwrap();
        }
        let names: Vec<String> = libraries_in(folder.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().replace(&stem, "").replace(suffix, ""))
            .collect();
        assert_eq!(names, ["", ".1.31.1", ".1.24.0"]);
    }

    #[test]
    fn api_versions() {
        for (version, api) in
            [("1.24.1", Some(24)), ("1.31.1", Some(31)), ("2.0.0", Some(u32::MAX)), ("x", None)]
        {
            assert_eq!(api_of(version), api, "{version}");
        }
    }
}
