//! The first signed request of a command, caught before it goes anywhere.
//!
//! The command runs with keys that are good for nothing and with a proxy on the loopback interface
//! that answers `CONNECT` itself: TLS ends here, with a CA that is made for this one run, so that the
//! request has the host that it would have. Nothing is ever sent on.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Response, header, request::Parts};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
};

use crate::{
    api::environment::OTHER_CREDENTIALS,
    body::{self, Body},
    clock::Clock,
    identify::{Placeholder, Session},
    parse::ErrorShape,
    prim::{CallId, HostName, Region},
    respond::{Kind, Refusal},
    terminate::{self, Terminator, bundle},
};

/// Time for the command to make its call.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a `CONNECT` request.
const MAX_CONNECT: usize = 8 * 1024;
/// Bytes of a body that are kept, as the daemon inspects by default.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// What the command prints on its standard error is shown if it makes no call.
const MAX_STDERR: u64 = 16 * 1024;

/// A request as an SDK made it.
#[derive(Debug)]
pub(super) struct Captured {
    /// Its head, as the daemon would receive it.
    pub(super) head: Parts,
    /// The host it is for.
    pub(super) host: HostName,
    /// Its body, up to what the daemon would inspect; empty where it is longer.
    pub(super) body: Bytes,
}

/// Runs `command` until it makes a call signed with `session`'s keys.
pub(super) async fn capture(
    command: &[OsString],
    session: &Session,
    region: &Region,
) -> anyhow::Result<Captured> {
    let [program, arguments @ ..] = command else { bail!("there is no command") };
    let scratch = Scratch::new().context("making a temporary directory")?;
    let config = terminate::Config { ca_dir: scratch.0.join("ca"), ..terminate::Config::default() };
    let terminator = Terminator::new(&config, Clock::system()).context("making a CA for this run")?;
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.context("binding a port")?;
    let proxy = format!("http://{}", listener.local_addr()?);

    let preload = scratch.0.join("proxy.cjs");
    fs::write(&preload, PRELOAD).context("writing the preload for Node.js")?;
    let mut process = Command::new(program);
    process
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // What could lead the command to other keys, roles or endpoints, or past the proxy.
    for name in OTHER_CREDENTIALS.iter().chain(&NO_PROXY) {
        process.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_ENDPOINT_URL") {
            process.env_remove(name);
        }
    }
    process.envs(bundle::client_env(&config)).envs(keys(&session.placeholder)).envs(SETTINGS);
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        process.env(name, region.as_str());
    }
    let inherited = std::env::var("NODE_OPTIONS").unwrap_or_default();
    process.env("NODE_OPTIONS", format!("{inherited} --require {}", preload.display()).trim_start());
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        process.env(name, &proxy);
    }
    let mut child = process.spawn().with_context(|| format!("starting {}", program.to_string_lossy()))?;
    let mut stderr = child.stderr.take();

    let (caught, mut first) = mpsc::channel(1);
    let catcher = Arc::new(Catcher {
        terminator,
        key: session.placeholder.access_key_id.clone(),
        session: session.id,
        caught,
    });
    let serving = tokio::spawn(Arc::clone(&catcher).accept(listener));
    let caught = tokio::select! {
        captured = first.recv() => captured,
        _ = child.wait() => first.try_recv().ok(),
        () = tokio::time::sleep(PATIENCE) => None,
    };
    serving.abort();
    let _ = child.start_kill();
    if let Some(captured) = caught {
        return captured;
    }
    let mut said = Vec::new();
    if let Some(stderr) = &mut stderr {
        let _ = stderr.take(MAX_STDERR).read_to_end(&mut said).await;
    }
    bail!(
        "{} made no call to AWS through HTTPS_PROXY\n{}",
        program.to_string_lossy(),
        String::from_utf8_lossy(&said).trim_end()
    )
}

/// Makes Node.js use the proxy.
const PRELOAD: &str = include_str!("capture/proxy.cjs");

/// What could lead the command past the proxy.
const NO_PROXY: [&str; 4] = ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"];

/// How SDKs are told to make one attempt with the keys of the environment.
const SETTINGS: [(&str, &str); 5] = [
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_MAX_ATTEMPTS", "1"),
    ("AWS_PAGER", ""),
];

fn keys(placeholder: &Placeholder) -> [(&'static str, String); 3] {
    [
        ("AWS_ACCESS_KEY_ID", placeholder.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", placeholder.secret.expose().to_owned()),
        ("AWS_SESSION_TOKEN", placeholder.session_token.expose().to_owned()),
    ]
}

struct Catcher {
    terminator: Terminator,
    key: String,
    session: crate::prim::SessionId,
    caught: mpsc::Sender<anyhow::Result<Captured>>,
}

impl Catcher {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Ok((io, _)) = listener.accept().await {
            let catcher = Arc::clone(&self);
            tokio::spawn(async move {
                if let Err(error) = catcher.connection(io).await {
                    tracing::debug!(%error, "a connection of the command ended");
                }
            });
        }
    }

    /// `CONNECT host:443`, TLS, requests.
    async fn connection(self: Arc<Self>, mut io: TcpStream) -> anyhow::Result<()> {
        let Some(host) = connect(&mut io).await? else {
            io.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
            return Ok(());
        };
        io.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        let tls = self.terminator.handshake(io, &host).await?;
        let service = hyper::service::service_fn(move |request| {
            let (catcher, host) = (Arc::clone(&self), host.clone());
            async move { Ok::<_, std::convert::Infallible>(catcher.request(host, request).await) }
        });
        auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(tls), service)
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    async fn request(&self, host: HostName, request: Request<Incoming>) -> Response<Body> {
        let (head, incoming) = request.into_parts();
        let shape = ErrorShape::guess(&head);
        let method = head.method.clone();
        let ours = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains(&self.key));
        if ours {
            let body = Limited::new(incoming, MAX_BODY).collect().await;
            let caught = match body {
                Ok(whole) => Ok(Captured { head, host, body: whole.to_bytes() }),
                Err(error) => Err(anyhow::anyhow!("the body of the call cannot be read: {error}")),
            };
            // A second call is of no interest.
            let _ = self.caught.try_send(caught);
        }
        let refusal =
            Refusal::new(Kind::Denied, "it is only explained, not made", self.session, CallId::generate());
        refusal.into_response(shape, &method).map(body::full)
    }
}

/// The host that a `CONNECT` asks for; `None` for any other request.
async fn connect(io: &mut TcpStream) -> anyhow::Result<Option<HostName>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_CONNECT {
            bail!("the request to the proxy is too long");
        }
        // Byte by byte: what follows belongs to TLS.
        head.push(io.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&head);
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("CONNECT"), Some(authority)) => {
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            Ok(Some(host.parse()?))
        }
        _ => Ok(None),
    }
}

/// A directory of our own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("chaperone-explain-{}", CallId::generate()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "a temporary directory stays behind");
        }
    }
}
