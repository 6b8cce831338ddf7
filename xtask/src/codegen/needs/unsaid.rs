//! Members that may name what is copied, restored or joined, and that no ARN is filled from.
//!
//! Where the ARN of what is made is known, what it is made from must not be left out: the need on `*`
//! stands beside it, as soon as the request has such a member.

use super::{
    fill::{self, Aliases},
    iam::{Iam, Type},
    model::{Input, Kind, Member},
    names::{identifies, plain, singular, stem},
    overlay,
};

/// Where to look.
pub struct Unsaid<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// Its input.
    pub input: &'a Input<'a>,
    /// What members are also called.
    pub aliases: &'a Aliases,
    /// Members that say in whose account resources are.
    pub accounts: &'a [String],
    /// All resource types of the service.
    pub types: &'a [&'a Type],
    /// Those of the action for which AWS insists on no member.
    pub loose: &'a [&'a Type],
}

impl Unsaid<'_> {
    /// The need of `action` on `*` where one of the members is there; `taken` fill ARNs, and `said` are the
    /// lines of an overlay.
    pub fn line(&self, action: &str, taken: &[String], said: &[String]) -> Option<String> {
        let own = said.iter().filter(|line| line.split(' ').next() == Some(action));
        let taken: Vec<String> =
            own.flat_map(|line| overlay::paths(line)).chain(taken.iter().cloned()).collect();
        let mut others: Vec<String> = Vec::new();
        for of in self.loose {
            others.extend(fill::related(of, self.operation, self.input, self.aliases));
        }
        let found = self.input.members.iter().filter(|member| {
            let name = member.name;
            let known = taken.iter().any(|path| path.split('.').next() == Some(name))
                || self.accounts.iter().any(|account| account == name);
            let loose = !member.required && others.iter().any(|other| other == name);
            !known && (loose || is_source(member) || self.is_arn_here(member))
        });
        let found: Vec<&str> = found.map(|member| member.name).collect();
        (!found.is_empty()).then(|| format!("{action} * when {}", found.join("|")))
    }

    /// Whether a member is called the ARN of a resource of the service.
    fn is_arn_here(&self, member: &Member<'_>) -> bool {
        let name = plain(member.name);
        let about = stem(member.name);
        let arn = ["arn", "arns", "arnlist"].iter().any(|end| name.ends_with(end));
        let mut types = self.types.iter().map(|of| singular(&plain(&of.name)));
        arn && types.any(|of| of.len() > 2 && about.ends_with(&of))
    }
}

/// For the report: members that may name a resource too and that no need looks at, of an operation that
/// writes and needs nothing on `*`.
pub fn unused(iam: &Iam, input: &Input<'_>, needs: &[String]) -> Vec<String> {
    let mut actions = needs.iter().filter_map(|need| iam.action(need.split(' ').next()?));
    let writes = actions.any(|action| action.level.contains("Write"));
    let other = |need: &str| need.starts_with("iam:") || need.starts_with("s3:");
    let any = needs.iter().any(|need| need.ends_with(" *") && !other(need));
    if !writes || any {
        return Vec::new();
    }
    let used: Vec<String> = needs.iter().flat_map(|need| overlay::paths(need)).collect();
    let unused = input.members.iter().filter(|member| {
        let name = plain(member.name);
        let fits = name.starts_with("source")
            || name.contains("snapshot")
            || ["arn", "arns", "arnlist"].iter().any(|end| name.ends_with(end));
        let role_or_key = name.contains("role") || name.contains("kms");
        fits && !role_or_key && !used.iter().any(|path| path.split('.').next() == Some(member.name))
    });
    unused.map(|member| member.name.to_owned()).collect()
}

/// Whether a member says what something is copied or restored from.
fn is_source(member: &Member<'_>) -> bool {
    let name = plain(member.name);
    let named = identifies(member.name) || member.kind == Kind::Texts;
    // The last snapshot of what is deleted is made, not read.
    let source = name.replace("resource", "").contains("source") && !name.contains("commit");
    named && (source || name.contains("snapshot") && !name.starts_with("final"))
}
