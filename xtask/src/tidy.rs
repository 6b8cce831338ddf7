//! `cargo xtask tidy`: the rules of the code that the compiler does not know.
//!
//! `gateway-user/src/lib.rs` lists the modules as a story; the same list is the dependency graph
//! and says which modules are pure. Here it is held to that.

mod rules;
mod source;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::sh::{self, Sh};

/// Where a rule is broken, and which.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the repository's root.
    pub file: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Checks every file that git knows or would add.
///
/// # Errors
/// When a rule is broken; all findings are printed first.
pub fn run() -> Result<()> {
    let listed = Sh::new("git", &["ls-files", "--cached", "--others", "--exclude-standard"])
        .ask()
        .context("git ls-files failed")?;
    let files = listed.lines().map(Path::new).map(read).collect::<Result<Vec<_>>>()?;
    let files: Vec<File> = files.into_iter().flatten().collect();

    let findings = rules::check(&files);
    for Finding { file, message } in &findings {
        println!("{file}: {message}");
    }
    ensure!(findings.is_empty(), "{} rule(s) broken", findings.len());
    println!("tidy: {} files, no findings", files.len());
    Ok(())
}

/// A text file of the repository.
#[derive(Debug)]
pub struct File {
    /// Path from the repository's root.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// `None` for what is not text, and for files deleted but not yet committed.
fn read(path: &Path) -> Result<Option<File>> {
    let bytes = match fs::read(sh::root().join(path)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let file = |text| File { path: path.to_string_lossy().into_owned(), text };
    Ok(String::from_utf8(bytes).ok().map(file))
}
