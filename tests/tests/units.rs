//! The units of `systemd/`: correct, and as closed as the admin guide says.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is a test: that is how it fails, in helpers too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A root directory with the units where the package puts them, and what they refer to.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    for unit in ["chaperone.service", "agents.slice"] {
        fs::copy(source().join(unit), units.join(unit)).unwrap();
    }
    // systemd's own targets, which the units are ordered by.
    for entry in fs::read_dir("/usr/lib/systemd/system").expect("install the Debian package systemd") {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "target") {
            fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
        }
    }
    for program in ["usr/bin/chaperone", "bin/kill", "bin/mkdir"] {
        let path = root.path().join(program);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy("/bin/true", path).unwrap();
    }
    root
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

fn analyze(root: &Path, arguments: &[&str]) -> Output {
    Command::new("systemd-analyze")
        .arg(format!("--root={}", root.display()))
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("install the Debian package systemd")
}

#[test]
fn systemd_finds_nothing_to_complain_about() {
    let root = root();
    let output = analyze(root.path(), &["verify", "chaperone.service", "agents.slice"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{output:?}");

    // The check notices what is wrong.
    let unit = root.path().join("usr/lib/systemd/system/chaperone.service");
    let text = fs::read_to_string(&unit).unwrap();
    fs::write(&unit, text.replace("ProtectHome=yes", "ProtectHome=perhaps")).unwrap();
    let output = analyze(root.path(), &["verify", "chaperone.service"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("protect home"), "{output:?}");
}

/// Everything that a boot starts, with an agent's unit as the admin guide writes it.
#[test]
fn an_enabled_agent_makes_no_ordering_cycle() {
    let root = root();
    let units = root.path().join("usr/lib/systemd/system");
    let wants = root.path().join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    let agent = "[Service]\nExecStart=/bin/kill\nSlice=agents.slice\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(units.join("agent.service"), agent).unwrap();
    for unit in ["agent.service", "chaperone.service"] {
        std::os::unix::fs::symlink(format!("/usr/lib/systemd/system/{unit}"), wants.join(unit)).unwrap();
    }
    let check = |complains: bool| {
        let output = analyze(root.path(), &["verify", "multi-user.target"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains("ordering cycle"), complains, "{said}");
    };
    check(false);
    // The check notices one.
    let slice = units.join("agents.slice");
    let text = fs::read_to_string(&slice).unwrap();
    fs::write(&slice, text.replace("After=chaperone", "Before=slices.target\nAfter=chaperone")).unwrap();
    check(true);
}

#[test]
fn the_exposure_is_what_the_admin_guide_says() {
    let guide = fs::read_to_string(source().join("../docs/admin-guide.md")).unwrap();
    let said = guide.split_once("exposure level of **").unwrap().1.split_once("**").unwrap().0;
    let output = analyze(root().path(), &["security", "--offline=true", "--no-pager", "chaperone.service"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    assert!(line.contains(&format!(": {said} ")), "{line}, and the guide says {said}");
}

#[test]
fn the_service_has_no_capability_that_the_guide_does_not_explain() {
    let guide = fs::read_to_string(source().join("../docs/admin-guide.md")).unwrap();
    let unit = fs::read_to_string(source().join("chaperone.service")).unwrap();
    let bounding = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    for capability in bounding.split(' ') {
        assert!(guide.contains(&format!("| `{capability}` |")), "{capability}");
    }
}
