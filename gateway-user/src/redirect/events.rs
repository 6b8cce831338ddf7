//! The refusals that the kernel half reports, as a bounded channel of typed events.

use std::{io, net::SocketAddr};

use aya::maps::{MapData, RingBuf};
use gateway_common::event::{Event, EventKind};
use tokio::{io::unix::AsyncFd, sync::mpsc};

use super::flows::ip;
use crate::prim::CgroupId;

/// How many refusals wait for their reader; beyond that they stay in the kernel's buffer, which
/// counts what it has to drop.
const QUEUE: usize = 256;

/// Something the kernel half refused to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub kind: EventKind,
    /// The address it asked for; a v4-mapped one as IPv4.
    pub destination: SocketAddr,
    /// The cgroup of the task (the leaf).
    pub cgroup: CgroupId,
    /// The process (thread group id): recorded, never used to identify.
    pub pid: u32,
    /// The user: recorded, never used to identify.
    pub uid: u32,
}

/// Starts the reader; it ends when the receiver is dropped. Needs a tokio runtime.
pub(super) fn spawn(ring: RingBuf<MapData>) -> io::Result<mpsc::Receiver<Refusal>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    // SAFETY: the map owns its descriptor and never changes it, and `AsyncFd` owns the map.
    let ring = unsafe { AsyncFd::register(ring) }.map_err(io::Error::from)?;
    tokio::spawn(async move {
        if let Err(error) = read(ring, &sender).await {
            tracing::error!(%error, "reading the kernel half's events failed; refusals are no longer recorded");
        }
    });
    Ok(receiver)
}

async fn read(mut ring: AsyncFd<RingBuf<MapData>>, sender: &mpsc::Sender<Refusal>) -> io::Result<()> {
    loop {
        let mut ready = tokio::select! {
            ready = ring.readable_mut() => ready?,
            () = sender.closed() => return Ok(()),
        };
        while let Some(item) = ready.get_inner_mut().next() {
            let refusal = decode(&item);
            // Free its place before waiting for the reader.
            drop(item);
            let Some(refusal) = refusal else {
                tracing::warn!("the kernel half reported an event of an unknown kind");
                continue;
            };
            if sender.send(refusal).await.is_err() {
                return Ok(());
            }
        }
        ready.clear_ready();
    }
}

fn decode(bytes: &[u8]) -> Option<Refusal> {
    if bytes.len() != size_of::<Event>() {
        return None;
    }
    // SAFETY: the length was checked, and any bytes are an event (it is plain data).
    let event = unsafe { bytes.as_ptr().cast::<Event>().read_unaligned() };
    Some(Refusal {
        kind: EventKind::from_number(event.kind)?,
        destination: SocketAddr::new(ip(event.address), event.port),
        cgroup: CgroupId(event.cgroup),
        pid: event.pid,
        uid: event.uid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_events_of_known_kinds_are_read() {
        let mut bytes = [0_u8; size_of::<Event>()];
        assert_eq!(decode(&bytes), None, "kind 0");
        bytes[0] = 1;
        bytes[42..44].copy_from_slice(&[0xff; 2]);
        bytes[44..48].copy_from_slice(&[192, 0, 2, 7]);
        bytes[48..50].copy_from_slice(&443_u16.to_ne_bytes());
        let refusal = decode(&bytes).unwrap();
        assert_eq!(refusal.kind, EventKind::Udp443);
        assert_eq!(refusal.destination, "192.0.2.7:443".parse().unwrap());
        assert_eq!(decode(&bytes[..40]), None, "too short");
        bytes[0] = 0xee;
        assert_eq!(decode(&bytes), None, "unknown kind");
    }
}
