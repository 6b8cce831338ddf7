//! `chaperone run` with a token: from a file, a variable or a command.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio};

use chaperone_tests::harness::{AgentShell, User, Wanted};
use serde_json::{Value, json};

use crate::stage::{Agent, NOT_ACCEPTED, Stage, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_presented_from_a_file_and_from_a_variable_that_the_command_does_not_get() {
    let stage = Stage::start().await;
    let file = stage.put("own", &stage.token("agent-1", &["readers"], 600).await);
    let options = ["--workload", "launched", "--token-file", file.to_str().unwrap()];
    let mut agent = Agent::start(stage.gateway.launched(User::Root, &options).unwrap());
    agent.served("get");
    let session = stage.session("launched");
    assert_eq!(
        (&session["issuer"], &session["subject"], &session["groups"], &session["uid"]),
        (&json!("idp"), &json!("agent-1"), &json!(["readers"]), &json!(0)),
        "{session}"
    );

    let options = ["--workload", "launched", "--token-env", "CI_JOB_TOKEN"];
    let mut command = stage.gateway.launched(User::Nobody, &options).unwrap();
    let token = stage.token("agent-2", &["readers"], 600).await;
    command.env("CI_JOB_TOKEN", token.expose()).env("CI_JOB", "7");
    let mut shell = AgentShell::of(command).unwrap();
    let environment = shell.run("env").unwrap().ok().unwrap();
    assert!(environment.contains("CI_JOB=7"), "{environment}");
    assert!(!environment.contains("CI_JOB_TOKEN") && !environment.contains(token.expose()), "{environment}");
    shell.run("aws sts get-caller-identity").unwrap().ok().unwrap();
    let session = stage.session("launched");
    assert_eq!((&session["subject"], &session["uid"]), (&json!("agent-2"), &json!(65534)), "{session}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_while_the_command_runs() {
    let stage = Stage::start().await;
    // The command's file: the launcher runs it again when half of twenty seconds is over.
    let printed = stage.put("printed", &stage.token("agent-1", &["writers"], 20).await);
    let line = format!("cat {}", printed.display());
    let options = ["--workload", "launched", "--token-command", &line];
    let mut by_command = Agent::start(stage.gateway.launched(User::Nobody, &options).unwrap());
    let file = stage.put("own", &stage.token("agent-2", &["writers"], 30).await);
    let options = ["--workload", "launched", "--token-file", file.to_str().unwrap()];
    let mut by_file = Agent::start(stage.gateway.launched(User::Nobody, &options).unwrap());
    by_command.refused("get", "which no rule permits");
    by_file.refused("get", "which no rule permits");
    let before = by_file.served("credentials");

    stage.put("printed", &stage.token("agent-1", &["readers"], 600).await);
    stage.put("own", &stage.token("agent-2", &["readers"], 600).await);
    stage.sessions_when("launched", |sessions| {
        assert!(sessions.iter().all(|session| session["ended"].is_null()), "{sessions:?}");
        sessions.iter().all(|session| session["groups"] == json!(["readers"]))
    });
    by_command.served("get");
    by_file.served("get");
    assert_eq!(by_file.served("credentials"), before, "the session goes on, and so does its placeholder");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_ends_the_session() {
    let stage = Stage::start().await;
    let token = stage.token("agent-1", &["readers"], 6).await;
    let mut command =
        stage.gateway.launched(User::Nobody, &["--workload", "launched", "--token-env", "TOKEN"]).unwrap();
    command.env("TOKEN", token.expose());
    let mut agent = Agent::start(command);
    let first = agent.call("get");
    // A busy machine may need longer than the token lives.
    assert!(first["status"] == 200 || is_not_accepted(&first), "{first}");
    let session = stage.sessions_when("launched", |sessions| sessions[0]["ended"].is_string()).remove(0);
    assert_eq!(session["end_reason"], "token-expired", "{session}");
    let arrived = stage.upstream.requests().len();
    let answer = agent.call("get");
    assert!(is_not_accepted(&answer), "{answer}");
    assert_eq!(stage.upstream.requests().len(), arrived, "nothing arrives any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_give_no_session_and_say_what_to_do() {
    let stage = Stage::start().await;
    let own = stage.token("agent-1", &["readers"], 600).await;
    let other_audience =
        Wanted { subject: "agent-1".to_owned(), audience: "elsewhere".to_owned(), ..Wanted::default() };
    let mut forged = own.expose().to_owned();
    forged.truncate(forged.len() - 8);
    forged.push_str("AAAAAAAA");
    let wrong = [
        ("header-encoding", "not.a.token".to_owned()),
        ("bad-signature", forged),
        ("wrong-audience", stage.oidc.token(&other_audience).await.unwrap().expose().to_owned()),
        ("subject-not-allowed", stage.token("somebody", &["readers"], 600).await.expose().to_owned()),
    ];
    let run = |user, token: &str| {
        let file = stage.file("presented");
        fs::write(&file, token).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let options = ["--workload", "launched", "--token-file", file.to_str().unwrap()];
        let mut command = stage.gateway.launched(user, &options).unwrap();
        ended(&command.arg("/bin/true").stdin(Stdio::null()).output().unwrap())
    };
    for (reason, token) in &wrong {
        let (code, said) = run(User::Nobody, token);
        assert_eq!(code, Some(125), "{reason}: {said}");
        assert!(said.contains("chaperone: identity not accepted\n"), "{reason}: {said}");
        assert!(said.contains("chaperone: next step: present a token"), "{reason}: {said}");
        stage.refused_because("launched", reason);
    }

    // One that lives in a session of root's.
    let file = stage.put("own", &own);
    let options = ["--workload", "launched", "--token-file", file.to_str().unwrap()];
    let mut agent = Agent::start(stage.gateway.launched(User::Root, &options).unwrap());
    agent.served("get");
    let (code, said) = run(User::Nobody, own.expose());
    assert_eq!(code, Some(125), "{said}");
    assert!(said.contains("identity not accepted: the token was presented for another session"), "{said}");
    assert!(said.contains("next step: "), "{said}");
    assert_eq!(run(User::Root, own.expose()).0, Some(125), "nor while it runs may its own user");
    stage.refused_because("launched", "token-of-another");
    drop(agent);
    // Its processes have been killed, which takes the kernel a moment to make known.
    let start = std::time::Instant::now();
    while run(User::Root, own.expose()).0 != Some(0) {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "its own user may when it has ended");
    }
    assert_eq!(run(User::Nobody, own.expose()).0, Some(125), "another user never may");
    assert_eq!(run(User::Nobody, stage.token("agent-1", &[], 600).await.expose()).0, Some(0));

    // No token at all, and a file that is not there.
    let launched = |options: &[&str]| {
        let mut command = stage.gateway.launched(User::Nobody, options).unwrap();
        ended(&command.arg("/bin/true").stdin(Stdio::null()).output().unwrap())
    };
    let (code, said) = launched(&["--workload", "launched"]);
    assert!(code == Some(125) && said.contains("identity not accepted"), "{code:?} {said}");
    stage.refused_because("launched", "no-token");
    let (code, said) = launched(&["--workload", "launched", "--token-file", "/nonexistent"]);
    assert!(code == Some(125) && said.contains("/nonexistent"), "{code:?} {said}");
}

/// Told by the call, whether the agent had keys of the session or none.
fn is_not_accepted(answer: &Value) -> bool {
    answer["Message"].as_str().unwrap_or_default().contains(NOT_ACCEPTED)
}
