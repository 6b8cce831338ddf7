//! Commands of the AWS CLI and the IAM actions and resources they need, as `tests/corpus/golden.txt`
//! says by hand.
#![expect(clippy::unwrap_used, reason = "this is a test: that is how it fails")]

use std::collections::BTreeMap;

use chaperone_tests::corpus::{Case, Generated, Golden, Line, Reading, Verdict, read};

const GOLDEN: &str = include_str!("../corpus/golden.txt");

/// The captured requests, by the line of their command.
fn captured() -> BTreeMap<usize, Line> {
    let mut requests = Generated::start("golden.py", &[]).unwrap();
    let mut lines = BTreeMap::new();
    while let Some(line) = requests.next_line().unwrap() {
        lines.insert(line.truth.variant.parse().unwrap(), line);
    }
    lines
}

#[derive(Default)]
struct Found {
    exact: usize,
    minting: usize,
    coarse: Vec<String>,
    wrong: Vec<String>,
    refused: Vec<String>,
}

impl Found {
    fn add(&mut self, case: &Case, reading: Reading) {
        let said = |what: &str| format!("golden.txt:{}: {}\n      {what}", case.line, case.command);
        match reading {
            Reading::Refused(refusal) => {
                self.refused.push(said(&format!("{}: {}", refusal.stage, refusal.message)));
            }
            Reading::Minting(name) if name == format!("{}:{}", case.prefix, case.operation) => {
                self.minting += 1
            }
            Reading::Minting(name) | Reading::Actionless(name) => {
                self.wrong.push(said(&format!("read as {name}")));
            }
            Reading::Known(read) => {
                match case.judge(&format!("{}:{}", read.service, read.name), &read.actions) {
                    Verdict::Exact => self.exact += 1,
                    Verdict::Coarse(actions) => {
                        self.coarse.push(said(&format!("`*` for {}", actions.join(", "))))
                    }
                    Verdict::Wrong(differences) => self.wrong.push(said(&differences.join("\n      "))),
                }
            }
        }
    }

    fn report(&self) -> String {
        let Self { exact, minting, coarse, wrong, refused } = self;
        let list = |title: &str, cases: &[String]| {
            cases.iter().map(|case| format!("  {title}: {case}\n")).collect::<String>()
        };
        format!(
            "{exact} exact, {} with `*` for a resource, {} wrong, {} refused, {minting} refused for their answer\n{}{}{}",
            coarse.len(),
            wrong.len(),
            refused.len(),
            list("wrong", wrong),
            list("refused", refused),
            list("`*`", coarse),
        )
    }
}

#[test]
fn commands_need_the_actions_that_the_golden_file_says() {
    let golden = Golden::parse(GOLDEN).unwrap();
    let requests = captured();
    let mut found = Found::default();
    for case in &golden.cases {
        let line = requests.get(&case.line).unwrap();
        assert_eq!(line.truth.operation, case.operation, "golden.txt:{}: {}", case.line, case.command);
        found.add(case, read(line).unwrap());
    }
    println!("{}", found.report());
    assert!(golden.cases.len() >= 300, "{}", golden.cases.len());
    assert!(golden.by_service().len() >= 40, "{:?}", golden.by_service());
    assert!(found.wrong.is_empty(), "{}", found.report());
    assert!(found.refused.is_empty(), "{}", found.report());
    // Nine of ten resources are named, not `*`.
    assert!(found.coarse.len() * 10 <= golden.cases.len(), "{}", found.report());
}
