//! Tokens made to be believed, through the whole daemon: in the file, and presented by a launcher. Each is refused for the
//! reason it was made for, which the record has; who shows it learns only that the identity is not accepted.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize, PublicKeyComponents},
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chaperone_tests::{
    direct::{Direct, Setup},
    harness::{NoStatus, Oidc, Wanted},
};
use gateway_user::{
    api::{self, Api, Client, Launcher, SessionLog, Socket, wire},
    clock::Clock,
    identify::{CgroupError, CgroupTree, Scopes, Voucher},
    prim::{CgroupId, CgroupPath},
};
use http::StatusCode;
use http_body_util::Full;
use serde_json::{Value, json};

const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";

struct Stage {
    oidc: Oidc,
    direct: Direct,
    file: PathBuf,
    client: Client,
    serving: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Stage {
    async fn start() -> Result<Self> {
        let (oidc, dir) = (Oidc::start()?, tempfile::tempdir()?);
        let file = dir.path().join("token");
        let path = file.to_string_lossy().into_owned();
        let setup = Setup {
            issuers: vec![oidc.config("idp")?],
            workload: Box::new(move |workload| {
                workload.identity = Voucher::Oidc;
                workload.issuer = "idp".parse().ok();
                workload.token_file = Some(path);
            }),
            ..Setup::default()
        };
        let direct = Direct::start(setup).await?;
        let config = api::Config {
            socket: dir.path().join("api.sock"),
            group: "no-such-group".to_owned(),
            ..api::Config::default()
        };
        let launcher = Launcher::new(
            &config,
            Arc::clone(&direct.gateway.registry),
            Arc::new(NoCgroups),
            Arc::clone(&direct.gateway) as Arc<dyn SessionLog>,
            Vec::new(),
            Clock::system(),
        );
        let socket = Socket::bind(&config)?;
        let client = Client::new(&config);
        let api = Api::new(config, Arc::new(NoStatus), Arc::new(launcher));
        let serving = tokio::spawn(api.serve(socket, std::future::pending()));
        Ok(Self { oidc, direct, file, client, serving, _dir: dir })
    }

    async fn real(&self, wanted: Wanted) -> Result<String> {
        let wanted = Wanted { subject: "agent-7".to_owned(), ..wanted };
        Ok(self.oidc.token(&wanted).await?.expose().to_owned())
    }

    /// The newest event's reason, pid and uid after `seq`.
    async fn refusal_after(&self, seq: i64) -> Result<(String, Value)> {
        let sql = "SELECT * FROM events WHERE kind = 'identity-not-accepted' ORDER BY seq DESC LIMIT 1";
        let event = self.direct.row(sql, |row| row["seq"].as_i64().is_some_and(|new| new > seq)).await?;
        let detail: Value = serde_json::from_str(event["detail"].as_str().context("detail")?)?;
        Ok((detail["reason"].as_str().unwrap_or_default().to_owned(), event))
    }

    async fn seq(&self) -> Result<i64> {
        let row = self.direct.row("SELECT coalesce(max(seq), 0) AS seq FROM events", |_| true).await?;
        row["seq"].as_i64().context("a number")
    }

    async fn check(&self, what: &str, token: &str, reason: &str) -> Result<()> {
        fs::write(&self.file, token)?;
        let seq = self.seq().await?;
        let request = http::Request::get(format!("https://{S3}/a")).body(Full::default())?;
        let reply = self.direct.agent(S3).send(request).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{what}");
        let text = reply.text();
        assert!(text.contains("<Message>Chaperone: identity not accepted.</Message>"), "{what}: {text}");
        assert_eq!(self.refusal_after(seq).await?.0, reason, "{what} in the file");

        let seq = self.seq().await?;
        let (client, token) = (self.client.clone(), wire::Token::new(token.to_owned()));
        let launch = move || {
            let workload = "builds".parse().ok();
            client.launch(&wire::LaunchRequest { workload, command: Vec::new(), token: Some(token) })
        };
        let answer = tokio::task::spawn_blocking(launch).await?;
        assert_eq!(answer.err().context("refused")?.to_string(), "identity not accepted", "{what}");
        let (found, event) = self.refusal_after(seq).await?;
        assert_eq!(found, reason, "{what} presented");
        let own = (json!(std::process::id()), json!(rustix::process::geteuid().as_raw()));
        assert_eq!((&event["pid"], &event["uid"]), (&own.0, &own.1), "{event}");
        Ok(())
    }
}

/// A real token's parts, to be changed.
struct Parts {
    header: Value,
    payload: String,
    signature: String,
}

impl Parts {
    fn of(token: &str) -> Result<Self> {
        let mut parts = token.split('.');
        let mut next = || parts.next().context("three parts");
        let header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(next()?)?)?;
        let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(next()?)?)?;
        Ok(Self { header, payload, signature: next()?.to_owned() })
    }

    fn message(&self) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}", part(&self.header.to_string()), part(&self.payload))
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    fn token(&self) -> String {
        format!("{}.{}", self.message(), self.signature)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_tokens_are_refused_from_the_file_and_from_the_launcher() -> Result<()> {
    let stage = Stage::start().await?;
    let real = stage.real(Wanted::default()).await?;
    let parts = || Parts::of(&real);

    let mut none = parts()?.with("alg", "none");
    none.signature.clear();
    stage.check("no algorithm", &none.token(), "alg-none").await?;
    let (der, pem) = public_key(&stage.oidc.keys().await?, &parts()?.header["kid"])?;
    let (signed, signature) = real.rsplit_once('.').context("three parts")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).verify(signed.as_bytes(), &signature)?;
    for secret in [der.as_slice(), pem.as_bytes()] {
        let mut shared = parts()?.with("alg", "HS256");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        shared.signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, shared.message().as_bytes()));
        stage.check("a shared secret that is public", &shared.token(), "alg-symmetric").await?;
    }
    for kid in ["../../../dev/null", "/etc/passwd", "' OR 1=1 --"] {
        stage.check(kid, &parts()?.with("kid", kid).token(), "unknown-key").await?;
    }
    for (name, reason) in [("jku", "header-jku"), ("x5u", "header-x5u")] {
        stage.check(name, &parts()?.with(name, "https://evil.example/keys").token(), reason).await?;
    }
    let mut stranger = parts()?;
    let key = KeyPair::generate(KeySize::Rsa2048)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), stranger.message().as_bytes(), &mut signature)?;
    stranger.signature = URL_SAFE_NO_PAD.encode(signature);
    stage.check("another key of the same id", &stranger.token(), "bad-signature").await?;

    let other = stage.real(Wanted { audience: "someone".to_owned(), ..Wanted::default() }).await?;
    stage.check("another audience", &other, "wrong-audience").await?;
    let month = stage.real(Wanted { ttl: 30 * 86_400, ..Wanted::default() }).await?;
    stage.check("a month", &month, "lifetime-too-long").await?;
    // What the issuer would not sign; it is looked at before any signature.
    let changed = |from: &str, to: &str| -> Result<String> {
        let mut parts = parts()?;
        anyhow::ensure!(parts.payload.contains(from), "{}", parts.payload);
        parts.payload = parts.payload.replacen(from, to, 1);
        Ok(parts.token())
    };
    let list = changed("\"aud\":\"chaperone\"", "\"aud\":[\"someone\",\"chaperone.example\"]")?;
    stage.check("a list of other audiences", &list, "wrong-audience").await?;
    let twice = changed("\"sub\":", "\"sub\":\"admin\",\"sub\":")?;
    stage.check("two subjects", &twice, "payload-duplicate").await?;
    let soon = Clock::system().now().unix_timestamp() + 3600;
    stage.check("not yet", &changed("{", &format!("{{\"nbf\":{soon},"))?, "not-yet-valid").await?;
    stage.check("a megabyte", &"x".repeat(1 << 20), "token-too-long").await?;

    assert_eq!(stage.direct.rows("SELECT * FROM sessions").await?, Vec::<Value>::new());
    assert!(stage.direct.upstream.requests().is_empty());
    // The real one is good.
    fs::write(&stage.file, &real)?;
    assert_eq!(stage.direct.session().await?.identity().subject, "agent-7");
    Ok(())
}

