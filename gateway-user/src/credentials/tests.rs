use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError as SdkCredentialsError, future},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::identify::{self, Session, WorkloadConfig};

pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const START: i64 = 1_800_000_000;

fn clock() -> Clock {
    Clock::manual(OffsetDateTime::from_unix_timestamp(START).unwrap())
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(START + seconds).unwrap()
}

pub(super) fn caller(role: Option<&str>) -> Caller {
    caller_of(role, &[])
}

pub(super) fn caller_of(role: Option<&str>, groups: &[&str]) -> Caller {
    caller_with(|workload| {
        workload.role_arn = role.map(str::to_owned);
        workload.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    })
}

fn caller_with(change: impl FnOnce(&mut WorkloadConfig)) -> Caller {
    let mut workload = WorkloadConfig::named("builds".parse().unwrap());
    change(&mut workload);
    identify::testing::caller(workload, OffsetDateTime::UNIX_EPOCH)
}

fn region() -> Region {
    "eu-central-1".parse().unwrap()
}

/// An ambient source that counts, numbers its keys and does what it is told.
#[derive(Debug, Clone, Default)]
struct Ambient {
    asked: Arc<AtomicUsize>,
    /// Seconds after START at which the keys expire; `None` for keys that do not.
    expires: Arc<Mutex<Option<i64>>>,
    fails: Arc<Mutex<bool>>,
}

impl Ambient {
    fn expiring(seconds: i64) -> Self {
        Self { expires: Arc::new(Mutex::new(Some(seconds))), ..Self::default() }
    }
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
    fn set(&self, expires: i64) {
        *self.expires.lock().unwrap() = Some(expires);
    }
    fn fail(&self, fails: bool) {
        *self.fails.lock().unwrap() = fails;
    }
    async fn answer(&self) -> Result<Credentials, SdkCredentialsError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // Lets every other caller reach the slot while this flight is up.
        tokio::task::yield_now().await;
        if *self.fails.lock().unwrap() {
            return Err(SdkCredentialsError::not_loaded("nothing here"));
        }
        let expires = self.expires.lock().unwrap().map(|seconds| at(seconds).into());
        Ok(Credentials::new(format!("AKIA{number}"), "ambient-secret", None, expires, "test"))
    }
}

impl ProvideCredentials for Ambient {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.answer())
    }
}

fn source(ambient: &Ambient, config: Config, clock: &Clock) -> Source {
    Source::with_provider(SharedCredentialsProvider::new(ambient.clone()), config, clock.clone())
}

/// Keys for a call that everything permits; kept ones where there is a role.
async fn keys(source: &Source, caller: &Caller) -> Result<Keys, CredentialsError> {
    let mut workload = WorkloadConfig::clone(&caller.session.workload);
    workload.scope = workload.scope.or(Some(Scope::Role));
    let permit = permit(None, caller);
    let Session { id, cgroup, cgroup_id, started, placeholder, .. } = &*caller.session;
    let place = (cgroup.clone(), *cgroup_id);
    let session = Session::new(*id, Arc::new(workload), place, *started, placeholder.clone(), None);
    source.keys(&permit, &Caller { session: Arc::new(session), pid: 1, uid: 1 }, &everything()).await
}

async fn id(source: &Source, caller: &Caller) -> String {
    keys(source, caller).await.unwrap().access_key_id
}

async fn error(source: &Source, caller: &Caller) -> String {
    keys(source, caller).await.unwrap_err().to_string()
}

#[tokio::test]
async fn ambient_keys_are_kept_and_renewed_before_their_end() {
    let (clock, ambient, caller) = (clock(), Ambient::expiring(3600), caller(None));
    let source = source(&ambient, Config::default(), &clock);
    assert_eq!(id(&source, &caller).await, "AKIA1");
    clock.set(at(3299));
    assert_eq!(id(&source, &caller).await, "AKIA1");
    // Five minutes before the end.
    ambient.set(7200);
    clock.set(at(3300));
    assert_eq!(id(&source, &caller).await, "AKIA2");
    assert_eq!(id(&source, &caller).await, "AKIA2");
    assert_eq!(ambient.asked(), 2);
    // Long after the end nothing old is left.
    ambient.set(99_999);
    clock.set(at(7200));
    assert_eq!(id(&source, &caller).await, "AKIA3");
}

