//! Which workload a cgroup belongs to.
//!
//! A workload recognises its cgroups by a glob over the path or by a tag. An agent may make further
//! cgroups below its own, so every prefix of the leaf's path below the agent slice is tried and the
//! *shallowest* match wins: it was made by whoever started the agent, not by the agent.

use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobMatcher};

use super::{
    WorkloadConfig,
    cgroup::{CgroupError, CgroupTree},
};
use crate::prim::{CgroupPath, WorkloadName};

/// The configured workloads, ready to match.
#[derive(Debug)]
pub struct Workloads {
    slice: CgroupPath,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    workload: Arc<WorkloadConfig>,
    glob: Option<GlobMatcher>,
}

/// Why the configured workloads cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// A glob does not parse.
    #[error("workload {workload}: cgroup = {glob:?} is not a valid glob: {detail}")]
    BadGlob {
        /// The workload.
        workload: WorkloadName,
        /// Its glob.
        glob: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Two workloads have one name.
    #[error("workload {0} is configured twice")]
    Twice(WorkloadName),
    /// Two workloads answer to one tag.
    #[error(
        "workloads {first} and {second} both answer to the tag {tag:?} (a workload without `tag` answers to its name)"
    )]
    SameTag {
        /// The tag.
        tag: String,
        /// The workload that comes first in the file.
        first: WorkloadName,
        /// The other one.
        second: WorkloadName,
    },
}

/// What the matching found.
#[derive(Debug, Clone)]
pub enum Match {
    /// One workload, and the cgroup that is its session.
    Found(Arc<WorkloadConfig>, CgroupPath),
    /// Not below the agent slice.
    NotAnAgent,
    /// Below the slice, but no workload answers.
    None,
    /// Two workloads answer at the same depth.
    Ambiguous(WorkloadName, WorkloadName),
}

impl Workloads {
    /// Compiles the globs and checks that names and tags are unique.
    ///
    /// # Errors
    /// [`WorkloadError`], which names the workload.
    pub fn new(
        slice: CgroupPath,
        configs: impl IntoIterator<Item = WorkloadConfig>,
    ) -> Result<Self, WorkloadError> {
        let mut rules: Vec<Rule> = Vec::new();
        for config in configs {
            for earlier in rules.iter().map(|rule| &rule.workload) {
                if earlier.name == config.name {
                    return Err(WorkloadError::Twice(config.name));
                }
                if tag_of(earlier) == tag_of(&config) {
                    return Err(WorkloadError::SameTag {
                        tag: tag_of(&config).to_owned(),
                        first: earlier.name.clone(),
                        second: config.name,
                    });
                }
            }
            let glob = config.cgroup.as_deref().map(|glob| compile(&config.name, glob)).transpose()?;
            rules.push(Rule { workload: Arc::new(config), glob: glob.map(|glob| glob.compile_matcher()) });
        }
        Ok(Self { slice, rules })
    }

    /// The workload of the cgroup at `leaf`.
    ///
    /// # Errors
    /// [`CgroupError`] when a tag cannot be read: what cannot be known is not guessed.
    pub fn find(&self, tree: &dyn CgroupTree, leaf: &CgroupPath) -> Result<Match, CgroupError> {
        if !leaf.is_within(&self.slice) {
            return Ok(Match::NotAnAgent);
        }
        for prefix in self.below_slice(leaf) {
            let tag = tree.tag(&prefix)?;
            let mut answers = self.rules.iter().filter(|rule| rule.answers(&prefix, tag.as_deref()));
            match (answers.next(), answers.next()) {
                (None, _) => {}
                (Some(rule), None) => return Ok(Match::Found(Arc::clone(&rule.workload), prefix)),
                (Some(first), Some(second)) => {
                    return Ok(Match::Ambiguous(first.workload.name.clone(), second.workload.name.clone()));
                }
            }
        }
        Ok(Match::None)
    }

    /// The prefixes of `leaf` strictly below the slice, shallowest first.
    pub fn below_slice<'a>(&'a self, leaf: &'a CgroupPath) -> impl Iterator<Item = CgroupPath> + 'a {
        leaf.prefixes().filter(|prefix| prefix.is_within(&self.slice) && *prefix != self.slice)
    }

    /// The agent slice.
    #[must_use]
    pub fn slice(&self) -> &CgroupPath {
        &self.slice
    }

    /// The workload called `name`.
    #[must_use]
    pub fn named(&self, name: &WorkloadName) -> Option<&Arc<WorkloadConfig>> {
        self.all().find(|workload| workload.name == *name)
    }

    /// All of them, in the order of the configuration.
    pub fn all(&self) -> impl Iterator<Item = &Arc<WorkloadConfig>> {
        self.rules.iter().map(|rule| &rule.workload)
    }
}

/// The tag a workload answers to: the configured one, else its name. So any workload can be tagged,
/// and the launcher can tag the scopes it makes for a workload that is recognised by a glob.
#[must_use]
pub fn tag_of(workload: &WorkloadConfig) -> &str {
    workload.tag.as_deref().unwrap_or(workload.name.as_str())
}

impl Rule {
    fn answers(&self, path: &CgroupPath, tag: Option<&str>) -> bool {
        tag.is_some_and(|tag| tag == tag_of(&self.workload))
            || self.glob.as_ref().is_some_and(|glob| glob.is_match(path.as_str()))
    }
}

fn compile(workload: &WorkloadName, glob: &str) -> Result<Glob, WorkloadError> {
    // A `*` that crossed `/` would let an agent choose its workload by making a cgroup below its own.
    GlobBuilder::new(glob.trim_matches('/')).literal_separator(true).build().map_err(|error| {
        WorkloadError::BadGlob {
            workload: workload.clone(),
            glob: glob.to_owned(),
            detail: error.kind().to_string(),
        }
    })
}

#[cfg(test)]
mod tests;
