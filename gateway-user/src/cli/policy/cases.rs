//! `chaperone policy test`: cases in files beside the policies, each a call and what must be said to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    count,
    subject::{self, Inserts, Reveals, Said, Vouched},
};
use crate::{
    catalog::catalog,
    classify::{ActionOn, Operation, Param, answer, needs_of, tokens_among},
    config::policies,
    decide::{DayUsage, Facts, Policies, SessionUsage, Supposed},
    mask,
    parse::RequestDigest,
    prim::{AccountId, Region, WorkloadName},
    tokens::Secret,
};

/// How names of case files end.
pub(super) const SUFFIX: &str = ".test.toml";
/// Bytes one case file may have.
const MAX_BYTES: u64 = 1024 * 1024;
/// When a case happens unless it says so.
const NOON: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00 UTC);

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One call, and what must be said to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    name: String,
    /// The caller.
    #[serde(default = "agent")]
    workload: WorkloadName,
    #[serde(default)]
    groups: Vec<String>,
    /// What its token says; without any of it, the host vouches.
    issuer: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    claims: BTreeMap<String, String>,
    /// `service:Operation`.
    operation: String,
    /// The resource of the action that is called as the operation is,
    resource: Option<String>,
    /// or every action with its resource; without both, what the catalogue makes of the parameters.
    needs: Option<Vec<(String, String)>>,
    region: Option<Region>,
    account: Option<AccountId>,
    #[serde(default)]
    params: toml::Table,
    /// Parameters in a body that streams.
    #[serde(default)]
    unread: BTreeSet<String>,
    /// RFC 3339.
    time: Option<String>,
    #[serde(default)]
    session: Counters,
    #[serde(default)]
    workload_day: Counters,
    expect: Expect,
    /// The parts of the answer that are revealed, of those that are withheld otherwise; any where it is left out.
    reveals: Option<BTreeSet<String>>,
    /// What the tokens among the parameters stand for.
    secret: Option<Origin>,
    /// The parameters that policy lets it be put into, of those that are tokens; any where it is left out.
    inserts: Option<BTreeSet<String>>,
    /// The rules that decide, in any order; any where it is left out.
    rules: Option<BTreeSet<String>>,
}

fn agent() -> WorkloadName {
    #[expect(clippy::unwrap_used, reason = "a constant, used by every test of this module")]
    "agent".parse().unwrap()
}

/// Where a secret came from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    operation: String,
    field: String,
    /// That of the call where it is left out.
    region: Option<Region>,
    /// That of the call where it is left out.
    account: Option<AccountId>,
    #[serde(default = "any")]
    resource: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    version: String,
}

fn any() -> String {
    "*".to_owned()
}

/// What was allowed before.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Counters {
    /// Seconds; of sessions only.
    age: i64,
    calls: u64,
    calls_last_minute: u64,
    counts: BTreeMap<String, u64>,
    sums: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Ask,
    Deny,
}

impl Expect {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Runs every case of `dir` against its policies; whether all came out as they should.
pub(super) fn run(dir: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    let found = policies::read(dir).context("reading the policies")?;
    let files: Vec<PathBuf> = found.ignored.into_iter().filter(|path| is_case_file(path)).collect();
    let policies = match Policies::parse(found.files) {
        Ok(policies) => policies,
        Err(errors) => {
            writeln!(out, "{errors}")?;
            return Ok(false);
        }
    };
    if files.is_empty() {
        bail!("there is no *{SUFFIX} file in {}", dir.display());
    }
    let (mut all, mut wrong) = (0, 0);
    for path in &files {
        let cases = read(path)?;
        for case in &cases {
            all += 1;
            let said =
                case.decide(&policies).with_context(|| format!("{}: {}", path.display(), case.name))?;
            if !case.fits(&said) {
                wrong += 1;
                write!(out, "{}", case.complaint(path, &said))?;
            }
        }
    }
    writeln!(
        out,
        "{}: {}, {}, {wrong} failed",
        dir.display(),
        count(files.len(), "file"),
        count(all, "case")
    )?;
    Ok(wrong == 0)
}

/// Whether a file beside the policies holds cases.
pub(super) fn is_case_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.to_string_lossy();
        name.ends_with(SUFFIX) && !name.starts_with('.')
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<Case>> {
    let reading = || format!("reading {}", path.display());
    let mut text = String::new();
    fs::File::open(path)
        .with_context(reading)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(reading)?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{} has more than {MAX_BYTES} bytes", path.display());
    }
    let file: File = toml::from_str(&text).with_context(reading)?;
    Ok(file.case)
}

