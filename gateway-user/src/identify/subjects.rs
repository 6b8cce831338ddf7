//! Whose tokens a workload takes.

use globset::{GlobBuilder, GlobMatcher};

/// Globs over the subjects of tokens, compiled once.
#[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Subjects {
    globs: Vec<String>,
    /// Those that are globs; the check of the configuration refuses the others.
    compiled: Vec<GlobMatcher>,
}

impl Subjects {
    /// As they are configured.
    #[must_use]
    pub fn globs(&self) -> &[String] {
        &self.globs
    }

    /// Whether tokens of `subject` are taken: it fits one of the globs, or there is none.
    #[must_use]
    pub fn fit(&self, subject: &str) -> bool {
        self.globs.is_empty() || self.compiled.iter().any(|glob| glob.is_match(subject))
    }
}

impl From<Vec<String>> for Subjects {
    fn from(globs: Vec<String>) -> Self {
        let compiled = globs.iter().filter_map(|glob| subject_glob(glob)).collect();
        Self { globs, compiled }
    }
}

impl From<Subjects> for Vec<String> {
    fn from(subjects: Subjects) -> Self {
        subjects.globs
    }
}

/// A glob of subjects, as `*` and `?`; nothing in a subject is special. `None` where it is none.
#[must_use]
pub fn subject_glob(glob: &str) -> Option<GlobMatcher> {
    GlobBuilder::new(glob).literal_separator(false).build().ok().map(|glob| glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_by_globs() {
        let fits = |globs: &[&str], subject: &str| {
            Subjects::from(globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()).fit(subject)
        };
        assert!(fits(&[], "anyone"));
        assert!(fits(&["a", "repo:acme/*"], "repo:acme/app:ref:refs/heads/main"));
        assert!(!fits(&["repo:acme/*"], "repo:evil/app"));
        assert!(!fits(&["repo:acme/app"], "repo:acme/app2"));
        assert!(!fits(&["["], "anyone"), "what is no glob lets nobody in");
    }

    #[test]
    fn they_are_compiled_when_the_configuration_is_read() {
        let read: Subjects = serde_json::from_str(r#"["a-*", "b"]"#).unwrap();
        assert_eq!(read.compiled.len(), 2);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["a-*","b"]"#);
    }
}
