//! The fuzz target reads its seeds, and its key signed what it says.

use super::super::fuzzing;

#[test]
fn the_seeds_are_read() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/token");
    let mut read = 0;
    for seed in std::fs::read_dir(dir).unwrap() {
        let path = seed.unwrap().path();
        let is_read = fuzzing::token(&std::fs::read(&path).unwrap());
        let expected = !path.file_name().unwrap().to_string_lossy().starts_with("refused");
        assert_eq!(is_read, expected, "{}", path.display());
        read += usize::from(is_read);
    }
    assert!(read >= 3, "{read}");
}

#[test]
fn the_signed_seed_is_believed() {
    let token = include_str!("../../../../fuzz/seeds/token/signed");
    let config = fuzzing::config().unwrap();
    let keys = super::KeySet::read(fuzzing::KEYS).unwrap();
    let claims = super::Unproven::read(token, &config, fuzzing::NOW).unwrap().prove(&keys).unwrap();
    assert_eq!(claims.subject, "seed");
    assert!(fuzzing::SIGNED.contains("\"sub\":\"seed\""));
}
