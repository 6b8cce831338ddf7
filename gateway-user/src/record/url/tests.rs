use super::*;

#[track_caller]
fn check(text: &str, shown: &str) {
    let url: DatabaseUrl = text.parse().unwrap();
    assert_eq!(url.to_string(), shown, "{text}");
}

#[track_caller]
fn check_bad(text: &str, expected: BadUrl) {
    assert_eq!(text.parse::<DatabaseUrl>().err(), Some(expected), "{text}");
}

#[test]
fn what_is_understood() {
    check("postgres://writer@localhost/records", "postgres://writer@localhost:5432/records");
    check("postgresql://writer@127.0.0.1:6000/records", "postgres://writer@127.0.0.1:6000/records");
    check("postgres://writer@[::1]:6000/records", "postgres://writer@[::1]:6000/records");
    check(
        "postgres://w%40x@%2Frun%2Fpostgresql/my%20records",
        "postgres://w%40x@:5432/my%20records?host=/run/postgresql",
    );
    check("postgres://w@/r?host=/run/postgresql", "postgres://w@:5432/r?host=/run/postgresql");
    check("postgres://w@/r?host=localhost", "postgres://w@localhost:5432/r");
    check(
        "postgres://w@db.example.com/r?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=/c&sslkey=/k",
        "postgres://w@db.example.com:5432/r?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=/c&sslkey=/k",
    );
}

#[test]
fn what_is_shown_can_be_read_again() {
    for text in [
        "postgres://w%40x@%2Frun%2Fpostgresql/my%20records",
        "postgres://writer@[::1]:6000/records?sslmode=require",
        "postgres://w@db/r?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    ] {
        let url: DatabaseUrl = text.parse().unwrap();
        check(&url.to_string(), &url.to_string());
    }
}

#[test]
fn a_password_is_used_and_not_shown() {
    let url: DatabaseUrl = "postgres://w:hunter%3A2@localhost/r".parse().unwrap();
    assert!(url.has_password());
    assert_eq!(url.password.as_ref().unwrap().expose(), "hunter:2");
    let table = toml::to_string(&std::collections::BTreeMap::from([("url", &url)])).unwrap();
    for shown in [url.to_string(), format!("{url:?}"), table] {
        assert!(!shown.contains("hunter"), "{shown}");
    }
    assert!(url.to_string().contains("w:[redacted]@localhost"));
}

#[test]
fn what_is_not_understood_is_refused() {
    check_bad("mysql://w@localhost/r", BadUrl::Scheme);
    check_bad("host=localhost dbname=r", BadUrl::Scheme);
    check_bad("postgres://localhost/r", BadUrl::Missing("role"));
    check_bad("postgres://:p@localhost/r", BadUrl::Missing("role"));
    check_bad("postgres://w@/r", BadUrl::Missing("host"));
    check_bad("postgres://w@localhost", BadUrl::Missing("database"));
    check_bad("postgres://w@localhost/", BadUrl::Missing("database"));
    check_bad("postgres://w@localhost:0/r", BadUrl::Unreadable("port"));
    check_bad("postgres://w@localhost:+1/r", BadUrl::Unreadable("port"));
    check_bad("postgres://w@[::1/r", BadUrl::Unreadable("host"));
    check_bad("postgres://w@[localhost]/r", BadUrl::Unreadable("host"));
    check_bad("postgres://w@localhost/r%2", BadUrl::Unreadable("database"));
    check_bad("postgres://w@localhost/r%ff", BadUrl::Unreadable("database"));
    check_bad("postgres://w@localhost/r%00", BadUrl::Unreadable("database"));
    check_bad("postgres://w@localhost/r?sslmode=allow", BadUrl::Unreadable("sslmode"));
    check_bad("postgres://w@localhost/r?host=other", BadUrl::TwoHosts);
    check_bad("postgres://w@localhost/r?sslcert=/c", BadUrl::HalfCertificate);
    check_bad("postgres://w@localhost/r?sslcert=c&sslkey=/k", BadUrl::Relative("sslcert"));
    check_bad("postgres://w@localhost/r?password=hunter2", BadUrl::Parameter("password".to_owned()));
    check_bad("postgres://w@localhost/r?options=-c%20fsync=off", BadUrl::Parameter("options".to_owned()));
}

#[test]
fn beyond_this_host_the_server_is_verified() {
    for mode in ["", "?sslmode=disable", "?sslmode=require", "?sslmode=verify-ca&sslrootcert=/ca.pem"] {
        check_bad(&format!("postgres://w@db.example.com/r{mode}"), BadUrl::Unverified);
    }
    check_bad("postgres://w@192.0.2.1/r", BadUrl::Unverified);
    check_bad("postgres://w@db/r?sslmode=verify-full", BadUrl::NoRoot);
    check_bad("postgres://w@localhost/r?sslmode=verify-ca", BadUrl::NoRoot);
}

#[test]
fn options_say_what_the_url_says() {
    let options = |text: &str| text.parse::<DatabaseUrl>().unwrap().options().unwrap();
    let socket = options("postgres://w%40x@%2Frun%2Fpg/my%20records");
    assert_eq!((socket.get_username(), socket.get_database()), ("w@x", Some("my records")));
    assert_eq!(socket.get_socket().map(PathBuf::as_path), Some(Path::new("/run/pg")));
    assert_eq!(socket.get_host(), "localhost");
    let tcp = options("postgres://w@[::1]:6000/r");
    assert_eq!((tcp.get_host(), tcp.get_port(), tcp.get_socket()), ("::1", 6000, None));
    let far = options("postgres://w@db.example.com/r?sslmode=verify-full&sslrootcert=/etc/ca.pem");
    assert!(matches!(far.get_ssl_mode(), PgSslMode::VerifyFull));
}
