//! Hides what looks like a secret in the arguments of a command.
//!
//! Whoever reads a record wants to know what was run, so names stay. What `mask` looks for in answers is looked for
//! here, too, in a simpler way: nothing depends on an argument being stored as it was.

use std::ops::Range;

use super::{REDACTED, is_secret, normal};

/// Characters of a secret access key of AWS.
const KEY_LENGTH: usize = 40;
/// Large letters that one has at the least, unlike a path: one of 100,000 has fewer.
const KEY_LARGE: usize = 5;
/// How the header of a JSON Web Token begins in base64: a brace, and a quotation mark or white space.
const JWT_HEADS: [&str; 6] = ["eyJ", "eyI", "eyA", "ewo", "ew0", "ewk"];
/// Characters of the shortest header, `{"alg":"x"}`.
const JWT_HEADER: usize = 15;

/// Command-line arguments without the values of `--password=…`, `--token …` and `API_KEY=…`, the passwords of URLs, what
/// authorises a request (`Authorization: …`), JSON Web Tokens, private keys and secret access keys of AWS.
pub(in crate::record) fn redact_command(arguments: Vec<String>) -> Vec<String> {
    let mut next_is_secret = false;
    let redact = |argument: String| {
        if std::mem::take(&mut next_is_secret) {
            return REDACTED.to_owned();
        }
        match argument.split_once('=') {
            Some((name, _)) if is_secret(&normal(name)) => format!("{name}={REDACTED}"),
            Some(_) => without_secrets(&argument),
            None => {
                next_is_secret = argument.starts_with('-') && is_secret(&normal(&argument));
                without_secrets(&argument)
            }
        }
    };
    arguments.into_iter().map(redact).collect()
}

