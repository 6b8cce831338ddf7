//! Receiving a body: hashed, counted, and thrown away, whatever its length.

use aws_lc_rs::digest;
use http::HeaderMap;

use super::{answer::Refusal, sigv4::Payload};

/// Longest line between chunks; AWS's own are below 100 bytes.
const LINE_MAX: usize = 1024;

/// What a body was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payloaded {
    /// SHA-256 of the content (aws-chunked decoded), in hex; empty when hashing is off.
    pub sha256: String,
    /// Length of the content.
    pub length: u64,
}

/// Takes a body piece by piece.
pub(super) struct Receiver {
    chunked: Option<Chunked>,
    content: Content,
}

impl Receiver {
    /// For a body of this kind. `hash` is needed wherever the content's hash matters.
    ///
    /// # Errors
    /// When the headers that must go with the kind are missing.
    pub(super) fn new(kind: &Payload, headers: &HeaderMap, hash: bool) -> Result<Self, Refusal> {
        let chunked = match kind {
            Payload::UnsignedTrailer => Some(Chunked::new(headers)?),
            Payload::Absent | Payload::Sha256(_) | Payload::Unsigned | Payload::SignedChunks => None,
        };
        let needed = hash || matches!(kind, Payload::Absent | Payload::Sha256(_));
        let sha256 = needed.then(|| digest::Context::new(&digest::SHA256));
        Ok(Self { chunked, content: Content { sha256, crc32: crc32fast::Hasher::new(), length: 0 } })
    }

    /// The next bytes from the wire.
    ///
    /// # Errors
    /// When aws-chunked framing is broken.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        match &mut self.chunked {
            Some(chunked) => chunked.push(bytes, &mut self.content),
            None => {
                self.content.push(bytes, false);
                Ok(())
            }
        }
    }

    /// The end of the body: checks lengths, the declared hash and the trailer's checksum.
    ///
    /// # Errors
    /// `IncompleteBody`, `BadDigest` or `XAmzContentSHA256Mismatch`, as S3 names them.
    pub(super) fn finish(self, kind: &Payload) -> Result<Payloaded, Refusal> {
        let Content { sha256, crc32, length } = self.content;
        if let Some(chunked) = self.chunked {
            chunked.finish(length, crc32.finalize())?;
        }
        let sha256 = sha256.map(|context| hex::encode(context.finish())).unwrap_or_default();
        match kind {
            Payload::Sha256(declared) if *declared != sha256 => Err(Refusal::content_mismatch()),
            Payload::Sha256(_)
            | Payload::Absent
            | Payload::Unsigned
            | Payload::UnsignedTrailer
            | Payload::SignedChunks => Ok(Payloaded { sha256, length }),
        }
    }
}

struct Content {
    sha256: Option<digest::Context>,
    crc32: crc32fast::Hasher,
    length: u64,
}

impl Content {
    fn push(&mut self, bytes: &[u8], checksum: bool) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if checksum {
            self.crc32.update(bytes);
        }
        self.length += bytes.len() as u64;
    }
}

/// aws-chunked framing: `SIZE\r\n DATA \r\n … 0\r\n name:value\r\n \r\n`.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>
struct Chunked {
    state: State,
    line: Vec<u8>,
    declared_length: u64,
    trailer_name: String,
    trailer_value: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

impl Chunked {
    fn new(headers: &HeaderMap) -> Result<Self, Refusal> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let declared_length = text("x-amz-decoded-content-length")
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| Refusal::bad_body("x-amz-decoded-content-length is missing"))?;
        let encodings = text("content-encoding").unwrap_or_default();
        if !encodings.split(',').any(|encoding| encoding.trim() == "aws-chunked") {
            return Err(Refusal::bad_body("content-encoding does not say aws-chunked"));
        }
        let trailer_name = text("x-amz-trailer")
            .ok_or_else(|| Refusal::bad_body("x-amz-trailer is missing"))?
            .to_ascii_lowercase();
        if trailer_name != "x-amz-checksum-crc32" {
            return Err(Refusal::not_implemented(&format!("x-amz-trailer: {trailer_name}")));
        }
        let line = Vec::new();
        Ok(Self { state: State::Size, line, declared_length, trailer_name, trailer_value: None })
    }

    fn push(&mut self, mut bytes: &[u8], content: &mut Content) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            if let State::Data(left) = self.state {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
                content.push(data, true);
                bytes = rest;
                let left = left - data.len() as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                continue;
            }
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                self.line.extend_from_slice(bytes);
                return self.line_in_bounds();
            };
            let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, &[]));
            self.line.extend_from_slice(line);
            bytes = rest;
            self.line_in_bounds()?;
            let line = std::mem::take(&mut self.line);
            let line = std::str::from_utf8(&line)
                .ok()
                .and_then(|line| line.strip_suffix("\r\n"))
                .ok_or_else(|| Refusal::bad_body("a chunk line does not end with CR LF"))?;
            self.state = self.line_read(line)?;
        }
        Ok(())
    }

    fn line_in_bounds(&self) -> Result<(), Refusal> {
        if self.line.len() > LINE_MAX {
            return Err(Refusal::bad_body("a chunk line is too long"));
        }
        Ok(())
    }

    fn line_read(&mut self, line: &str) -> Result<State, Refusal> {
        match self.state {
            State::Size => match u64::from_str_radix(line, 16) {
                Ok(0) => Ok(State::Trailer),
                Ok(size) => Ok(State::Data(size)),
                Err(_) => Err(Refusal::bad_body("a chunk size is not hexadecimal")),
            },
            State::DataEnd if line.is_empty() => Ok(State::Size),
            State::DataEnd => Err(Refusal::bad_body("a chunk is longer than its size")),
            State::Trailer if line.is_empty() => Ok(State::Done),
            State::Trailer => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                if name != self.trailer_name || self.trailer_value.is_some() {
                    return Err(Refusal::bad_body(&format!("unexpected trailer {name:?}")));
                }
                self.trailer_value = Some(value.trim().to_owned());
                Ok(State::Trailer)
            }
            State::Data(_) | State::Done => Err(Refusal::bad_body("bytes after the last chunk")),
        }
    }

    fn finish(self, length: u64, crc32: u32) -> Result<(), Refusal> {
        use base64::Engine as _;
        if self.state != State::Done {
            return Err(Refusal::bad_body("the body ended before its last chunk"));
        }
        if length != self.declared_length {
            return Err(Refusal::bad_body("the content has not the declared length"));
        }
        let expected = base64::engine::general_purpose::STANDARD.encode(crc32.to_be_bytes());
        if self.trailer_value.as_deref() != Some(&expected) {
            return Err(Refusal::bad_digest(&self.trailer_name));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
