//! Keys of roles, from STS: for whom, for which calls, and what is kept.

use tokio::net::TcpListener;

use super::{endpoint::*, support::*};
use crate::{credentials::*, identify};

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
async fn a_sessions_keys_are_asked_for_once_renewed_ahead_and_never_older_than_they_may_be() {
    let sts = sts(vec![granted("ASIAONE", 3600), granted("ASIATWO", 7200), Some((403, NO.to_owned()))]).await;
    let clock = clock();
    let source = Arc::new(source(&Ambient::default(), at_endpoint(&sts), &clock));
    let caller = caller_with(|workload| {
        workload.role_arn = Some(ROLE.to_owned());
        workload.scope = Some(Scope::Session);
    });
    let asked = || sts.requests.lock().unwrap().len();
    let all_at_once = async || {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let (source, caller) = (Arc::clone(&source), caller.clone());
                tokio::spawn(async move { id(&source, &caller).await })
            })
            .collect();
        let mut ids = Vec::new();
        for call in calls {
            ids.push(call.await.unwrap());
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    assert_eq!((all_at_once().await, asked()), (vec!["ASIAONE".to_owned()], 1));
    clock.set(at(3299));
    assert_eq!((all_at_once().await, asked()), (vec!["ASIAONE".to_owned()], 1));
    // Five minutes before the end: one asks, and the others go on meanwhile.
    clock.set(at(3300));
    all_at_once().await;
    assert_eq!((all_at_once().await, asked()), (vec!["ASIATWO".to_owned()], 2));
    // From now on STS refuses.
    clock.set(at(6900));
    assert_eq!((all_at_once().await, asked()), (vec!["ASIATWO".to_owned()], 3));
    clock.set(at(7199));
    assert_eq!((id(&source, &caller).await.as_str(), asked()), ("ASIATWO", 4));
    clock.set(at(7200));
    for asked_then in [5, 6] {
        let error = keys(&source, &caller).await.unwrap_err();
        assert!(matches!(error, CredentialsError::AssumeRole { .. }), "{error:?}");
        assert_eq!(asked(), asked_then);
    }
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
    let http = http::client(&anybody()).unwrap();
    let clients = Clients::new(http, SharedCredentialsProvider::new(own as Arc<dyn ProvideCredentials>));
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
    let other = source.flights.begin(SessionId::generate(), || false).await;
    let error = source.keys(&call, &caller, &everything()).await.unwrap_err();
    assert_eq!(error.to_string(), "no credentials within 1s");
    assert!(sts.requests.lock().unwrap().is_empty());
    drop(other);
    assert_eq!(source.keys(&call, &caller, &everything()).await.unwrap().access_key_id, "ASIAONE");
}

#[tokio::test]
async fn nothing_is_kept_for_a_session_that_ended_meanwhile() {
    for scope in [Scope::Call, Scope::Role] {
        let sts = sts(vec![granted("ASIAONE", 3600)]).await;
        let source = source(&Ambient::default(), at_endpoint(&sts), &clock());
        let caller = caller_with(|workload| {
            workload.role_arn = Some(ROLE.to_owned());
            workload.scope = Some(scope);
        });
        let kept = || source.slots.kept() + source.flights.kept();
        id(&source, &caller).await;
        assert_eq!(kept(), 1, "{scope:?}");
        // A call was let in before the end, and asks for keys after it.
        caller.session.end(identify::EndReason::Killed);
        source.forget(caller.session.id);
        id(&source, &caller).await;
        assert_eq!(kept(), 0, "{scope:?}");
    }
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
    let error = keys(&source, &caller(Some(ROLE))).await.unwrap_err();
    assert!(matches!(error, CredentialsError::RoleRefused { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("STS refuses {ROLE}: AccessDenied: User x is not authorized"));
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
