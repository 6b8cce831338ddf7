//! The printed report: how much of what is known, and what is left.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{ActionFrom, Joined, Operation, ResourceFrom};

/// Prints coverage by service, every operation that is left, and those that write though a member that may
/// name a resource decides nothing.
pub fn print(joined: &Joined) -> String {
    let Joined { services, overlay_lines } = joined;
    let mut text = String::new();
    let mut all: Vec<&Operation> = Vec::new();
    let (mut left, mut unused) = (String::new(), String::new());
    let _ =
        writeln!(text, "{:<36} {:<24} {:>5} {:>7} {:>9}", "service", "prefix", "ops", "action", "resource");
    for (name, service) in services {
        let operations: Vec<&Operation> = service.operations.values().collect();
        let share = Share::of(&operations);
        let _ = writeln!(
            text,
            "{name:<36} {:<24} {:>5} {:>6.1}% {:>8.1}%",
            service.prefix, share.all, share.actions, share.resources
        );
        for (operation, of) in &service.operations {
            match (of.action, &of.resource) {
                (ActionFrom::Nowhere | ActionFrom::Guess, _) => {
                    let _ = writeln!(left, "no action    {name} {operation}");
                }
                (_, ResourceFrom::Left) => {
                    let _ = writeln!(left, "no resource  {name} {operation}: {}", of.needs.join("; "));
                }
                _ => {}
            }
            if !of.unused.is_empty() {
                let _ = writeln!(unused, "unused       {name} {operation}: {}", of.unused.join(" "));
            }
        }
        all.extend(operations);
    }
    let share = Share::of(&all);
    text.push_str(&left);
    text.push_str(&unused);
    let mut resources: BTreeMap<&ResourceFrom, usize> = BTreeMap::new();
    let mut actions: BTreeMap<ActionFrom, usize> = BTreeMap::new();
    for operation in &all {
        *resources.entry(&operation.resource).or_default() += 1;
        *actions.entry(operation.action).or_default() += 1;
    }
    let _ = writeln!(text, "actions {actions:?}");
    let _ = writeln!(text, "resources {resources:?}");
    let _ = writeln!(
        text,
        "{} operations: IAM action for {:.2} % ({:.2} % with those called like the operation though the data \
         does not have them), resource filled or rightly * for {:.2} %; {overlay_lines} overlay entries",
        share.all, share.actions, share.guessed, share.resources
    );
    text
}

/// How much is known, in percent.
pub struct Share {
    all: usize,
    pub actions: f64,
    guessed: f64,
    pub resources: f64,
}

impl Share {
    /// Of all operations.
    pub fn of_all(joined: &Joined) -> Self {
        Self::of(
            &joined.services.values().flat_map(|service| service.operations.values()).collect::<Vec<_>>(),
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    fn of(operations: &[&Operation]) -> Self {
        let count =
            |keep: &dyn Fn(&Operation) -> bool| operations.iter().filter(|of| keep(of)).count() as f64;
        let all = operations.len().max(1) as f64;
        Self {
            all: operations.len(),
            actions: 100.0 * count(&|of| !matches!(of.action, ActionFrom::Nowhere | ActionFrom::Guess)) / all,
            guessed: 100.0 * count(&|of| of.action != ActionFrom::Nowhere) / all,
            resources: 100.0
                * count(&|of| !matches!(of.resource, ResourceFrom::Left | ResourceFrom::NoAction))
                / all,
        }
    }
}
