//! How sessions end, and what they survive.

use std::{fs, time::Instant};

use chaperone_tests::harness::{AgentShell, Gateway, User};
use serde_json::json;

use crate::stage::{Agent, NOT_ACCEPTED, PATIENCE, Stage, ended};

/// `chaperone sessions kill` by root: its exit code, and what it said.
fn kill(gateway: &Gateway, id: &str) -> (Option<i32>, String) {
    ended(&gateway.chaperone(&["sessions", "kill", id]).unwrap().output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_stays_killed_and_its_neighbour_lives() {
    let mut stage = Stage::start().await;
    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    stage.put("reviews-1.service", &stage.token("agent-8", &["readers"], 600).await);
    let (cgroup, neighbour) = (stage.unit("builds-1.service"), stage.unit("reviews-1.service"));
    let (mut agent, mut other) = (stage.agent_in(&cgroup), stage.agent_in(&neighbour));
    agent.served("get");
    other.served("get");
    let id = stage.session("builds")["id"].as_str().unwrap().to_owned();

    assert_eq!(kill(&stage.gateway, &id).0, Some(0));
    agent.refused("get", NOT_ACCEPTED);
    stage.agent_in(&cgroup).refused("get", NOT_ACCEPTED);
    stage.refused_because("builds", "killed");
    assert_eq!(stage.session("builds")["end_reason"], "killed");
    other.served("get");
    let (code, said) = kill(&stage.gateway, &id);
    assert!(code == Some(1) && said.contains("no open session") && said.contains("next step"), "{said}");

    stage.gateway.kill().unwrap();
    assert_eq!(kill(&stage.gateway, &id).0, Some(1), "nobody is there to do it");
    stage.gateway.start_daemon().unwrap();
    // The file still has a token that holds.
    agent.refused("get", NOT_ACCEPTED);
    stage.refused_because("builds", "killed");
    stage.agent_in(&cgroup).refused("get", NOT_ACCEPTED);
    assert_eq!(stage.ask(&["sessions", "list", "--json", "--workload", "builds"]).len(), 1);
    other.served("get");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_user_and_root_may_end_a_session_and_no_agent() {
    let stage = Stage::start().await;
    let start = async |user, subject: &str| {
        let token = stage.token(subject, &["readers"], 600).await;
        let file = stage.put(subject, &token);
        let options = ["--workload", "launched", "--token-file", file.to_str().unwrap()];
        let mut shell = AgentShell::of(stage.gateway.launched(user, &options).unwrap()).unwrap();
        shell.run("aws sts get-caller-identity").unwrap().ok().unwrap();
        (shell, stage.session("launched")["id"].as_str().unwrap().to_owned())
    };
    let (mut roots, of_root) = start(User::Root, "agent-1").await;
    let (mut nobodys, of_nobody) = start(User::Nobody, "agent-2").await;

    // Agents, also root's, and their own sessions.
    let chaperone = chaperone_tests::harness::built("chaperone").unwrap();
    let config = stage.gateway.config_file();
    let socket = stage.gateway.dir().join("api.sock");
    let newer = stage.token("agent-1", &["readers", "more"], 600).await;
    for (shell, id) in [(&mut roots, &of_root), (&mut nobodys, &of_nobody)] {
        let line = format!("{} sessions kill {id} --config {}", chaperone.display(), config.display());
        let ran = shell.run(&line).unwrap();
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.output.contains("next step"), "{ran:?}");
        let renew = format!(
            "curl --silent --max-time 10 --unix-socket {} --write-out '%{{http_code}}' \
             --data '{{\"token\":\"{}\"}}' http://chaperone/v1/sessions/{id}/token",
            socket.display(),
            newer.expose(),
        );
        let ran = shell.run(&renew).unwrap();
        assert!(ran.output.ends_with("403"), "{ran:?}");
        shell.run("aws sts get-caller-identity").unwrap().ok().unwrap();
    }
    assert_eq!(stage.ask(&["sessions", "show", "--json", &of_root])[0]["groups"], json!(["readers"]));

    // Another user.
    let as_nobody = |id: &str| {
        let mut command = std::process::Command::new("/usr/bin/setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&chaperone);
        command.args(["sessions", "kill", id, "--config"]).arg(&config);
        ended(&command.env_clear().env("PATH", "/usr/bin:/bin").output().unwrap())
    };
    let (code, said) = as_nobody(&of_root);
    assert!(code == Some(1) && said.contains("no open session"), "{said}");
    roots.run("aws sts get-caller-identity").unwrap().ok().unwrap();
    // Its own user.
    assert_eq!(as_nobody(&of_nobody).0, Some(0));
    assert_ne!(nobodys.run("aws sts get-caller-identity").unwrap().code, 0);
    roots.run("aws sts get-caller-identity").unwrap().ok().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_tokens_survive_a_killed_daemon() {
    let mut stage = Stage::start().await;
    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    let token = stage.token("agent-1", &["readers"], 600).await;
    let cgroup = stage.unit("builds-1.service");
    let options = ["--workload", "launched", "--token-env", "TOKEN"];
    let mut command = stage.gateway.launched(User::Nobody, &options).unwrap();
    command.env("TOKEN", token.expose());
    let mut agents = [stage.agent_in(&cgroup), Agent::start(command)];
    let before = agents.each_mut().map(|agent| {
        agent.served("get");
        agent.served("credentials")
    });
    let sessions = |stage: &Stage| {
        let pick = |session: &serde_json::Value| {
            ["id", "issuer", "subject", "groups", "token_digest", "token_expires", "ended"]
                .map(|name| session[name].clone())
        };
        stage.ask(&["sessions", "list", "--json"]).iter().map(pick).collect::<Vec<_>>()
    };
    let known = sessions(&stage);
    assert_eq!(known.len(), 2, "{known:?}");

    stage.gateway.kill().unwrap();
    stage.gateway.start_daemon().unwrap();
    let after = agents.each_mut().map(|agent| {
        agent.served("get");
        agent.served("credentials")
    });
    assert_eq!(after, before);
    // A new process of the same cgroup finds the same placeholder.
    assert_eq!(stage.agent_in(&cgroup).served("credentials"), before[0]);
    assert_eq!(sessions(&stage), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_cgroup_ends_its_session_before_anybody_looks_for_it() {
    let mut stage = Stage::start().await;
    stage.gateway.kill().unwrap();
    let file = stage.gateway.config_file();
    let (often, never) = ("sweep_secs = 1\n", "sweep_secs = 86400\n");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(often), "{text}");
    fs::write(&file, text.replace(often, never)).unwrap();
    stage.gateway.start_daemon().unwrap();
    for (number, restarted) in [false, true].into_iter().enumerate() {
        let unit = format!("builds-{number}.service");
        stage.put(&unit, &stage.token("agent-7", &["readers"], 600).await);
        let cgroup = stage.unit(&unit);
        stage.agent_in(&cgroup).served("get");
        // Nobody is in it any more, but it is there: what runs in it next is of the same session.
        stage.agent_in(&cgroup).served("get");
        if restarted {
            stage.gateway.kill().unwrap();
            stage.gateway.start_daemon().unwrap();
        }
        let open = stage.session("builds");
        assert_eq!(open["ended"], json!(null), "{open}");
        drop(cgroup);
        let ended = stage.sessions_when("builds", |sessions| !sessions[0]["ended"].is_null());
        assert_eq!((ended.len(), &ended[0]["end_reason"]), (number + 1, &json!("cgroup-gone")), "{ended:?}");
    }
}

/// With `credentials = "web-identity"` the token itself is what AWS is asked for keys with, and the daemon does not write
/// it down.
#[tokio::test(flavor = "multi_thread")]
async fn the_launcher_presents_its_token_again_to_a_daemon_that_was_started_anew() {
    let mut stage = Stage::start().await;
    let own = stage.put("own", &stage.token("agent-1", &["readers"], 600).await);
    let printed = stage.put("printed", &stage.token("agent-3", &["readers"], 600).await);
    let line = format!("cat {}", printed.display());
    let token = stage.token("agent-2", &["readers"], 600).await;
    let mut agents =
        [["--token-file", own.to_str().unwrap()], ["--token-env", "TOKEN"], ["--token-command", &line]].map(
            |option| {
                let options = [&["--workload", "federated"][..], &option[..]].concat();
                let mut command = stage.gateway.launched(User::Nobody, &options).unwrap();
                command.env("TOKEN", token.expose());
                Agent::start(command)
            },
        );
    for agent in &mut agents {
        agent.served("get");
    }
    stage.gateway.kill().unwrap();
    stage.gateway.start_daemon().unwrap();
    let start = Instant::now();
    for agent in &mut agents {
        // The launchers look every ten seconds.
        while agent.call("get")["status"] != 200 {
            assert!(start.elapsed() < PATIENCE, "no token was presented");
        }
    }
    let sessions = stage.ask(&["sessions", "list", "--json", "--workload", "federated"]);
    assert!(sessions.len() == 3 && sessions.iter().all(|session| session["ended"].is_null()), "{sessions:?}");
}
