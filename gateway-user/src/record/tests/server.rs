//! PostgreSQL for tests: a server of their own, on a unix socket in a directory of its own.
//!
//! Whoever keeps the server sees the end of a pipe when the test process ends, however it ends; then the
//! server is stopped by its pid and its directory removed.

use std::{
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, OnceLock},
};

use uuid::Uuid;

/// Where Debian puts it.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// `nobody` and `nogroup`: the server does not run as root.
const NOBODY: u32 = 65_534;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    dir: PathBuf,
    port: u16,
    /// Ends when the pipe to it does.
    keeper: Mutex<Option<Child>>,
}

impl Server {
    /// The server that every test of this process may use, each with a database of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("", &std::env::temp_dir()))
    }

    /// One more, with these lines in its configuration, its data below `place`.
    pub(crate) fn start(settings: &str, place: &Path) -> Self {
        Self::listen("''", 5432, settings, place)
    }

    /// One more that listens on a loopback port, too.
    pub(crate) fn start_tcp(settings: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::listen("'127.0.0.1'", free, settings, &std::env::temp_dir())
    }

    fn listen(addresses: &str, port: u16, settings: &str, place: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("chaperone-pg-").tempdir_in(place).unwrap().keep();
        if rustix::process::getuid().is_root() {
            chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let server = Self { keeper: Mutex::new(Some(keep(&dir))), dir, port };
        // A locale whose order is not that of the bytes.
        let locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en"];
        let flags = ["--no-sync", "--auth=trust", "--username=postgres", "--wal-segsize=1"];
        server.run("initdb", &[&locale[..], &flags[..]].concat());
        let socket = server.dir.display();
        let lines = format!(
            "listen_addresses = {addresses}\nport = {port}\nunix_socket_directories = '{socket}'\n\
             max_connections = 50\nshared_buffers = 16MB\nmin_wal_size = 2MB\nmax_wal_size = 64MB\n{settings}\n"
        );
        let path = server.dir.join("data/postgresql.conf");
        std::fs::write(path, lines).unwrap();
        server.resume();
        server
    }

    /// The directory of its socket, which is that of all it has.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Stops it as `pg_ctl -m` says: `immediate` is a crash.
    pub(crate) fn halt(&self, mode: &str) {
        self.run("pg_ctl", &["-m", mode, "stop"]);
    }

    /// Starts it again; returns when it can be used.
    pub(crate) fn resume(&self) {
        let log = self.dir.join("log");
        self.run("pg_ctl", &["-w", "-t", "60", "-l", log.to_str().unwrap(), "start"]);
    }

    /// A copy of a file among its data, which nobody else may read.
    pub(crate) fn install(&self, file: &Path, name: &str) {
        let path = self.dir.join("data").join(name);
        std::fs::copy(file, &path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if rustix::process::getuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// Moves a database that nobody uses below `place`.
    pub(crate) fn move_database(&self, database: &str, place: &Path) {
        let space = place.join("space");
        std::fs::create_dir(&space).unwrap();
        if rustix::process::getuid().is_root() {
            chown(&space, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        self.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
        self.sql("postgres", &format!("ALTER DATABASE {database} SET TABLESPACE small"));
    }

    /// Adds a line to its configuration and starts it anew.
    pub(crate) fn configure(&self, line: &str) {
        let path = self.dir.join("data/postgresql.conf");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{line}\n")).unwrap();
        self.halt("fast");
        self.resume();
    }

    /// How everybody but the superuser proves who they are.
    pub(crate) fn authenticate(&self, method: &str) {
        let lines = format!("local all postgres trust\nlocal all all {method}\n");
        std::fs::write(self.dir.join("data/pg_hba.conf"), lines).unwrap();
        self.run("pg_ctl", &["reload"]);
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// What `sql` answers, as the superuser in `database`.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, or what it says against it.
    pub(crate) fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let port = self.port.to_string();
        let output = self
            .program("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", &port, "-c", sql])
            .arg("-h")
            .arg(&self.dir)
            .arg(database)
            .output()
            .unwrap();
        said(&output, sql).map(|text| text.trim_end().to_owned())
    }

    /// A new, empty database.
    pub(crate) fn create_database(&self) -> String {
        let name = format!("t{}", Uuid::now_v7().simple());
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        name
    }

    /// The URL of `database` for `role`, through the socket.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@:{}/{database}?host={}", self.port, self.dir.display())
    }

    fn run(&self, program: &str, args: &[&str]) {
        let data = self.dir.join("data");
        let mut command = self.program(program);
        command.arg("-D").arg(data).args(args);
        // A server that was started keeps what it inherits.
        let log = self.dir.join(format!("{program}.out"));
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        let told = || std::fs::read_to_string(&log).unwrap() + &self.log();
        assert!(status.success(), "{program} {args:?}: {status}\n{}", told());
    }

    /// What the server said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(format!("{PROGRAMS}/{name}"));
        command.env_clear().env("LC_ALL", "C").stdin(Stdio::null()).current_dir(&self.dir);
        drop_root(&mut command);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }
}

/// Waits for the end of the tests, then cleans up after them.
fn keep(dir: &Path) -> Child {
    const SCRIPT: &str = r#"cat >/dev/null; "$0/pg_ctl" -D "$1/data" -m immediate stop; rm -rf "$1""#;
    let mut keeper = Command::new("sh");
    keeper.args(["-c", SCRIPT, PROGRAMS]).arg(dir).current_dir("/").process_group(0);
    drop_root(&mut keeper);
    keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn drop_root(command: &mut Command) {
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn said(output: &Output, what: &str) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{what}: {}{}", text(&output.stdout), text(&output.stderr)))
    }
}