impl Case {
    fn decide(&self, policies: &Policies) -> anyhow::Result<Said> {
        let now = match &self.time {
            Some(text) => OffsetDateTime::parse(text, &Rfc3339).context("time")?,
            None => NOON,
        };
        let workload = subject::workload(self.workload.clone(), self.groups.clone());
        let vouched = Vouched {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            claims: self.claims.clone(),
        };
        let caller = subject::caller(workload, vouched, now - Duration::seconds(self.session.age))?;
        let session = SessionUsage::given(now, &self.session.supposed());
        let day = DayUsage::given(now, &self.workload_day.supposed());
        let facts = Facts { now, session: &session, day: &day };
        let operation = self.operation()?;
        let reveals = policies.reveals(&caller, &operation, facts);
        let inserts = Inserts::of(&policies.inserts(&caller, &operation, facts));
        let said = Said::of(&policies.decide(&caller, operation, facts));
        Ok(Said { reveals: Reveals::of(&reveals), inserts, ..said })
    }

    /// About no request at all, so that nothing can be signed with a permit for it.
    fn operation(&self) -> anyhow::Result<Operation> {
        let Some((service, name)) = self.operation.split_once(':') else {
            bail!("operation: write `service:Operation`, e.g. `s3:PutObject`");
        };
        let pair = |action: &str, resource: &str| ActionOn {
            action: action.to_owned(),
            resource: resource.to_owned(),
        };
        let region = match &self.region {
            Some(region) => region.clone(),
            None => "us-east-1".parse()?,
        };
        let account = match &self.account {
            Some(account) => account.clone(),
            None => "123456789012".parse()?,
        };
        let params: BTreeMap<String, Param> =
            self.params.iter().map(|(name, value)| (name.clone(), param(value))).collect();
        let mut tokens = tokens_among(service, name, &params)?;
        for token in &mut tokens {
            let Some(from) = &self.secret else {
                bail!(
                    "say what the token in {} stands for: secret = {{ operation = …, field = … }}",
                    token.path
                );
            };
            let secret = Secret {
                operation: from.operation.clone(),
                field: from.field.clone(),
                region: from.region.as_ref().unwrap_or(&region).to_string(),
                account: from.account.as_ref().unwrap_or(&account).to_string(),
                resource: from.resource.clone(),
                id: from.id.clone(),
                version: from.version.clone(),
                alone: false,
            };
            token.secret = Some(Arc::new(secret));
        }
        let actions = match (&self.resource, &self.needs) {
            (Some(_), Some(_)) => bail!("write either `resource` or `needs`"),
            (Some(resource), None) => vec![pair(&self.operation, resource)],
            (None, Some(needs)) => needs.iter().map(|(action, resource)| pair(action, resource)).collect(),
            (None, None) => needed(service, name, &params, &region, &account)?,
        };
        Ok(Operation {
            service: service.to_owned(),
            name: name.to_owned(),
            region,
            account: Some(account),
            actions,
            params,
            unread: self.unread.clone(),
            keys: None,
            withheld: withheld(service, name),
            tokens,
            model: Default::default(),
            digest: RequestDigest([0; 32]),
        })
    }

