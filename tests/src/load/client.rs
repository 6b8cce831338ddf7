//! An HTTP/1.1 client over TLS: one connection, one request at a time.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Target;
use crate::pki;

/// The first bytes of an answer are kept for messages.
const HEAD_BYTES: usize = 2048;
const PIECE: usize = 64 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Client {
    sender: http1::SendRequest<OutBody>,
}

/// What was received of a body.
#[derive(Debug, Default)]
pub struct InBody {
    /// All its bytes.
    pub length: u64,
    head: Vec<u8>,
}

impl InBody {
    /// The beginning as text.
    #[must_use]
    pub fn head(&self) -> String {
        String::from_utf8_lossy(&self.head).into_owned()
    }
}

impl Client {
    /// Connects to the target under this host name; no session resumption.
    ///
    /// # Errors
    /// TCP's and TLS's.
    pub async fn connect(target: &Target, host: &str) -> Result<Self> {
        let tls = ClientConfig::builder_with_provider(pki::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(pki::roots(target.roots_pem.as_bytes())?)
            .with_no_client_auth();
        let stream = TcpStream::connect(target.address).await.context("connect")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        let io = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.context("TLS")?;
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, request: Request<OutBody>) -> Result<(StatusCode, InBody)> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut received = InBody::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the answer broke off")?;
            let Some(data) = frame.data_ref() else { continue };
            received.length += data.len() as u64;
            let room = HEAD_BYTES.saturating_sub(received.head.len());
            received.head.extend(data.iter().take(room));
        }
        Ok((status, received))
    }
}

/// A request's body.
#[derive(Debug)]
pub struct OutBody {
    piece: Bytes,
    left: u64,
}

/// A body of these bytes.
pub fn given(bytes: impl Into<Bytes>) -> OutBody {
    let piece = bytes.into();
    OutBody { left: piece.len() as u64, piece }
}

/// A body of this length, made while it is sent.
#[must_use]
pub fn generated(length: u64) -> OutBody {
    OutBody { piece: Bytes::from(vec![0x5a; PIECE]), left: length }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = self.piece.clone();
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
