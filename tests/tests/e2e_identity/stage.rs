//! An issuer, AWS, a gateway with two workloads that need tokens, and agents.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{ChildStdin, Command, Output, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant},
};

use chaperone_tests::{
    harness::{
        Cgroup, Gateway, GatewayConfig, Oidc, Running, TokenFiles, Wanted, peer_scripts, vouched_workload,
        vouching_issuer,
    },
    pki::TestCa,
    upstream::{Key, Role, Upstream, UpstreamConfig},
};
use gateway_user::secret::SecretText;
use serde_json::{Value, json};

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const POLICIES: &str = r#"
@id("readers") permit (principal in Group::"readers", action == Action::"s3:GetObject", resource)
when { principal.issuer == "idp" && principal.subject like "agent-*" };

@id("deployers") permit (
    principal in Group::"deployers",
    action in [Action::"sts:AssumeRole", Action::"s3:PutObject", Action::"s3:DeleteObject"],
    resource
);

@id("identity") permit (principal, action == Action::"sts:GetCallerIdentity", resource);
"#;

/// The role whose keys sign the calls of `builds`.
const ROLE: &str = "arn:aws:iam::123456789012:role/builds";
/// A role that only [`ROLE`] may assume. It alone may write objects.
pub(crate) const DEPLOY: &str = "arn:aws:iam::123456789012:role/deploy";
/// A role that only [`DEPLOY`] may assume, in another account. It alone may delete objects.
pub(crate) const RELEASE: &str = "arn:aws:iam::222222222222:role/release";

/// Everything; dropped in this order.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    pub(crate) oidc: Oidc,
    pub(crate) key: Key,
    tokens: TokenFiles,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let key = Key {
            id: "ASIAREALGATEWAYKEY01".to_owned(),
            secret: "real/gateway+secret/that+nobody/may+see0".to_owned(),
            session_token: Some("real-gateway-session-token-that-nobody-may-see".to_owned()),
        };
        let ca = Arc::new(TestCa::new().unwrap());
        let config = UpstreamConfig { roles: roles(), ..UpstreamConfig::new(ca, vec![key.clone()]) };
        let upstream = Upstream::start(config).await.unwrap();
        let (oidc, tokens) = (Oidc::start().unwrap(), TokenFiles::new().unwrap());
        let hosts = ["s3", "e2e-bucket.s3", "sts"];
        let gateway = Gateway::start(GatewayConfig {
            purpose: "identity",
            workload: "unused",
            policies: POLICIES.to_owned(),
            upstream: upstream.addr(),
            upstream_ca: upstream.ca_pem().to_owned(),
            key: key.clone(),
            hosts: hosts.map(|host| format!("{host}.eu-central-1.amazonaws.com")).to_vec(),
            core: None,
            extra: configuration(&oidc, &tokens, &upstream.sts_url()),
        })
        .unwrap();
        Self { gateway, upstream, oidc, key, tokens }
    }

    /// A token of this subject in these groups.
    pub(crate) async fn token(&self, subject: &str, groups: &[&str], ttl: u64) -> SecretText {
        let wanted = Wanted { subject: subject.to_owned(), ttl, ..Wanted::default() };
        self.oidc.token(&wanted.claim("groups", json!(groups))).await.unwrap()
    }

    /// The token file of the unit `name`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.tokens.file(name)
    }

    /// Puts a token there, in one step as Kubernetes and others do.
    pub(crate) fn put(&self, name: &str, token: &SecretText) -> PathBuf {
        self.tokens.put(name, token).unwrap()
    }

    /// A cgroup in the slice, as systemd makes one for a unit.
    pub(crate) fn unit(&self, name: &str) -> Cgroup {
        self.gateway.agents().child(name).unwrap()
    }

    /// All that no agent may see, each with what it is called: the gateway's own keys, those that STS gave
    /// for calls of agents or in answer to them, and what placeholders are made from.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, Vec<u8>)> {
        let issued = self.upstream.issued();
        let encoded = self.key.secret.replace('/', "%2F").replace('+', "%2B");
        let placeholders = std::fs::read(self.gateway.dir().join("placeholder.key")).unwrap();
        let mut secrets =
            vec![("a real secret, encoded", encoded.into_bytes()), ("the key of placeholders", placeholders)];
        for Key { id, secret, session_token } in
            std::iter::once(&self.key).chain(issued.iter().map(|issued| &issued.key))
        {
            secrets.push(("a real key's id", id.clone().into()));
            secrets.push(("a real secret", secret.clone().into()));
            secrets.push(("a real session token", session_token.clone().unwrap().into()));
        }
        secrets
    }

    /// A boto3 client that lives on in this cgroup.
    pub(crate) fn agent_in(&self, cgroup: &Cgroup) -> Agent {
        Agent::start(self.gateway.transparent(cgroup).unwrap())
    }

    /// What `chaperone …` prints as lines of JSON.
    pub(crate) fn ask(&self, args: &[&str]) -> Vec<Value> {
        let text = self.gateway.ask(args).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}"))).collect()
    }

    /// The newest session of a workload.
    pub(crate) fn session(&self, workload: &str) -> Value {
        let list = self.ask(&["sessions", "list", "--json", "--workload", workload]);
        list.first().unwrap_or_else(|| panic!("no session of {workload}")).clone()
    }

    /// All sessions of a workload, newest first, once they are as wanted: what launcher and daemon do by
    /// themselves shows nowhere else.
    pub(crate) fn sessions_when(&self, workload: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let sessions = self.ask(&["sessions", "list", "--json", "--workload", workload]);
            if wanted(&sessions) {
                return sessions;
            }
            assert!(start.elapsed() < PATIENCE, "it never came to that: {sessions:?}");
        }
    }

    /// Asserts that the newest refusal of an identity has this reason.
    #[track_caller]
    pub(crate) fn refused_because(&self, workload: &str, reason: &str) {
        let list = ["events", "list", "--json", "--kind", "identity-not-accepted"];
        let events = self.ask(&list);
        let newest = events.first().unwrap_or_else(|| panic!("no event"));
        assert_eq!((&newest["workload"], &newest["detail"]["reason"]), (&json!(workload), &json!(reason)));
    }
}