#[tokio::test]
async fn a_failed_renewal_keeps_what_works_but_never_an_expired_key() {
    let (clock, ambient, caller) = (clock(), Ambient::expiring(3600), caller(None));
    let source = source(&ambient, Config::default(), &clock);
    assert_eq!(id(&source, &caller).await, "AKIA1");
    ambient.fail(true);
    clock.set(at(3400));
    assert_eq!(id(&source, &caller).await, "AKIA1");
    assert_eq!(id(&source, &caller).await, "AKIA1");
    assert_eq!(ambient.asked(), 2, "not again right after a failure");
    clock.set(at(3415));
    assert_eq!(id(&source, &caller).await, "AKIA1");
    assert_eq!(ambient.asked(), 3);
    clock.set(at(3600));
    let words = error(&source, &caller).await;
    assert!(words.starts_with("the gateway has no AWS credentials: "), "{words}");
    assert!(words.contains("nothing here"), "{words}");
    ambient.fail(false);
    ambient.set(3600);
    assert_eq!(error(&source, &caller).await, "the keys of the gateway have expired");
    ambient.set(7200);
    assert_eq!(id(&source, &caller).await, "AKIA6");
}

#[tokio::test]
async fn a_source_that_repeats_its_ageing_keys_is_not_asked_for_every_call() {
    let (clock, ambient, caller) = (clock(), Ambient::expiring(200), caller(None));
    let source = source(&ambient, Config::default(), &clock);
    for _ in 0..10 {
        assert_eq!(id(&source, &caller).await, "AKIA1");
    }
    assert_eq!(ambient.asked(), 1);
}

#[tokio::test]
async fn many_callers_make_one_flight() {
    let (clock, ambient, caller) = (clock(), Ambient::default(), caller(None));
    let source = Arc::new(source(&ambient, Config::default(), &clock));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (source, caller) = (Arc::clone(&source), caller.clone());
            tokio::spawn(async move { id(&source, &caller).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "AKIA1");
    }
    assert_eq!(ambient.asked(), 1);

    // A failure is shared by those who waited for it.
    let ambient = Ambient::default();
    ambient.fail(true);
    let source = Arc::new(self::source(&ambient, Config::default(), &clock));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (source, caller) = (Arc::clone(&source), caller.clone());
            tokio::spawn(async move { error(&source, &caller).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().contains("nothing here"));
    }
    assert_eq!(ambient.asked(), 1);
}

#[tokio::test]
async fn fixed_keys_are_what_they_are() {
    let keys = |expires| Keys {
        access_key_id: "AKIAFIXED".to_owned(),
        secret: SecretText::new("secret".to_owned()),
        session_token: None,
        expires,
    };
    let clock = clock();
    let source = Source::fixed(keys(None), clock.clone());
    assert_eq!(id(&source, &caller(Some(ROLE))).await, "AKIAFIXED");
    let source = Source::fixed(keys(Some(at(0).into())), clock);
    assert_eq!(error(&source, &caller(None)).await, "the keys of the gateway have expired");
}

/// An STS that speaks just enough HTTP; each answer is one connection.
struct Sts {
    endpoint: String,
    /// Head and body of each request.
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Sts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `answers` in turn, the last one for ever; `None` never answers.
async fn sts(answers: Vec<Option<(u16, String)>>) -> Sts {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut io, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !complete(&request) {
                let read = io.read(&mut buffer).await.unwrap();
                assert_ne!(read, 0, "the client broke off");
                request.extend_from_slice(&buffer[..read]);
            }
            let number = {
                let mut seen = seen.lock().unwrap();
                seen.push(String::from_utf8(request).unwrap());
                seen.len()
            };
            match &answers[(number - 1).min(answers.len() - 1)] {
                None => held.push(io),
                Some((status, body)) => {
                    let head = format!(
                        "HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    io.write_all(head.as_bytes()).await.unwrap();
                    io.write_all(body.as_bytes()).await.unwrap();
                }
            }
        }
    });
    Sts { endpoint, requests, task }
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}

