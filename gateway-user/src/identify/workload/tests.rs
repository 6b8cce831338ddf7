use super::*;
use crate::identify::fake::FakeTree;

fn workload(name: &str, cgroup: Option<&str>, tag: Option<&str>) -> WorkloadConfig {
    toml::from_str(&format!(
        "name = {name:?}\nidentity = \"host\"\n{}{}",
        cgroup.map(|glob| format!("cgroup = {glob:?}\n")).unwrap_or_default(),
        tag.map(|tag| format!("tag = {tag:?}\n")).unwrap_or_default(),
    ))
    .unwrap()
}

fn workloads(configs: &[(&str, Option<&str>, Option<&str>)]) -> Result<Workloads, WorkloadError> {
    let configs = configs.iter().map(|(name, cgroup, tag)| workload(name, *cgroup, *tag));
    Workloads::new(CgroupPath::new("agents.slice"), configs)
}

/// `"claude agents.slice/claude-1.service"`, or the kind of refusal.
fn outcome(found: Result<Match, CgroupError>) -> String {
    match found {
        Ok(Match::Found(workload, cgroup)) => format!("{} {}", workload.name, cgroup.as_str()),
        Ok(Match::NotAnAgent) => "not an agent".to_owned(),
        Ok(Match::None) => "none".to_owned(),
        Ok(Match::Ambiguous(first, second)) => format!("{first} or {second}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn globs() {
    let check = |globs: &[&str], leaf: &str, expected: &str| {
        let names = ["a", "b", "c"];
        let configs: Vec<_> =
            std::iter::zip(names, globs).map(|(name, glob)| (name, Some(*glob), None)).collect();
        let path = CgroupPath::new(leaf);
        let all: Vec<_> = path.prefixes().map(|prefix| prefix.as_str().to_owned()).collect();
        let tree = FakeTree::with(&all.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(outcome(workloads(&configs).unwrap().find(&tree, &path)), expected, "{globs:?} {leaf}");
    };
    let claude = "agents.slice/claude-*.service";
    check(&[claude], "agents.slice/claude-1.service", "a agents.slice/claude-1.service");
    check(
        &["/agents.slice/claude-*.service/"],
        "agents.slice/claude-1.service",
        "a agents.slice/claude-1.service",
    );
    // What the agent makes below its own cgroup belongs to its session.
    check(&[claude], "agents.slice/claude-1.service/x/y", "a agents.slice/claude-1.service");
    check(&[claude], "agents.slice/aider-1.service", "none");
    check(&[claude], "agents.slice", "none");
    check(&["agents.slice"], "agents.slice/x", "none");
    check(&["**"], "agents.slice", "none");
    check(&["system.slice/*"], "system.slice/sshd.service", "not an agent");
    check(&["agents.slice*/**"], "agents.slice2/x", "not an agent");
    check(&[claude], "", "not an agent");
    // `*` stays within one name: an agent cannot step into another workload's glob.
    check(&["agents.slice/*.service"], "agents.slice/x/claude.service", "none");
    check(&["agents.slice/*/b.scope"], "agents.slice/x/b.scope", "a agents.slice/x/b.scope");
    check(&["agents.slice/**/b.scope"], "agents.slice/x/y/b.scope", "a agents.slice/x/y/b.scope");
    check(
        &["agents.slice/{claude,aider}-?.scope"],
        "agents.slice/aider-7.scope",
        "a agents.slice/aider-7.scope",
    );
    check(&["agents.slice/[a-c]"], "agents.slice/d", "none");
    // The shallowest match wins, whatever the order of the configuration.
    check(
        &["agents.slice/*/evil", claude],
        "agents.slice/claude-1.service/evil",
        "b agents.slice/claude-1.service",
    );
    // The same depth is refused, the order of the configuration notwithstanding.
    check(&["agents.slice/c*", claude], "agents.slice/claude-1.service", "a or b");
    check(&[claude, "agents.slice/c*"], "agents.slice/claude-1.service/x", "a or b");
    check(
        &["agents.slice/*/x", "agents.slice/*/*", "agents.slice/q"],
        "agents.slice/q/x",
        "c agents.slice/q",
    );
}

#[test]
fn tags() {
    let workloads = workloads(&[
        ("named", None, None),
        ("tagged", None, Some("night")),
        ("globbed", Some("agents.slice/g*"), None),
    ])
    .unwrap();
    let check = |tags: &[(&str, &str)], leaf: &str, expected: &str| {
        let tree = FakeTree::with(&["agents.slice", "agents.slice/x", "agents.slice/x/y", "agents.slice/g"]);
        for (path, tag) in tags {
            tree.set_tag(path, tag);
        }
        assert_eq!(outcome(workloads.find(&tree, &CgroupPath::new(leaf))), expected, "{tags:?} {leaf}");
    };
    check(&[("agents.slice/x", "night")], "agents.slice/x/y", "tagged agents.slice/x");
    // A workload without a tag answers to its name, one with a tag does not.
    check(&[("agents.slice/x", "named")], "agents.slice/x", "named agents.slice/x");
    check(&[("agents.slice/x", "tagged")], "agents.slice/x", "none");
    check(&[("agents.slice/x", "absent")], "agents.slice/x", "none");
    check(&[("agents.slice/x", "")], "agents.slice/x", "none");
    check(&[], "agents.slice/x", "none");
    // Tag and glob of one workload agree; of two, they do not.
    check(&[("agents.slice/g", "globbed")], "agents.slice/g", "globbed agents.slice/g");
    check(&[("agents.slice/g", "night")], "agents.slice/g", "tagged or globbed");
    // The shallower of two tags wins; a tag on the slice itself says nothing.
    check(
        &[("agents.slice/x", "named"), ("agents.slice/x/y", "night")],
        "agents.slice/x/y",
        "named agents.slice/x",
    );
    check(&[("agents.slice", "night")], "agents.slice/x", "none");
}

#[test]
fn a_tag_that_cannot_be_read_is_not_guessed() {
    let tree = FakeTree::with(&["agents.slice", "agents.slice/g"]);
    tree.spoil_tag("agents.slice/g");
    let workloads = workloads(&[("globbed", Some("agents.slice/g*"), None)]).unwrap();
    let found = workloads.find(&tree, &CgroupPath::new("agents.slice/g"));
    assert!(matches!(found, Err(CgroupError::BadTag)), "{found:?}");
}

#[test]
fn workloads_that_cannot_be_told_apart_are_refused() {
    let check = |configs: &[(&str, Option<&str>, Option<&str>)], expected: &str| {
        let error = workloads(configs).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&[("a", None, None), ("a", Some("x"), Some("t"))], "workload a is configured twice");
    check(
        &[("a", None, Some("t")), ("b", None, Some("t"))],
        "workloads a and b both answer to the tag \"t\"",
    );
    check(&[("a", None, None), ("b", None, Some("a"))], "workloads a and b both answer to the tag \"a\"");
    check(
        &[("a", Some("agents.slice/[x"), None)],
        "workload a: cgroup = \"agents.slice/[x\" is not a valid glob",
    );
}
