//! The key's file: made once, private, never replaced.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn open(path: &Path) -> Result<String, KeyFileError> {
    load_or_create(path).map(hex::encode)
}

#[test]
fn made_once_private_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.key");
    assert!(load(&path).unwrap_err().is_missing());
    let first = open(&path).unwrap();
    assert_eq!(open(&path).unwrap(), first);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&path).unwrap().len(), LEN as u64);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    let other = dir.path().join("other.key");
    assert_ne!(open(&other).unwrap(), first, "each file has a key of its own");
}

#[test]
fn a_crashed_attempt_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.key");
    fs::write(path.with_extension("new-0011223344556677"), b"torn").unwrap();
    open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), LEN as u64);
}

#[test]
fn daemons_that_start_at_once_agree_on_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.key");
    let start = std::sync::Barrier::new(8);
    let keys: Vec<String> = std::thread::scope(|scope| {
        let daemons: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    // What each does that found no file: one of them is first.
                    create(&path).unwrap();
                    open(&path).unwrap()
                })
            })
            .collect();
        daemons.into_iter().map(|daemon| daemon.join().unwrap()).collect()
    });
    let stored = open(&path).unwrap();
    assert!(keys.iter().all(|key| *key == stored));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn an_unusable_file_is_refused_and_kept() {
    let check = |prepare: &dyn Fn(&Path), expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.key");
        prepare(&path);
        let before = fs::symlink_metadata(&path).unwrap().len();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().len(), before, "the file is kept");
    };
    let write = |path: &Path, len: usize, mode: u32| {
        fs::write(path, vec![1; len]).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    check(&|path| write(path, 32, 0o644), "has mode 0644");
    check(&|path| write(path, 32, 0o620), "chmod 0600");
    check(&|path| write(path, 31, 0o600), "not a key file of 32 bytes");
    check(&|path| write(path, 33, 0o600), "not a key file of 32 bytes");
    check(&|path| write(path, 0, 0o600), "not a key file of 32 bytes");
    check(&|path| fs::create_dir(path).unwrap(), "not a key file of 32 bytes");
    check(&|path| symlink("/dev/zero", path).unwrap(), "opening");
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    check(
        &|path| rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0).unwrap(),
        "not a key file of 32 bytes",
    );
}

#[test]
fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent/some.key");
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("writing") && error.contains("absent"), "{error}");
}
