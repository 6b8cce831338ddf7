use time::macros::datetime;

use super::*;
use crate::identify::{self, EndReason, WorkloadConfig};

const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
const DIGEST: [u8; 16] = [7; 16];

fn session() -> Arc<Session> {
    let workload = WorkloadConfig::named("builds".parse().unwrap());
    identify::testing::caller(workload, NOW).session
}

fn secret(id: &str) -> Secret {
    Secret {
        operation: "secretsmanager:GetSecretValue".to_owned(),
        field: "SecretString".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "123456789012".to_owned(),
        resource: "*".to_owned(),
        id: id.to_owned(),
        version: String::new(),
        alone: true,
    }
}

fn tokens(per_session: usize, value_max: usize, memory: usize) -> Tokens {
    Tokens::new(Bounds { per_session, value_max, memory })
}

/// Bytes that a value of so many takes, of a secret whose name has one.
fn takes(length: usize) -> usize {
    super::takes(&secret("a"), &"x".repeat(length))
}

fn keep(tokens: &Tokens, session: &Session, id: &str, value: &str) -> Result<String, NotKept> {
    tokens.keep(session, NOW, &secret(id), DIGEST, value.as_bytes())
}

#[test]
fn a_token_stands_for_one_value_of_one_origin_in_one_session() {
    let (tokens, mine, other) = (tokens(9, 99, 9999), session(), session());
    let token = keep(&tokens, &mine, "db", "hunter2").unwrap();
    assert!(is_token(&token) && token.len() == PREFIX.len() + 32, "{token}");
    assert_eq!(keep(&tokens, &mine, "db", "hunter2").unwrap(), token, "read twice");
    for another in [
        keep(&tokens, &mine, "db", "hunter3").unwrap(),
        keep(&tokens, &mine, "db2", "hunter2").unwrap(),
        keep(&tokens, &other, "db", "hunter2").unwrap(),
    ] {
        assert_ne!(another, token);
    }
    let value = tokens.value(mine.id, &token).unwrap();
    assert_eq!((value.expose(), &*value.secret, value.digest), ("hunter2", &secret("db"), DIGEST));
    assert!(!format!("{value:?} {tokens:?}").contains("hunter"));
    assert!(tokens.value(other.id, &token).is_none());
    assert_eq!(tokens.size(), (4, 3 * takes(7) + takes(7) + 4 + 1));
    // Each part of where it came from counts.
    for (number, (name, _)) in secret("db").parts().into_iter().enumerate() {
        let mut elsewhere = secret("db");
        let Secret { operation, field, region, account, resource, id, version, .. } = &mut elsewhere;
        *[operation, field, region, account, resource, id, version][number] = "x".to_owned();
        let (tokens, mine) = (self::tokens(9, 99, 9999), session());
        let of = |secret| tokens.keep(&mine, NOW, secret, DIGEST, b"hunter2").unwrap();
        assert_ne!(of(&elsewhere), of(&secret("db")), "{name}");
    }
}

/// Equal values of different secrets are not told by equal tokens.
#[test]
fn where_an_origin_does_not_tell_values_apart_each_token_is_another() {
    let (tokens, session) = (tokens(99, 99, 99_999), session());
    for (id, field, alone) in [
        ("", "SecretString", true),
        ("", "SecretValues[].SecretString", true),
        ("db", "SecretValues[].SecretString", true),
        ("f", "Environment.Variables{}", true),
        ("db", "SecretString", false),
    ] {
        let secret = Secret { field: field.to_owned(), alone, ..secret(id) };
        let keep = || tokens.keep(&session, NOW, &secret, DIGEST, b"hunter2").unwrap();
        let (one, two) = (keep(), keep());
        assert!(is_token(&one) && is_token(&two));
        assert_ne!(one, two, "{id:?} {field}");
        for token in [one, two] {
            assert_eq!(tokens.value(session.id, &token).unwrap().expose(), "hunter2");
        }
    }
}

#[test]
fn what_ends_with_its_session_is_forgotten_and_not_kept_again() {
    let (tokens, session) = (tokens(9, 99, 9999), session());
    let token = keep(&tokens, &session, "db", "hunter2").unwrap();
    session.end(EndReason::Killed);
    tokens.forget(session.id);
    assert!(tokens.value(session.id, &token).is_none());
    // An answer that comes later.
    assert_eq!(keep(&tokens, &session, "db", "hunter2"), Err(NotKept::Over));
    assert_eq!(tokens.size(), (0, 0));
}

#[test]
fn it_is_bounded() {
    let (tokens, one, two) = (tokens(2, 8, 4 * 2 * takes(8)), session(), session());
    assert_eq!(keep(&tokens, &one, "a", "123456789"), Err(NotKept::Value));
    let first = keep(&tokens, &one, "a", "12345678").unwrap();
    keep(&tokens, &one, "b", "12345678").unwrap();
    assert_eq!(keep(&tokens, &one, "c", "1"), Err(NotKept::Session));
    assert_eq!(keep(&tokens, &one, "a", "12345678"), Ok(first), "it is there already");
    assert_eq!(tokens.size(), (2, 2 * takes(8)));
    assert_eq!(tokens.keep(&two, NOW, &secret("x"), DIGEST, b"\xff"), Err(NotKept::NoText));
}

#[test]
fn one_session_has_a_quarter_of_the_memory_at_most() {
    let tokens = tokens(99, 99, 4 * 2 * takes(8) + 1);
    let sessions: Vec<_> = (0..5).map(|_| session()).collect();
    for session in &sessions[..4] {
        let first = keep(&tokens, session, "a", "12345678").unwrap();
        keep(&tokens, session, "b", "12345678").unwrap();
        assert_eq!(keep(&tokens, session, "c", ""), Err(NotKept::Share));
        assert_eq!(keep(&tokens, session, "a", "12345678"), Ok(first), "it is there already");
    }
    // What it is called counts, too.
    assert_eq!(keep(&tokens, &sessions[4], &"a".repeat(2 * takes(8)), ""), Err(NotKept::Share));
    assert_eq!(keep(&tokens, &sessions[4], "a", ""), Err(NotKept::Memory));
    tokens.forget(sessions[0].id);
    keep(&tokens, &sessions[4], "a", "12345678").unwrap();
    assert_eq!(tokens.size(), (7, 7 * takes(8)));
}

#[test]
fn what_is_a_token() {
    let own = "0123456789abcdef0123456789abcdef";
    assert!(is_token(&format!("{PREFIX}{own}")));
    for text in ["", own, PREFIX] {
        assert!(!is_token(text), "{text}");
    }
    for own in [&own[1..], &own.to_uppercase(), &format!("{own}0"), &format!("{} ", &own[1..])] {
        assert!(!is_token(&format!("{PREFIX}{own}")), "{own}");
    }
}
