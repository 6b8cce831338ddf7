use std::{
    os::unix::{fs::MetadataExt, net::UnixListener as StdListener},
    process::Command,
};

use super::*;
use crate::api::Config;

fn config(dir: &tempfile::TempDir, group: &str) -> Config {
    Config { socket: dir.path().join("api.sock"), group: group.to_owned(), ..Config::default() }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn open_to_the_group_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let own = Command::new("id").arg("-gn").output().unwrap().stdout;
    let config = config(&dir, String::from_utf8(own).unwrap().trim());
    let socket = Socket::bind(&config).unwrap();
    assert_eq!(mode(&config.socket), 0o660);
    assert_eq!(fs::metadata(&config.socket).unwrap().gid(), rustix::process::getegid().as_raw());
    UnixStream::connect(&config.socket).unwrap();
    drop(socket);
    assert!(!config.socket.exists());
}

#[tokio::test]
async fn private_where_the_group_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, "no-such-group-anywhere");
    let _socket = Socket::bind(&config).unwrap();
    assert_eq!(mode(&config.socket), 0o600);
}

#[tokio::test]
async fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, "no-such-group-anywhere");
    // A listener that is dropped leaves its file behind, as a killed daemon does.
    drop(StdListener::bind(&config.socket).unwrap());
    assert!(config.socket.exists());
    let first = Socket::bind(&config).unwrap();

    let second = Socket::bind(&config).unwrap_err();
    assert!(matches!(second, SocketError::InUse { .. }), "{second}");
    UnixStream::connect(&config.socket).unwrap();
    drop(first);
    let third = Socket::bind(&config).unwrap();
    drop(third);

    // Somebody who listens without taking the lock.
    let _other = StdListener::bind(&config.socket).unwrap();
    let refused = Socket::bind(&config).unwrap_err();
    assert!(matches!(refused, SocketError::InUse { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_not_a_socket_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, "no-such-group-anywhere");
    fs::write(&config.socket, "precious").unwrap();
    let refused = Socket::bind(&config).unwrap_err();
    assert!(matches!(refused, SocketError::NotASocket { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&config.socket).unwrap(), "precious");
}

#[tokio::test]
async fn a_missing_directory_is_made_and_a_wrong_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir, "no-such-group-anywhere");
    config.socket = dir.path().join("absent/api.sock");
    let socket = Socket::bind(&config).unwrap();
    assert_eq!(mode(&dir.path().join("absent")) & 0o022, 0);
    UnixStream::connect(&config.socket).unwrap();
    drop(socket);

    fs::write(dir.path().join("file"), "").unwrap();
    config.socket = dir.path().join("file/api.sock");
    let refused = Socket::bind(&config).unwrap_err().to_string();
    assert!(refused.contains("creating ") && refused.contains("/file"), "{refused}");
}
