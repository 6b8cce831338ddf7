//! Roles that an agent assumes one after the other, by profiles of its own as its project has them.

use std::{collections::BTreeMap, fs, path::Path};

use chaperone_tests::harness::AgentShell;
use serde_json::Value;

use crate::{
    scan::{Scan, processes},
    stage::{Agent, DEPLOY, NOT_ACCEPTED, RELEASE, Stage},
};

const IDENTITY: &str = "sts get-caller-identity";
/// What [`DEPLOY`] alone may do in AWS.
const PUT: &str = "s3api put-object --bucket e2e-bucket --key a --body body";
/// What [`RELEASE`] alone may do in AWS.
const DELETE: &str = "s3api delete-object --bucket e2e-bucket --key a";

/// `~/.aws/config` of the agent, who knows of no gateway: roles, and whose keys assume them.
fn write_profiles(home: &Path) {
    let config = format!(
        "[profile deploy]\nrole_arn = {DEPLOY}\ncredential_source = Ec2InstanceMetadata\n\n\
         [profile release]\nrole_arn = {RELEASE}\nsource_profile = deploy\n"
    );
    fs::create_dir_all(home.join(".aws")).unwrap();
    fs::write(home.join(".aws/config"), config).unwrap();
    fs::write(home.join("body"), "body").unwrap();
}

/// The keys that the CLI has kept below `home`, by the name of their role.
fn cached(home: &Path) -> BTreeMap<String, Value> {
    let files = fs::read_dir(home.join(".aws/cli/cache")).unwrap().map(|file| file.unwrap().path());
    let kept = files.map(|file| {
        let kept: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
        let arn = kept["AssumedRoleUser"]["Arn"].as_str().unwrap();
        (arn.split('/').nth(1).unwrap().to_owned(), kept["Credentials"].clone())
    });
    kept.collect()
}

/// Asserts that no real key is in any file below `home` nor in any of the processes, and that the same search
/// finds what is there: `held`, at each of the `places`.
fn holds_placeholders_alone(stage: &Stage, home: &Path, pids: &[u32], held: &str, places: &[&str]) {
    let mut scan = Scan::new(&stage.secrets());
    scan.processes(pids);
    scan.directory(home);
    assert_eq!(scan.found, Vec::<String>::new());
    let mut scan = Scan::new(&[("placeholder", held)]);
    scan.processes(pids);
    scan.directory(home);
    for place in places {
        assert!(scan.found.iter().any(|found| found.contains(place)), "not in {place}: {:?}", scan.found);
    }
}

