//! The issuers and workloads that the documentation shows, taken out of its pages: the configuration's own reader reads them,
//! and tokens as those issuers make them become the subjects and tags that the page names.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{Direct, Setup},
    harness::{Oidc, Wanted, repository},
};
use gateway_user::{config::Config, identify::Voucher};
use http::StatusCode;
use http_body_util::Full;
use serde_json::{Value, json};

/// What the test's provider says of its tokens, as that issuer's documentation has it.
struct Example {
    page: &'static str,
    issuer: &'static str,
    token: fn() -> Wanted,
    subject: &'static str,
    groups: &'static [&'static str],
    tags: &'static [(&'static str, &'static str)],
    /// Those whose tokens the workload must not take.
    strangers: &'static [&'static str],
}

/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>
fn kubernetes() -> Wanted {
    let bound = json!({
        "namespace": "agents",
        "node": { "name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1" },
        "pod": { "name": "builder-5c7b", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3" },
        "serviceaccount": { "name": "builder", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798" },
        "warnafter": 4_102_444_800_u64,
    });
    // A list of audiences, and no `typ`.
    let wanted = Wanted { also_for: &["https://kubernetes.default.svc"], typ: None, ..Wanted::default() };
    wanted.claim("kubernetes.io", bound).claim("jti", "aed34954-b33a-4142-b1ec-389d6bbb4936")
}

/// <https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md>: nothing but the registered claims.
fn spiffe() -> Wanted {
    Wanted { alg: "ES256", typ: Some("JWT"), ..Wanted::default() }
}

/// <https://docs.github.com/en/actions/reference/security/oidc>
fn github() -> Wanted {
    Wanted { typ: Some("JWT"), ..Wanted::default() }
        .claim("repository", "acme/app")
        .claim("repository_id", "74")
        .claim("repository_owner", "acme")
        .claim("repository_owner_id", "65")
        .claim("repository_visibility", "private")
        .claim("ref", "refs/heads/main")
        .claim("ref_type", "branch")
        .claim("ref_protected", "true")
        .claim("event_name", "push")
        .claim("actor", "octocat")
        .claim("run_id", "1234567890")
        .claim("job_workflow_ref", "acme/app/.github/workflows/ci.yml@refs/heads/main")
}

/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/>
fn gitlab() -> Wanted {
    Wanted { typ: Some("JWT"), ..Wanted::default() }
        .claim("namespace_id", "72")
        .claim("namespace_path", "acme")
        .claim("project_id", "20")
        .claim("project_path", "acme/app")
        .claim("user_login", "octocat")
        .claim("pipeline_source", "push")
        .claim("ref", "main")
        .claim("ref_type", "branch")
        .claim("ref_path", "refs/heads/main")
        .claim("ref_protected", "true")
        .claim("groups_direct", json!(["acme/releases"]))
}

fn corp() -> Wanted {
    Wanted::default()
        .claim("groups", json!(["release-engineers"]))
        .claim("repository", "acme/app")
        .claim("ref", "refs/heads/main")
}

const PAGE: &str = "docs/identity.md";
const EXAMPLES: &[Example] = &[
    Example {
        page: PAGE,
        issuer: "corp",
        token: corp,
        subject: "repo:acme/app:ref:refs/heads/main",
        groups: &["release-engineers"],
        tags: &[("repository", "acme/app"), ("ref", "refs/heads/main")],
        strangers: &["repo:evil/app:ref:refs/heads/main", "repo:acme-evil/app:ref:refs/heads/main"],
    },
    Example {
        page: PAGE,
        issuer: "cluster",
        token: kubernetes,
        subject: "system:serviceaccount:agents:builder",
        groups: &[],
        tags: &[("'kubernetes.io'.namespace", "agents"), ("'kubernetes.io'.serviceaccount.name", "builder")],
        strangers: &["system:serviceaccount:default:builder", "system:serviceaccount:agents-2:builder"],
    },
    Example {
        page: PAGE,
        issuer: "spire",
        token: spiffe,
        subject: "spiffe://example.org/agents/builder",
        groups: &[],
        tags: &[],
        strangers: &["spiffe://example.com/agents/builder", "spiffe://example.org/people/alice"],
    },
    Example {
        page: PAGE,
        issuer: "github",
        token: github,
        subject: "repo:acme/app:ref:refs/heads/main",
        groups: &[],
        tags: &[
            ("repository", "acme/app"),
            ("repository_id", "74"),
            ("ref", "refs/heads/main"),
            ("event_name", "push"),
        ],
        strangers: &["repo:evil/app:ref:refs/heads/main", "repo:acme-evil/app:pull_request"],
    },
    Example {
        page: PAGE,
        issuer: "gitlab",
        token: gitlab,
        subject: "project_path:acme/app:ref_type:branch:ref:main",
        groups: &[],
        tags: &[
            ("project_path", "acme/app"),
            ("ref", "main"),
            ("ref_type", "branch"),
            ("ref_protected", "true"),
        ],
        strangers: &["project_path:evil/acme:ref_type:branch:ref:main"],
    },
    Example {
        page: "docs/admin-guide.md",
        issuer: "corp",
        token: corp,
        subject: "build:docs",
        groups: &["release-engineers"],
        tags: &[],
        strangers: &["release:docs"],
    },
];

/// The blocks of a page that have an issuer, each as a whole configuration.
fn documented(page: &str) -> Result<Vec<Config>> {
    let path = repository().join(page);
    let text = fs::read_to_string(&path)?;
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let with_issuer = blocks.filter(|block| block.lines().any(|line| line == "[[issuer]]"));
    with_issuer.map(|block| Config::parse(block, &path).with_context(|| block.to_owned())).collect()
}

/// A gateway with the page's issuer, which is the test's provider here, and the page's workload, whose cgroup and token
/// file are the test's.
async fn check(example: &Example, config: &Config, oidc: &Oidc) -> Result<()> {
    let [issuer] = config.issuer.as_slice() else { anyhow::bail!("one issuer") };
    let [workload] = config.workload.as_slice() else { anyhow::bail!("one workload") };
    assert_eq!((workload.identity, &workload.issuer), (Voucher::Oidc, &Some(issuer.name.clone())));
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("token");
    let (mut issuer, documented) = (issuer.clone(), workload.clone());
    (issuer.url, issuer.ca_file) = (oidc.url(), Some(oidc.ca_file()));
    let path = file.to_string_lossy().into_owned();
    let direct = Direct::start(Setup {
        issuers: vec![issuer],
        workload: Box::new(move |workload| {
            let own = workload.clone();
            *workload = documented;
            (workload.cgroup, workload.region, workload.account) = (own.cgroup, own.region, own.account);
            workload.token_file = Some(path);
        }),
        ..Setup::default()
    })
    .await?;
    let put =
        async |wanted: Wanted| -> Result<()> { Ok(fs::write(&file, oidc.token(&wanted).await?.expose())?) };
    let wanted = |subject: &str| Wanted { subject: subject.to_owned(), ..(example.token)() };

    let refused = async |reason: &str| -> Result<()> {
        let host = "s3.eu-central-1.amazonaws.com";
        let before = direct.rows("SELECT seq FROM events").await?.len();
        let request = http::Request::get(format!("https://{host}/a")).body(Full::default())?;
        assert_eq!(direct.agent(host).send(request).await?.status, StatusCode::FORBIDDEN, "{reason}");
        let sql = format!("SELECT * FROM events ORDER BY seq LIMIT -1 OFFSET {before}");
        let event = direct.row(&sql, |_| true).await?;
        let detail: Value =
            serde_json::from_str(event.get("detail").and_then(Value::as_str).context("detail")?)?;
        assert_eq!(
            (event.get("kind"), detail.get("reason")),
            (Some(&"identity-not-accepted".into()), Some(&reason.into()))
        );
        Ok(())
    };
    for stranger in example.strangers {
        put(wanted(stranger)).await?;
        refused("subject-not-allowed").await.with_context(|| (*stranger).to_owned())?;
    }
    put(Wanted { audience: "sts.amazonaws.com".to_owned(), ..wanted(example.subject) }).await?;
    refused("wrong-audience").await?;

    put(Wanted {
        audience: "sts.amazonaws.com".to_owned(),
        also_for: &["chaperone"],
        ..wanted(example.subject)
    })
    .await?;
    let identity = direct.session().await?.identity();
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (example.issuer, example.subject));
    assert_eq!(identity.groups, example.groups);
    let tags: BTreeMap<&str, &str> =
        identity.claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(tags, example.tags.iter().copied().collect());
    Ok(())
}

#[tokio::test]
async fn issuers_of_the_documentation_vouch_as_it_says() -> Result<()> {
    let oidc = Oidc::start()?;
    for page in [PAGE, "docs/admin-guide.md"] {
        let configs = documented(page)?;
        let expected: Vec<_> = EXAMPLES.iter().filter(|example| example.page == page).collect();
        let names =
            |config: &Config| config.issuer.iter().map(|issuer| issuer.name.to_string()).collect::<Vec<_>>();
        let found: Vec<String> = configs.iter().flat_map(names).collect();
        let mut wanted: Vec<&str> = expected.iter().map(|example| example.issuer).collect();
        assert_eq!(found.len(), wanted.len(), "{page}: {found:?}");
        wanted.retain(|name| !found.iter().any(|found| found == name));
        assert!(wanted.is_empty(), "{page} has no {wanted:?}");
        for example in expected {
            let config =
                configs.iter().find(|config| names(config) == [example.issuer]).context("its block")?;
            check(example, config, &oidc).await.with_context(|| format!("{page}: {}", example.issuer))?;
        }
    }
    Ok(())
}

/// The page's table says of each issuer what the tokens above become.
#[test]
fn the_page_names_these_subjects_and_tags() -> Result<()> {
    let text = fs::read_to_string(repository().join(Path::new(PAGE)))?;
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    for example in EXAMPLES.iter().filter(|example| example.page == PAGE && example.issuer != "corp") {
        let tags: Vec<String> =
            example.tags.iter().map(|(name, value)| format!("`{name}` is `{value}`")).collect();
        let end = format!("| `{}` | {} |", example.subject, tags.join(", ")).replace("|  |", "| |");
        assert!(rows.iter().any(|row| row.ends_with(&end)), "{end}");
    }
    Ok(())
}
