//! Where PostgreSQL is: `postgres://role@host:port/database?parameters`, read strictly.
//!
//! The form is that of PostgreSQL's own clients
//! (<https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING-URIS>). What is not understood is
//! refused: a parameter that is passed over silently could be the one that was meant to verify the server.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::secret::SecretText;

const PORT: u16 = 5432;

/// What may stand in a part of the URL as it is.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path in a parameter.
const PATH: AsciiSet = PLAIN.remove(b'/');

/// A database of PostgreSQL and the role to use it as. The password is not shown.
#[derive(Debug, Clone)]
pub struct DatabaseUrl {
    role: String,
    password: Option<SecretText>,
    place: Place,
    port: u16,
    database: String,
    tls: Option<PgSslMode>,
    /// PEM files: whom the server's certificate must be vouched by, what the role proves itself with.
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A name or an address; IPv6 without brackets.
    Host(String),
    /// The directory of a unix socket.
    Socket(PathBuf),
}

/// A text that is no URL of a database. The text is not shown: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not `postgres://…`.
    #[error("the URL does not begin with `postgres://`")]
    Scheme,
    /// A part that must be there is missing.
    #[error("the URL names no {0}: write postgres://role@host/database")]
    Missing(&'static str),
    /// A part that cannot be read.
    #[error("the {0} in the URL cannot be read; write other signs than letters, digits and -._~ as %XX")]
    Unreadable(&'static str),
    /// A parameter that is not known here.
    #[error(
        "the URL's parameter `{0}` is not known here; known are sslmode, sslrootcert, sslcert, sslkey and host"
    )]
    Parameter(String),
    /// A file whose path is relative.
    #[error("`{0}` in the URL must be an absolute path")]
    Relative(&'static str),
    /// `host` in the URL and as a parameter.
    #[error("the URL names two hosts")]
    TwoHosts,
    /// Only one of two parameters that belong together.
    #[error("the URL's `sslcert` and `sslkey` belong together")]
    HalfCertificate,
    /// Everybody on the way could read the records, or be the server.
    #[error(
        "records would cross the network unverified: add `sslmode=verify-full&sslrootcert=/path/to/ca.pem` to the URL"
    )]
    Unverified,
    /// TLS without the roots to verify it with.
    #[error("the URL's sslmode needs `sslrootcert`, the PEM file of the CA that vouches for the server")]
    NoRoot,
}

impl DatabaseUrl {
    /// Whether the URL holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// How to connect. A password that the URL does not hold comes from `PGPASSWORD` or `PGPASSFILE`
    /// (<https://www.postgresql.org/docs/15/libpq-pgpass.html>), which are read anew each time.
    pub(super) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let encode = |text: &str| utf8_percent_encode(text, &PLAIN).to_string();
        let (authority, host) = match &self.place {
            Place::Host(host) if host.contains(':') => (format!("[{host}]"), None),
            Place::Host(host) => (encode(host), None),
            // As in PostgreSQL's own clients, the password file calls a socket `localhost`.
            Place::Socket(directory) => (encode(&directory.to_string_lossy()), Some("localhost")),
        };
        let host = host.map(|host| format!("?host={host}")).unwrap_or_default();
        let (role, port, database) = (encode(&self.role), self.port, encode(&self.database));
        let mut options =
            PgConnectOptions::from_str(&format!("postgres://{role}@{authority}:{port}/{database}{host}"))?;
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        options = match &self.place {
            Place::Host(host) => options.host(host).ssl_mode(self.tls.unwrap_or(PgSslMode::Prefer)),
            Place::Socket(_) => options.ssl_mode(PgSslMode::Disable),
        };
        if let Some(root) = &self.root {
            options = options.ssl_root_cert(root);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        Ok(options)
    }
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |text| utf8_percent_encode(text, &PLAIN);
        write!(f, "postgres://{}", encode(&self.role))?;
        if self.password.is_some() {
            f.write_str(":[redacted]")?;
        }
        match &self.place {
            Place::Host(host) if host.contains(':') => write!(f, "@[{host}]:{}", self.port)?,
            Place::Host(host) => write!(f, "@{host}:{}", self.port)?,
            Place::Socket(_) => write!(f, "@:{}", self.port)?,
        }
        write!(f, "/{}", encode(&self.database))?;
        let path = |path: &Path| utf8_percent_encode(&path.to_string_lossy(), &PATH).to_string();
        let socket = if let Place::Socket(directory) = &self.place { Some(path(directory)) } else { None };
        let parameters = [
            ("host", socket),
            ("sslmode", self.tls.map(|mode| mode_name(mode).to_owned())),
            ("sslrootcert", self.root.as_deref().map(path)),
            ("sslcert", self.certificate.as_deref().map(path)),
            ("sslkey", self.key.as_deref().map(path)),
        ];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        for (number, (name, value)) in given.enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl FromStr for DatabaseUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or(BadUrl::Scheme)?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, address) = authority.rsplit_once('@').ok_or(BadUrl::Missing("role"))?;
        let (role, password) = match user.split_once(':') {
            Some((role, password)) => (role, Some(password)),
            None => (user, None),
        };
        let password = password.filter(|password| !password.is_empty());
        let (host, port) = split_port(address)?;
        let mut url = Self {
            role: decode("role", role)?,
            password: password.map(|text| decode("password", text)).transpose()?.map(SecretText::new),
            place: Place::Host(decode("host", host)?),
            port,
            database: decode("database", database)?,
            tls: None,
            root: None,
            certificate: None,
            key: None,
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            url.parameter(parameter)?;
        }
        url.check()
    }
}