    fn fits(&self, said: &Said) -> bool {
        let rules: BTreeSet<String> = said.rules.iter().cloned().collect();
        said.verdict == self.expect.as_str()
            && self.rules.as_ref().is_none_or(|wanted| *wanted == rules)
            && self.reveals.as_ref().is_none_or(|wanted| *wanted == said.revealed())
            && self.inserts.as_ref().is_none_or(|wanted| *wanted == said.inserted())
    }

    fn complaint(&self, path: &Path, said: &Said) -> String {
        let by = |rules: Vec<&str>| {
            if rules.is_empty() { String::new() } else { format!(" by {}", rules.join(", ")) }
        };
        let wanted = self.rules.iter().flatten().map(String::as_str).collect();
        let reason = said.reason.as_ref().map(|reason| format!("\n            {reason}")).unwrap_or_default();
        let revealing = |fields: &BTreeSet<String>| match self.reveals {
            None => String::new(),
            Some(_) if fields.is_empty() => ", revealing nothing".to_owned(),
            Some(_) => format!(", revealing {}", fields.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        let inserting = |fields: &BTreeSet<String>| match self.inserts {
            None => String::new(),
            Some(_) if fields.is_empty() => ", inserting nothing".to_owned(),
            Some(_) => format!(", inserting {}", fields.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        let wanted_fields = self.reveals.as_ref().map(revealing).unwrap_or_default()
            + &self.inserts.as_ref().map(inserting).unwrap_or_default();
        format!(
            "{}: {}\n  expected  {}{}{wanted_fields}\n  said      {}{}{}{reason}\n",
            path.display(),
            self.name,
            self.expect.as_str(),
            by(wanted),
            said.verdict,
            by(said.rules.iter().map(String::as_str).collect()),
            revealing(&said.revealed()) + &inserting(&said.inserted()),
        )
    }
}

/// What is withheld of an answer, of whatever service with this prefix has the operation.
///
/// What the configuration changes of the masks is not known here.
pub(super) fn withheld(prefix: &str, operation: &str) -> Vec<Arc<str>> {
    let services = catalog().services().iter().filter(|service| service.prefix == prefix);
    let known: Vec<_> =
        services.filter_map(|service| Some((service, service.operation(operation)?))).collect();
    let whole = known.iter().map(|(service, operation)| answer::withheld(service.name, operation));
    if let Some(whole) = whole.into_iter().find(|whole| !whole.is_empty()) {
        return whole;
    }
    let names: Vec<&str> = known.iter().map(|(service, _)| service.name).collect();
    let protocol = known.first().and_then(|(service, _)| service.protocols.first());
    let rules = mask::Rules::new(&mask::Config::default()).ok();
    let plan = rules.zip(protocol).and_then(|(rules, protocol)| rules.plan(&names, operation, *protocol));
    plan.iter().flat_map(|plan| plan.fields()).map(|field| Arc::clone(&field.path)).collect()
}

/// What a call with these parameters needs, of whatever service with this prefix has the operation.
fn needed(
    prefix: &str,
    operation: &str,
    params: &BTreeMap<String, Param>,
    region: &Region,
    account: &AccountId,
) -> anyhow::Result<Vec<ActionOn>> {
    let services = catalog().services().iter().filter(|service| service.prefix == prefix);
    let mut found = Vec::new();
    for service in services.filter(|service| service.operation(operation).is_some()) {
        let needs = needs_of(service.name, operation, params, region, Some(account)).with_context(|| {
            format!("{prefix}:{operation}: write `needs`, every action with its resource")
        })?;
        if !found.contains(&needs) {
            found.push(needs);
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(needs), true) => Ok(needs),
        (Some(_), false) => bail!("{prefix}:{operation} is of several services: write `needs`"),
        (None, _) => bail!("{prefix}:{operation} is not in the catalogue: write `needs`"),
    }
}

impl Counters {
    fn supposed(&self) -> Supposed {
        Supposed {
            calls: self.calls,
            calls_last_minute: self.calls_last_minute,
            counts: self.counts.clone(),
            sums: self.sums.clone(),
        }
    }
}

fn param(value: &toml::Value) -> Param {
    match value {
        toml::Value::String(text) => Param::Text(text.clone()),
        toml::Value::Integer(number) => Param::Number(*number),
        toml::Value::Float(number) => Param::Text(number.to_string()),
        toml::Value::Boolean(truth) => Param::Bool(*truth),
        toml::Value::Datetime(time) => Param::Text(time.to_string()),
        toml::Value::Array(items) => Param::List(items.iter().map(param).collect()),
        toml::Value::Table(fields) => {
            Param::Record(fields.iter().map(|(name, value)| (name.clone(), param(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `policy test` prints for these files.
    fn printed(files: &[(&str, &str)]) -> anyhow::Result<(bool, String)> {
        let dir = tempfile::tempdir()?;
        for (name, text) in files {
            fs::write(dir.path().join(name), text)?;
        }
        let mut out = Vec::new();
        let fine = run(dir.path(), &mut out)?;
        Ok((fine, String::from_utf8(out)?.replace(&dir.path().display().to_string(), "DIR")))
    }

    const POLICY: &str =
        "@id(\"few\") permit (principal in Group::\"ai\", action == Action::\"ec2:RunInstances\", resource)
        when { context.params has MaxCount && context.params.MaxCount <= 2 && context.unread.isEmpty() }
        unless { context.session.counts[\"ec2:RunInstances\"] >= 3 || context.session.age > 60
            || context.workload_day.sums[\"ec2:RunInstances/MaxCount\"] > 9
            || context.session.calls_last_minute > 5 };";

    fn case(rest: &str, expect: &str) -> String {
        format!(
            "[[case]]\nname = \"{expect} {}\"\noperation = \"ec2:RunInstances\"\nexpect = \"{expect}\"\n{rest}\n",
            rest.replace(['"', '\n', '[', ']'], " ")
        )
    }

    #[test]
    fn a_case_says_what_a_token_says() {
        let policy = "@id(\"main\") permit (principal, action == Action::\"ec2:RunInstances\", resource)
            when { principal.issuer == \"corp\" && principal.subject like \"repo:acme/*\" &&
                principal.hasTag(\"ref\") && principal.getTag(\"ref\") == \"main\" };";
        let (corp, app) = ("issuer = \"corp\"\n", "subject = \"repo:acme/app\"\n");
        let cases = [
            case(&format!("{corp}{app}claims = {{ ref = \"main\" }}"), "allow"),
            case(&format!("{corp}{app}claims = {{ ref = \"other\" }}"), "deny"),
            case(&format!("{corp}{app}"), "deny"),
            case(&format!("{app}claims = {{ ref = \"main\" }}"), "deny"),
            case(&format!("{corp}subject = \"repo:evil/app\"\nclaims = {{ ref = \"main\" }}"), "deny"),
            case("", "deny"),
        ];
        let (fine, text) = printed(&[("p.cedar", policy), ("p.test.toml", &cases.concat())]).unwrap();
        assert!(fine, "{text}");
    }

    #[test]
    fn a_case_says_everything_a_rule_can_read() {
        let ai = "groups = [\"ai\"]\n";
        let two = "params = { MaxCount = 2 }\n";
        let cases = [
            case(&format!("{ai}{two}rules = [\"few\"]"), "allow"),
            case(two, "deny"),
            case(&format!("{ai}params = {{ MaxCount = 3 }}"), "deny"),
            case(&format!("{ai}{two}unread = [\"UserData\"]"), "deny"),
            case(&format!("{ai}{two}session.counts = {{ \"ec2:RunInstances\" = 3 }}"), "deny"),
            case(&format!("{ai}{two}session.counts = {{ \"ec2:RunInstances\" = 2 }}"), "allow"),
            case(&format!("{ai}{two}session.age = 61"), "deny"),
            case(&format!("{ai}{two}session.calls_last_minute = 6"), "deny"),
            case(&format!("{ai}{two}workload_day.sums = {{ \"ec2:RunInstances/MaxCount\" = 10 }}"), "deny"),
        ]
        .concat();
        let (fine, words) = printed(&[("a.cedar", POLICY), ("a.test.toml", &cases)]).unwrap();
        assert_eq!((fine, words.as_str()), (true, "DIR: 1 file, 9 cases, 0 failed\n"));
    }

    #[test]
    fn what_a_case_needs_comes_from_its_parameters() {
        let policy = "@id(\"copy\") permit (principal, action in [Action::\"s3:GetObject\", Action::\"s3:PutObject\"], resource)
            when { resource.arn like \"arn:aws:s3:::builds/*\" };
            @id(\"own\") permit (principal, action in Action::\"dynamodb:Read\", resource)
            when { context has account && resource has account && resource.account == context.account };";
        let case = |operation: &str, params: &str, expect: &str| {
            format!(
                "[[case]]\nname = \"x\"\noperation = \"{operation}\"\nparams = {{ {params} }}\nexpect = \"{expect}\"\n"
            )
        };
        let copy = |from: &str| format!("Bucket = \"builds\", Key = \"b\", CopySource = \"{from}/a\"");
        let foreign = "TableName = \"arn:aws:dynamodb:us-east-1:999999999999:table/t\", Key = {}";
        let cases = [
            case("s3:CopyObject", &copy("builds"), "allow"),
            case("s3:CopyObject", &copy("secrets"), "deny"),
            case("s3:PutObject", "Bucket = \"builds\", Key = \"b\", ACL = \"public-read\"", "deny"),
            case("dynamodb:GetItem", "TableName = \"t\", Key = {}", "allow"),
            case("dynamodb:GetItem", foreign, "deny"),
        ]
        .concat();
        let (fine, words) = printed(&[("a.cedar", policy), ("a.test.toml", &cases)]).unwrap();
        assert!(fine, "{words}");
        let unknown = case("dynamodb:GetItems", "TableName = \"t\"", "deny");
        let error = printed(&[("a.cedar", policy), ("a.test.toml", &unknown)]).unwrap_err();
        assert!(
            format!("{error:#}").ends_with("dynamodb:GetItems is not in the catalogue: write `needs`"),
            "{error:#}"
        );
    }

    #[test]
    fn a_case_says_what_is_revealed() {
        let policy = "@id(\"all\") permit (principal, action, resource);
            @id(\"login\") permit (principal in Group::\"ci\", action == Action::\"reveal\", resource)
            when { context.operation == \"ecr:GetAuthorizationToken\" || context.field == \"SecretString\" };";
        let case = |operation: &str, rest: &str| {
            format!("[[case]]\nname = \"x\"\noperation = \"{operation}\"\n{rest}\n")
        };
        let (ci, token, key) =
            ("groups = [\"ci\"]\n", "ecr:GetAuthorizationToken", "codeartifact:GetAuthorizationToken");
        let cases = [
            case(token, &format!("{ci}expect = \"allow\"\nreveals = [\"*\"]\nrules = [\"all\", \"login\"]")),
            case(token, &format!("{ci}resource = \"*\"\nexpect = \"allow\"")),
            case(token, "expect = \"deny\"\nreveals = []"),
            case(key, &format!("{ci}params = {{ domain = \"a\" }}\nexpect = \"deny\"")),
            case(
                "secretsmanager:GetSecretValue",
                &format!(
                    "{ci}params = {{ SecretId = \"a\" }}\nexpect = \"allow\"\nreveals = [\"SecretString\"]"
                ),
            ),
            case(
                "iam:GetUser",
                &format!("{ci}params = {{ UserName = \"a\" }}\nexpect = \"allow\"\nreveals = []"),
            ),
        ];
        let (fine, words) = printed(&[("a.cedar", policy), ("a.test.toml", &cases.concat())]).unwrap();
        assert!(fine, "{words}");
        let wrong = case(token, &format!("{ci}expect = \"allow\"\nreveals = []"));
        let (fine, words) = printed(&[("a.cedar", policy), ("a.test.toml", &wrong)]).unwrap();
        assert!(!fine);
        assert_eq!(
            words,
            "DIR/a.test.toml: x\n  expected  allow, revealing nothing\n  said      allow by all, login, revealing *\n\
             DIR: 1 file, 1 case, 1 failed\n"
        );
    }

    #[test]
    fn a_difference_is_shown() {
        let cases = "[[case]]\nname = \"agents run\"\noperation = \"ec2:RunInstances\"\nexpect = \"allow\"\nrules = [\"few\"]\n";
        let (fine, words) = printed(&[("a.cedar", POLICY), ("a.test.toml", cases)]).unwrap();
        assert!(!fine);
        assert_eq!(
            words,
            "DIR/a.test.toml: agents run\n  expected  allow by few\n  said      deny\n            \
             no rule permits ec2:RunInstances on *\nDIR: 1 file, 1 case, 1 failed\n"
        );
        let wrong_rule = case("groups = [\"ai\"]\nparams = { MaxCount = 2 }\nrules = [\"other\"]", "allow");
        assert!(!printed(&[("a.cedar", POLICY), ("a.test.toml", &wrong_rule)]).unwrap().0);
    }

    #[test]
    fn what_cannot_be_run() {
        let error = |files: &[(&str, &str)]| format!("{:#}", printed(files).unwrap_err());
        assert!(error(&[("a.cedar", POLICY)]).starts_with("there is no *.test.toml file in "));
        assert!(error(&[("a.test.toml", "[[case]]\nnmae = 1")]).contains("unknown field `nmae`"));
        let both = case("resource = \"*\"\nneeds = [[\"ec2:RunInstances\", \"*\"]]", "deny");
        assert!(error(&[("a.test.toml", &both)]).contains("either `resource` or `needs`"));
        let (fine, words) = printed(&[("a.cedar", "nonsense"), ("a.test.toml", "")]).unwrap();
        assert!(!fine && words.starts_with("DIR/a.cedar:1:9:"), "{words}");
    }

    #[test]
    fn a_case_says_what_is_inserted() {
        let policy = "@id(\"all\") permit (principal, action, resource);
            @id(\"put\") permit (principal, action == Action::\"insert\", resource)
            when { context.field == \"Environment.Variables{}\" && context.secret.id == \"db\" };";
        let token = "chaperone:secret:00000000000000000000000000000000";
        let case = |rest: &str| {
            format!(
                "[[case]]\nname = \"x\"\noperation = \"lambda:UpdateFunctionConfiguration\"\n\
                 params = {{ FunctionName = \"f\", Environment = {{ Variables = {{ DB = \"{token}\" }} }} }}\n{rest}\n"
            )
        };
        let secret = |id: &str| {
            format!(
                "secret = {{ operation = \"secretsmanager:GetSecretValue\", field = \"SecretString\", id = \"{id}\" }}\n"
            )
        };
        let into = "inserts = [\"Environment.Variables{}\"]\n";
        let cases = [
            case(&format!("{}expect = \"allow\"\nrules = [\"all\", \"put\"]\n{into}", secret("db"))),
            case(&format!("{}expect = \"deny\"\ninserts = []", secret("other"))),
        ];
        let (fine, words) = printed(&[("a.cedar", policy), ("a.test.toml", &cases.concat())]).unwrap();
        assert!(fine, "{words}");
        let wrong = case(&format!("{}expect = \"allow\"\ninserts = []", secret("db")));
        let (fine, words) = printed(&[("a.cedar", policy), ("a.test.toml", &wrong)]).unwrap();
        assert!(!fine && words.contains("allow, inserting nothing"), "{words}");
        assert!(words.contains("said      allow by all, put, inserting Environment.Variables{}"), "{words}");
        let error = printed(&[("a.cedar", policy), ("a.test.toml", &case("expect = \"deny\""))]).unwrap_err();
        assert!(
            format!("{error:#}").contains("say what the token in Environment.Variables.DB stands for"),
            "{error:#}"
        );
    }
}