/// An agent's home in a session of `builds` whose token says that it may assume roles.
async fn home(stage: &Stage, name: &str) -> std::path::PathBuf {
    stage.put(name, &stage.token("agent-7", &["readers", "deployers"], 600).await);
    let home = stage.gateway.dir().join("work");
    write_profiles(&home);
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_assumes_one_role_by_another_and_holds_placeholders_alone() {
    let stage = Stage::start().await;
    let home = home(&stage, "builds-1.service").await;
    let cgroup = stage.unit("builds-1.service");
    let mut command = stage.gateway.transparent(&cgroup).unwrap();
    command.current_dir(&home).env("HOME", &home);
    let mut shell = AgentShell::of(command).unwrap();

    // Without a role the same calls are AWS's to refuse: the gateway's policy permits them.
    for call in [PUT, DELETE] {
        let ran = shell.run(&format!("aws {call}")).unwrap();
        assert!(ran.code != 0 && ran.output.contains("assumed-role/builds/"), "{ran:?}");
        assert!(!ran.output.contains("Chaperone"), "{ran:?}");
    }
    let debug = |profile: &str, call: &str| format!("aws --profile {profile} --debug {call} 2>> debug");
    for (profile, account, call) in [("deploy", "123456789012", PUT), ("release", "222222222222", DELETE)] {
        let arn = shell.run(&debug(profile, &format!("{IDENTITY} --query Arn --output text"))).unwrap();
        let arn = arn.ok().unwrap();
        assert!(arn.contains(&format!("arn:aws:sts::{account}:assumed-role/{profile}/")), "{arn}");
        shell.run(&debug(profile, call)).unwrap().ok().unwrap();
    }
    // One hop is not the other.
    let ran = shell.run(&debug("deploy", DELETE)).unwrap();
    assert!(
        ran.code != 0 && fs::read_to_string(home.join("debug")).unwrap().contains("assumed-role/deploy/")
    );

    // AWS saw the chain, each hop once: the CLI keeps what it was given.
    let issued = stage.upstream.issued();
    let hops: Vec<_> = issued.iter().filter(|issued| [DEPLOY, RELEASE].contains(&&*issued.role)).collect();
    let [deploy, release] = hops.as_slice() else { panic!("{issued:?}") };
    assert_eq!((&*deploy.role, &*release.role, &release.by), (DEPLOY, RELEASE, &deploy.key.id));

    // The agent saw placeholders.
    shell.run("env > environment").unwrap().ok().unwrap();
    let kept = cached(&home);
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["deploy", "release"]);
    for keys in kept.values() {
        assert!(keys["AccessKeyId"].as_str().unwrap().starts_with("ASIACHAP"), "{keys}");
        let secret = keys["SecretAccessKey"].as_str().unwrap();
        let places = ["/.aws/cli/cache/", "/debug"];
        holds_placeholders_alone(&stage, &home, &processes(&cgroup), secret, &places);
    }

    // The record has both hops, and says which calls were signed with their keys.
    let id = stage.session("builds")["id"].as_str().unwrap().to_owned();
    let minted = stage.ask(&["events", "list", "--json", "--kind", "keys-minted"]);
    assert_eq!(minted.len(), 2, "{minted:?}");
    for (role, name, by_it) in [
        (DEPLOY, "deploy", ["AssumeRole", "DeleteObject", "GetCallerIdentity", "PutObject"].as_slice()),
        (RELEASE, "release", ["DeleteObject", "GetCallerIdentity"].as_slice()),
    ] {
        let event = minted.iter().find(|event| event["detail"]["role"] == role).unwrap();
        assert_eq!(event["session"], id.as_str(), "{event}");
        let placeholder = &event["detail"]["placeholder_id"];
        assert_eq!(*placeholder, kept[name]["AccessKeyId"], "{event}");
        let calls = stage.ask(&["calls", "list", "--json", "--session", &id]);
        let signed = calls.iter().filter(|call| call["access_key_id"] == *placeholder);
        let mut signed: Vec<&str> = signed.map(|call| call["operation"].as_str().unwrap()).collect();
        signed.sort_unstable();
        assert_eq!(signed, by_it, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_lives_on_receives_placeholders_of_every_hop() {
    let stage = Stage::start().await;
    let home = home(&stage, "builds-1.service").await;
    let cgroup = stage.unit("builds-1.service");
    let mut command = stage.gateway.transparent(&cgroup).unwrap();
    command.current_dir(&home).env("HOME", &home).env("RECEIVED", home.join("received"));
    command.env("AWS_PROFILE", "release");
    let mut agent = Agent::start(command);
    let arn = agent.served("identity")["arn"].clone();
    assert!(arn.as_str().unwrap().contains(":222222222222:assumed-role/release/"), "{arn}");
    agent.served("get");
    let keys = agent.served("credentials");
    assert_eq!(stage.upstream.issued().iter().filter(|issued| issued.role == RELEASE).count(), 1);
    let secret = keys["secret"].as_str().unwrap();
    holds_placeholders_alone(&stage, &home, &processes(&cgroup), secret, &["/mem ", "/received"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_chain_are_worth_nothing_elsewhere_and_end_with_their_session() {
    let stage = Stage::start().await;
    let home = home(&stage, "builds-1.service").await;
    stage.put("reviews-1.service", &stage.token("agent-8", &["readers", "deployers"], 600).await);
    let (cgroup, neighbour) = (stage.unit("builds-1.service"), stage.unit("reviews-1.service"));
    let mut command = stage.gateway.transparent(&cgroup).unwrap();
    command.current_dir(&home).env("HOME", &home);
    let mut shell = AgentShell::of(command).unwrap();
    let mut thief = AgentShell::of(stage.gateway.transparent(&neighbour).unwrap()).unwrap();
    let calls = [("deploy", PUT), ("release", DELETE)];
    for (profile, call) in calls {
        shell.run(&format!("aws --profile {profile} {call}")).unwrap().ok().unwrap();
    }
    let kept = cached(&home);
    // A process that holds the keys of each hop, and what it is told.
    let refused = |shell: &mut AgentShell, words: &str| {
        let arrived = stage.upstream.requests().len();
        for keys in kept.values() {
            let [id, secret, token] =
                ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| keys[name].as_str().unwrap());
            let holding = format!(
                "AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret} AWS_SESSION_TOKEN={token} aws {IDENTITY}"
            );
            let ran = shell.run(&holding).unwrap();
            assert!(ran.code != 0 && ran.output.contains(words), "{ran:?}");
        }
        assert_eq!(stage.upstream.requests().len(), arrived, "nothing arrives");
    };
    refused(&mut thief, "ExpiredToken");

    let id = stage.session("builds")["id"].as_str().unwrap().to_owned();
    stage.gateway.ask(&["sessions", "kill", &id]).unwrap();
    refused(&mut shell, NOT_ACCEPTED);
    for (profile, call) in calls {
        // The CLI begins every chain with the keys that the metadata endpoint has: those of nobody by now.
        let ran = shell.run(&format!("aws --profile {profile} {call}")).unwrap();
        assert!(ran.code != 0 && ran.output.contains(NOT_ACCEPTED), "{ran:?}");
    }
    assert_eq!(stage.upstream.issued().iter().filter(|issued| issued.role == RELEASE).count(), 1);
    refused(&mut thief, "ExpiredToken");
    thief.run(&format!("aws {IDENTITY}")).unwrap().ok().unwrap();
}
