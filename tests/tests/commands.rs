//! Calls as commands of the AWS CLI: the CLI takes them, and sends the same call again.
#![expect(clippy::unwrap_used, reason = "this is a test: that is how it fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use chaperone_tests::corpus::{Generated, Golden, Reading, read};
use gateway_user::{awscli, classify::Operation};
use serde_json::{Map, Value};

const GOLDEN: &str = include_str!("../corpus/golden.txt");
/// The region that the generators' CLI has without being told.
const REGION: &str = "eu-central-1";

/// What the golden file's commands are to the product, by their lines.
fn understood(script: &'static str, arguments: &[&str]) -> BTreeMap<usize, Operation> {
    let mut requests = Generated::start(script, arguments).unwrap();
    let mut found = BTreeMap::new();
    // Where the CLI takes a command not, the script fails in the end; what it took counts.
    while let Ok(Some(line)) = requests.next_line() {
        if let Reading::Known(operation) = read(&line).unwrap() {
            found.insert(line.truth.variant.parse().unwrap(), *operation);
        }
    }
    found
}

fn params(operation: &Operation) -> Map<String, Value> {
    operation.params.iter().map(|(name, value)| (name.clone(), value.json())).collect()
}

fn command(operation: &Operation) -> Option<String> {
    let region = operation.region.to_string();
    awscli::command(&awscli::Call {
        service: &operation.service,
        operation: &operation.name,
        host: None,
        region: (region != REGION).then_some(region.as_str()),
        params: &params(operation),
    })
}

#[test]
fn commands_make_the_calls_that_they_stand_for() {
    let golden = Golden::parse(GOLDEN).unwrap();
    let calls = understood("golden.py", &[]);
    let (mut file, mut written) = (String::new(), BTreeMap::new());
    for (number, (line, operation)) in calls.iter().enumerate() {
        let text = command(operation);
        let text =
            text.unwrap_or_else(|| panic!("golden.txt:{line}: there is no command for {}", operation.name));
        writeln!(file, "{text}").unwrap();
        written.insert(number + 1, (*line, text));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("commands.txt");
    fs::write(&path, file).unwrap();
    let again = understood("golden.py", &["--file", path.to_str().unwrap()]);

    let mut differ = Vec::new();
    for (number, (line, text)) in &written {
        let Some(first) = calls.get(line) else { continue };
        let why = match again.get(number) {
            None => "the CLI does not take it, or it is refused".to_owned(),
            Some(second) if (&first.service, &first.name) != (&second.service, &second.name) => {
                format!("it is {}:{}", second.service, second.name)
            }
            Some(second) if params(first) != params(second) => {
                format!("{}\n      {}", Value::Object(params(first)), Value::Object(params(second)))
            }
            Some(_) => continue,
        };
        differ.push(format!("golden.txt:{line}: {text}\n      {why}"));
    }
    println!("{} of {} commands make the same call again", written.len() - differ.len(), written.len());
    println!("{}", differ.join("\n"));
    assert!(golden.cases.len() >= 300 && written.len() >= 300, "{}", written.len());
    // Those with blobs: this is version 1 of the CLI, which wants them raw, and version 2 wants base64.
    assert!(differ.len() * 30 <= written.len(), "{}\n{}", differ.len(), differ.join("\n"));
}

/// An operation, as the CLI names it; some things have a second, hidden name.
#[derive(serde::Deserialize)]
struct Named {
    service: String,
    cli: String,
    operation: String,
    commands: Vec<String>,
    options: BTreeMap<String, Vec<String>>,
    flags: BTreeSet<String>,
}

#[test]
fn services_operations_and_options_are_named_as_the_cli_names_them() {
    let mut names = Generated::start("commands.py", &[]).unwrap();
    let (mut wrong, mut right) = (Vec::new(), 0_usize);
    while let Some(line) = names.next_text().unwrap() {
        let named: Named = serde_json::from_str(&line).unwrap();
        let Some(service) = gateway_user::catalog::catalog().service(&named.service) else { continue };
        let mut check = |ours: Option<&str>, theirs: &[String]| {
            if ours.is_some_and(|ours| theirs.iter().any(|theirs| theirs == ours)) {
                right += 1;
            } else {
                wrong.push(format!("{}:{}: {ours:?} is {theirs:?}", named.service, named.operation));
            }
        };
        check(Some(awscli::service_name(service)), std::slice::from_ref(&named.cli));
        check(awscli::operation_name(&named.service, &named.operation).as_deref(), &named.commands);
        for (member, options) in &named.options {
            // Without an option of ours, the member is in the JSON that every command takes.
            let Some(ours) = awscli::option(&named.service, &named.operation, member) else { continue };
            check(Some(&ours), options);
            if named.flags.contains(member) {
                check(Some(&awscli::opposite(&named.service, &ours)), options);
            }
        }
    }
    println!("{right} names, {} wrong", wrong.len());
    assert!(right > 50_000, "{right}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
