//! An agent whose identity takes long to find out keeps nobody else waiting.

use std::path::PathBuf;

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chaperone_tests::{
    direct::{AWS, Direct, Setup},
    pki::TestCa,
};
use gateway_user::{identify::Voucher, issuer};
use http::{Request, StatusCode};
use http_body_util::Full;
use rustix::fs::{FileType, Mode};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpListener};

const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";

/// An issuer that takes connections and never says a word.
struct Silent {
    listener: TcpListener,
    config: issuer::Config,
    dir: tempfile::TempDir,
}

impl Silent {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("ca.pem"), TestCa::new()?.pem())?;
        let mut config = issuer::Config::new("idp".parse()?, url, vec!["chaperone".to_owned()]);
        config.ca_file = Some(dir.path().join("ca.pem"));
        // Longer than any test: whoever is served did not wait for it.
        config.timeout_secs = 3600;
        Ok(Self { listener, config, dir })
    }

    /// A token of which all but its signature is right, so that keys are asked for.
    fn token(&self) -> String {
        let now = gateway_user::clock::Clock::system().now().unix_timestamp();
        let claims = json!({
            "iss": self.config.url, "aud": "chaperone", "sub": "agent-7", "iat": now, "exp": now + 600,
        });
        let parts = [json!({ "alg": "RS256", "kid": "k" }).to_string(), claims.to_string(), "x".repeat(256)];
        parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_its_own_cgroup_and_no_other() -> Result<()> {
    const EACH: usize = 3;
    let silent = Silent::start().await?;
    let file = silent.dir.path().join("token");
    std::fs::write(&file, silent.token())?;
    let mut setup = Setup {
        issuers: vec![silent.config.clone()],
        workload: Box::new(move |workload| {
            workload.identity = Voucher::Oidc;
            workload.issuer = "idp".parse().ok();
            workload.token_file = Some(file.to_string_lossy().into_owned());
        }),
        ..Setup::default()
    };
    // One more than a cgroup's share: that one is the neighbour's.
    (setup.serve.max_connections, setup.serve.session_max_connections) = (EACH + 1, EACH);
    let direct = Direct::start(setup).await?;

    let mut waiting = Vec::new();
    for _ in 0..=EACH {
        waiting.push(direct.connect(AWS).await?);
    }
    // All but one wait for the issuer, and that one is turned away at once.
    let event = direct.row("SELECT * FROM events WHERE kind = 'too-many-connections'", |_| true).await?;
    assert!(event.to_string().contains(&format!("one session ({EACH})")), "{event}");
    let _asked = silent.listener.accept().await?;

    let served = direct.agent(DYNAMODB).neighbour().dynamodb("ListTables", "{}").await?;
    assert_eq!(served.status, StatusCode::OK, "{}", served.text());
    let sessions = direct.rows("SELECT workload FROM v_sessions").await?;
    assert!(matches!(sessions.as_slice(), [row] if row["workload"] == "neighbours"), "{sessions:?}");

    // Still they wait: none was answered, and one alone was closed.
    let mut closed = 0;
    for mut connection in waiting {
        match connection.try_read(&mut [0; 1]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => {
                assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0, "a byte from the gateway");
                closed += 1;
            }
        }
    }
    assert_eq!(closed, 1);
    Ok(())
}

/// A pipe without anybody at its other end; on drop there is somebody, so that whoever waits for that goes on.
struct Pipe(PathBuf);

impl Pipe {
    fn make(path: PathBuf) -> Result<Self> {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, mode, 0)?;
        Ok(Self(path))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // fifo(7): to open it for both does not wait.
        let _ = std::fs::File::options().read(true).write(true).open(&self.0);
    }
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_token_is_refused_at_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pipe = Pipe::make(dir.path().join("token"))?;
    let name = pipe.0.to_string_lossy().into_owned();
    let direct = Direct::start(Setup {
        workload: Box::new(move |workload| {
            workload.identity = Voucher::Oidc;
            workload.issuer = "idp".parse().ok();
            workload.token_file = Some(name);
        }),
        ..Setup::default()
    })
    .await?;
    let request = Request::post(format!("https://{DYNAMODB}/")).body(Full::default())?;
    let refused = direct.agent(DYNAMODB).send(request).await?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    assert!(refused.text().contains("identity not accepted"), "{}", refused.text());
    let event = direct.row("SELECT * FROM events WHERE kind = 'identity-not-accepted'", |_| true).await?;
    assert!(event["message"].as_str().is_some_and(|words| words.ends_with("/token is no file")), "{event}");
    assert!(event["detail"].to_string().contains("no-token-file"), "{event}");
    let served = direct.agent(DYNAMODB).neighbour().dynamodb("ListTables", "{}").await?;
    assert_eq!(served.status, StatusCode::OK, "{}", served.text());
    Ok(())
}