#[expect(clippy::unnecessary_wraps, reason = "one of several answers")]
fn granted(id: &str, expires: i64) -> Option<(u16, String)> {
    let expiration = at(expires).format(&Rfc3339).unwrap();
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
         <SessionToken>role-token</SessionToken><Expiration>{expiration}</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    Some((200, body))
}

fn at_endpoint(sts: &Sts) -> Config {
    Config { sts_endpoint: Some(sts.endpoint.clone()), ..Config::default() }
}

#[tokio::test]
async fn a_role_is_assumed_once_for_each_session() {
    let sts = sts(vec![granted("ASIAONE", 3600), granted("ASIATWO", 3600)]).await;
    let (clock, ambient) = (clock(), Ambient::default());
    let source = source(&ambient, at_endpoint(&sts), &clock);
    let (one, two) = (caller(Some(ROLE)), caller(Some(ROLE)));
    let keys = keys(&source, &one).await.unwrap();
    assert_eq!(keys.access_key_id, "ASIAONE");
    assert_eq!(keys.secret.expose(), "role-secret");
    assert_eq!(keys.session_token.as_ref().unwrap().expose(), "role-token");
    assert_eq!(keys.expires, Some(at(3600).into()));
    assert!(!format!("{keys:?}").contains("role-"), "{keys:?}");
    assert_eq!(id(&source, &two).await, "ASIATWO");
    assert_eq!(id(&source, &one).await, "ASIAONE");

    let requests = sts.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].contains("Action=AssumeRole&"), "{}", requests[0]);
    assert!(requests[0].contains(&format!("RoleSessionName={}", one.session.id)));
    assert!(requests[0].contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fagents"));
    assert!(requests[0].contains("/eu-central-1/sts/aws4_request"), "{}", requests[0]);
    assert!(requests[1].contains(&format!("RoleSessionName={}", two.session.id)));
}

#[tokio::test]
async fn aws_is_told_who_calls_unless_configured_otherwise() {
    let sts = sts(vec![granted("ASIAONE", 3600), granted("ASIATWO", 3600)]).await;
    let clock = clock();
    let caller = caller(Some(ROLE));
    assert_eq!(id(&source(&Ambient::default(), at_endpoint(&sts), &clock), &caller).await, "ASIAONE");
    let quiet = Config { source_identity: false, session_tags: false, ..at_endpoint(&sts) };
    assert_eq!(id(&source(&Ambient::default(), quiet, &clock), &caller).await, "ASIATWO");
    let requests = sts.requests.lock().unwrap().clone();
    for words in [
        "SourceIdentity=host-builds-".to_owned(),
        "Tags.member.1.Key=chaperone%3Aworkload&Tags.member.1.Value=builds&".to_owned(),
        format!("Tags.member.2.Key=chaperone%3Asession&Tags.member.2.Value={}&", caller.session.id),
        "Tags.member.3.Key=chaperone%3Aissuer&Tags.member.3.Value=host".to_owned(),
        "DurationSeconds=3600".to_owned(),
    ] {
        assert!(requests[0].contains(&words), "{words}: {}", requests[0]);
    }
    assert!(
        !requests[0].contains("TransitiveTagKeys") && !requests[0].contains("Policy="),
        "{}",
        requests[0]
    );
    assert!(!requests[1].contains("SourceIdentity") && !requests[1].contains("Tags"), "{}", requests[1]);
}

/// The session policy in a request to STS.
fn policy_in(request: &str) -> String {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let value = body.split('&').find_map(|pair| pair.strip_prefix("Policy=")).unwrap();
    percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn each_call_has_keys_of_its_own() {
    let sts = sts(vec![granted("ASIAONE", 900), granted("ASIATWO", 900), None]).await;
    let config = Config { timeout_secs: 1, ..at_endpoint(&sts) };
    let (ambient, clock) = (Ambient::default(), clock());
    let source = source(&ambient, config, &clock);
    let caller = caller_of(Some(ROLE), &[]);
    let call = |key: &str| allowed(vec![("s3:GetObject", format!("arn:aws:s3:::b/{key}"))], &caller);
    for expected in ["ASIAONE", "ASIATWO"] {
        let keys = source.keys(&call("k"), &caller, &everything()).await.unwrap();
        assert_eq!(keys.access_key_id, expected);
    }
    // STS is silent: there are no older keys to fall back to.
    source.keys(&call("k"), &caller, &everything()).await.unwrap_err();
    let requests = sts.requests.lock().unwrap().clone();
    assert!(requests[0].contains("DurationSeconds=900"), "{}", requests[0]);
    let statement = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/k"}"#;
    assert_eq!(
        policy_in(&requests[0]),
        format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statement}]}}")
    );
    // The gateway's own keys are read once for all of them.
    assert_eq!(ambient.asked(), 1);
}

