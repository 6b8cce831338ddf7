//! The way to PostgreSQL: verified, and with a password that no configuration holds.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{server::Server, support::Bench};
use crate::record::{Config, DatabaseUrl, RecordError, Recorder, StoreKind};

/// A CA `name.pem`, and a key and certificate of its for `localhost` beside it.
fn make_ca(dir: &Path, name: &str) {
    let script = r#"
        set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
            -keyout "$1-ca.key" -out "$1.pem"
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
            -keyout "$1.key" -out "$1.csr"
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n' > "$1.ext"
        openssl x509 -req -in "$1.csr" -CA "$1.pem" -CAkey "$1-ca.key" -CAcreateserial -days 2 \
            -extfile "$1.ext" -out "$1.crt"
    "#;
    let output = Command::new("sh").args(["-c", script, "sh", name]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Opens the database of `url`; the words where that does not work.
async fn try_open(bench: &Bench, url: &str) -> Result<(), String> {
    let url: DatabaseUrl = url.parse().unwrap();
    let config = Config { url: Some(url), store: StoreKind::Postgres, ..bench.config.clone() };
    match Recorder::open(&config, bench.clock.clone()).await {
        Ok(opened) => {
            opened.recorder.close().await;
            Ok(())
        }
        Err(RecordError::Open { detail, .. }) => Err(detail),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_server_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    make_ca(dir.path(), "right");
    make_ca(dir.path(), "wrong");
    let server = Server::start_tcp("");
    let bench = Bench::postgres(&server, |_| {});
    let database = bench.ask("SELECT current_database()").await;
    let url = |host: &str, ca: &str| {
        let ca = dir.path().join(ca);
        let port = server.port();
        format!(
            "postgres://postgres@{host}:{port}/{database}?sslmode=verify-full&sslrootcert={}",
            ca.display()
        )
    };
    let error = try_open(&bench, &url("localhost", "right.pem")).await.unwrap_err();
    assert!(error.contains("server does not support TLS"), "{error}");

    server.install(&dir.path().join("right.crt"), "server.crt");
    server.install(&dir.path().join("right.key"), "server.key");
    server.configure("ssl = on");
    try_open(&bench, &url("localhost", "right.pem")).await.unwrap();
    let error = try_open(&bench, &url("localhost", "wrong.pem")).await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
    let error = try_open(&bench, &url("127.0.0.1", "right.pem")).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let error = try_open(&bench, &url("localhost", "missing.pem")).await.unwrap_err();
    assert!(error.contains("No such file"), "{error}");
}

/// This test runs itself again with `PGPASSFILE`, which is read from the environment.
#[test]
fn the_password_comes_from_the_password_file() {
    const URL: &str = "CHAPERONE_TEST_PASSWORD_URL";
    // One host has one key, however often it starts.
    const KEY: &str = "CHAPERONE_TEST_PASSWORD_KEY";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Ok(url) = std::env::var(URL) {
        let bench = Bench::with(|config| config.log.key = std::env::var_os(KEY).map(Into::into));
        let opened = runtime.block_on(try_open(&bench, &url));
        println!("\nopened: {opened:?}");
        return;
    }
    let server = Server::start("", &std::env::temp_dir());
    let database = server.create_database();
    server.sql(
        &database,
        "CREATE ROLE writer LOGIN PASSWORD 'correct horse'; GRANT ALL ON SCHEMA public TO writer",
    );
    server.authenticate("scram-sha-256");
    let passwords = server.dir().join("passwords");
    let keys = tempfile::tempdir().unwrap();
    let open = |password: &str, mode: u32, url: &str| {
        std::fs::write(&passwords, format!("localhost:*:{database}:writer:{password}\n")).unwrap();
        std::fs::set_permissions(&passwords, PermissionsExt::from_mode(mode)).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "record::tests::secure::the_password_comes_from_the_password_file",
                "--nocapture",
            ])
            .env(URL, url)
            .env(KEY, keys.path().join("log.key"))
            .env("PGPASSFILE", &passwords)
            .env_remove("PGPASSWORD")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("opened: ")).unwrap_or(&text).to_owned()
    };
    let plain = server.url("writer", &database);
    assert_eq!(open("correct horse", 0o600, &plain), "Ok(())");
    assert!(open("battery staple", 0o600, &plain).contains("password authentication failed"));
    // What others may read is no secret, and not read.
    assert!(open("correct horse", 0o644, &plain).contains("password authentication failed"));
    let in_url = plain.replace("writer@", "writer:correct%20horse@");
    assert_eq!(open("battery staple", 0o600, &in_url), "Ok(())");
}
