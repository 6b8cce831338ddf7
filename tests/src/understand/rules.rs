//! Rules of the kinds that people write, about the actions of the golden file.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use gateway_user::catalog::{Member, Shape, catalog};

use crate::corpus::{ACCOUNT, Golden};

/// Rules in the set.
pub const RULES: usize = 200;
/// Actions and resources for the rules.
const GOLDEN: &str = include_str!("../../corpus/golden.txt");

/// The text of the set.
pub(super) fn rules() -> Result<String> {
    let golden = Golden::parse(GOLDEN)?;
    let mut pairs: Vec<(&str, &str)> = golden
        .cases
        .iter()
        .flat_map(|case| &case.expected)
        .filter_map(|on| Some((on.action.as_str(), on.resources.first()?.as_str())))
        .filter(|(_, resource)| *resource != "*")
        .collect();
    pairs.sort_unstable();
    pairs.dedup_by_key(|(action, _)| *action);
    ensure!(pairs.len() >= RULES, "only {} actions", pairs.len());
    // Spread over all services.
    let step = pairs.len() / RULES;
    let mut text = String::new();
    for (number, (action, resource)) in pairs.iter().step_by(step).take(RULES).enumerate() {
        let (service, _) = action.split_once(':').context("an action without a service")?;
        let rule = match number % 8 {
            0 => format!(
                "permit (principal == Workload::\"bench\", action == Action::\"{action}\", resource);"
            ),
            1 => format!(
                "permit (principal in Group::\"agents\", action == Action::\"{action}\", resource)\n\
                 when {{ resource.arn like \"{resource}\" }};"
            ),
            2 => format!(
                "forbid (principal, action == Action::\"{action}\", resource)\n\
                 when {{ context.region == \"ap-east-1\" }};"
            ),
            3 => format!(
                "permit (principal in Group::\"agents\", action in Action::\"{service}:*\", resource)\n\
                 when {{ context has account && context.account == \"{ACCOUNT}\" }};"
            ),
            4 => format!(
                "forbid (principal, action == Action::\"{action}\", resource)\n\
                 when {{ context.session.counts[\"{action}\"] >= 1000000 }};"
            ),
            5 => format!(
                "@reviewers(\"oncall\")\npermit (principal, action == Action::\"{action}\", resource)\n\
                 when {{ context has approval && context.approval.groups.contains(\"oncall\") }};"
            ),
            6 => match text_parameter(action) {
                Some(name) => format!(
                    "forbid (principal, action == Action::\"{action}\", resource)\n\
                     when {{ context.params has {name} && context.params.{name} like \"forbidden-*\" }};"
                ),
                None => format!(
                    "forbid (principal, action == Action::\"{action}\", resource)\n\
                     when {{ context.unread.contains(\"Body\") && context.region == \"ap-east-1\" }};"
                ),
            },
            _ => format!(
                "forbid (principal in Group::\"interns\", action in Action::\"{service}:*\", resource);"
            ),
        };
        writeln!(text, "@id(\"rule-{number}\")\n{rule}")?;
    }
    Ok(text)
}

/// A parameter that is a text, of the operation that is called like the action.
fn text_parameter(action: &str) -> Option<&'static str> {
    let (prefix, name) = action.split_once(':')?;
    let services = catalog().services().iter().filter(|service| service.prefix == prefix);
    let mut operations = services.filter_map(|service| Some((service, service.operation(name)?)));
    let (service, operation) = operations.next()?;
    let text = |member: &&Member| matches!(service.shape(member.shape), Shape::Text);
    service.members(operation).iter().find(text).map(|member| member.name)
}
