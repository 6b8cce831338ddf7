use std::collections::BTreeSet;

use super::*;
use crate::config::{Config, policies};

/// The template with every default uncommented.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    CONFIG.1.lines().map(|text| line(text) + "\n").collect()
}

fn table(config: &Config) -> toml::Table {
    config.effective_toml().unwrap().parse().unwrap()
}

/// Every `section.key` of a table, without the workloads.
fn keys(table: &toml::Table) -> BTreeSet<String> {
    let sections = table.iter().filter_map(|(section, value)| Some((section, value.as_table()?)));
    sections.flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}"))).collect()
}

#[test]
fn the_template_is_the_default() {
    let parse = |text: &str| Config::parse(text, Path::new("template")).unwrap();
    let mut expected = table(&Config::default());
    expected.remove("workload");
    for text in [CONFIG.1.to_owned(), uncommented()] {
        let mut found = table(&parse(&text));
        found.remove("workload");
        assert_eq!(found, expected);
    }
}

#[test]
fn the_template_shows_every_default() {
    let written: toml::Table = uncommented().parse().unwrap();
    let missing: Vec<_> = keys(&table(&Config::default())).difference(&keys(&written)).cloned().collect();
    // Arrays of tables are shown as comments.
    assert_eq!(missing, ["forward.override", "mask.pattern", "mask.rule"]);
}

#[test]
fn the_guide_names_every_key() {
    let guide = include_str!("../../../../docs/configuration.md");
    let mut config = Config::parse(CONFIG.1, Path::new("template")).unwrap();
    let workload = &mut config.workload[0];
    workload.tag = Some("t".to_owned());
    workload.role_arn = Some("r".to_owned());
    workload.scope = Some(crate::identify::Scope::Call);
    workload.region = Some("eu-central-1".parse().unwrap());
    workload.account = Some("123456789012".parse().unwrap());
    config.issuer = vec![every_key_of_an_issuer()];
    config.record.url = "postgres://w@localhost/r".parse().ok();
    config.record.host = Some("build7".to_owned());
    config.record.log = crate::record::log::Config {
        key: Some("/k".into()),
        checkpoint_file: Some("/c".into()),
        journald: Some(true),
        s3: Some("s3://abc/def".to_owned().try_into().unwrap()),
        s3_region: Some("eu-central-1".parse().unwrap()),
        s3_endpoint: Some("https://x".to_owned()),
        ..Default::default()
    };
    config.forward.extra_ca = Some("/x".into());
    config.mask.rule = vec![toml::from_str("operation = 's3:ListBuckets'\npath = '*'").unwrap()];
    config.mask.pattern = vec![toml::from_str("name = 'x'\nregex = 'x'").unwrap()];
    config.credentials.sts_endpoint = Some("https://x".to_owned());
    let table = table(&config);
    let items = |section: &str| table[section][0].as_table().unwrap().keys().cloned().collect::<Vec<_>>();
    let sections = keys(&table).into_iter().map(|path| path.split('.').nth(1).unwrap().to_owned());
    // They are tables of their own in the guide, too.
    let of_record = |key: &str| table["record"][key].as_table().unwrap().keys().cloned().collect::<Vec<_>>();
    let sections = sections.filter(|key| !["log", "retention"].contains(&key.as_str()));
    let sections = sections.chain(of_record("log")).chain(of_record("retention"));
    let of_masks = |key: &str| table["mask"][key][0].as_table().unwrap().keys().cloned().collect::<Vec<_>>();
    let masks = of_masks("rule").into_iter().chain(of_masks("pattern"));
    for key in sections.chain(items("workload")).chain(items("issuer")).chain(masks) {
        assert!(guide.contains(&format!("`{key}`")), "{key}");
    }
}

fn every_key_of_an_issuer() -> crate::issuer::Config {
    let url = "https://idp.example.com/realms/agents".to_owned();
    let mut issuer = crate::issuer::Config::new("idp".parse().unwrap(), url, vec!["chaperone".to_owned()]);
    issuer.groups_claim = Some("groups".to_owned());
    issuer.groups_prefix = "idp:".to_owned();
    issuer.claims = vec!["team".to_owned()];
    issuer.ca_file = Some("/etc/chaperone/idp.pem".into());
    issuer
}