#[tokio::test]
async fn a_call_that_is_too_much_for_a_policy_does_not_reach_sts() {
    let sts = sts(vec![granted("ASIAONE", 900)]).await;
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
    let caller = caller_of(Some(ROLE), &[]);
    let pairs = (0..1000).map(|key| ("s3:DeleteObject", format!("arn:aws:s3:::b/{key}"))).collect();
    let error = source.keys(&allowed(pairs, &caller), &caller, &everything()).await.unwrap_err();
    assert!(matches!(error, CredentialsError::PolicyTooLarge { pairs: 1000, .. }), "{error}");
    assert!(sts.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_keeps_its_keys_as_long_as_its_rules_stay() {
    let sts = sts(vec![granted("ASIAONE", 3600), granted("ASIATWO", 3600), granted("ASIATHREE", 3600)]).await;
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
    let caller = caller_with(|workload| {
        workload.role_arn = Some(ROLE.to_owned());
        workload.scope = Some(Scope::Session);
    });
    let reads = policies("permit (principal, action in Action::\"sqs:Read\", resource);");
    let all = policies("permit (principal, action in Action::\"sqs:*\", resource);");
    let call = |name: &str| {
        allowed(vec![("sqs:SendMessage", format!("arn:aws:sqs:eu-central-1:123456789012:{name}"))], &caller)
    };
    for (rules, name, expected) in
        [(&reads, "a", "ASIAONE"), (&reads, "b", "ASIAONE"), (&all, "a", "ASIATWO"), (&reads, "a", "ASIAONE")]
    {
        assert_eq!(source.keys(&call(name), &caller, rules).await.unwrap().access_key_id, expected);
    }
    let requests = sts.requests.lock().unwrap().clone();
    assert!(policy_in(&requests[0]).contains(r#""Action":["sqs:Get"#), "{}", policy_in(&requests[0]));
    assert!(policy_in(&requests[1]).contains(r#""Action":"sqs:*""#), "{}", policy_in(&requests[1]));
    // The keys of a session that has ended are gone.
    source.forget(caller.session.id);
    assert_eq!(source.keys(&call("a"), &caller, &all).await.unwrap().access_key_id, "ASIATHREE");
}

#[tokio::test]
async fn a_call_that_is_only_observed_has_keys_for_itself() {
    let sts = sts(vec![granted("ASIAONE", 900)]).await;
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
    let caller = caller_with(|workload| {
        workload.role_arn = Some(ROLE.to_owned());
        workload.scope = Some(Scope::Session);
        workload.mode = identify::Mode::Observe;
    });
    let nothing = policies("");
    let observed = decide(&nothing, vec![("sqs:ListQueues", "*".to_owned())], &caller).unwrap();
    assert!(observed.objection().is_some());
    assert_eq!(source.keys(&observed, &caller, &nothing).await.unwrap().access_key_id, "ASIAONE");
    assert!(policy_in(&sts.requests.lock().unwrap()[0]).contains(r#""Action":"sqs:ListQueues""#));
}

#[tokio::test]
async fn the_role_of_a_rule_is_assumed_instead() {
    const OTHER: &str = "arn:aws:iam::222222222222:role/x";
    let sts = sts(vec![granted("ASIAONE", 900)]).await;
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
    // Also where the workload itself has none.
    let caller = caller(None);
    let rules = policies(&format!("@role(\"{OTHER}\") permit (principal, action, resource);"));
    let pairs = || vec![("s3:GetObject", "arn:aws:s3:::b/k".to_owned())];
    let here = decide_in(Some("222222222222"), &rules, pairs(), &caller).unwrap();
    assert_eq!(source.keys(&here, &caller, &rules).await.unwrap().access_key_id, "ASIAONE");
    assert!(sts.requests.lock().unwrap()[0].contains("RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fx"));
    // Decided for an account that is not the role's.
    let elsewhere = decide_in(Some("123456789012"), &rules, pairs(), &caller).unwrap();
    assert_eq!(
        source.keys(&elsewhere, &caller, &rules).await.unwrap_err().to_string(),
        "the call was decided for account 123456789012, but the gateway's keys are of 222222222222"
    );
    assert_eq!(sts.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_token_there_is_no_web_identity() {
    let sts = sts(vec![granted("ASIAONE", 900)]).await;
    let (ambient, clock) = (Ambient::default(), clock());
    let source = source(&ambient, at_endpoint(&sts), &clock);
    let caller = caller_with(|workload| {
        workload.role_arn = Some(ROLE.to_owned());
        workload.credentials = CredentialSource::WebIdentity;
    });
    assert_eq!(error(&source, &caller).await, "the session has no token to assume its role with");
    assert!(sts.requests.lock().unwrap().is_empty());
    assert_eq!(ambient.asked(), 0);
}

#[tokio::test]
async fn a_token_takes_the_place_of_the_gateways_keys() {
    let answer = granted("ASIAONE", 900).unwrap().1.replace("AssumeRole", "AssumeRoleWithWebIdentity");
    let sts = sts(vec![Some((200, answer))]).await;
    let ambient = Ambient::default();
    let own =
        Arc::new(Own::new(SharedCredentialsProvider::new(ambient.clone()), &Config::default(), clock()));
    let clients = Clients::new(SharedCredentialsProvider::new(own as Arc<dyn ProvideCredentials>));
    let region = region();
    let place =
        sts::Place { region: &region, endpoint: Some(&sts.endpoint), timeout: Duration::from_secs(10) };
    let session = SessionId::generate();
    let role = sts::Role {
        arn: ROLE,
        session,
        source_identity: None,
        tags: Vec::new(),
        policy: Some("{}"),
        seconds: 900,
    };
    let token = SecretText::new("eyJ.token".to_owned());
    let keys = clients.assume_role_with_web_identity(&place, role, &token).await.unwrap();
    assert_eq!(keys.access_key_id, "ASIAONE");
    let request = sts.requests.lock().unwrap()[0].clone();
    for words in [
        "Action=AssumeRoleWithWebIdentity&",
        "WebIdentityToken=eyJ.token",
        "Policy=%7B%7D",
        "DurationSeconds=900",
    ] {
        assert!(request.contains(words), "{words}: {request}");
    }
    assert!(!request.to_ascii_lowercase().contains("authorization:"), "it is not signed: {request}");
    assert_eq!(ambient.asked(), 0);
}

#[tokio::test]
async fn calls_for_keys_of_their_own_are_bounded() {
    let sts = sts(vec![granted("ASIAONE", 900)]).await;
    let config = Config { timeout_secs: 1, sts_max_in_flight: 1, ..at_endpoint(&sts) };
    let source = source(&Ambient::default(), config, &clock());
    let caller = caller_of(Some(ROLE), &[]);
    let call = allowed(vec![("s3:GetObject", "arn:aws:s3:::b/k".to_owned())], &caller);
    // As if another call were asking.
    let other = source.flights.begin(SessionId::generate()).await;
    let error = source.keys(&call, &caller, &everything()).await.unwrap_err();
    assert_eq!(error.to_string(), "no credentials within 1s");
    assert!(sts.requests.lock().unwrap().is_empty());
    drop(other);
    assert_eq!(source.keys(&call, &caller, &everything()).await.unwrap().access_key_id, "ASIAONE");
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let sts = sts(vec![
        granted("ASIA1", 3600),
        granted("ASIA2", 3600),
        granted("ASIA3", 3600),
        granted("ASIA4", 3600),
        granted("ASIA5", 3600),
    ])
    .await;
    let source = source(&Ambient::default(), Config { cache: 2, ..at_endpoint(&sts) }, &clock());
    let [one, two, three] = [caller(Some(ROLE)), caller(Some(ROLE)), caller(Some(ROLE))];
    assert_eq!(id(&source, &one).await, "ASIA1");
    assert_eq!(id(&source, &two).await, "ASIA2");
    assert_eq!(id(&source, &one).await, "ASIA1");
    assert_eq!(id(&source, &three).await, "ASIA3");
    assert_eq!(id(&source, &one).await, "ASIA1");
    assert_eq!(id(&source, &two).await, "ASIA4");
    // The keys of a session that has ended are gone.
    source.forget(two.session.id);
    assert_eq!(id(&source, &one).await, "ASIA1");
    assert_eq!(id(&source, &two).await, "ASIA5");
}

#[tokio::test]
async fn a_refused_role_is_named_with_the_words_of_sts() {
    let refusal = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
        <Code>AccessDenied</Code><Message>User x is not authorized</Message></Error><RequestId>r</RequestId></ErrorResponse>";
    let sts = sts(vec![Some((403, refusal.to_owned()))]).await;
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
    assert_eq!(
        error(&source, &caller(Some(ROLE))).await,
        format!("assuming {ROLE} failed: AccessDenied: User x is not authorized")
    );
    assert_eq!(sts.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unreachable_or_speechless_sts() {
    let (clock, ambient) = (clock(), Ambient::default());
    // Bound and closed again: nobody listens there.
    let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let config = Config { sts_endpoint: Some(format!("http://127.0.0.1:{port}")), ..Config::default() };
    let words = error(&source(&ambient, config, &clock), &caller(Some(ROLE))).await;
    assert!(words.starts_with(&format!("assuming {ROLE} failed: ")), "{words}");

    let silent = sts(vec![None]).await;
    let config = Config { timeout_secs: 1, ..at_endpoint(&silent) };
    let words = error(&source(&ambient, config, &clock), &caller(Some(ROLE))).await;
    assert!(
        words == "no credentials within 1s" || words.contains("timed out") || words.contains("timeout"),
        "{words}"
    );
}

#[tokio::test]
async fn a_role_whose_keys_are_born_expired_is_refused() {
    let sts = sts(vec![granted("ASIAOLD", 0)]).await;
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
    assert_eq!(error(&source, &caller(Some(ROLE))).await, format!("the keys of {ROLE} have expired"));
}

/// The permit for these pairs, where the rules give one.
pub(super) fn decide(policies: &Policies, pairs: Vec<(&str, String)>, caller: &Caller) -> Option<Permit> {
    decide_in(None, policies, pairs, caller)
}

fn decide_in(
    account: Option<&str>,
    policies: &Policies,
    pairs: Vec<(&str, String)>,
    caller: &Caller,
) -> Option<Permit> {
    use crate::{
        classify::{ActionOn, Operation},
        decide::{DayUsage, Facts, SessionUsage, Verdict},
        parse::RequestDigest,
    };
    let actions = pairs
        .into_iter()
        .map(|(action, resource)| ActionOn { action: action.to_owned(), resource })
        .collect();
    let operation = Operation {
        service: "s3".to_owned(),
        name: "GetObject".to_owned(),
        region: region(),
        account: account.map(|account| account.parse().unwrap()),
        actions,
        params: Default::default(),
        unread: Default::default(),
        keys: None,
        withheld: &[],
        digest: RequestDigest([0; 32]),
    };
    let facts = Facts { now: at(0), session: &SessionUsage::default(), day: &DayUsage::default() };
    match policies.decide(caller, operation, facts) {
        Verdict::Allow(permit) => Some(permit),
        Verdict::Ask(_) | Verdict::Deny(_) => None,
    }
}

fn policies(text: &str) -> Policies {
    Policies::parse([("p.cedar".into(), text.to_owned())]).unwrap()
}

/// Rules that allow everything.
fn everything() -> Policies {
    policies("permit (principal, action, resource);")
}

/// Allowed by a policy that allows everything.
pub(super) fn allowed(pairs: Vec<(&str, String)>, caller: &Caller) -> Permit {
    decide(&everything(), pairs, caller).unwrap()
}

fn permit(account: Option<&str>, caller: &Caller) -> Permit {
    decide_in(account, &everything(), vec![("s3:GetObject", "*".to_owned())], caller).unwrap()
}

#[tokio::test]
async fn a_permit_gets_its_keys() {
    let clock = clock();
    let caller = caller(None);
    let permit = permit(None, &caller);
    let source = source(&Ambient::default(), Config::default(), &clock);
    let call = tokio::spawn(async move {
        source.keys(&permit, &caller, &everything()).await.map(|keys| keys.access_key_id)
    });
    assert_eq!(call.await.unwrap().unwrap(), "AKIA1");
}

#[expect(clippy::unnecessary_wraps, reason = "one of several answers")]
fn identity(account: &str) -> Option<(u16, String)> {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/gateway</Arn><UserId>AIDA</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    Some((200, body))
}

const NO: &str =
    "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error></ErrorResponse>";

async fn account(source: &Source, region: &str, caller: &Caller) -> Option<String> {
    source.account(&region.parse().unwrap(), caller).await.map(|account| account.to_string())
}

#[tokio::test]
async fn the_account_of_a_role_needs_no_sts() {
    let (clock, ambient) = (clock(), Ambient::default());
    let source = source(&ambient, Config::default(), &clock);
    assert_eq!(account(&source, "eu-central-1", &caller(Some(ROLE))).await.unwrap(), "123456789012");
    assert_eq!(ambient.asked(), 0);
}

#[tokio::test]
async fn the_account_of_the_gateways_keys_is_asked_for_once() {
    let sts = sts(vec![identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    for _ in 0..3 {
        assert_eq!(account(&source, "eu-central-1", &caller(None)).await.unwrap(), "222233334444");
    }
    let requests = sts.requests.lock().unwrap().clone();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert!(request.contains("Action=GetCallerIdentity"), "{request}");
    assert!(request.contains("Credential=AKIA1/"), "{request}");
}

#[tokio::test]
async fn the_account_of_renewed_keys_is_asked_for_again() {
    let sts = sts(vec![identity("222233334444"), identity("555566667777")]).await;
    let clock = clock();
    let ambient = Ambient::expiring(1000);
    let source = source(&ambient, at_endpoint(&sts), &clock);
    let caller = caller(None);
    assert_eq!(account(&source, "eu-central-1", &caller).await.unwrap(), "222233334444");
    let decided = permit(Some("222233334444"), &caller);
    assert_eq!(source.keys(&decided, &caller, &everything()).await.unwrap().access_key_id, "AKIA1");
    // Between the decision and the signing the keys become another account's.
    clock.set(at(1500));
    ambient.set(9000);
    let error = source.keys(&decided, &caller, &everything()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the call was decided for account 222233334444, but the gateway's keys are of 555566667777"
    );
    assert_eq!(account(&source, "eu-central-1", &caller).await.unwrap(), "555566667777");
}

#[tokio::test]
async fn an_account_that_sts_does_not_tell_is_unknown_for_a_while() {
    let sts = sts(vec![Some((403, NO.to_owned())), identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    let caller = caller(None);
    assert_eq!(account(&source, "us-gov-west-1", &caller).await, None);
    assert_eq!(account(&source, "us-gov-west-1", &caller).await, None);
    assert_eq!(sts.requests.lock().unwrap().len(), 1);
    // Another region is asked at once: agents choose the region.
    assert_eq!(account(&source, "eu-central-1", &caller).await.unwrap(), "222233334444");
    assert_eq!(account(&source, "us-gov-west-1", &caller).await.unwrap(), "222233334444");
}

#[tokio::test]
async fn a_failed_question_for_the_account_is_asked_again_later() {
    let sts = sts(vec![Some((403, NO.to_owned())), identity("222233334444")]).await;
    let clock = clock();
    let source = source(&Ambient::default(), at_endpoint(&sts), &clock);
    assert_eq!(account(&source, "eu-central-1", &caller(None)).await, None);
    clock.set(at(61));
    assert_eq!(account(&source, "eu-central-1", &caller(None)).await.unwrap(), "222233334444");
}

#[tokio::test]
async fn sts_is_not_asked_for_the_account_where_that_is_turned_off() {
    let sts = sts(vec![identity("222233334444")]).await;
    let config = Config { learn_account: false, ..at_endpoint(&sts) };
    let source = source(&Ambient::default(), config, &clock());
    assert_eq!(account(&source, "eu-central-1", &caller(None)).await, None);
    assert!(sts.requests.lock().unwrap().is_empty());
}
