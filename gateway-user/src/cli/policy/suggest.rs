//! `chaperone policy suggest`: rules that permit what was done, and as little more as patterns allow.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use time::OffsetDateTime;

use crate::{
    catalog::catalog,
    clock::Clock,
    config::Config,
    decide::Policies,
    record::{
        Decision,
        query::{CallFilter, CallView, Order, Page, Reader, when},
    },
};

/// Which calls the rules are made of.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("of").required(true).multiple(true))]
pub(super) struct Args {
    /// Of this session: its id, or the beginning of it.
    #[arg(long, value_name = "ID", group = "of")]
    session: Option<String>,
    /// Of all sessions of this workload.
    #[arg(long, value_name = "NAME", group = "of")]
    workload: Option<String>,
    /// At this time or later: 1h, 7d, today, 2026-03-01.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Also calls that were denied or would have needed an approval.
    #[arg(long)]
    denied: bool,
}

/// Rows per query.
const PAGE: u32 = 1000;
/// Different resources of one action that are listed; more become patterns.
const LISTED: usize = 4;
/// Different resources that are listed where no beginning of their names is common.
const LISTED_UNLIKE: usize = 100;

/// Prints rules for the recorded calls.
///
/// # Errors
/// Reading the database, a time that is none, writing.
pub(super) async fn run(args: Args, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let reader = Reader::open(&config.record).await?;
    let since = args.since.as_deref().map(|text| when::parse(text, Clock::system().now())).transpose()?;
    let used = read(&reader, &args, since).await?;
    write!(out, "{}", suggestion(&used))?;
    Ok(())
}

async fn read(reader: &Reader, args: &Args, since: Option<OffsetDateTime>) -> anyhow::Result<Used> {
    let mut used = Used::default();
    let mut decisions = vec![Decision::Allow, Decision::Observed];
    if args.denied {
        decisions.extend([Decision::Deny, Decision::Ask]);
    }
    for decision in decisions {
        let filter = CallFilter {
            since,
            workload: args.workload.clone(),
            session: args.session.clone(),
            decision: Some(decision),
            ..CallFilter::default()
        };
        let mut page = Page { limit: PAGE, cursor: None, order: Order::Oldest };
        loop {
            let listing = reader.calls(&filter, &page).await?;
            listing.rows.iter().for_each(|call| used.add(call));
            match listing.next {
                Some(next) => page.cursor = Some(next),
                None => break,
            }
        }
    }
    Ok(used)
}

/// What was done, by workload and action.
#[derive(Debug, Default)]
struct Used {
    by_workload: BTreeMap<String, BTreeMap<String, Use>>,
    calls: u64,
    /// Calls whose list of actions was cut in the record.
    cut: u64,
}

/// The actions of one rule, with what was done.
type Actions<'a> = Vec<(&'a String, &'a Use)>;

#[derive(Debug, Default)]
struct Use {
    calls: u64,
    resources: BTreeSet<String>,
}

impl Used {
    fn add(&mut self, call: &CallView) {
        self.calls += 1;
        if call.truncated.texts().iter().any(|column| column == "actions" || column == "resources") {
            self.cut += 1;
        }
        let actions = self.by_workload.entry(call.workload.clone()).or_default();
        let mut counted = BTreeSet::new();
        for (action, resource) in call.actions.texts().into_iter().zip(call.resources.texts()) {
            let entry = actions.entry(action.clone()).or_default();
            entry.resources.insert(resource);
            if counted.insert(action) {
                entry.calls += 1;
            }
        }
    }
}

/// The rules, commented.
fn suggestion(used: &Used) -> String {
    let mut text = format!(
        "// Permits what {} did, and as little more as patterns allow: a draft. Look at every rule before you use it, above\n\
         // all at those whose resources are patterns, and at what was recorded by mistake.\n",
        calls(used.calls)
    );
    if used.cut > 0 {
        text.push_str(&format!(
            "// {} needed more actions or resources than a record holds; what was cut is missing here.\n",
            calls(used.cut)
        ));
    }
    for (workload, actions) in &used.by_workload {
        // Actions with the same resources share a rule.
        let mut rules: BTreeMap<(String, Vec<Pattern>), Actions<'_>> = BTreeMap::new();
        for (action, used) in actions {
            let service = action.split(':').next().unwrap_or_default().to_owned();
            rules.entry((service, patterns(&used.resources))).or_default().push((action, used));
        }
        for (number, ((service, patterns), actions)) in (1..).zip(&rules) {
            text.push_str(&rule(
                workload,
                &format!("suggested-{workload}-{service}-{number}"),
                patterns,
                actions,
            ));
        }
    }
    match Policies::parse([("suggestion.cedar".into(), text.clone())]) {
        Ok(_) => text,
        Err(errors) => {
            format!("{text}\n// These rules do not load as they are:\n{}", commented(&errors.to_string()))
        }
    }
}