/// The example is complete, loads, and shows the defaults.
#[test]
fn the_example_of_an_issuer() {
    let lines = CONFIG.1.lines().skip_while(|line| *line != "#   [[issuer]]");
    let example: String =
        lines.map_while(|line| line.strip_prefix("#   ")).map(|line| format!("{line}\n")).collect();
    let config = Config::parse(&format!("{}\n{example}", CONFIG.1), Path::new("template")).unwrap();
    let wanted = Config { issuer: vec![every_key_of_an_issuer()], ..Config::default() };
    assert_eq!(table(&config)["issuer"], table(&wanted)["issuer"]);
    assert_eq!(example.lines().count() - 1, table(&wanted)["issuer"][0].as_table().unwrap().len());
}

#[test]
fn a_first_configuration_loads() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("etc/chaper\"one");
    let mut out = Vec::new();
    init(&dir, false, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    for name in ["chaperone.toml", "policies/10-read-only.cedar", "policies/90-no-iam.cedar"] {
        let path = dir.join(name);
        assert!(out.contains(&format!("wrote {}\n", path.display())), "{out}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    }
    assert_eq!(fs::metadata(dir.join("policies")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert!(out.contains("chaperone policy check"), "{out}");

    let config = Config::load(&dir.join("chaperone.toml")).unwrap();
    assert_eq!(config.policy.dir, dir.join("policies"));
    let set = policies::load(&config.policy.dir).unwrap();
    assert_eq!((set.file_count(), set.warnings()), (5, [].as_slice()));
    // Nothing half-written is left behind.
    let names = |dir: &Path| fs::read_dir(dir).unwrap().count();
    assert_eq!((names(&dir), names(&dir.join("policies"))), (2, POLICIES.len()));
}

/// Every starter policy does what its cases say, and every rule of it is in a case.
#[test]
fn the_starter_policies_pass_their_cases() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), false, &mut Vec::new()).unwrap();
    let written = dir.path().join("policies");
    let mut out = Vec::new();
    let fine = crate::cli::policy::run_cases(&written, &mut out).unwrap();
    assert!(fine, "{}", String::from_utf8(out).unwrap());
    let cases: String =
        POLICIES.iter().filter(|(name, _)| name.ends_with(".test.toml")).map(|(_, text)| *text).collect();
    for rule in policies::load(&written).unwrap().rule_ids() {
        assert!(cases.contains(&format!("\"{rule}\"")), "{rule} is in no case");
    }
}

#[test]
fn the_default_directory_needs_no_change() {
    assert_eq!(config_text(Path::new("/etc/chaperone/policies")).unwrap(), CONFIG.1);
}

#[test]
fn nothing_is_overwritten_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let refused = |path: &Path| {
        let error = init(dir.path(), false, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{} is already there, so nothing was written; use --force to replace what `chaperone init` writes",
                path.display()
            )
        );
    };
    fs::create_dir(at("policies")).unwrap();
    fs::write(at("policies/mine.cedar"), "mine").unwrap();
    refused(&at("policies/mine.cedar"));
    assert!(!at("chaperone.toml").exists());
    fs::write(at("chaperone.toml"), "mine").unwrap();
    refused(&at("chaperone.toml"));
    assert_eq!(fs::read_to_string(at("chaperone.toml")).unwrap(), "mine");

    init(dir.path(), true, &mut Vec::new()).unwrap();
    assert!(Config::load(&at("chaperone.toml")).is_ok());
    assert_eq!(fs::read_to_string(at("policies/mine.cedar")).unwrap(), "mine");
    // A dangling link is something, too.
    fs::remove_dir_all(at("policies")).unwrap();
    fs::remove_file(at("chaperone.toml")).unwrap();
    std::os::unix::fs::symlink(at("gone"), at("chaperone.toml")).unwrap();
    refused(&at("chaperone.toml"));
    assert!(!at("gone").exists());
}

#[test]
fn an_unwritable_place_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = format!("{:#}", init(&file.join("x"), false, &mut Vec::new()).unwrap_err());
    assert!(error.contains(&file.join("x").display().to_string()), "{error}");
}
