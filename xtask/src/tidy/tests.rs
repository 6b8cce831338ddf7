//! The rules, on texts of a few lines.

use super::{File, rules, source};

const STORY: &str = "//! story\n\n/// Words. *pure*\npub mod prim;\n/// Time.\npub mod clock;\n\
                     /// Request. *pure*\npub mod parse;\n/// Out.\npub mod forward;\n";

/// Findings for one file next to the story, as `file: message`.
fn findings(path: &str, text: &str) -> Vec<String> {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let files = [file("gateway-user/src/lib.rs", STORY), file(path, text)];
    rules::check(&files).into_iter().map(|found| format!("{}: {}", found.file, found.message)).collect()
}

#[track_caller]
fn clean(path: &str, text: &str) {
    assert_eq!(findings(path, text), Vec::<String>::new());
}

#[track_caller]
fn broken(path: &str, text: &str, part: &str) {
    let found = findings(path, text);
    assert!(found.iter().any(|line| line.contains(part)), "no {part:?} in {found:?}");
}

#[test]
fn modules_use_only_what_is_listed_above() {
    let clock = "gateway-user/src/clock.rs";
    clean(clock, "//! x\nuse crate::prim::Region;\n");
    clean(clock, "//! x\nuse crate::clock::Clock;\n");
    clean(clock, "//! x\n// see crate::forward::Pool\n/// [`crate::forward`]\nfn f() {}\n");
    clean(clock, "//! x\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    use crate::forward::Pool;\n}\n");
    clean("gateway-user/src/clock/tests.rs", "use crate::forward::Pool;\n");
    for text in [
        "use crate::forward::Pool;",
        "use crate::{prim::Region, forward::Pool};",
        "use crate::{\n    prim::{Region, HostName},\n    forward,\n};",
        "fn f() { crate::forward::dial() }",
        "use super::forward::Pool;",
        "use super::{prim, forward::{Pool, dial}};",
    ] {
        broken(clock, &format!("//! x\n{text}\n"), "`clock` uses `forward`, which lib.rs lists below it");
    }
    broken(
        "gateway-user/src/parse/path.rs",
        "//! x\nuse super::super::forward::X;\n",
        "`parse` uses `forward`",
    );
    clean("gateway-user/src/parse/path.rs", "//! x\nuse super::forward::X;\n");
    clean("gateway-user/src/main.rs", "//! x\nuse gateway_user::forward;\n");
}

#[test]
fn pure_modules_do_nothing() {
    let parse = "gateway-user/src/parse/mod.rs";
    clean(parse, "//! x\nuse std::{fmt, net::SocketAddr, str::FromStr};\nuse http::Uri;\n");
    clean(parse, "//! x\nfn f(x: std::net::Ipv4Addr) { std::net::IpAddr::from(x) }\n");
    clean("gateway-user/src/forward/mod.rs", "//! x\nuse tokio::net::TcpStream;\n");
    for (text, what) in [
        ("use tokio::net::TcpStream;", "tokio::net::TcpStream"),
        ("use std::{fmt, fs};", "std::fs"),
        ("use std::{\n    net::{SocketAddr, TcpStream},\n};", "std::net::TcpStream"),
        ("fn f() { std::env::var(\"HOME\") }", "std::env::var"),
        ("use std::thread::{self, Thread};", "std::thread::self"),
        ("use std::process::Command as C;", "std::process::Command"),
        ("use hyper::Request;", "hyper::Request"),
        ("use hyper_util::rt::TokioIo;", "hyper_util::rt::TokioIo"),
        ("use aya::Ebpf;", "aya::Ebpf"),
        ("fn f() { SystemTime::now() }", "SystemTime::now"),
        ("fn f() { OffsetDateTime::now_utc() }", "now_utc("),
    ] {
        broken(parse, &format!("//! x\n{text}\n"), &format!("`parse` is pure and may not use `{what}`"));
    }
}

#[test]
fn stages_have_errors_of_their_own() {
    clean("gateway-user/src/main.rs", "//! x\nuse anyhow::Result;\n");
    clean("gateway-user/src/cli/mod.rs", "//! x\nuse anyhow::Result;\n");
    clean("gateway-user/build.rs", "//! x\nuse anyhow::Result;\n");
    clean("xtask/src/main.rs", "//! x\nfn main() -> anyhow::Result<()> {}\n");
    broken("gateway-user/src/parse/mod.rs", "//! x\nuse anyhow::Result;\n", "anyhow is for main");
}

#[test]
fn everything_is_documented_and_finished() {
    broken("xtask/src/x.rs", "fn main() {}\n", "does not begin with a `//!` line");
    broken("xtask/src/x.rs", concat!("//! x\nfn f() { todo", "!() }\n"), "unfinished code");
    broken("tests/tests/x.rs", concat!("//! x\n#[", "ignore]\nfn f() {}\n"), "a test that does not run");
    broken("docs/x.md", concat!("see /wo", "rk/main\n"), "a path of one machine");
    clean("docs/x.md", "see https://example.com/work/ and target/work/x and homework/\n");
    let story = [File { path: "gateway-user/src/lib.rs".into(), text: "//! x\npub mod lonely;\n".into() }];
    let found = rules::check(&story);
    assert_eq!(found.first().map(|f| f.message.as_str()), Some("module `lonely` has no doc line"));
}

#[test]
fn links_lead_somewhere() {
    let page = "docs/a.md";
    clean(page, "[a](a.md), [story](../gateway-user/src/lib.rs#x), [dir](../gateway-user/src)\n");
    clean(page, "[web](https://example.com/x.md), [mail](mailto:a@example.com), [below](#heading)\n");
    clean(page, "```\n[code](gone.md)\n```\nand `[code](gone.md)`\n");
    clean("docs/a.rs", "//! [`x`](gone.md)\n");
    for target in ["gone.md", "gone.md#x", "../a.md", "../../a.md", "../gateway-user/src/lib"] {
        let text = format!("[a](a.md) and `code` and [b]({target})\n");
        broken(page, &text, &format!("the link to {target} leads nowhere"));
    }
}

#[test]
fn the_project_speaks_of_itself() {
    let word = concat!("Found", "er");
    broken("docs/a.md", &format!("x\nA {word} wrote it.\n"), "line 2: `");
    broken("xtask/src/x.rs", concat!("//! x\n// see issue", " #2\n"), "speaks of how the project was made");
    clean("Cargo.lock", &format!("{word}\n"));
    clean("docs/a.md", "a helper, an issuer, a session\n");
}

#[test]
fn use_trees_are_spelt_out() {
    let check = |code: &str, root: &str, expected: &[&str]| {
        assert_eq!(source::paths(code, root), expected, "{code}");
    };
    check("use std::fmt;", "std", &["std::fmt"]);
    check(
        "use std::{fmt, io::{self, Read as _}, a::b};",
        "std",
        &["std::fmt", "std::io::self", "std::io::Read", "std::a::b"],
    );
    check("use std::io::*;", "std", &["std::io"]);
    check("nested::std::fs; my_std::fs; $crate::x", "std", &[]);
    check("std::{unclosed", "std", &["std::unclosed"]);
    check("crate::a::b(crate::c::D { x })", "crate", &["crate::a::b", "crate::c::D"]);
}
