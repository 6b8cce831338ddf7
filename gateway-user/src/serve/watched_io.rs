//! An agent's decrypted HTTP/1.1 stream that stops at the first framing violation.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{Framing, Violation};

/// What was violated, readable after the connection ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    violation: OnceLock<Violation>,
    inside_head: AtomicBool,
}

impl Verdict {
    /// The violation that stopped the connection, if one did.
    pub(super) fn violation(&self) -> Option<&Violation> {
        self.0.violation.get()
    }

    /// Whether the connection ended inside a header block: a half request, not an idle connection.
    pub(super) fn ended_inside_head(&self) -> bool {
        self.0.inside_head.load(Ordering::Relaxed)
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct WatchedIo<T> {
    io: T,
    framing: Framing,
    verdict: Verdict,
}

impl<T> WatchedIo<T> {
    pub(super) fn new(io: T, head_max: usize) -> (Self, Verdict) {
        let verdict = Verdict::default();
        (Self { io, framing: Framing::new(head_max), verdict: verdict.clone() }, verdict)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if let Err(violation) = self.framing.observe(fresh) {
            // hyper must not see one byte of what is in doubt.
            buf.set_filled(before);
            let error = io::Error::new(io::ErrorKind::InvalidData, violation.to_string());
            let _ = self.verdict.0.violation.set(violation);
            return Poll::Ready(Err(error));
        }
        self.verdict.0.inside_head.store(self.framing.inside_head(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