fn calls(number: u64) -> String {
    format!("{number} call{}", if number == 1 { "" } else { "s" })
}

fn commented(text: &str) -> String {
    text.lines().map(|line| format!("//   {line}\n")).collect()
}

fn rule(workload: &str, id: &str, patterns: &[Pattern], actions: &Actions<'_>) -> String {
    let mut text = String::from("\n");
    for (action, used) in actions {
        let level = catalog().action(action).map_or("not in the catalogue", |action| action.access.name());
        let resources = used.resources.len();
        text.push_str(&format!(
            "// {}: {level}, {}, {resources} resource{}\n",
            action.escape_default(),
            calls(used.calls),
            if resources == 1 { "" } else { "s" }
        ));
    }
    let names: Vec<String> =
        actions.iter().map(|(action, _)| format!("Action::\"{}\"", action.escape_default())).collect();
    let action = match names.as_slice() {
        [only] => format!("action == {only}"),
        several => format!("action in [{}]", several.join(", ")),
    };
    let (resource, condition) = scope(patterns);
    text.push_str(&format!(
        "@id(\"{id}\")\npermit (\n  principal == Workload::\"{}\",\n  {action},\n  {resource}\n){condition};\n",
        workload.escape_default()
    ));
    text
}

/// What a rule says of its resources: scope and condition.
fn scope(patterns: &[Pattern]) -> (String, String) {
    let literal = |text: &str| format!("resource == Resource::\"{}\"", text.escape_default());
    match patterns {
        [Pattern::Exact(only)] => (literal(only), String::new()),
        several => {
            let tests: Vec<String> = several
                .iter()
                .map(|pattern| match pattern {
                    Pattern::Exact(text) => literal(text),
                    // A star of the name itself is no wildcard.
                    Pattern::Below(start) => {
                        let start = start.escape_default().to_string().replace('*', "\\*");
                        format!("resource.arn like \"{start}*\"")
                    }
                })
                .collect();
            ("resource".to_owned(), format!("\nwhen {{\n  {}\n}}", tests.join(" ||\n  ")))
        }
    }
}

/// One resource, or all whose ARN begins so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Exact(String),
    Below(String),
}

/// A few resources as they are; many as the ARNs that they are below. `*` is never made wider or part of a
/// pattern: it is the resource that is not known.
fn patterns(resources: &BTreeSet<String>) -> Vec<Pattern> {
    let (known, unknown): (Vec<&String>, Vec<&String>) =
        resources.iter().partition(|resource| resource.starts_with("arn:"));
    let mut patterns: Vec<Pattern> = unknown.iter().map(|_| Pattern::Exact("*".to_owned())).take(1).collect();
    if known.len() <= LISTED {
        patterns.extend(known.into_iter().cloned().map(Pattern::Exact));
        return patterns;
    }
    // By what they are: service, region, account, and the first word of the resource (a bucket, a
    // kind such as `table`); then the longest beginning that they share.
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for arn in known {
        kinds.entry(kind(arn)).or_default().push(arn);
    }
    for arns in kinds.into_values() {
        match arns.as_slice() {
            few if few.len() <= LISTED => {
                patterns.extend(few.iter().map(|arn| Pattern::Exact((*arn).to_owned())));
            }
            // Only what they are is common: a pattern would be everything of the kind, of anybody.
            many if many.iter().all(|arn| common(many).len() <= resource_start(arn))
                && many.len() <= LISTED_UNLIKE =>
            {
                patterns.extend(many.iter().map(|arn| Pattern::Exact((*arn).to_owned())));
            }
            many => patterns.push(Pattern::Below(common(many).to_owned())),
        }
    }
    patterns.sort();
    patterns
}

/// Where an ARN's resource begins.
fn resource_start(arn: &str) -> usize {
    arn.match_indices(':').nth(4).map_or(arn.len(), |(at, _)| at + 1)
}

/// Everything before the second separator of the resource part: `arn:aws:s3:::bucket/`.
fn kind(arn: &str) -> &str {
    let start = resource_start(arn);
    let rest = arn.get(start..).unwrap_or_default();
    let end = rest.find(['/', ':']).map_or(start, |at| start + at + 1);
    arn.get(..end).unwrap_or(arn)
}

/// The longest common beginning that ends with a separator, but at least the kind.
fn common<'a>(arns: &[&'a str]) -> &'a str {
    let (Some(first), Some(last)) = (arns.iter().min(), arns.iter().max()) else { return "" };
    let shared = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let end =
        first.as_bytes().get(..shared).and_then(|text| text.iter().rposition(|byte| b"/:-".contains(byte)));
    let least = kind(first).len();
    first.get(..end.map_or(least, |at| (at + 1).max(least))).unwrap_or(first)
}

#[cfg(test)]
mod tests;
