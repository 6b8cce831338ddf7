//! The rules themselves: texts in, findings out.

use super::{File, Finding, source};

/// Where the story of a request is told.
const STORY: &str = "gateway-user/src/lib.rs";
const STORY_DIR: &str = "gateway-user/src/";

/// What a pure module may not touch, as path prefixes.
const IMPURE: &[&str] = &[
    "aya",
    "hyper",
    "hyper_util",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
    "tokio_util",
];
/// Addresses are values: the part of `std::net` that does nothing.
const NET_VALUES: &[&str] = &[
    "std::net::AddrParseError",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
];
/// Readings of the clock.
const CLOCKS: &[&str] = &["SystemTime::now", "Instant::now", "now_utc(", "now_local("];

/// Files of the product where `anyhow` gives an error its context on the way out.
const ANYHOW: &[&str] = &["gateway-user/src/main.rs", "gateway-user/src/app", "gateway-user/src/cli"];

// Written in pieces, so that this file does not break its own rules.
const UNFINISHED: &str = concat!("todo", "!(");
const SKIPPED: &str = concat!("#[", "ignore");
const WORKPLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("/tmp/", "setup")];
/// How the project was made is no part of what it says. Lower case.
const MAKING: &[&str] = &[
    concat!("found", "er"),
    concat!("help", "er-"),
    concat!("issue", " #"),
    concat!("sub", "agent"),
    concat!("the issue", "'s"),
    concat!("this session ", "of work"),
];
/// Lists of other people's packages.
const LOCK_FILES: &[&str] = &["Cargo.lock", "package-lock.json"];

/// Applies every rule to these files.
pub fn check(files: &[File]) -> Vec<Finding> {
    let story = files.iter().find(|file| file.path == STORY).map_or("", |file| &file.text);
    let modules = Module::list(story);
    let mut findings = Vec::new();
    for module in modules.iter().filter(|module| !module.documented) {
        findings.push(finding(STORY, format!("module `{}` has no doc line", module.name)));
    }
    for file in files {
        everywhere(file, &mut findings);
        if file.path.ends_with(".md") {
            links(file, files, &mut findings);
        }
        if file.path.ends_with(".rs") {
            rust(file, &mut findings);
            in_story(file, &modules, &mut findings);
        }
    }
    findings
}

/// A module as `lib.rs` declares it.
struct Module {
    name: String,
    documented: bool,
    pure: bool,
}

impl Module {
    fn list(story: &str) -> Vec<Self> {
        let mut doc = String::new();
        let mut modules = Vec::new();
        for line in story.lines() {
            if let Some(text) = line.strip_prefix("///") {
                doc.push_str(text);
            } else if let Some(name) = declared(line) {
                let (documented, pure) = (!doc.trim().is_empty(), doc.contains("*pure*"));
                modules.push(Self { name: name.to_owned(), documented, pure });
                doc.clear();
            } else {
                doc.clear();
            }
        }
        modules
    }
}

fn declared(line: &str) -> Option<&str> {
    line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')
}

/// Rules for every text file.
fn everywhere(file: &File, findings: &mut Vec<Finding>) {
    for place in WORKPLACES {
        let named = file.text.match_indices(place).any(|(at, _)| {
            let before = file.text.get(..at).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "-_.}/".contains(c))
        });
        if named {
            findings.push(finding(&file.path, format!("names {place}, a path of one machine")));
        }
    }
    if LOCK_FILES.iter().any(|name| file.path.ends_with(name)) {
        return;
    }
    for (number, line) in file.text.lines().enumerate() {
        let line = line.to_lowercase();
        for word in MAKING.iter().filter(|word| line.contains(**word)) {
            let message = format!("line {}: `{word}` speaks of how the project was made", number + 1);
            findings.push(finding(&file.path, message));
        }
    }
}