impl DatabaseUrl {
    fn parameter(&mut self, parameter: &str) -> Result<(), BadUrl> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let file = |name: &'static str| {
            let path = PathBuf::from(decode(name, value)?);
            if path.is_absolute() { Ok(path) } else { Err(BadUrl::Relative(name)) }
        };
        match name {
            "host" if self.place != Place::Host(String::new()) => return Err(BadUrl::TwoHosts),
            "host" => self.place = Place::Host(decode("host", value)?),
            "sslmode" => self.tls = Some(mode(value).ok_or(BadUrl::Unreadable("sslmode"))?),
            "sslrootcert" => self.root = Some(file("sslrootcert")?),
            "sslcert" => self.certificate = Some(file("sslcert")?),
            "sslkey" => self.key = Some(file("sslkey")?),
            // Its value may be a password.
            _ => return Err(BadUrl::Parameter(name.chars().take(40).collect())),
        }
        Ok(())
    }

    fn check(mut self) -> Result<Self, BadUrl> {
        if let Place::Host(host) = &self.place
            && host.starts_with('/')
        {
            self.place = Place::Socket(host.into());
        }
        let missing = [
            ("role", self.role.is_empty()),
            ("host", self.place == Place::Host(String::new())),
            ("database", self.database.is_empty()),
        ];
        if let Some((part, _)) = missing.into_iter().find(|(_, missing)| *missing) {
            return Err(BadUrl::Missing(part));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(BadUrl::HalfCertificate);
        }
        let verified = matches!(self.tls, Some(PgSslMode::VerifyFull));
        if let Place::Host(host) = &self.place
            && !is_loopback(host)
            && !verified
        {
            return Err(BadUrl::Unverified);
        }
        if self.root.is_none() && (verified || matches!(self.tls, Some(PgSslMode::VerifyCa))) {
            return Err(BadUrl::NoRoot);
        }
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Without the password.
impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// `host`, `host:port`, `[v6]:port`.
fn split_port(address: &str) -> Result<(&str, u16), BadUrl> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(BadUrl::Unreadable("host"))?;
            if !host.contains(':') || host.parse::<IpAddr>().is_err() {
                return Err(BadUrl::Unreadable("host"));
            }
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or(BadUrl::Unreadable("port"))?,
            )
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    if port.is_empty() {
        return Ok((host, PORT));
    }
    match port.parse() {
        Ok(number) if number != 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host, number)),
        Ok(_) | Err(_) => Err(BadUrl::Unreadable("port")),
    }
}

fn decode(part: &'static str, text: &str) -> Result<String, BadUrl> {
    let unreadable = || BadUrl::Unreadable(part);
    let whole = text.split('%').skip(1).all(|rest| {
        rest.get(..2).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    });
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| unreadable())?;
    if !whole || decoded.chars().any(char::is_control) || text.contains(['@', ' ']) {
        return Err(unreadable());
    }
    Ok(decoded.into_owned())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

const MODES: [(&str, PgSslMode); 5] = [
    ("disable", PgSslMode::Disable),
    ("prefer", PgSslMode::Prefer),
    ("require", PgSslMode::Require),
    ("verify-ca", PgSslMode::VerifyCa),
    ("verify-full", PgSslMode::VerifyFull),
];

fn mode(name: &str) -> Option<PgSslMode> {
    MODES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
}

fn mode_name(mode: PgSslMode) -> &'static str {
    let same = |known: PgSslMode| std::mem::discriminant(&known) == std::mem::discriminant(&mode);
    MODES.iter().find(|(_, known)| same(*known)).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests;
