//! STS: AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken and GetCallerIdentity, in the query protocol; and the
//! sessions of S3 Express.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html>
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html>

use http::{Response, StatusCode};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{ACCOUNT, Iam, Issued, asked::form, policy::Policy};
use crate::upstream::{
    Key,
    answer::{Shape, error, reply},
    body::ReplyBody,
    lock,
};

const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Why a request is refused: STS's code, and words for people.
type Refused = (StatusCode, &'static str, String);

/// The answer to a request whose signature was verified; `by`: the access key id, `None`: unsigned.
pub(in crate::upstream) fn answer(
    iam: &Iam,
    by: Option<&str>,
    body: &[u8],
    now: OffsetDateTime,
) -> Response<ReplyBody> {
    match answered(iam, by, &Form(form(body)), now) {
        Ok(text) => reply(StatusCode::OK, "text/xml", ReplyBody::whole(text)),
        Err((status, code, message)) => error(Shape::Query, status, code, &message),
    }
}

fn answered(iam: &Iam, by: Option<&str>, form: &Form, now: OffsetDateTime) -> Result<String, Refused> {
    if let Some((status, code)) = lock(&iam.refusals).pop_front() {
        return Err((status, code, "as the test says".to_owned()));
    }
    match (form.one("Action"), by) {
        (Some("GetCallerIdentity"), Some(by)) => Ok(identity(iam, by)),
        (Some("AssumeRole"), Some(by)) => assume(iam, form, by, "AssumeRole", now),
        (Some("GetSessionToken"), Some(by)) if iam.issued().iter().any(|issued| issued.key.id == by) => {
            let message = "Cannot call GetSessionToken with session credentials".to_owned();
            Err((StatusCode::FORBIDDEN, "AccessDenied", message))
        }
        (Some("GetSessionToken"), Some(by)) => {
            let given = credentials(&own_keys(iam, by, "ASIASESSION", now + Duration::hours(12)));
            Ok(format!(
                "<GetSessionTokenResponse xmlns=\"{XMLNS}\"><GetSessionTokenResult>{given}</GetSessionTokenResult>\
                 </GetSessionTokenResponse>"
            ))
        }
        (Some("AssumeRoleWithWebIdentity"), _) => {
            let token = form.one("WebIdentityToken").ok_or_else(|| invalid("WebIdentityToken is missing"))?;
            assume(iam, form, token, "AssumeRoleWithWebIdentity", now)
        }
        (_, None) => Err((StatusCode::FORBIDDEN, "MissingAuthenticationToken", "not signed".to_owned())),
        (other, Some(_)) => Err((StatusCode::BAD_REQUEST, "InvalidAction", format!("{other:?}"))),
    }
}

/// The answer to `CreateSession`: keys that work at S3 Express alone.
pub(in crate::upstream) fn express_session(iam: &Iam, by: &str, now: OffsetDateTime) -> Response<ReplyBody> {
    let given = credentials(&own_keys(iam, by, EXPRESS, now + Duration::minutes(5)));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <CreateSessionResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{given}</CreateSessionResult>"
    );
    reply(StatusCode::OK, "application/xml", ReplyBody::whole(body))
}

/// What access key ids of sessions of S3 Express begin with.
pub(in crate::upstream) const EXPRESS: &str = "ASIAEXPRESS";

/// Keys that do what the caller's own do.
fn own_keys(iam: &Iam, by: &str, prefix: &str, expires: OffsetDateTime) -> Issued {
    let of_role = iam.issued().into_iter().find(|issued| issued.key.id == by);
    let mut issued = lock(&iam.issued);
    let number = issued.len() + 1;
    let key = Key {
        id: format!("{prefix}{number:0width$}", width = 20 - prefix.len()),
        secret: format!("secret+of/the-issued-key-{number:015}"),
        session_token: Some(format!("token+of/the-issued-key-{number:015}==")),
    };
    let new = match of_role {
        Some(issued) => Issued { key, by: by.to_owned(), expires, ..issued },
        None => Issued {
            key,
            role: String::new(),
            session_name: String::new(),
            source_identity: None,
            tags: Vec::new(),
            policy: None,
            by: by.to_owned(),
            expires,
        },
    };
    issued.push(new.clone());
    new
}

fn credentials(Issued { key, expires, .. }: &Issued) -> String {
    let expiration = expires.format(&Rfc3339).unwrap_or_default();
    let (id, secret, token) = (&key.id, &key.secret, key.session_token.as_deref().unwrap_or_default());
    format!(
        "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
    )
}

