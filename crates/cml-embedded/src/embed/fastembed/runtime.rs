//! Finds and loads the ONNX Runtime library.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cml_core::{Error, ErrorKind, Result};
use ort::LoadDynamicError;

/// Names under which systems install the library; the second is what Linux packages without
/// development files bring.
#[cfg(target_os = "linux")]
const NAMES: &[&str] = &["libonnxruntime.so", "libonnxruntime.so.1"];
#[cfg(target_os = "macos")]
const NAMES: &[&str] = &["libonnxruntime.dylib"];
#[cfg(target_os = "windows")]
const NAMES: &[&str] = &["onnxruntime.dll"];
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
const NAMES: &[&str] = &["libonnxruntime.so"];

/// Loads ONNX Runtime unless the process has done so already.
///
/// It has to come before every other call: what needs the library and finds none panics.
pub(super) fn load(path: Option<&Path>) -> Result<()> {
    if let Some(path) = path {
        return open(&library(path)?);
    }
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return open(&library(Path::new(&path))?);
    }
    for name in NAMES {
        match ort::init_from(name) {
            Ok(_) => return Ok(()),
            Err(LoadDynamicError::Dlopen { .. }) => {}
            Err(error) => return Err(refused(Path::new(name), error)),
        }
    }
    Err(config("the ONNX Runtime library is not installed".to_owned()))
}

fn open(path: &Path) -> Result<()> {
    ort::init_from(path).map(drop).map_err(|error| refused(path, error))
}

/// The library's file: `path`, or the one in it.
fn library(path: &Path) -> Result<PathBuf> {
    let missing = |what: &str| config(format!("onnxruntime: {} {what}", path.display()));
    if path.components().count() == 1 && !path.exists() {
        // A bare name: the system's loader searches for it.
        return Ok(path.to_owned());
    }
    // A relative path means the working directory; ort would look beside the program first.
    let path = std::path::absolute(path).map_err(|error| missing("is not a path").with_source(error))?;
    if !path.is_dir() {
        return if path.exists() { Ok(path) } else { Err(missing("does not exist")) };
    }
    let entries =
        path.read_dir().map_err(|error| missing("is a folder that cannot be read").with_source(error))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.file_name().and_then(OsStr::to_str).is_some_and(is_library))
        .min()
        .ok_or_else(|| missing("is a folder without the ONNX Runtime library"))
}

/// Whether a file is named like the library: `libonnxruntime.so.1.24.0`, `libonnxruntime.1.24.0.dylib`.
fn is_library(name: &str) -> bool {
    name.strip_prefix(DLL_PREFIX)
        .and_then(|rest| rest.strip_prefix("onnxruntime."))
        .is_some_and(|rest| rest.split('.').any(|part| part == &DLL_SUFFIX[1..]))
}

fn refused(path: &Path, error: LoadDynamicError) -> Error {
    let path = path.display();
    let message = match &error {
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!(
                "onnxruntime: {path} is ONNX Runtime {version_str}, 1.{} or newer is needed",
                ort::MINOR_VERSION
            )
        }
        LoadDynamicError::MissingApi { .. } => format!("onnxruntime: {path} is another library"),
        _ => format!("onnxruntime: {path} cannot be loaded as a library"),
    };
    config(message).with_source(error)
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message).with_suggestion(format!(
        "`pip install onnxruntime` and set CML_ONNXRUNTIME to the folder onnxruntime/capi that it installs, or \
         install the ONNX Runtime release 1.{} or newer and set it to its libonnxruntime file, or build with \
         feature fastembed-download in place of fastembed",
        ort::MINOR_VERSION
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_known_by_its_name() {
        for name in [format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"), NAMES[0].to_owned()] {
            assert!(is_library(&name), "{name}");
        }
        for name in
            ["libonnxruntime_providers_shared.so", "onnxruntime.lib", "libonnxruntime.pc", "model.onnx"]
        {
            assert!(!is_library(name), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_versioned_library_is_found_in_its_folder() {
        assert!(is_library("libonnxruntime.so.1.24.0"));
    }
}
