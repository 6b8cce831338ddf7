//! The policy directory: the only reader of policy files.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::decide::{Policies, PolicyErrors};

/// Files a policy directory may hold.
const MAX_FILES: usize = 1000;
/// Bytes one policy file may have.
const MAX_FILE_BYTES: usize = 1024 * 1024;
/// Bytes all policy files may have together.
const MAX_TOTAL_BYTES: usize = 16 * 1024 * 1024;

/// What a policy directory holds.
#[derive(Debug, Default)]
pub struct PolicyFiles {
    /// Path and text of every `*.cedar` file, by name.
    pub files: Vec<(PathBuf, String)>,
    /// What else lies there and is not read, by name.
    pub ignored: Vec<PathBuf>,
}

/// Why the policies cannot be read.
///
/// A `*.cedar` file that cannot be read is never passed over: it might hold a `forbid`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", path.display())]
pub struct PolicyDirError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub detail: String,
}

/// Why no policies are in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadPoliciesError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] PolicyDirError),
    /// They say something wrong.
    #[error(transparent)]
    Rules(#[from] PolicyErrors),
}

/// Reads and loads the policies of `dir`; what is ignored or strange is logged.
///
/// # Errors
/// [`LoadPoliciesError`]; the caller keeps the set it has.
pub fn load(dir: &Path) -> Result<Policies, LoadPoliciesError> {
    let PolicyFiles { files, ignored } = read(dir)?;
    // Cases for `policy test` lie beside the policies on purpose.
    let is_case_file = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(b".test.toml");
    for path in ignored.into_iter().filter(|path| !is_case_file(path)) {
        tracing::warn!(path = %path.display(), "ignored: policy files end in .cedar");
    }
    let policies = Policies::parse(files)?;
    for warning in policies.warnings() {
        tracing::warn!("{warning}");
    }
    if policies.is_empty() {
        tracing::warn!(dir = %dir.display(), "there are no policies: every call is denied");
    }
    Ok(policies)
}

/// Reads `*.cedar` of `dir`, not of directories below it. Links are followed; names that start with
/// a dot (editors' copies) and other endings are ignored.
///
/// # Errors
/// [`PolicyDirError`]: the directory or one of its policy files cannot be read, is not UTF-8, or
/// is out of bounds.
pub fn read(dir: &Path) -> Result<PolicyFiles, PolicyDirError> {
    let at = |path: &Path, detail: String| PolicyDirError { path: path.to_owned(), detail };
    let listing = fs::read_dir(dir).map_err(|error| at(dir, error.to_string()))?;
    let mut paths = Vec::new();
    for entry in listing {
        paths.push(entry.map_err(|error| at(dir, error.to_string()))?.path());
        if paths.len() > MAX_FILES {
            return Err(at(dir, format!("more than {MAX_FILES} files")));
        }
    }
    paths.sort();

    let mut found = PolicyFiles::default();
    let mut total = 0_usize;
    for path in paths {
        if !is_policy(&path) {
            found.ignored.push(path);
            continue;
        }
        let text = read_file(&path).map_err(|detail| at(&path, detail))?;
        total = total.saturating_add(text.len());
        if total > MAX_TOTAL_BYTES {
            return Err(at(dir, format!("the policy files have more than {MAX_TOTAL_BYTES} bytes together")));
        }
        found.files.push((path, text));
    }
    Ok(found)
}

fn is_policy(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "cedar")
}

fn read_file(path: &Path) -> Result<String, String> {
    // Before opening: opening a FIFO would wait for its writer.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("not a file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(format!("more than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}