fn identity(iam: &Iam, by: &str) -> String {
    let issued = iam.issued().into_iter().find(|issued| issued.key.id == by);
    let (account, arn) = match &issued {
        None => (ACCOUNT, format!("arn:aws:iam::{ACCOUNT}:user/gateway")),
        Some(issued) if issued.role.is_empty() => (ACCOUNT, format!("arn:aws:iam::{ACCOUNT}:user/gateway")),
        Some(issued) => {
            let account = issued.role.split(':').nth(4).unwrap_or(ACCOUNT);
            let name = issued.role.rsplit('/').next().unwrap_or_default();
            (account, format!("arn:aws:sts::{account}:assumed-role/{name}/{}", issued.session_name))
        }
    };
    format!(
        "<GetCallerIdentityResponse xmlns=\"{XMLNS}\"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AIDA</UserId>\
         <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

fn assume(iam: &Iam, form: &Form, by: &str, action: &str, now: OffsetDateTime) -> Result<String, Refused> {
    let role = form.one("RoleArn").unwrap_or_default();
    if !iam.roles.iter().any(|known| known.arn == role) {
        return Err((
            StatusCode::FORBIDDEN,
            "AccessDenied",
            format!("not authorized to perform: sts:{action} on resource: {role}"),
        ));
    }
    let name = |c: char| c.is_ascii_alphanumeric() || "_=,.@+-".contains(c);
    let session_name = form.one("RoleSessionName").unwrap_or_default();
    checked("RoleSessionName", session_name, 2..=64, name)?;
    let source_identity = form.one("SourceIdentity");
    if let Some(identity) = source_identity {
        checked("SourceIdentity", identity, 2..=64, name)?;
    }
    let tags = form.tags();
    for (key, value) in &tags {
        let plain = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        checked("the key of a tag", key, 1..=128, plain)?;
        checked("the value of a tag", value, 0..=256, plain)?;
    }
    let seconds = form.one("DurationSeconds").unwrap_or("3600").parse().unwrap_or(0);
    if !(900..=43_200).contains(&seconds) {
        return Err(invalid("DurationSeconds"));
    }
    let policy = form.one("Policy");
    if let Some(policy) = policy {
        checked("Policy", policy, 1..=2048, |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))?;
        Policy::read(policy).map_err(|why| (StatusCode::BAD_REQUEST, "MalformedPolicyDocument", why))?;
    }
    let mut issued = lock(&iam.issued);
    let number = issued.len() + 1;
    let token = format!("token-of-the-issued-key-{number:015}");
    let key = Key {
        id: format!("ASIAISSUED{number:010}"),
        secret: format!("secret-of-the-issued-key-{number:015}"),
        session_token: Some(token.clone()),
    };
    let expires = now + Duration::seconds(seconds);
    let expiration = expires.format(&Rfc3339).map_err(|error| invalid(&error.to_string()))?;
    let text = format!(
        "<{action}Response xmlns=\"{XMLNS}\"><{action}Result><AssumedRoleUser><AssumedRoleId>AROA:{session_name}\
         </AssumedRoleId><Arn>arn:aws:sts::{}:assumed-role/{}/{session_name}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration>\
         </Credentials></{action}Result></{action}Response>",
        role.split(':').nth(4).unwrap_or(ACCOUNT),
        role.rsplit('/').next().unwrap_or_default(),
        key.id,
        key.secret,
    );
    issued.push(Issued {
        key,
        role: role.to_owned(),
        session_name: session_name.to_owned(),
        source_identity: source_identity.map(str::to_owned),
        tags,
        policy: policy.map(str::to_owned),
        by: by.to_owned(),
        expires,
    });
    Ok(text)
}

fn invalid(what: &str) -> Refused {
    (StatusCode::BAD_REQUEST, "ValidationError", what.to_owned())
}

fn checked(
    what: &str,
    text: &str,
    length: std::ops::RangeInclusive<usize>,
    plain: impl Fn(char) -> bool,
) -> Result<(), Refused> {
    if length.contains(&text.chars().count()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(invalid(&format!("{what} failed to satisfy constraint: {text:?}")))
}

/// The parameters of a request.
struct Form(Vec<(String, String)>);

impl Form {
    /// A parameter that stands once.
    fn one(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// `Tags.member.N.Key` and `.Value`.
    fn tags(&self) -> Vec<(String, String)> {
        (1..=50)
            .map_while(|number| {
                let part = |part: &str| self.one(&format!("Tags.member.{number}.{part}")).map(str::to_owned);
                Some((part("Key")?, part("Value")?))
            })
            .collect()
    }
}
