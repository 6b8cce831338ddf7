//! A strict reader of the TLS ClientHello, for the server name alone. *pure*
//!
//! The reader and the TLS library that later terminates the connection must never disagree about
//! the name, so whatever two readers could understand differently is refused.
//! Formats: RFC 8446 §4.1.2 and §5.1, RFC 6066 §3.

use super::RouteError;
use crate::prim::HostName;

/// Record type "handshake".
const HANDSHAKE: u8 = 22;
/// Handshake type "client_hello".
const CLIENT_HELLO: u8 = 1;
/// Largest plaintext of one record.
const RECORD_MAX: usize = 1 << 14;
/// Extension type "server_name", and its only name type "host_name".
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// Reads the server name from the first bytes of a connection; `None` means that more bytes are
/// needed. At most `max` bytes, record headers included, are looked at.
///
/// # Errors
/// [`RouteError::NotTls`] at the first byte that no ClientHello has, [`RouteError::HelloTooLarge`]
/// as soon as the announced or the given size passes `max`, [`RouteError::MalformedHello`],
/// [`RouteError::NoServerName`], [`RouteError::BadServerName`].
pub(super) fn server_name(first: &[u8], max: usize) -> Result<Option<HostName>, RouteError> {
    match message(first, max)? {
        Some(hello) => name_in(&hello).map(Some),
        None if first.len() >= max => Err(RouteError::HelloTooLarge(max)),
        None => Ok(None),
    }
}

/// Joins the fragments of the first handshake message; the result is the body of the ClientHello.
fn message(first: &[u8], max: usize) -> Result<Option<Vec<u8>>, RouteError> {
    let mut joined = Vec::new();
    let mut rest = first;
    loop {
        let in_first_record = rest.len() == first.len();
        check_record_start(rest, in_first_record)?;
        let mut input = Input(rest);
        let (Some(_), Some(length)) = (input.take(3), input.u16()) else { return Ok(None) };
        let length = usize::from(length);
        if length == 0 || length > RECORD_MAX {
            return Err(not_a_hello(in_first_record, "a record has an impossible length"));
        }
        let present = input.0.get(..length).unwrap_or(input.0);
        joined.extend_from_slice(present);
        // What is announced is judged before it has arrived.
        if let Some(size) = announced_size(&joined)? {
            let until_here = joined.len() - present.len() + length;
            if size > max {
                return Err(RouteError::HelloTooLarge(max));
            }
            if until_here > size {
                return Err(RouteError::MalformedHello("its last record carries further bytes"));
            }
            if until_here == size && present.len() == length {
                return Ok(Some(joined.split_off(4)));
            }
        }
        match input.0.get(length..) {
            Some(next) => rest = next,
            None => return Ok(None),
        }
    }
}

/// Whether these bytes, however few, can start a handshake record.
fn check_record_start(record: &[u8], first: bool) -> Result<(), RouteError> {
    let possible = record.first().is_none_or(|kind| *kind == HANDSHAKE)
        && record.get(1).is_none_or(|major| *major == 3)
        && record.get(2).is_none_or(|minor| *minor <= 4);
    if possible { Ok(()) } else { Err(not_a_hello(first, "another record interrupts it")) }
}

fn not_a_hello(first: bool, why: &'static str) -> RouteError {
    if first { RouteError::NotTls } else { RouteError::MalformedHello(why) }
}

/// The size of the whole handshake message with its 4-byte header, once the header is there.
fn announced_size(joined: &[u8]) -> Result<Option<usize>, RouteError> {
    if joined.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(RouteError::NotTls);
    }
    let mut input = Input(joined);
    let (Some(_), Some(high), Some(low)) = (input.u8(), input.u8(), input.u16()) else { return Ok(None) };
    Ok(Some(4 + (usize::from(high) << 16) + usize::from(low)))
}

/// The server name of a complete ClientHello body.
fn name_in(hello: &[u8]) -> Result<HostName, RouteError> {
    let mut input = Input(hello);
    let fixed = input.take(2 + 32).and_then(|_| {
        let _session_id = input.vec8()?;
        let _cipher_suites = input.vec16()?;
        input.vec8()
    });
    fixed.ok_or(RouteError::MalformedHello("a field ends before its length"))?;
    if input.0.is_empty() {
        // Before TLS 1.3 a hello may end here.
        return Err(RouteError::NoServerName);
    }
    let extensions = input.vec16().ok_or(RouteError::MalformedHello("the extensions are cut short"))?;
    if !input.0.is_empty() {
        return Err(RouteError::MalformedHello("bytes follow the extensions"));
    }
    host_name(server_name_extension(extensions)?.ok_or(RouteError::NoServerName)?)
}

/// The content of the only `server_name` extension.
fn server_name_extension(extensions: &[u8]) -> Result<Option<&[u8]>, RouteError> {
    let mut input = Input(extensions);
    let mut found = None;
    while !input.0.is_empty() {
        let (Some(kind), Some(content)) = (input.u16(), input.vec16()) else {
            return Err(RouteError::MalformedHello("an extension is cut short"));
        };
        if kind == SERVER_NAME && found.replace(content).is_some() {
            return Err(RouteError::MalformedHello("it has two server_name extensions"));
        }
    }
    Ok(found)
}

/// The only entry of a server name list.
fn host_name(extension: &[u8]) -> Result<HostName, RouteError> {
    let mut input = Input(extension);
    let list = input.vec16().filter(|_| input.0.is_empty());
    let mut list = Input(list.ok_or(RouteError::MalformedHello("the server name list has a wrong length"))?);
    let (Some(kind), Some(name)) = (list.u8(), list.vec16()) else {
        return Err(RouteError::MalformedHello("the server name list is cut short"));
    };
    if kind != HOST_NAME || !list.0.is_empty() {
        return Err(RouteError::MalformedHello("the server name list has more than one host name"));
    }
    let name = std::str::from_utf8(name).map_err(|_| RouteError::BadServerName)?;
    name.parse().map_err(|_| RouteError::BadServerName)
}

/// What is left to read; every method takes from the front, or takes nothing and answers `None`.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A byte string with a one-byte length.
    fn vec8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A byte string with a two-byte length.
    fn vec16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
pub(super) mod tests;
