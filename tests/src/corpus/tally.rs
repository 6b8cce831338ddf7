//! The count of a whole corpus, by service.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Line, Reading, Refusal, Truth, compare};

/// Operations that share the wire with their successors: S3's deprecated ones.
const SAME_ON_THE_WIRE: [(&str, &str); 4] = [
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("GetBucketNotification", "GetBucketNotificationConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    ("PutBucketNotification", "PutBucketNotificationConfiguration"),
];

/// How many requests were understood rightly, wrongly or not at all.
#[derive(Debug, Default)]
pub struct Tally {
    services: BTreeMap<String, Counts>,
    /// Operations read as another: `service Operation (variant)` and what was read.
    wrong: Vec<(String, String)>,
    /// Of the right ones: those that are refused because IAM's action for them is not known.
    actionless: u32,
    /// Refusals by operation and message, with one request each.
    refused: BTreeMap<(String, Refusal), (u32, String)>,
    /// Parameters read otherwise, by operation and member, with one example each.
    differing: BTreeMap<(String, String), (u32, String)>,
}

/// One service's row.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    right: u32,
    refused: u32,
    wrong: u32,
    /// Of the right ones: those whose parameters were compared, and found the same.
    compared: u32,
    same: u32,
}

impl Counts {
    fn requests(self) -> u32 {
        self.right + self.refused + self.wrong
    }

    fn is_perfect(self) -> bool {
        self.right == self.requests() && self.same == self.compared
    }

    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.refused += other.refused;
        self.wrong += other.wrong;
        self.compared += other.compared;
        self.same += other.same;
    }
}

impl Tally {
    /// Counts what the product made of `line`.
    pub fn add(&mut self, line: &Line, reading: Reading) {
        let truth = &line.truth;
        let name = format!("{} {}", truth.service, truth.operation);
        let counts = self.services.entry(truth.service.clone()).or_default();
        match reading {
            Reading::Refused(refusal) => {
                counts.refused += 1;
                let example = format!("{}: {}", truth.variant, line.call());
                self.refused.entry((name, refusal)).or_insert_with(|| (0, example)).0 += 1;
            }
            Reading::Minting(read) if is_meant(truth, &read) => counts.right += 1,
            Reading::Actionless(read) if is_meant(truth, &read) => {
                counts.right += 1;
                self.actionless += 1;
            }
            Reading::Known(read) if is_meant(truth, &format!("{}:{}", read.service, read.name)) => {
                counts.right += 1;
                counts.compared += 1;
                match compare(truth, &read.params) {
                    Ok(()) => counts.same += 1,
                    Err(difference) => {
                        let example = format!("{}: {}", truth.variant, difference.what);
                        self.differing.entry((name, difference.path)).or_insert_with(|| (0, example)).0 += 1;
                    }
                }
            }
            Reading::Minting(read) | Reading::Actionless(read) => {
                counts.wrong += 1;
                self.wrong.push((format!("{name} ({})", truth.variant), read));
            }
            Reading::Known(read) => {
                counts.wrong += 1;
                self.wrong
                    .push((format!("{name} ({})", truth.variant), format!("{}:{}", read.service, read.name)));
            }
        }
    }

    /// Requests counted.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.total().requests()
    }

    /// Services counted.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// Those read as another operation than was meant.
    #[must_use]
    pub fn wrong(&self) -> u32 {
        self.total().wrong
    }

    /// The share identified rightly.
    #[must_use]
    pub fn right_share(&self) -> f64 {
        share(self.total().right, self.requests())
    }

    /// Of those identified and not refused for their answer, the share whose parameters are all as given.
    #[must_use]
    pub fn same_params_share(&self) -> f64 {
        share(self.total().same, self.total().compared)
    }

    /// The table by service and what is left; `whole` leaves nothing out.
    #[must_use]
    pub fn report(&self, whole: bool) -> String {
        let mut text = self.table(whole);
        let most = if whole { usize::MAX } else { 40 };
        section(
            &mut text,
            "read as another",
            most,
            self.wrong.iter().map(|(meant, read)| format!("{meant} → {read}")),
        );
        let refused = self.refused.iter().map(|((name, refusal), (count, example))| {
            format!("{count} × {name}: {}: {} [{example}]", refusal.stage, refusal.message)
        });
        section(&mut text, "refused", most, refused);
        let differing = self
            .differing
            .iter()
            .map(|((name, path), (count, example))| format!("{count} × {name}: {path}: {example}"));
        section(&mut text, "parameters read otherwise", most, differing);
        text
    }

    fn table(&self, whole: bool) -> String {
        let heading = ["service", "requests", "right", "refused", "wrong", "params same"];
        let mut text = row(heading.map(str::to_owned));
        for (name, counts) in &self.services {
            if whole || !counts.is_perfect() {
                text += &row(cells(name, *counts));
            }
        }
        let perfect = self.services.values().filter(|counts| counts.is_perfect()).count();
        text += &row(cells(&format!("{} services", self.services.len()), self.total()));
        let _ = writeln!(
            text,
            "{perfect} services without any remark; {:.3} % right ({} of them without an IAM action, so refused), \
             parameters the same in {:.2} %",
            self.right_share() * 100.0,
            self.actionless,
            self.same_params_share() * 100.0
        );
        text
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.services.values().for_each(|counts| total.add(*counts));
        total
    }
}

/// Whether `prefix:Operation` is what was meant. Twins, the same operation of the same IAM prefix under
/// two names of botocore's, cannot be told apart and need not be.
fn is_meant(truth: &Truth, read: &str) -> bool {
    let Some((prefix, operation)) = read.split_once(':') else { return false };
    let legacy = SAME_ON_THE_WIRE.iter().any(|(old, new)| *old == truth.operation && *new == operation);
    let own = truth.service == prefix || truth.prefix.split(',').any(|meant| meant == prefix);
    own && (operation == truth.operation || legacy)
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

fn cells(name: &str, counts: Counts) -> [String; 6] {
    let Counts { right, refused, wrong, compared, same } = counts;
    let params =
        if compared == 0 { "–".to_owned() } else { format!("{:.1} %", share(same, compared) * 100.0) };
    let requests = counts.requests().to_string();
    [name.to_owned(), requests, right.to_string(), refused.to_string(), wrong.to_string(), params]
}

fn row([name, requests, right, refused, wrong, params]: [String; 6]) -> String {
    format!("{name:<40} {requests:>9} {right:>9} {refused:>9} {wrong:>7} {params:>12}\n")
}

fn section(text: &mut String, title: &str, most: usize, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}: {}", lines.len());
    for line in lines.iter().take(most) {
        // A request may be long; what it is can be seen from its beginning.
        let _ = writeln!(text, "  {}", line.chars().take(300).collect::<String>());
    }
    if lines.len() > most {
        let _ = writeln!(text, "  … and {} more: `cargo xtask corpus` lists all", lines.len() - most);
    }
}

#[cfg(test)]
mod tests;
