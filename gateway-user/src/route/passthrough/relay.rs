//! Bytes in both directions, with constant memory and none while idle.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::{Instant, sleep_until},
};

/// Bytes moved at once; held only between a read and its write.
const CHUNK: usize = 64 * 1024;

/// Bytes relayed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the agent to the upstream.
    pub sent: u64,
    /// From the upstream to the agent.
    pub received: u64,
}

/// Why a relay ended before both ends had closed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// No byte in either direction for the configured time.
    #[error("no byte in either direction for {after:?}")]
    Idle {
        /// The configured time.
        after: Duration,
        /// What went through before.
        traffic: Traffic,
    },
    /// One of the ends broke off.
    #[error("the connection broke off: {source}")]
    Broken {
        /// The system's words.
        source: io::Error,
        /// What went through before.
        traffic: Traffic,
    },
}

/// Relays between the agent and the upstream until both have closed, passing on half-closes.
///
/// # Errors
/// [`RelayError`]; both connections are closed by then.
pub async fn relay(
    mut agent: TcpStream,
    mut upstream: TcpStream,
    idle: Duration,
) -> Result<Traffic, RelayError> {
    // Interactive protocols stall for 40 ms and more without it; a failure only costs speed.
    let _ = (agent.set_nodelay(true), upstream.set_nodelay(true));
    let idle = idle.min(super::LONGEST);
    let progress = Progress::new();
    let (agent_read, agent_write) = agent.split();
    let (upstream_read, upstream_write) = upstream.split();
    let both = async {
        tokio::try_join!(
            one_way(agent_read, upstream_write, &progress, &progress.sent),
            one_way(upstream_read, agent_write, &progress, &progress.received),
        )
    };
    tokio::select! {
        ended = both => match ended {
            Ok(_) => Ok(progress.traffic()),
            Err(source) => Err(RelayError::Broken { source, traffic: progress.traffic() }),
        },
        () = progress.idle_for(idle) => Err(RelayError::Idle { after: idle, traffic: progress.traffic() }),
    }
}

async fn one_way(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    progress: &Progress,
    count: &AtomicU64,
) -> io::Result<()> {
    loop {
        from.readable().await?;
        // Allocated when there is something to read, so an idle connection holds no buffer.
        let mut chunk = Vec::with_capacity(CHUNK);
        match from.try_read_buf(&mut chunk) {
            Ok(0) => return to.shutdown().await,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        progress.mark();
        let mut unsent = chunk.as_slice();
        while !unsent.is_empty() {
            // Not write_all: a slow reader that takes a little at a time is not idle.
            let taken = to.write(unsent).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            unsent = unsent.get(taken..).unwrap_or_default();
            count.fetch_add(u64::try_from(taken).unwrap_or(u64::MAX), Ordering::Relaxed);
            progress.mark();
        }
    }
}

/// Counters shared by both directions of one connection.
struct Progress {
    start: Instant,
    /// Milliseconds after `start` at which a byte last moved.
    last: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { start: Instant::now(), last: zero(), sent: zero(), received: zero() }
    }

    fn mark(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    fn traffic(&self) -> Traffic {
        Traffic { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }

    /// Returns once nothing has moved for `limit`.
    async fn idle_for(&self, limit: Duration) {
        loop {
            let seen = self.last.load(Ordering::Relaxed);
            sleep_until(self.start + Duration::from_millis(seen) + limit).await;
            if self.last.load(Ordering::Relaxed) == seen {
                return;
            }
        }
    }
}
