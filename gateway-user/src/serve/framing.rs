//! HTTP/1.1 framing (RFC 9112 §6), watched before hyper reads it.
//!
//! hyper repairs some requests silently: of `Content-Length` and `Transfer-Encoding` together it
//! drops the first, so that nobody behind it can see that there were two readings. This watcher
//! sees the raw bytes, changes none, and stops the connection at the first one that two parsers
//! could read differently.

/// Why a connection is stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// More header bytes than the bound.
    #[error("the header block has more than {0} bytes")]
    HeadTooLarge(usize),
    /// The head is not HTTP/1.1 grammar (folded headers, bare CR, control characters …).
    #[error("the request head is malformed: {0}")]
    BadHead(String),
    /// HTTP/1.0 has no chunked bodies and no Host.
    #[error("HTTP/1.0 is not served")]
    Http10,
    /// Two readings of the body's length.
    #[error("Content-Length and Transfer-Encoding on one request")]
    TwoLengths,
    /// More than one Content-Length or Transfer-Encoding.
    #[error("{0} is given more than once")]
    Repeated(&'static str),
    /// Not a decimal number.
    #[error("Content-Length is not a number")]
    BadLength,
    /// Anything but `chunked`.
    #[error("Transfer-Encoding is not exactly `chunked`")]
    BadCoding,
    /// Chunk extensions, trailers or garbage where a chunk must start or end.
    #[error("the chunked body is malformed, or has extensions or trailers")]
    BadChunk,
}

/// Follows one direction of one connection. Memory: one header block.
#[derive(Debug)]
pub(super) struct Framing {
    head_max: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Collecting a header block.
    Head(Vec<u8>),
    /// This many body bytes are left.
    Sized(u64),
    /// Reading a chunk's size line.
    ChunkSize { size: u64, digits: u8, cr: bool },
    /// This many bytes of the chunk are left.
    ChunkData(u64),
    /// The line break after a chunk, or after the last one (`last`).
    ChunkEnd { cr: bool, last: bool },
}

const NO_SIZE: State = State::ChunkSize { size: 0, digits: 0, cr: false };
/// hyper reads at most as many.
const MAX_HEADERS: usize = 100;

impl Framing {
    pub(super) fn new(head_max: usize) -> Self {
        Self { head_max, state: State::Head(Vec::new()) }
    }

    /// Whether a header block has begun and not ended.
    pub(super) fn inside_head(&self) -> bool {
        matches!(&self.state, State::Head(head) if !head.is_empty())
    }

    /// Looks at the next bytes of the connection.
    pub(super) fn observe(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Head(head) => {
                    // A bare LF ends a line for some parsers (hyper's among them) and not for others.
                    if first == b'\n' && head.last() != Some(&b'\r') {
                        return Err(Violation::BadHead("a line ends without CR".to_owned()));
                    }
                    head.push(first);
                    bytes = rest;
                    // An empty line before the request line is allowed (RFC 9112 §2.2).
                    if head.len() == 2 && head == b"\r\n" {
                        head.clear();
                    }
                    if head.ends_with(b"\r\n\r\n") {
                        self.state = body_of(head)?;
                    } else if head.len() > self.head_max {
                        return Err(Violation::HeadTooLarge(self.head_max));
                    }
                }
                State::Sized(left) => {
                    bytes = skip(left, bytes);
                    if *left == 0 {
                        self.state = State::Head(Vec::new());
                    }
                }
                State::ChunkSize { size, digits, cr } => {
                    bytes = rest;
                    match (first, *cr, char::from(first).to_digit(16)) {
                        (b'\r', false, _) if *digits > 0 => *cr = true,
                        (b'\n', true, _) if *size == 0 => {
                            self.state = State::ChunkEnd { cr: false, last: true }
                        }
                        (b'\n', true, _) => self.state = State::ChunkData(*size),
                        // 15 digits cannot overflow.
                        (_, false, Some(digit)) if *digits < 15 => {
                            *size = *size * 16 + u64::from(digit);
                            *digits += 1;
                        }
                        _ => return Err(Violation::BadChunk),
                    }
                }
                State::ChunkData(left) => {
                    bytes = skip(left, bytes);
                    if *left == 0 {
                        self.state = State::ChunkEnd { cr: false, last: false };
                    }
                }
                State::ChunkEnd { cr, last } => {
                    bytes = rest;
                    match (first, *cr) {
                        (b'\r', false) => *cr = true,
                        (b'\n', true) => self.state = if *last { State::Head(Vec::new()) } else { NO_SIZE },
                        _ => return Err(Violation::BadChunk),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Drops up to `left` bytes and counts them.
fn skip<'b>(left: &mut u64, bytes: &'b [u8]) -> &'b [u8] {
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= here as u64;
    bytes.get(here..).unwrap_or_default()
}

/// Which body follows this head.
fn body_of(head: &[u8]) -> Result<State, Violation> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(httparse::Status::Complete(_)) => return Err(Violation::BadHead("it ends early".to_owned())),
        Ok(httparse::Status::Partial) => return Err(Violation::BadHead("it is incomplete".to_owned())),
        Err(error) => return Err(Violation::BadHead(error.to_string())),
    }
    if request.version != Some(1) {
        return Err(Violation::Http10);
    }
    let only = |name: &'static str| {
        let mut values =
            request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
        let value = values.next();
        if values.next().is_some() { Err(Violation::Repeated(name)) } else { Ok(value) }
    };
    match (only("Content-Length")?, only("Transfer-Encoding")?) {
        (Some(_), Some(_)) => Err(Violation::TwoLengths),
        (None, None) => Ok(State::Head(Vec::new())),
        (Some(length), None) => {
            let digits = std::str::from_utf8(length).map_err(|_| Violation::BadLength)?;
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Violation::BadLength);
            }
            match digits.parse().map_err(|_| Violation::BadLength)? {
                0 => Ok(State::Head(Vec::new())),
                length => Ok(State::Sized(length)),
            }
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(NO_SIZE),
        (None, Some(_)) => Err(Violation::BadCoding),
    }
}

#[cfg(test)]
mod tests;