/// The text with [`REDACTED`] in the place of what looks like a secret.
fn without_secrets(text: &str) -> String {
    let mut secrets: Vec<Range<usize>> = [passwords, assigned, web_tokens, access_keys]
        .into_iter()
        .flat_map(|find| find(text))
        .chain(authorization(text))
        .chain(private_key(text))
        .filter(|secret| !secret.is_empty())
        .collect();
    secrets.sort_by_key(|secret| (secret.start, secret.end));
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for secret in secrets {
        // What begins within another one is hidden with it.
        if secret.start >= at {
            out.push_str(text.get(at..secret.start).unwrap_or_default());
            out.push_str(REDACTED);
        }
        at = at.max(secret.end);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The passwords of URLs (RFC 3986 section 3.2.1).
fn passwords(text: &str) -> Vec<Range<usize>> {
    let ends =
        |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`' | '|');
    let password = |(colon, sign): (usize, &str)| {
        let start = colon + sign.len();
        let authority = text.get(start..)?.split(ends).next()?;
        let at = authority.rfind('@')?;
        let user = authority.get(..at)?.find(':')?;
        Some(start + user + 1..start + at)
    };
    text.match_indices("://").filter_map(password).collect()
}

/// What stands after `name=` and `name: `, within a longer text, where the name is a secret's.
fn assigned(text: &str) -> Vec<Range<usize>> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let value = |(at, sign): (usize, &str)| {
        let before = text.get(..at)?.trim_end_matches(['"', '\'']);
        let name = before.get(before.trim_end_matches(of_name).len()..)?;
        let rest = text.get(at + sign.len()..)?;
        // Of an ARN that names a secret, `:secret:` is a part.
        let apart = sign == "=" || rest.starts_with([' ', '"', '\'']);
        let name = normal(name);
        // Of a presigned URL the one opens something, the other says with whose key.
        let is_secret = name == "xamzsignature" || (name != "xamzcredential" && is_secret(&name));
        if !apart || !is_secret {
            return None;
        }
        let value = rest.trim_start_matches(' ');
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = quote.and_then(|quote| value.strip_prefix(quote)).unwrap_or(value);
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || matches!(c, ';' | '&' | ',' | '"' | '\''),
        };
        let start = text.len() - value.len();
        Some(start..start + value.find(ends).unwrap_or(value.len()))
    };
    text.match_indices(['=', ':']).filter_map(value).collect()
}

/// All that follows `Authorization:`, as in a header that `curl` is given: it may be of several words.
fn authorization(text: &str) -> Option<Range<usize>> {
    const NAME: &str = "authorization:";
    let end = text.to_ascii_lowercase().find(NAME)? + NAME.len();
    let value = text.get(end..)?.trim_start();
    Some(text.len() - value.len()..text.len())
}

/// A private key (RFC 7468), and all that follows it.
fn private_key(text: &str) -> Option<Range<usize>> {
    const BEGIN: &str = "-----BEGIN ";
    let is_private = |at: &usize| {
        let label = text.get(at + BEGIN.len()..).and_then(|rest| rest.split("-----").next());
        label.is_some_and(|label| label.contains("PRIVATE KEY"))
    };
    let start = text.match_indices(BEGIN).map(|(at, _)| at).find(is_private)?;
    Some(start..text.len())
}

/// What has the form of JSON Web Tokens (RFC 7519).
fn web_tokens(text: &str) -> Vec<Range<usize>> {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let token = |run: Range<usize>| {
        let mut start = run.start;
        let parts: Vec<&str> = text.get(run.clone())?.split('.').collect();
        for (number, part) in parts.iter().enumerate() {
            let is_head = part.len() >= JWT_HEADER && JWT_HEADS.iter().any(|head| part.starts_with(head));
            if is_head && parts.len() - number >= 3 {
                return Some(start..run.end);
            }
            start += part.len() + 1;
        }
        None
    };
    runs(text, of_token).into_iter().filter_map(token).collect()
}

/// What looks like secret access keys of AWS
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>): random, and no hash, which is
/// hexadecimal. Here it needs no id near it: that may be another argument.
fn access_keys(text: &str) -> Vec<Range<usize>> {
    let of_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+');
    let is_key = |run: &Range<usize>| {
        let key = text.get(run.clone()).unwrap_or_default().as_bytes();
        let has = |what: fn(&u8) -> bool| key.iter().any(what);
        key.len() == KEY_LENGTH
            && key.iter().filter(|byte| byte.is_ascii_uppercase()).count() >= KEY_LARGE
            && has(u8::is_ascii_lowercase)
            && has(|byte| !byte.is_ascii_alphabetic())
            && has(|byte| !byte.is_ascii_hexdigit())
    };
    runs(text, of_key).into_iter().filter(is_key).collect()
}

/// The longest runs of such bytes, all of which are ASCII.
fn runs(text: &str, of_run: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let (mut runs, mut start) = (Vec::new(), None);
    for (at, byte) in text.bytes().enumerate() {
        match (of_run(byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                runs.push(from..at);
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    runs.extend(start.map(|from| from..text.len()));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: &[&str]) {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        assert_eq!(redact_command(arguments), expected);
    }

    #[test]
    fn arguments_that_look_like_secrets_are_hidden() {
        check(&["claude", "-p", "fix it"], &["claude", "-p", "fix it"]);
        check(&["x", "--token", "t", "y"], &["x", "--token", REDACTED, "y"]);
        check(&["x", "--db-password=p"], &["x", "--db-password=[redacted]"]);
        check(
            &["env", "ANTHROPIC_API_KEY=k", "PATH=/bin", "x"],
            &["env", "ANTHROPIC_API_KEY=[redacted]", "PATH=/bin", "x"],
        );
        check(&["x", "--token"], &["x", "--token"]);
    }

    #[test]
    fn secrets_within_arguments_are_hidden() {
        const JWT: &str =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N";
        const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
        for (argument, expected) in [
            ("postgres://u:hunter2@db:5432/x", "postgres://u:[redacted]@db:5432/x"),
            ("--dsn=postgres://u:hunter2@db/x", "--dsn=postgres://u:[redacted]@db/x"),
            ("https://u:a@b:c@h/p https://:x@i", "https://u:[redacted]@h/p https://:[redacted]@i"),
            ("Authorization: Bearer abc", "Authorization: [redacted]"),
            ("proxy-authorization:Basic dTpw", "proxy-authorization:[redacted]"),
            ("--header=authorization: Digest a=\"b\"", "--header=authorization: [redacted]"),
            ("curl -H 'AUTHORIZATION: Bearer é' x", "curl -H 'AUTHORIZATION: [redacted]"),
            (
                "curl https://b/k?X-Amz-Date=1&X-Amz-Credential=AKIA/1&X-Amz-Signature=fe5f&x=1",
                "curl https://b/k?X-Amz-Date=1&X-Amz-Credential=AKIA/1&X-Amz-Signature=[redacted]&x=1",
            ),
            ("X-Api-Key: k", "X-Api-Key: [redacted]"),
            ("{\"password\":\"a b\",\"x\":1}", "{\"password\":\"[redacted]\",\"x\":1}"),
            ("host=h password=p user=u", "host=h password=[redacted] user=u"),
            ("Server=h;Password='a b';Uid=u", "Server=h;Password='[redacted]';Uid=u"),
            (JWT, REDACTED),
            (&format!("a {JWT}, b"), "a [redacted], b"),
            (&format!("prefix.{JWT}"), "prefix.[redacted]"),
            (&format!("é {PEM}\nb"), "é [redacted]"),
            (KEY, REDACTED),
            (&format!("AKIAIOSFODNN7EXAMPLE:{KEY}:x"), "AKIAIOSFODNN7EXAMPLE:[redacted]:x"),
            (&format!("aws_key={KEY} PASSWORD={KEY}"), "aws_key=[redacted] PASSWORD=[redacted]"),
        ] {
            check(&["x", argument, "y"], &["x", expected, "y"]);
        }
    }

    #[test]
    fn what_only_looks_so_stays() {
        for argument in [
            "https://host:443/a:b@c",
            "git@github.com:owner/name.git",
            "ssh://git@github.com:22/x",
            "https://u:@h",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf",
            "--secret-id=arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf",
            "NextToken=p2 ClientToken=u",
            "the token is good",
            "authorization",
            "eyJhbGciOiJIUzI1NiJ9",
            "eyJ.a.b",
            "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
            "/usr/local/lib/python3/packages/Abcdefghi",
            "AKIAIOSFODNN7EXAMPLE",
            "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----",
            "a=b=c",
            "é: ü=ö",
        ] {
            check(&[argument], &[argument]);
        }
    }
}