/// The RSA key of this id as a `SubjectPublicKeyInfo` (RFC 5280 §4.1), in DER and PEM: what libraries that mix up the two
/// take for the secret.
fn public_key(keys: &Value, kid: &Value) -> Result<(Vec<u8>, String)> {
    let keys = keys["keys"].as_array().context("keys")?;
    let key = keys.iter().find(|key| key["kid"] == *kid).context("the key")?;
    let number =
        |name: &str| Ok::<_, anyhow::Error>(URL_SAFE_NO_PAD.decode(key[name].as_str().context("text")?)?);
    let der: PublicKeyX509Der<'_> = PublicKeyComponents { n: number("n")?, e: number("e")? }.as_der()?;
    let der = der.as_ref().to_vec();
    let text = STANDARD.encode(&der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    Ok((der, pem))
}

/// Cgroups that hold nobody.
struct NoCgroups;

impl CgroupTree for NoCgroups {
    fn path(&self, _: CgroupId) -> Result<CgroupPath, CgroupError> {
        Err(CgroupError::Gone)
    }

    fn id(&self, _: &CgroupPath) -> Result<CgroupId, CgroupError> {
        Err(CgroupError::Gone)
    }

    fn tag(&self, _: &CgroupPath) -> Result<Option<String>, CgroupError> {
        Ok(None)
    }
}

impl Scopes for NoCgroups {
    fn create(&self, _: &CgroupPath, _: &str) -> Result<CgroupId, CgroupError> {
        Ok(CgroupId(9999))
    }

    fn admit(&self, _: &CgroupPath, _: u32) -> Result<(), CgroupError> {
        Ok(())
    }

    fn populated(&self, _: &CgroupPath) -> Result<bool, CgroupError> {
        Ok(false)
    }

    fn remove(&self, _: &CgroupPath) -> Result<(), CgroupError> {
        Ok(())
    }

    fn children(&self, _: &CgroupPath) -> Result<Vec<CgroupPath>, CgroupError> {
        Ok(Vec::new())
    }
}
