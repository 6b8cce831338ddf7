//! oidc-provider as the issuer of agents' tokens: real discovery, real keys, real tokens.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{ChildStdout, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use gateway_user::{issuer, secret::SecretText};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    process::Running,
    programs::{node_modules, peer_scripts},
};
use crate::pki::{TestCa, provider};

/// The name in its certificate and its URL.
const HOST: &str = "localhost";

/// A running provider. It is asked as `https://localhost:PORT`, which is its issuer identifier, too.
#[derive(Debug)]
pub struct Oidc {
    port: u16,
    ca: TestCa,
    dir: tempfile::TempDir,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    running: Running,
    replies: BufReader<ChildStdout>,
}

/// What a token is to say.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Wanted {
    /// `sub`.
    #[serde(skip)]
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// Further audiences: with one or more of them `aud` is a list, and theirs is its end.
    pub also_for: &'static [&'static str],
    /// The header's `typ`, which some issuers leave out.
    pub typ: Option<&'static str>,
    /// Seconds until it expires.
    pub ttl: u64,
    /// `RS256`, `PS256`, `ES256`, `ES384` or `EdDSA`.
    pub alg: &'static str,
    /// `iss`, where it is to name another issuer.
    pub iss: Option<String>,
    /// The header's `kid`, where it is to name another key than the one that signs.
    pub kid: Option<String>,
    /// Every other claim, such as `groups`.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            subject: "agent".to_owned(),
            audience: "chaperone".to_owned(),
            also_for: &[],
            typ: Some("at+jwt"),
            ttl: 600,
            alg: "RS256",
            iss: None,
            kid: None,
            claims: serde_json::Map::new(),
        }
    }
}

impl Wanted {
    /// A token of `subject` with this claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }
}

impl Oidc {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it does not come up, or `cargo xtask setup` did not run.
    pub fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("chaperone-oidc-").tempdir()?;
        let ca = TestCa::new()?;
        ca.write_leaf(dir.path(), "oidc", &[HOST])?;
        fs::write(dir.path().join("ca.pem"), ca.pem())?;
        let mut oidc = Self { port: 0, ca, dir, server: None };
        oidc.start_again()?;
        Ok(oidc)
    }

    /// Starts it where it was, with other keys, after [`Oidc::stop`].
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&mut self) -> Result<()> {
        let mut running = Running::start(
            Command::new("node")
                .arg(peer_scripts().join("oidc.cjs"))
                .args(["oidc.pem", "oidc.key", &self.port.to_string()])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("NODE_PATH", node_modules()?)
                .env("HOME", self.dir.path())
                .current_dir(self.dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // What it has to say on stderr is of use when it does not come up.
                .stderr(fs::File::create(self.dir.path().join("stderr"))?),
        )?;
        let mut replies = BufReader::new(running.child().stdout.take().context("stdout")?);
        let mut line = String::new();
        replies.read_line(&mut line)?;
        self.port = line.trim().parse().with_context(|| {
            format!("{line}{}", fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default())
        })?;
        self.server = Some(Server { running, replies });
        Ok(())
    }

    /// Ends it: from now on nobody listens there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.running.kill())
    }

    /// Makes new keys that sign from now on; the old ones stay published if `keep_old`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn rotate(&mut self, keep_old: bool) -> Result<()> {
        let server = self.server.as_mut().context("stopped")?;
        let mut stdin = server.running.child().stdin.as_ref().context("stdin")?;
        writeln!(stdin, "{}", if keep_old { "add" } else { "rotate" })?;
        let mut reply = String::new();
        server.replies.read_line(&mut reply)?;
        ensure!(reply == "done\n", "{reply}");
        Ok(())
    }

    /// Its issuer identifier.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{HOST}:{}", self.port)
    }

    /// The file with the root that vouches for it.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What the gateway is told about it: audience `chaperone`, groups in `groups`.
    ///
    /// # Errors
    /// When `name` is none.
    pub fn config(&self, name: &str) -> Result<issuer::Config> {
        let mut config = issuer::Config::new(name.parse()?, self.url(), vec!["chaperone".to_owned()]);
        config.groups_claim = Some("groups".to_owned());
        config.ca_file = Some(self.ca_file());
        Ok(config)
    }

    /// Asks it for an access token by client credentials (RFC 6749 §4.4, RFC 9068).
    ///
    /// # Errors
    /// When it gives none, with its words.
    pub async fn token(&self, wanted: &Wanted) -> Result<SecretText> {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret=secret&wanted={}",
            form_encoded(&wanted.subject),
            form_encoded(&serde_json::to_string(wanted)?),
        );
        let request =
            Request::post("/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = self.ask(request, form).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        match answer.get("access_token").and_then(serde_json::Value::as_str) {
            Some(token) => Ok(SecretText::new(token.to_owned())),
            None => bail!("no token: {answer}"),
        }
    }

    /// The key set that it publishes (RFC 7517 §5).
    ///
    /// # Errors
    /// When it gives none.
    pub async fn keys(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.ask(Request::get("/jwks"), String::new()).await?)?)
    }

    async fn ask(&self, request: http::request::Builder, body: String) -> Result<Bytes> {
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.ca.roots()?)
            .with_no_client_auth();
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        let stream =
            tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(HOST.try_into()?, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let serving = tokio::spawn(connection);
        let request = request
            .header(header::HOST, format!("{HOST}:{}", self.port))
            .body(Full::new(Bytes::from(body)))?;
        let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        serving.abort();
        Ok(body)
    }
}

fn form_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
