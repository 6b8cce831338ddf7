use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const MAX: usize = 16 * 1024;

/// Builds hellos field by field, so that each can be wrong by itself.
pub(in crate::route) struct Hello {
    pub(in crate::route) extensions: Vec<(u16, Vec<u8>)>,
    pub(in crate::route) session_id: usize,
}

impl Hello {
    pub(in crate::route) fn named(name: &str) -> Self {
        Self {
            extensions: vec![grease(), (SERVER_NAME, entry_list(&[(HOST_NAME, name.as_bytes())])), alpn()],
            session_id: 32,
        }
    }

    fn with_server_name(content: Vec<u8>) -> Self {
        Self { extensions: vec![(SERVER_NAME, content)], session_id: 0 }
    }

    fn body(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        for (kind, content) in &self.extensions {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(vec16(content));
        }
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(u8::try_from(self.session_id).unwrap());
        body.extend(vec![9; self.session_id]);
        body.extend(vec16(&[0x0a, 0x0a, 0x13, 0x01]));
        body.extend([1, 0]);
        body.extend(vec16(&extensions));
        body
    }

    pub(in crate::route) fn bytes(&self) -> Vec<u8> {
        record(&handshake(&self.body()))
    }
}

fn vec16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

fn entry_list(entries: &[(u8, &[u8])]) -> Vec<u8> {
    vec16(&entries.iter().flat_map(|(kind, name)| [vec![*kind], vec16(name)].concat()).collect::<Vec<_>>())
}

fn grease() -> (u16, Vec<u8>) {
    (0x1a1a, vec![0])
}

fn alpn() -> (u16, Vec<u8>) {
    (16, vec16(b"\x02h2"))
}

fn handshake(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat().tap(|bytes| bytes[0] = CLIENT_HELLO)
}

fn record(payload: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE, 3, 1][..], &vec16(payload)].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(record).collect()
}