/// A link of a page to a file of the repository leads there.
fn links(page: &File, files: &[File], findings: &mut Vec<Finding>) {
    let dir = page.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    for target in source::links(&page.text) {
        // An address elsewhere, or a heading of this page.
        if target.contains("://") || target.starts_with("mailto:") || target.starts_with('#') {
            continue;
        }
        let place = target.split('#').next().unwrap_or_default();
        let leads_to = |path: &str| {
            let below = format!("{path}/");
            files.iter().any(|file| file.path == path || file.path.starts_with(&below))
        };
        if !resolve(dir, place).is_some_and(|path| leads_to(&path)) {
            findings.push(finding(&page.path, format!("the link to {target} leads nowhere")));
        }
    }
}

/// The path of `relative` as seen from `dir`; `None` above the repository.
fn resolve(dir: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Rules for every Rust file.
fn rust(file: &File, findings: &mut Vec<Finding>) {
    for (pattern, message) in [
        (UNFINISHED, "unfinished code is not handed over"),
        (SKIPPED, "a test that does not run proves nothing: remove it or make it run"),
    ] {
        if file.text.contains(pattern) {
            findings.push(finding(&file.path, format!("`{pattern}`: {message}")));
        }
    }
    if !is_test(&file.path) && !file.text.starts_with("//!") {
        findings
            .push(finding(&file.path, "does not begin with a `//!` line that says its purpose".to_owned()));
    }
    let product = file.path.starts_with("gateway-") && file.path.contains("/src/");
    let allowed = ANYHOW.iter().any(|place| file.path.starts_with(place));
    if product && !allowed && !is_test(&file.path) && names(&source::code(&file.text), "anyhow") {
        let message = "anyhow is for main, app and cli: give this stage an error of its own";
        findings.push(finding(&file.path, message.to_owned()));
    }
}

fn names(code: &str, root: &str) -> bool {
    !source::paths(code, root).is_empty()
}

/// Rules for the modules of the story: their order and their purity.
fn in_story(file: &File, modules: &[Module], findings: &mut Vec<Finding>) {
    let Some(inside) = file.path.strip_prefix(STORY_DIR).filter(|_| !is_test(&file.path)) else { return };
    let own = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let Some(place) = modules.iter().position(|module| module.name == own) else { return };
    let code = source::code(&file.text);

    for name in used_modules(&code, inside) {
        if modules.iter().position(|module| module.name == name).is_some_and(|used| used > place) {
            let message = format!("`{own}` uses `{name}`, which lib.rs lists below it");
            findings.push(finding(&file.path, message));
        }
    }
    if modules.get(place).is_some_and(|module| module.pure) {
        for what in impurities(&code) {
            findings.push(finding(&file.path, format!("`{own}` is pure and may not use `{what}`")));
        }
    }
}

/// Names of the crate's modules that `code` in `inside` reaches, through `crate::` or `super::`.
fn used_modules(code: &str, inside: &str) -> Vec<String> {
    let depth = inside.split('/').filter(|part| *part != "mod.rs").count();
    let to_root = format!("super{}::", "::super".repeat(depth.saturating_sub(1)));
    let mut used: Vec<String> = source::paths(code, "crate")
        .iter()
        .filter_map(|path| path.split("::").nth(1))
        .chain(source::paths(code, "super").iter().filter_map(|path| {
            let rest = path.strip_prefix(&to_root)?;
            rest.split("::").next().filter(|name| *name != "super")
        }))
        .map(str::to_owned)
        .collect();
    used.sort();
    used.dedup();
    used
}

fn impurities(code: &str) -> Vec<String> {
    let roots = ["aya", "hyper", "hyper_util", "std", "tokio", "tokio_util"];
    let within = |path: &str, prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let mut found: Vec<String> = roots
        .iter()
        .flat_map(|root| source::paths(code, root))
        .filter(|path| IMPURE.iter().any(|prefix| within(path, prefix)))
        .filter(|path| !NET_VALUES.iter().any(|value| within(path, value)))
        .chain(CLOCKS.iter().filter(|clock| code.contains(**clock)).map(|clock| (*clock).to_owned()))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a file is test code as a whole.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

fn finding(file: &str, message: String) -> Finding {
    Finding { file: file.to_owned(), message }
}
