//! Who is taken for STS, by whatever way the gateway asks it.

use std::{env, fs, path::Path, process::Output};

use rustls_pki_types::CertificateDer;

use super::{endpoint::*, support::*};
use crate::{
    credentials::*,
    roots::{
        self,
        testing::{Ca, Server},
    },
};

/// An STS that gives everybody the role's keys, to those who take its certificate.
async fn sts_of(ca: &Ca, operation: &str) -> Server {
    let answer = granted("ASIAONE", 3600).unwrap().1.replace("AssumeRole", operation);
    Server::start(ca.acceptor("localhost"), answer).await
}

fn at_server(sts: &Server) -> Config {
    Config { sts_endpoint: Some(sts.url()), ..Config::default() }
}

/// An admin may have it in the system's store for the agents.
#[tokio::test]
async fn the_gateway_s_own_ca_does_not_vouch_for_sts() {
    let (own, other, clock, caller) = (Ca::new(), Ca::new(), clock(), caller(Some(ROLE)));
    let sts = sts_of(&own, "AssumeRole").await;
    for root in [own.certificate(), own.made_anew(), own.signed_by(&other)] {
        let source = |own_ca: Option<&CertificateDer<'_>>| {
            let roots = Roots::without(own_ca, [root.clone(), other.certificate()]).unwrap();
            source_trusting(&roots, &Ambient::default(), at_server(&sts), &clock)
        };
        assert_eq!(id(&source(None), &caller).await, "ASIAONE");
        let error = error(&source(Some(&own.certificate())), &caller).await;
        assert!(error.ends_with("invalid peer certificate: UnknownIssuer"), "{error}");
    }
}

/// Nor for whoever says whose the keys are.
#[tokio::test]
async fn the_account_is_learnt_from_sts_alone() {
    let (own, other, clock, caller) = (Ca::new(), Ca::new(), clock(), caller(None));
    let sts = Server::start(own.acceptor("localhost"), identity("123456789012").unwrap().1).await;
    let account = async |own_ca: Option<&CertificateDer<'_>>| {
        let roots = Roots::without(own_ca, [own.certificate(), other.certificate()]).unwrap();
        let source = source_trusting(&roots, &Ambient::default(), at_server(&sts), &clock);
        source.account(&region(), &caller).await.map(|account| account.to_string())
    };
    assert_eq!(account(None).await.as_deref(), Some("123456789012"));
    assert_eq!(account(Some(&own.certificate())).await, None);
}

#[tokio::test]
async fn what_an_admin_trusts_besides_the_system_vouches_for_sts() {
    let (own, private, caller) = (Ca::new(), Ca::new(), caller(Some(ROLE)));
    let sts = sts_of(&private, "AssumeRole").await;
    let dir = tempfile::tempdir().unwrap();
    let extra_ca = dir.path().join("extra.pem");
    fs::write(&extra_ca, private.pem()).unwrap();
    let roots = Roots::without(Some(&own.certificate()), roots::read(&extra_ca).unwrap()).unwrap();
    let source = source_trusting(&roots, &Ambient::default(), at_server(&sts), &clock());
    assert_eq!(id(&source, &caller).await, "ASIAONE");
}

/// The variables by which the test below tells itself what to do.
const ROOTS: &str = "TEST_ROOTS";
const OWN_CA: &str = "TEST_OWN_CA";

/// The SDK's chain reads the environment of its process, so each case is a process of its own: this test again.
#[tokio::test]
async fn the_sdk_s_chain_takes_nobody_else_for_sts() {
    if let (Some(roots), Some(own_ca)) = (env::var_os(ROOTS), env::var_os(OWN_CA)) {
        return chain(Path::new(&roots), Path::new(&own_ca)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (Ca::new(), Ca::new());
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let roots = file("roots.pem", &(own.pem() + &other.pem()));
    let profile = format!(
        "[default]\nrole_arn = {ROLE}\nsource_profile = own\n[profile own]\naws_access_key_id = AKIAOWN\n\
         aws_secret_access_key = secret\n"
    );
    let (none, profile, token) = (file("none", ""), file("profile", &profile), file("token", "a.b.c"));
    let (other, own_ca) = (file("other.pem", &other.pem()), file("own.pem", &own.pem()));
    for (operation, config, variables) in [
        ("AssumeRole", &profile, [].as_slice()),
        (
            "AssumeRoleWithWebIdentity",
            &none,
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()), ("AWS_ROLE_ARN", ROLE)],
        ),
    ] {
        let sts = sts_of(&own, operation).await;
        let ask = async |own_ca: &str| {
            let mut again = tokio::process::Command::new(env::current_exe().unwrap());
            again.args(["--exact", "--nocapture"]);
            again.arg("credentials::tests::trust::the_sdk_s_chain_takes_nobody_else_for_sts");
            again.env_clear().env(ROOTS, &roots).env(OWN_CA, own_ca);
            again.env("AWS_CONFIG_FILE", config).env("AWS_SHARED_CREDENTIALS_FILE", &none);
            again.env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
            again.env("AWS_ENDPOINT_URL_STS", sts.url()).envs(variables.iter().copied());
            said(again.output().await.unwrap())
        };
        let trusted = ask(&other).await;
        assert!(trusted.contains("keys ASIAONE\n"), "{operation}: {trusted}");
        let refused = ask(&own_ca).await;
        assert!(refused.contains("invalid peer certificate: UnknownIssuer\n"), "{operation}: {refused}");
        assert!(!refused.contains("keys ASIAONE"), "{operation}: {refused}");
    }
}

/// In a process of its own: what the chain finds where `own_ca` is the gateway's.
async fn chain(roots: &Path, own_ca: &Path) {
    let own_ca = roots::read(own_ca).unwrap().remove(0);
    let roots = Roots::without(Some(&own_ca), roots::read(roots).unwrap()).unwrap();
    let source = Source::new(Config::default(), &roots, clock()).unwrap();
    match keys(&source, &caller(None)).await {
        Ok(keys) => println!("keys {}", keys.access_key_id),
        Err(error) => println!("no keys: {error}"),
    }
}

fn said(output: Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