trait Tap: Sized {
    fn tap(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
impl<T> Tap for T {}

#[track_caller]
fn check(bytes: &[u8], expected: Result<Option<&str>, RouteError>) {
    assert_eq!(server_name(bytes, MAX), expected.map(|name| name.map(|name| name.parse().unwrap())));
}

fn malformed<T>(why: &'static str) -> Result<T, RouteError> {
    Err(RouteError::MalformedHello(why))
}

#[test]
fn the_name_is_found() {
    for name in
        ["sts.amazonaws.com", "STS.amazonaws.com.", "b_u.s3.eu-central-1.amazonaws.com", "example.com"]
    {
        check(&Hello::named(name).bytes(), Ok(Some(name)));
    }
}

#[test]
fn every_prefix_asks_for_more() {
    let whole = Hello::named("sts.amazonaws.com").bytes();
    for cut in 0..whole.len() {
        check(&whole[..cut], Ok(None));
    }
}

#[test]
fn records_may_split_it_anywhere() {
    let message = handshake(&Hello::named("sts.amazonaws.com").body());
    for size in 1..=message.len() {
        let bytes = records(&message, size);
        check(&bytes, Ok(Some("sts.amazonaws.com")));
        check(&bytes[..bytes.len() - 1], Ok(None));
    }
}

#[test]
fn what_follows_in_further_records_is_not_looked_at() {
    let early_data =
        [&Hello::named("sts.amazonaws.com").bytes()[..], &[20, 3, 3, 0, 1, 1, 23, 3, 3]].concat();
    check(&early_data, Ok(Some("sts.amazonaws.com")));
}

#[test]
fn the_outer_name_counts_with_encrypted_client_hello() {
    let mut hello = Hello::named("public.example.com");
    hello.extensions.push((0xfe0d, vec![0; 200]));
    check(&hello.bytes(), Ok(Some("public.example.com")));
}

#[test]
fn garbage_is_refused_at_its_first_byte() {
    for garbage in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x80\x2e\x01\x03\x01",         // SSL 2 hello
        b"\x15\x03\x01\x00\x02\x02\x28", // an alert
        b"\x16\x02",                     // no such major version
        b"\x16\x03\x05",                 // no such minor version
        b"\x16\x03\x01\x00\x00",         // an empty record
        b"\x16\x03\x01\x40\x01",         // a record over 2^14
        b"\x16\x03\x01\x00\x04\x02",     // a ServerHello
        b"\x00",
    ] {
        check(garbage, Err(RouteError::NotTls));
    }
}

#[test]
fn size_is_bounded_as_soon_as_it_is_announced() {
    let announced = [HANDSHAKE, 3, 1, 0x10, 0, CLIENT_HELLO, 0, 0x40, 0];
    check(&announced, Err(RouteError::HelloTooLarge(MAX)));
    // Tiny records: the message is small enough, its headers are not.
    let message = handshake(&Hello { extensions: vec![(21, vec![0; 4000])], session_id: 0 }.body());
    check(&records(&message, 1)[..MAX], Err(RouteError::HelloTooLarge(MAX)));
}

#[test]
fn no_server_name() {
    check(
        &Hello { extensions: vec![grease(), alpn()], session_id: 0 }.bytes(),
        Err(RouteError::NoServerName),
    );
    let without_extensions =
        Hello { extensions: vec![], session_id: 0 }.body().tap(|body| body.truncate(body.len() - 2));
    check(&record(&handshake(&without_extensions)), Err(RouteError::NoServerName));
}

#[test]
fn bad_server_names() {
    for name in [
        &b"192.0.2.1"[..],
        b"2001:db8::1",
        b"a..b",
        b"a b.example",
        b"\xff\xfe.example",
        b"evil\0.amazonaws.com",
    ] {
        let hello = Hello::with_server_name(entry_list(&[(HOST_NAME, name)]));
        check(&hello.bytes(), Err(RouteError::BadServerName));
    }
    check(&Hello::with_server_name(entry_list(&[(HOST_NAME, b"")])).bytes(), Err(RouteError::BadServerName));
}

#[test]
fn what_two_readers_could_see_differently() {
    let (aws, evil) = ((HOST_NAME, &b"sts.amazonaws.com"[..]), (HOST_NAME, &b"evil.example"[..]));
    let twice = Hello {
        extensions: vec![(SERVER_NAME, entry_list(&[aws])), alpn(), (SERVER_NAME, entry_list(&[evil]))],
        session_id: 0,
    };
    check(&twice.bytes(), malformed("it has two server_name extensions"));
    let more = "the server name list has more than one host name";
    check(&Hello::with_server_name(entry_list(&[aws, evil])).bytes(), malformed(more));
    check(&Hello::with_server_name(entry_list(&[(1, b"sts.amazonaws.com")])).bytes(), malformed(more));
    let cut = "the server name list is cut short";
    check(&Hello::with_server_name(entry_list(&[])).bytes(), malformed(cut));
    let length = "the server name list has a wrong length";
    check(&Hello::with_server_name(vec![]).bytes(), malformed(length));
    let trailing = entry_list(&[aws]).tap(|list| list.push(0));
    check(&Hello::with_server_name(trailing).bytes(), malformed(length));
}

#[test]
fn lengths_that_do_not_add_up() {
    let body = Hello::named("sts.amazonaws.com").body();
    let with = |change: fn(&mut Vec<u8>)| record(&handshake(&body.clone().tap(change)));
    check(&with(|body| body[34] = 255), malformed("a field ends before its length"));
    check(&with(|body| body.push(0)), malformed("bytes follow the extensions"));
    check(&with(|body| body.truncate(body.len() - 1)), malformed("the extensions are cut short"));
    check(&record(&handshake(&body).tap(|m| m.push(0))), malformed("its last record carries further bytes"));
    let interrupted = [&records(&handshake(&body), 10)[..15], &[23, 3, 3]].concat();
    check(&interrupted, malformed("another record interrupts it"));
    let empty_fragment = [&records(&handshake(&body), 10)[..15], &[HANDSHAKE, 3, 3, 0, 0]].concat();
    check(&empty_fragment, malformed("a record has an impossible length"));
}

/// The hello that rustls really sends.
fn rustls_hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// What rustls as a server reads from the same bytes.
fn rustls_reads(bytes: &[u8]) -> Option<String> {
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut &bytes[..]).unwrap();
    let accepted = acceptor.accept().ok().flatten()?;
    accepted.client_hello().server_name().map(ToOwned::to_owned)
}

#[test]
fn a_real_client_is_understood() {
    check(&rustls_hello("sts.amazonaws.com"), Ok(Some("sts.amazonaws.com")));
}

proptest! {
    #[test]
    fn never_panics_on_noise(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = server_name(&bytes, MAX);
    }

    /// Noise rarely gets past the header; damage to a real hello reaches every field.
    #[test]
    fn a_damaged_hello_never_yields_another_name_than_rustls_reads(
        at in 0usize..400, value in any::<u8>(), size in 1usize..300,
    ) {
        let message = rustls_hello("sts.amazonaws.com").split_off(5);
        let bytes = records(&message, size).tap(|bytes| if let Some(byte) = bytes.get_mut(at) { *byte = value });
        if let (Ok(Some(ours)), Some(theirs)) = (server_name(&bytes, MAX), rustls_reads(&bytes)) {
            prop_assert_eq!(ours, theirs.parse::<HostName>().unwrap());
        }
    }

    #[test]
    fn every_fragmentation_gives_the_same_name(size in 1usize..600, cut in 0usize..2000) {
        let message = rustls_hello("bucket.s3.eu-central-1.amazonaws.com").split_off(5);
        let bytes = records(&message, size);
        let expected = "bucket.s3.eu-central-1.amazonaws.com".parse().unwrap();
        prop_assert_eq!(server_name(&bytes, MAX), Ok(Some(expected)));
        if cut < bytes.len() {
            prop_assert_eq!(server_name(&bytes[..cut], MAX), Ok(None));
        }
    }
}