/// What AWS allows each role: objects one action each, and the next role.
fn roles() -> Vec<Role> {
    let role = |arn: &str, action: &str, next: &str| {
        let statements = json!([
            { "Effect": "Allow", "Action": [action, "s3:GetObject"], "Resource": "*" },
            { "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": next },
        ]);
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        Role { arn: arn.to_owned(), policy: policy.to_string() }
    };
    vec![
        role(ROLE, "s3:GetObject", DEPLOY),
        role(DEPLOY, "s3:PutObject", RELEASE),
        role(RELEASE, "s3:DeleteObject", "arn:aws:iam::222222222222:role/none"),
    ]
}

/// Four workloads, their issuer, and whom the gateway asks for keys.
fn configuration(oidc: &Oidc, tokens: &TokenFiles, sts: &str) -> String {
    let builds = format!("{}\nrole_arn = \"{ROLE}\"", tokens.line());
    [
        vouched_workload("builds", &builds),
        vouched_workload("reviews", &tokens.line()),
        vouched_workload("launched", ""),
        vouched_workload("federated", &format!("role_arn = \"{ROLE}\"\ncredentials = \"web-identity\"")),
        vouching_issuer(oidc),
        format!("\n[credentials]\nsts_endpoint = \"{sts}\"\n"),
    ]
    .concat()
}

/// A process that lives on, with boto3 clients that it made once.
pub(crate) struct Agent {
    input: ChildStdin,
    lines: Receiver<String>,
    _process: Running,
}

impl Agent {
    /// As the program of `command`.
    pub(crate) fn start(mut command: Command) -> Self {
        command.arg("python3").arg(peer_scripts().join("agent.py"));
        let mut process = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let (input, output) = (process.child().stdin.take().unwrap(), process.child().stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Ends with the process, or with whoever listened.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { input, lines, _process: process }
    }

    /// What became of this call.
    pub(crate) fn call(&mut self, case: &str) -> Value {
        self.begin(case);
        self.answer()
    }

    /// Makes a call without waiting for what becomes of it.
    pub(crate) fn begin(&mut self, case: &str) {
        writeln!(self.input, "{case}").unwrap();
    }

    /// What became of the call that was begun.
    pub(crate) fn answer(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }

    /// A call that AWS answers.
    #[track_caller]
    pub(crate) fn served(&mut self, case: &str) -> Value {
        let answer = self.call(case);
        assert_eq!(answer["status"], 200, "{case}: {answer}");
        answer
    }

    /// A call that is refused at the first attempt, with these words.
    #[track_caller]
    pub(crate) fn refused(&mut self, case: &str, words: &str) {
        self.begin(case);
        self.is_refused(words);
    }

    /// The same of the call that was begun.
    #[track_caller]
    pub(crate) fn is_refused(&mut self, words: &str) {
        let answer = self.answer();
        assert_eq!((&answer["status"], &answer["retries"]), (&json!(403), &json!(0)), "{answer}");
        assert!(answer["Code"].as_str().is_some_and(|code| code.starts_with("AccessDenied")), "{answer}");
        assert!(answer["Message"].as_str().is_some_and(|text| text.contains(words)), "{answer}");
    }
}

/// The words for a session without a right to be one.
pub(crate) const NOT_ACCEPTED: &str = "Chaperone: identity not accepted";

/// How a command of `chaperone` ended, and what it said on standard error.
pub(crate) fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
