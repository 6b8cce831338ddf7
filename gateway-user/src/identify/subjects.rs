//! Whose tokens a workload takes.

/// Globs over the subjects of tokens.
#[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Subjects(Vec<String>);

impl Subjects {
    /// As they are configured.
    #[must_use]
    pub fn globs(&self) -> &[String] {
        &self.0
    }

    /// Whether tokens of `subject` are taken: it fits one of the globs, or there is none.
    #[must_use]
    pub fn fit(&self, subject: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| fits(glob, subject))
    }
}

impl From<Vec<String>> for Subjects {
    fn from(globs: Vec<String>) -> Self {
        Self(globs)
    }
}

/// Whether the glob stands for the whole subject: `*` for any characters, `?` for one, and nothing else is special, because
/// subjects of some issuers have brackets and backslashes. Takes time in proportion to both lengths' product at most.
fn fits(glob: &str, subject: &str) -> bool {
    let (mut glob, mut subject) = (glob.chars(), subject.chars());
    // Behind the last star, and the subject from where that star ends.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let rest = subject.clone();
        match (glob.next(), subject.next()) {
            (Some('*'), _) => {
                subject = rest;
                retry = Some((glob.clone(), subject.clone()));
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                // The last star takes one character more.
                let Some((behind, mut from)) = retry.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                (glob, subject) = (behind.clone(), from.clone());
                retry = Some((behind, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_by_globs() {
        let check = |globs: &[&str], subject: &str, expected: bool| {
            let subjects = Subjects::from(globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>());
            assert_eq!(subjects.fit(subject), expected, "{globs:?} {subject:?}");
        };
        check(&[], "anyone", true);
        check(&["a", "repo:acme/*"], "repo:acme/app:ref:refs/heads/main", true);
        check(&["repo:acme/*"], "repo:evil/app", false);
        check(&["repo:acme/*"], "repo:acme/", true);
        check(&["repo:acme/app"], "repo:acme/app2", false);
        check(&["repo:acme/app"], "repo:acme/ap", false);
        check(&["*:ref:*/main"], "repo:a/b:ref:x:ref:refs/heads/main", true);
        check(&["*:ref:*/main"], "repo:a/b:ref:refs/heads/main2", false);
        check(&["a?c"], "abc", true);
        check(&["a?c"], "aüc", true);
        check(&["a?c"], "ac", false);
        check(&["a?"], "a", false);
        check(&["**"], "", true);
        check(&["a**b"], "a/x/b", true);
        check(&["A"], "a", false);
        check(&[""], "a", false);
    }

    #[test]
    fn only_star_and_question_mark_are_special() {
        for plain in ["[ab]", "{a,b}", "a\\b", "[", "]", "!", "\\*x", "[!a]"] {
            let subjects = Subjects::from(vec![plain.to_owned()]);
            assert!(subjects.fit(&plain.replace('*', "y")), "{plain}");
            for other in ["a", "b", "ab", "*x", "c"] {
                assert!(!subjects.fit(other), "{plain} {other}");
            }
        }
    }

    #[test]
    fn a_glob_of_many_stars_ends() {
        let glob = "*a".repeat(128) + "b";
        assert!(!fits(&glob, &"a".repeat(256)));
    }
}
