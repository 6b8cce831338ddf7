//! What the demo plays on: moto, the gateway, an agent's shell.

use std::{fs, path::PathBuf};

use anyhow::Result;
use chaperone_tests::harness::{
    AgentShell, Gateway, GatewayConfig, Moto, Oidc, Store, TokenFiles, vouched_workload, vouching_issuer,
};

/// The workload's name.
pub(crate) const WORKLOAD: &str = "demo";
/// The bucket and the table in moto.
pub(crate) const BUCKET: &str = "demo-bucket";
/// As [`BUCKET`].
pub(crate) const TABLE: &str = "demo-table";
/// Host of STS.
pub(crate) const STS: &str = "sts.eu-central-1.amazonaws.com";

/// The user `nobody`, and its group, on every Linux system.
pub(crate) const NOBODY: u32 = 65534;

/// Bytes of the streamed file.
const FILE_BYTES: usize = 64 * 1024 * 1024;

const POLICIES: &str = r#"
@id("demo-objects")
permit (
    principal == Workload::"demo",
    action in [Action::"s3:GetObject", Action::"s3:PutObject", Action::"s3:AbortMultipartUpload"],
    resource
);

@id("demo-table")
permit (
    principal == Workload::"demo",
    action in [Action::"dynamodb:PutItem", Action::"dynamodb:GetItem"],
    resource
);

@id("demo-others")
permit (
    principal == Workload::"demo",
    action in [
        Action::"lambda:PublishLayerVersion",
        Action::"iam:ListUsers",
        Action::"ec2:DescribeVpcs"
    ],
    resource
);

@id("demo-secrets")
permit (
    principal == Workload::"demo",
    action in [
        Action::"secretsmanager:GetSecretValue",
        Action::"ssm:GetParameter",
        Action::"iam:CreateAccessKey",
        Action::"lambda:GetFunctionConfiguration",
        Action::"lambda:UpdateFunctionConfiguration"
    ],
    resource
);

@id("demo-inserts")
permit (principal == Workload::"demo", action == Action::"insert", resource)
when {
    context.operation == "lambda:UpdateFunctionConfiguration" && context.field == "Environment.Variables{}" &&
    context.secret.operation == "secretsmanager:GetSecretValue" && context.secret.id == "demo/db"
};

@id("demo-motto")
permit (principal == Workload::"demo", action == Action::"reveal", resource)
when {
    context.operation == "secretsmanager:GetSecretValue" && context.field == "SecretString" &&
    context.params has SecretId && context.params.SecretId == "demo/motto"
};

@id("demo-roles")
permit (
    principal == Workload::"demo",
    action == Action::"sts:AssumeRole",
    resource
) when { resource.arn like "arn:aws:iam::123456789012:role/*" };

@id("demo-in-roles")
permit (
    principal == Workload::"demo",
    action in [Action::"s3:ListBucket", Action::"s3:DeleteObject"],
    resource
);

@id("demo-identity")
permit (principal == Workload::"demo", action == Action::"sts:GetCallerIdentity", resource);

@id("readers-objects")
permit (principal in Group::"readers", action == Action::"s3:GetObject", resource)
when { principal.issuer == "idp" && principal.subject like "agent-*" };

@id("no-metrics")
forbid (principal, action in Action::"cloudwatch:List", resource);

@id("no-bucket-deletion")
forbid (principal, action == Action::"s3:DeleteBucket", resource);
"#;

/// Agents get tokens for the values of secrets.
const TOKENS: &str = r#"
[[mask.rule]]
operation = "secretsmanager:GetSecretValue"
path = "SecretString"
reversible = true
"#;

/// Everything the acts need. Fields are dropped in this order.
pub(crate) struct Stage {
    /// One session, used by every act.
    pub(crate) agent: AgentShell,
    /// The daemon.
    pub(crate) gateway: Gateway,
    /// AWS.
    pub(crate) moto: Moto,
    /// The issuer of the tokens of the workloads `builds` and `reviews`.
    pub(crate) oidc: Oidc,
    /// Their token files.
    pub(crate) tokens: TokenFiles,
    /// The agent's home and working directory.
    pub(crate) work: PathBuf,
    /// The file that is sent.
    pub(crate) file: PathBuf,
}

impl Stage {
    /// Starts everything.
    pub(crate) fn set(store: Store) -> Result<Self> {
        println!("AWS: moto with IAM enforcement, bucket {BUCKET}, table {TABLE}");
        let moto = Moto::start(BUCKET, TABLE)?;
        println!("issuer: oidc-provider, whose tokens the workloads builds and reviews need");
        let (oidc, tokens) = (Oidc::start()?, TokenFiles::new()?);
        println!("gateway: the daemon in its own cgroup, all of AWS dialled at {}", moto.addr);
        let hosts = [
            "s3.eu-central-1.amazonaws.com".to_owned(),
            format!("{BUCKET}.s3.eu-central-1.amazonaws.com"),
            "dynamodb.eu-central-1.amazonaws.com".to_owned(),
            "lambda.eu-central-1.amazonaws.com".to_owned(),
            "ec2.eu-central-1.amazonaws.com".to_owned(),
            "monitoring.eu-central-1.amazonaws.com".to_owned(),
            "secretsmanager.eu-central-1.amazonaws.com".to_owned(),
            "ssm.eu-central-1.amazonaws.com".to_owned(),
            "iam.amazonaws.com".to_owned(),
            STS.to_owned(),
        ];
        let gateway = Gateway::start_on(
            store,
            GatewayConfig {
                purpose: "demo",
                workload: WORKLOAD,
                policies: POLICIES.to_owned(),
                upstream: moto.addr,
                upstream_ca: moto.ca_pem().to_owned(),
                key: moto.key.clone(),
                hosts: hosts.to_vec(),
                core: None,
                extra: [
                    vouched_workload("builds", &tokens.line()),
                    vouched_workload("reviews", &tokens.line()),
                    vouching_issuer(&oidc),
                    TOKENS.to_owned(),
                ]
                .concat(),
            },
        )?;
        let work = gateway.dir().join("work");
        fs::create_dir(&work)?;
        std::os::unix::fs::chown(&work, Some(NOBODY), Some(NOBODY))?;
        let file = work.join("file");
        fs::write(&file, content())?;
        println!("agent: a shell of the user nobody under `chaperone run --workload {WORKLOAD}`\n");
        let mut shell = gateway.agent_as_nobody()?;
        shell.current_dir(&work).env("HOME", &work);
        let agent = AgentShell::of(shell)?;
        Ok(Self { agent, gateway, moto, oidc, tokens, work, file })
    }
}

/// Content that does not repeat.
fn content() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)).to_le_bytes()
    })
    .take(FILE_BYTES / 8)
    .flatten()
    .collect()
}
